"""The Lambda's entry point: settings, clients, metrics. It decides nothing."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from atlas import faults
from atlas import metrics as counted
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
metrics = Metrics(service=counted.INGEST)  # the namespace is in the environment
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
    key = ""
    try:
        for message in messages(record.body):
            started = time.monotonic()
            key = message.raw_key if isinstance(message, Order) else message.key
            if isinstance(message, Order):
                verdict = _ingestion().obey(message, _settings().bucket)
            else:
                verdict = _ingestion().take(message)
            took = round((time.monotonic() - started) * 1000)
            _report(key, verdict, took, came_in=not isinstance(message, Order))
    except Exception as fault:  # Powertools gives the message back to the queue, and says nothing of why
        told = {"key": key, "error": type(fault).__name__, "cause": faults.told(fault)}
        logger.error("failed", extra={"message_id": record.message_id, **told})
        raise


def _count(metric: counted.Metric, value: float) -> None:
    metrics.add_metric(metric.name, metric.unit, value)


def _report(key: str, verdict: Verdict, milliseconds: int, *, came_in: bool) -> None:
    """Counts and names only: no record's content reaches the logs.

    What is read once more, because somebody ordered it, has not come in again.
    """
    reading = verdict.reading
    told: dict[str, Any] = {"key": key, "outcome": verdict.outcome.value, "duration_ms": milliseconds}
    _count(counted.INGEST_DURATION, milliseconds)
    if reading and came_in:
        _count(counted.FILES, 1)
        _count(counted.FILES_REJECTED, int(verdict.outcome is Outcome.REJECTED))
        _count(counted.RECORDS, reading.records)
        _count(counted.RECORDS_UNPARSABLE, reading.unparsable)
        _count(counted.BYTES, reading.size)
    if reading:
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
    _count(counted.FILES_FAILED, len(answer["batchItemFailures"]))
    return answer
