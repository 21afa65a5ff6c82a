"""The Lambda's entry point: settings, clients. It decides nothing."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from atlas.clients import Clients
from atlas.objects import AT_ONCE
from atlas.scratch import own_folder
from atlas.settings import DaySettings, JobSettings
from lambda_day.limits import Limits, memory_mb
from lambda_day.process import JOB, run

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service=JOB)


@cache
def _settings() -> DaySettings:
    return DaySettings.from_env(os.environ)


@cache
def _clients() -> Clients:
    ledger = boto3.resource("dynamodb").Table(_settings().ledger_table)
    s3 = boto3.client("s3", config=Config(max_pool_connections=2 * AT_ONCE))
    # Counting a day that is published must not take the function's last minutes.
    hasty = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 2})
    others = {name: boto3.client(name) for name in ("sns", "sqs")}
    return Clients(s3=s3, ledger=ledger, cloudwatch=boto3.client("cloudwatch", config=hasty), **others)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Runs `{"process_date": "YYYY-MM-DD", "run_id": "...", "as_of": "ISO 8601"}` and answers with the summary."""
    settings = JobSettings.of_run(_settings(), event)
    limits = Limits.of(memory_mb(os.environ), context.get_remaining_time_in_millis())
    summary = run(settings, _clients(), limits, own_folder(JOB))
    logger.info("day", extra={"summary": summary})
    return summary
