"""The Lambda's entry point: settings, clients, metrics. It decides nothing."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from atlas.formats import load_formats
from atlas.orders import Order
from atlas.scratch import own_folder
from atlas.settings import IngestSettings
from lambda_ingest.events import messages
from lambda_ingest.ingest import Ingestion, Outcome, Verdict
from lambda_ingest.ledger_writer import LedgerWriter
from lambda_ingest.objects import LakeObjects

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="ingest")
metrics = Metrics(service="ingest")  # the namespace is in the environment
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@cache
def _settings() -> IngestSettings:
    return IngestSettings.from_env(os.environ)


@cache
def _ingestion() -> Ingestion:
    settings = _settings()
    table = boto3.resource("dynamodb").Table(settings.ledger_table)
    return Ingestion(
        LakeObjects(boto3.client("s3")),
        LedgerWriter(table),
        load_formats(),
        part_bytes=settings.part_megabytes << 20,
        scratch=own_folder("ingest"),
    )


def _take(record: SQSRecord) -> None:
    for message in messages(record.body):
        started = time.monotonic()
        if isinstance(message, Order):
            key, verdict = message.raw_key, _ingestion().obey(message, _settings().bucket)
        else:
            key, verdict = message.key, _ingestion().take(message)
        _report(key, verdict, round((time.monotonic() - started) * 1000))


def _report(key: str, verdict: Verdict, milliseconds: int) -> None:
    """Counts and names only: no record's content reaches the logs."""
    reading = verdict.reading
    told: dict[str, Any] = {"key": key, "outcome": verdict.outcome.value, "duration_ms": milliseconds}
    metrics.add_metric("Files", MetricUnit.Count, 1)
    metrics.add_metric("FilesRejected", MetricUnit.Count, int(verdict.outcome is Outcome.REJECTED))
    metrics.add_metric("IngestDuration", MetricUnit.Milliseconds, milliseconds)
    if reading:
        metrics.add_metric("Records", MetricUnit.Count, reading.records)
        metrics.add_metric("RecordsUnparsable", MetricUnit.Count, reading.unparsable)
        metrics.add_metric("Bytes", MetricUnit.Bytes, reading.size)
        told |= {
            "format": reading.format,
            "records": reading.records,
            "unparsable": reading.unparsable,
            "days": len(reading.shares),
            "bytes": reading.size,
            "warnings": list(reading.warnings),
        }
        if reading.refusal:
            told |= {"reason": reading.refusal.reason.value}
    logger.info("file", extra=told)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Takes a batch of queue messages; those that failed are delivered again."""
    answer = process_partial_response(event=event, record_handler=_take, processor=processor, context=context)
    metrics.add_metric("FilesFailed", MetricUnit.Count, len(answer["batchItemFailures"]))
    return answer
