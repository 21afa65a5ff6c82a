"""The Lambda's entry point: settings, clients, metrics. It decides nothing."""

from __future__ import annotations

import dataclasses
import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config

from atlas import lake
from atlas.clients import Clients
from atlas.objects import AT_ONCE
from atlas.scratch import own_folder
from atlas.settings import DaySettings, JobSettings
from lambda_day.limits import Limits, memory_mb
from lambda_day.process import JOB, run

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service=JOB)
metrics = Metrics(service=JOB)  # the namespace is in the environment


@cache
def _settings() -> DaySettings:
    return DaySettings.from_env(os.environ)


@cache
def _clients() -> Clients:
    ledger = boto3.resource("dynamodb").Table(_settings().ledger_table)
    s3 = boto3.client("s3", config=Config(max_pool_connections=2 * AT_ONCE))
    others = {name: boto3.client(name) for name in ("sns", "sqs", "cloudwatch")}
    return Clients(s3=s3, ledger=ledger, **others)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Runs `{"process_date": "YYYY-MM-DD", "run_id": "..."}` and answers with the summary."""
    told = dataclasses.asdict(_settings())
    settings = JobSettings(**told, process_date=lake.parse_day(event["process_date"]), run_id=event["run_id"])
    limits = Limits.of(memory_mb(os.environ), context.get_remaining_time_in_millis())
    summary = run(settings, _clients(), limits, own_folder(JOB))
    metrics.add_metric("DayRecords", MetricUnit.Count, summary["records_in"])
    logger.info("day", extra={"summary": summary})
    return summary
