"""A message of the events queue as the request that it is, and what becomes of each of its events.

Nothing here reads a clock or has effects: every delivery of a request is judged alike.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import orjson

from atlas import events
from atlas.events import RefusedEvent
from atlas.reasons import RecordReason
from atlas.timestamps import iso_utc
from lambda_events.forwarder_events import EventRefusedError, check, in_range, line_of, raw_of, time_of


class UnknownMessageError(Exception):
    """A message that the gateway did not send. It comes to the dead letters."""


@dataclass(frozen=True)
class Request:
    """What the gateway accepted: the body as it came, and what the server says of it."""

    message_id: str
    client_id: str
    request_id: str
    gateway_request_id: str
    received: str
    """As the attribute RECEIVED_AT says it."""
    received_at: datetime
    body: str

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Request:
        """The request of a record of Lambda's event. Raises UnknownMessageError."""
        try:
            told = {name: record["messageAttributes"][name]["stringValue"] for name in events.ATTRIBUTES}
            return cls(
                message_id=record["messageId"],
                client_id=told[events.CLIENT_ID],
                request_id=told[events.REQUEST_ID],
                gateway_request_id=told[events.GATEWAY_REQUEST_ID],
                received=told[events.RECEIVED_AT],
                received_at=events.received_at(told[events.RECEIVED_AT]),
                body=record["body"],
            )
        except (KeyError, ValueError, OverflowError):
            raise UnknownMessageError("an attribute that the gateway sets is missing or unreadable") from None


@dataclass
class Judged:
    """A request's events: good ones as lines for the delivery stream, refused ones by the day they count for."""

    request: Request
    lines: list[bytes] = field(default_factory=list)
    refused: dict[date, list[RefusedEvent]] = field(default_factory=dict)
    accepted: Counter[date] = field(default_factory=Counter)
    """How many events each day is given, refused ones included."""
    sizes: Counter[date] = field(default_factory=Counter)
    """And how many bytes."""

    @property
    def reasons(self) -> Counter[str]:
        """How many were refused for what."""
        return Counter(event.reason.value for day in self.refused.values() for event in day)

    def take(self, day: date, line: bytes) -> None:
        """Adds an event that is good."""
        self.lines.append(line)
        self._count(day, len(line))

    def refuse(self, day: date, reason: RecordReason, raw: str | None, **more: Any) -> None:
        """Adds an event that is refused; `more` is what else a RefusedEvent says of it."""
        request = self.request
        at = iso_utc(request.received_at)
        event = RefusedEvent(request.client_id, request.request_id, at, reason, raw, **more)
        self.refused.setdefault(day, []).append(event)
        self._count(day, len(raw or ""))

    def _count(self, day: date, size: int) -> None:
        self.accepted[day] += 1
        self.sizes[day] += size


def judge(request: Request) -> Judged:
    """What becomes of a request's events. A body without any counts as one that is refused."""
    judged = Judged(request)
    received_on = request.received_at.date()
    try:
        body = _read(request.body)
    except (ValueError, RecursionError):
        judged.refuse(received_on, RecordReason.MALFORMED_RECORD, request.body)
        return judged
    found = body if isinstance(body, list) else [body]
    if not found:
        judged.refuse(received_on, RecordReason.INVALID_EVENT, request.body)
    for position, event in enumerate(found, start=1):
        _judge_event(judged, event, position)
    return judged


def _judge_event(judged: Judged, event: Any, position: int) -> None:
    request = judged.request
    event_id = _event_id(request, event, position)
    try:
        moment = check(event, position, request.received_at)
        row = {
            "event_id": event_id,
            "event_timestamp": events.parquet_time(moment),
            "user_id": event["user_id"],
            "action": event["action"],
            "device": event.get("device"),
            "ip_address": event.get("ip_address"),
            "properties": event.get("properties"),
            "client_id": request.client_id,
            "received_at": events.parquet_time(request.received_at),
            "request_id": request.request_id,
            "position": position,
        }
        judged.take(moment.date(), line_of(row))
    except EventRefusedError as fault:
        said = time_of(event)
        judged.refuse(
            (said if said and in_range(said, request.received_at) else request.received_at).date(),
            fault.reason,
            raw_of(event),
            position=position,
            event_id=event_id,
            event_time=said and iso_utc(said),
            detail=fault.detail,
        )


def _event_id(request: Request, event: Any, position: int) -> str | None:
    """The client's own, or the one that the gateway has given in its answer; None if there can be neither."""
    own = event.get("event_id") if isinstance(event, dict) else None
    if events.is_event_id(own):
        return str(own).lower()
    if own is not None or position > events.MOST_EVENTS:
        return None
    return events.given_event_id(request.received, request.gateway_request_id, position)


def _read(body: str) -> Any:
    """JSON as RFC 8259 has it; of equal names the last. Raises ValueError, RecursionError."""
    try:
        return orjson.loads(body)
    except ValueError:  # it also refuses single surrogates, which are the fault of one event only
        return json.loads(body, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
