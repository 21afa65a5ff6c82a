"""The forwarder's entry point: settings, clients, metrics. It decides nothing."""

from __future__ import annotations

import os
import time
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from botocore.config import Config

from atlas import faults
from atlas import metrics as counted
from atlas.settings import ForwarderSettings
from lambda_events.forwarder_batch import Forwarder
from lambda_events.forwarder_delivery import Delivery
from lambda_events.forwarder_requests import Judged, Request, judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="events")
metrics = Metrics(service=counted.EVENTS)  # the namespace is in the environment

_REST_SECONDS = 20
"""Of the function's time, for what comes after the delivery stream: refused events and receipts."""
_ONCE = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1})
"""For the delivery stream: Delivery itself retries, and only what was not taken."""
_HASTY = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})


@cache
def _forwarder() -> Forwarder:
    settings = ForwarderSettings.from_env(os.environ)
    return Forwarder(
        Delivery(boto3.client("firehose", config=_ONCE), settings.delivery_stream),
        boto3.client("s3", config=_HASTY),
        settings.bucket,
        boto3.resource("dynamodb", config=_HASTY).Table(settings.ledger_table),
    )


def _judged(records: list[Mapping[str, Any]]) -> Iterator[Judged]:
    for record in records:
        try:
            yield judge(Request.of(record))
        except Exception as fault:  # noqa: BLE001 - of one request, which goes back to the queue
            told = {"error": type(fault).__name__, "cause": faults.told(fault)}
            logger.error("failed", extra={"message_id": record["messageId"], **told})


def _count(metric: counted.Metric, value: float) -> None:
    metrics.add_metric(metric.name, metric.unit, value)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Takes a batch of requests from the queue; those that failed are delivered again."""
    started = time.monotonic()
    forwarded = _forwarder().forward(
        list(_judged(event["Records"])), lambda: context.get_remaining_time_in_millis() / 1000 - _REST_SECONDS
    )
    done = {judged.request.message_id for judged in forwarded.done}
    failed = [record["messageId"] for record in event["Records"] if record["messageId"] not in done]
    accepted = sum(judged.accepted.total() for judged in forwarded.done)
    reasons = sum((judged.reasons for judged in forwarded.done), Counter[str]())
    _count(counted.EVENTS_ACCEPTED, accepted)
    _count(counted.EVENTS_REFUSED, reasons.total())
    _count(counted.REQUESTS_FAILED, len(failed))
    _count(counted.DELIVERY_RETRIES, forwarded.retries)
    told = {"requests": len(event["Records"]), "failed": failed, "accepted": accepted, "refused": reasons,
            "errors": forwarded.errors, "duration_ms": round((time.monotonic() - started) * 1000)}  # fmt: skip
    (logger.warning if failed else logger.info)("batch", extra=told)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
