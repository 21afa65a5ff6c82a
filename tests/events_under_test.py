"""Events as clients send them and as the gateway hands them on, and a forwarder whose AWS is moto."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import boto3

from atlas import event_receipts, events, lake
from atlas.day_state import day_items
from atlas.events import RefusedEvent
from atlas.settings import ForwarderSettings
from tests.lake_under_test import LakeUnderTest, lake_under_test

RECEIVED = datetime(2024, 11, 30, 0, 2, tzinfo=UTC)
FRIDAY, SATURDAY = date(2024, 11, 29), date(2024, 11, 30)
_streams = itertools.count(1)


def event(at: str = "2024-11-29T10:00:00Z", **more: Any) -> dict[str, Any]:
    """A good event; `more` replaces and adds fields."""
    return {"timestamp": at, "user_id": "u-1", "action": "login", **more}


def record(body: Any, *, number: int = 0, client: str = "shop", received_at: datetime = RECEIVED) -> dict[str, Any]:
    """A record of the forwarder's event: request `number` of a client. `body` is its text, or what it says."""
    request = uuid.uuid5(uuid.NAMESPACE_OID, f"{client} {number}")
    told = {
        events.CLIENT_ID: client,
        events.REQUEST_ID: f"{request.hex[:15]}=",
        events.GATEWAY_REQUEST_ID: str(request),
        events.RECEIVED_AT: str((received_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)),
    }
    return {
        "messageId": f"message-{client}-{number}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "messageAttributes": {name: {"stringValue": text, "dataType": "String"} for name, text in told.items()},
        "eventSource": "aws:sqs",
    }


@dataclass
class Context:
    """Lambda's context: so much time is left at each question."""

    function_name: str = "atlas-forwarder-local"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:atlas-forwarder-local"
    aws_request_id: str = "request"
    left: Iterator[int] = field(default_factory=lambda: itertools.repeat(60_000))

    def get_remaining_time_in_millis(self) -> int:
        return next(self.left)


@dataclass
class EventsUnderTest:
    """A lake with a delivery stream, which writes what it is given, as it is given, to the lake's bucket."""

    lake: LakeUnderTest
    firehose: Any
    settings: ForwarderSettings

    def delivered(self) -> list[dict[str, Any]]:
        """Every line that the stream has taken, in the order of the calls, copies included."""
        objects = self.lake.objects()
        keys = sorted(key for key in objects if key.startswith(lake.EVENTS))
        return [json.loads(line) for key in keys for line in objects[key].splitlines()]

    def refused(self) -> dict[str, list[RefusedEvent]]:
        """What was written down as refused, by key."""
        found = {key: body for key, body in self.lake.objects().items() if key.startswith(lake.REFUSED_EVENTS)}
        return {
            key: [RefusedEvent.from_line(line) for line in body.decode().splitlines()]
            for key, body in found.items()
        }

    def receipts(self, day: date) -> set[event_receipts.Receipt]:
        """What the ledger knows of a day."""
        return set(event_receipts.read(self.lake.ledger, day))

    def receipt_items(self, day: date) -> int:
        """How many items of the ledger that takes."""
        return len(list(day_items(self.lake.ledger, day, event_receipts.RECEIPTS)))


@cache
def _firehose() -> Any:
    return boto3.client("firehose")


@contextmanager
def events_under_test() -> Iterator[EventsUnderTest]:
    """A lake and a stream of their own."""
    with lake_under_test() as made:
        stream = f"events-{next(_streams)}"
        _firehose().create_delivery_stream(
            DeliveryStreamName=stream,
            ExtendedS3DestinationConfiguration={
                "RoleARN": "arn:aws:iam::123456789012:role/firehose",
                "BucketARN": f"arn:aws:s3:::{made.bucket}",
                "Prefix": lake.EVENTS,
            },
        )
        yield EventsUnderTest(made, _firehose(), ForwarderSettings(made.bucket, made.ledger.name, stream))
