"""Events that come over the events API: their schema and bounds, and what the gateway hands to the forwarder.

A request holds one event or a list of them. The gateway puts its body, as it came, into one message, and what the
server says of it into the message's attributes: nothing in a body can pass for them. An event is told apart by the
request that brought it and its position there, from 1; to its client it is known by its id.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

from atlas import lake
from atlas.reasons import RecordReason

MOST_EVENTS = 500
"""In one request; event_schema.json has it too."""
MESSAGE_BYTES = 1_048_576
"""What a message of SQS holds, attributes included: a longer request is refused with 413.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"""
OLDEST = timedelta(days=7)
NEWEST = timedelta(minutes=5)
"""How far an event's time may lie before and after the moment at which the gateway received it."""
DELIVERY_HOURS = 25
"""The delivery stream tries to write for 24 hours, and then drops what it has:
https://docs.aws.amazon.com/firehose/latest/dev/retry.html"""

# The message's attributes, all of them strings
CLIENT_ID = "client_id"
"""By the token."""
REQUEST_ID = "request_id"
"""The gateway's extended request id: `$context.requestId` may be the client's own.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html"""
GATEWAY_REQUEST_ID = "gateway_request_id"
"""`$context.requestId`, of which the ids are made that the server gives."""
RECEIVED_AT = "received_at"
"""Milliseconds since 1970."""
ATTRIBUTES = (CLIENT_ID, REQUEST_ID, GATEWAY_REQUEST_ID, RECEIVED_AT)


_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema (draft 4, API Gateway's) of a request's body: the gateway's model, and the forwarder's."""
    text = (resources.files("atlas") / "event_schema.json").read_text(encoding="utf-8")
    read: dict[str, Any] = json.loads(text)
    return read


def event_schema() -> dict[str, Any]:
    """The part of `schema` that says what one event is."""
    whole = schema()
    return {"$schema": whole["$schema"], **whole["items"], "definitions": whole["definitions"]}


def is_event_id(text: object) -> bool:
    """Whether it has the form of a UUID."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def received_at(milliseconds: str) -> datetime:
    """The moment that the attribute RECEIVED_AT says. Raises ValueError."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(milliseconds))


def given_event_id(milliseconds: str, gateway_request_id: str, position: int) -> str:
    """The id of an event that came without one: a UUID of version 8 (RFC 9562), the same for every delivery.

    Of the moment (13 digits), the position less one (3 digits), and the request's id (its last 12 hex digits, then
    its first 2; zeros if it is no UUID, which a client can bring about). The gateway answers with the same ids:
    stacks/templates/events_request.vtl. Raises ValueError for a position beyond MOST_EVENTS, which no request has.
    """
    if not 1 <= position <= MOST_EVENTS:
        raise ValueError(f"position {position} is not one of 1 to {MOST_EVENTS}")
    known = gateway_request_id.lower() if is_event_id(gateway_request_id) else "0" * 36
    moment, place = milliseconds.zfill(13), f"{position - 1:03d}"
    return f"{moment[:8]}-{moment[8:12]}-8{moment[12]}{place[:2]}-8{place[2]}{known[:2]}-{known[24:]}"


def source(client_id: str) -> str:
    """What stands for the source file in the books of a client's events."""
    return lake.EVENTS + client_id


@dataclass(frozen=True)
class RefusedEvent:
    """An accepted event that does not count: a line of JSON below lake.REFUSED_EVENTS."""

    client_id: str
    request_id: str
    received_at: str
    """ISO 8601, UTC, as all times here."""
    reason: RecordReason
    raw: str | None
    """The event's own JSON, or the whole body if that could not be read; None if nobody has it any more."""
    position: int | None = None
    """None if the request as a whole could not be read: it counts as one event."""
    event_id: str | None = None
    event_time: str | None = None
    detail: str | None = None

    def to_line(self) -> str:
        """One line, with its line feed."""
        return json.dumps(asdict(self), ensure_ascii=True, separators=(",", ":")) + "\n"

    @classmethod
    def from_line(cls, line: str) -> RefusedEvent:
        """The inverse of `to_line`."""
        told = json.loads(line)
        return cls(**{**told, "reason": RecordReason(told["reason"])})


def parquet_time(moment: datetime) -> str:
    """A moment as the delivery stream reads a timestamp: `2026-11-20 18:52:32.123456`, UTC.

    The form of java.sql.Timestamp: https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion.html
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
