"""What the functions of the events API have in common: one package, one layer, small sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import aws_lambda as lambda_

from stacks import layer
from stacks.base import AtlasStack
from stacks.config import EVENT_FUNCTIONS_MB
from stacks.functions import python_function
from stacks.roles import Statement

_DISK_MB = 512


@dataclass(frozen=True)
class SmallSizes:
    """What these functions have: they wait more than they reckon."""

    timeout_seconds: int
    memory_mb: int = EVENT_FUNCTIONS_MB
    ephemeral_storage_mb: int = _DISK_MB


def events_function(
    stack: AtlasStack,
    module: str,
    *,
    name: str,
    description: str,
    log_group: str,
    role: str,
    purpose: str,
    statements: Sequence[Statement],
    environment: Mapping[str, str],
    timeout_seconds: int,
) -> lambda_.Function:
    """The function `lambda_events.<module>.handler`."""
    return python_function(
        stack,
        module.capitalize(),
        name=name,
        description=description,
        package="lambda_events",
        module=module,
        lock=layer.EVENTS,
        log_group=log_group,
        role=role,
        purpose=purpose,
        statements=statements,
        environment=environment,
        sizes=SmallSizes(timeout_seconds),
    )
