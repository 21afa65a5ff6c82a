"""Our Lambda functions: what they all have, in one place."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from aws_cdk import Duration, Size
from aws_cdk import aws_lambda as lambda_

from stacks import assets, layer
from stacks.base import AtlasStack
from stacks.nag import acknowledge
from stacks.roles import Statement, allow_logging, service_role

_RUNTIME = lambda_.Runtime.PYTHON_3_13


class Sizes(Protocol):
    """What a stage says of a function."""

    @property
    def memory_mb(self) -> int:
        """Memory; Lambda gives processors in proportion."""

    @property
    def timeout_seconds(self) -> int:
        """How long one call may take."""

    @property
    def ephemeral_storage_mb(self) -> int:
        """Scratch disk."""


def python_function(
    stack: AtlasStack,
    construct_id: str,
    *,
    name: str,
    description: str,
    package: str,
    lock: Path,
    log_group: str,
    role: str,
    purpose: str,
    statements: Sequence[Statement],
    environment: Mapping[str, str],
    sizes: Sizes,
    module: str = "handler",
    folders: Sequence[str] = (),
    layers: Sequence[lambda_.ILayerVersion] = (),
    max_concurrency: int | None = None,
) -> lambda_.Function:
    """The function `<package>.<module>.handler` with its layer, its log group and its role.

    `lock` lists the layer's packages, beside which there may be other `layers`; `folders` of the repository come
    along. The role may do what `statements` say, and write its own log. At most `max_concurrency` calls run at
    once, for which the account sets as many aside; None: as many as it lets run.
    """
    architecture = architecture_of(stack)
    function = lambda_.Function(
        stack,
        construct_id,
        function_name=name,
        description=description,
        runtime=_RUNTIME,
        architecture=architecture,
        handler=f"{package}.{module}.handler",
        code=lambda_.Code.from_asset(str(assets.ROOT), **assets.only("atlas", package, *folders)),
        layers=[_third_party(stack, lock, architecture), *layers],
        role=service_role(
            stack,
            f"{construct_id}Role",
            name=role,
            service="lambda.amazonaws.com",
            description=purpose,
            statements=[*statements, allow_logging([stack.arns.log_streams(log_group)])],
        ),
        environment={"POWERTOOLS_METRICS_NAMESPACE": stack.names.metrics_namespace, **environment},
        memory_size=sizes.memory_mb,
        timeout=Duration.seconds(sizes.timeout_seconds),
        ephemeral_storage_size=Size.mebibytes(sizes.ephemeral_storage_mb),
        reserved_concurrent_executions=max_concurrency,
        logging_format=lambda_.LoggingFormat.JSON,
        log_group=stack.log_group(f"{construct_id}Logs", log_group),
    )
    acknowledge(
        function,
        "L1",
        "Python 3.13 is supported by Lambda with security updates. The layer's compiled packages are locked and "
        "tested for it; a newer runtime comes with a renewed lock, not by itself.",
    )
    return function


def _third_party(stack: AtlasStack, lock: Path, architecture: lambda_.Architecture) -> lambda_.ILayerVersion:
    """The layer of a lock file, which all functions of the stack share that want it."""
    construct_id = f"{lock.stem.capitalize()}ThirdParty"
    made = stack.node.try_find_child(construct_id)
    if isinstance(made, lambda_.LayerVersion):
        return made
    return lambda_.LayerVersion(
        stack,
        construct_id,
        description=f"Third-party packages: stacks/layer/{lock.name}",
        code=lambda_.Code.from_asset(
            str(layer.build(lock, stack.config.architecture)), exclude=["**/__pycache__", "**/*.pyc"]
        ),
        compatible_runtimes=[_RUNTIME],
        compatible_architectures=[architecture],
    )


def architecture_of(stack: AtlasStack) -> lambda_.Architecture:
    """The processors that the stage's functions run on."""
    wanted = stack.config.architecture
    machine = platform.machine() if wanted == "host" else wanted
    return lambda_.Architecture.ARM_64 if machine in ("arm64", "aarch64") else lambda_.Architecture.X86_64
