"""The entry point of rotation, which Secrets Manager calls: settings, client. It decides nothing."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from atlas import faults
from atlas.metrics import EVENTS
from atlas.settings import RotationSettings
from lambda_events.rotation_steps import rotate

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service=EVENTS)


@cache
def _client() -> Any:
    return boto3.client("secretsmanager")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:  # noqa: ARG001 - Lambda gives it
    """Does one step of a rotation."""
    told = {"step": event.get("Step"), "version": event.get("ClientRequestToken")}
    try:
        done = rotate(event, RotationSettings.from_env(os.environ), _client(), time.time())
    except Exception as fault:  # noqa: BLE001 - raised again
        logger.error("failed", extra={**told, "error": type(fault).__name__, "cause": faults.told(fault)})
        raise faults.tellable(fault) from None
    logger.info("rotation", extra={**told, "secret": done.secret, "changed": done.changed})
