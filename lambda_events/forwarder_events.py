"""One event of a request: what may be at fault with it, and the line that the delivery stream gets of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import fastjsonschema
import orjson

from atlas import events
from atlas.reasons import RecordReason
from atlas.timestamps import parse_time

_LONGEST_NAME = 64


class EventRefusedError(Exception):
    """Why an event is refused; `detail` names the field. It quotes nothing that the field holds."""

    def __init__(self, reason: RecordReason, detail: str | None = None) -> None:
        super().__init__(reason.value)
        self.reason, self.detail = reason, detail


@cache
def _validate() -> Callable[[Any], Any]:
    compiled: Callable[[Any], Any] = fastjsonschema.compile(events.event_schema(), use_default=False)
    return compiled


def check(event: Any, position: int, received_at: datetime) -> datetime:
    """When an event happened, if nothing is at fault with it. Raises EventRefusedError."""
    if position > events.MOST_EVENTS:
        raise EventRefusedError(RecordReason.INVALID_EVENT, f"more than {events.MOST_EVENTS} events")
    try:
        _validate()(event)
    except fastjsonschema.JsonSchemaValueException as fault:
        raise EventRefusedError(RecordReason.INVALID_EVENT, _field(fault)) from None
    if any(name.endswith("\n") for name in event.get("properties", ())):  # re.search lets `$` match before it
        raise EventRefusedError(RecordReason.INVALID_EVENT, "properties")
    moment = time_of(event)
    if moment is None:
        raise EventRefusedError(RecordReason.NO_EVENT_TIME, "timestamp")
    if not in_range(moment, received_at):
        raise EventRefusedError(RecordReason.TIME_OUT_OF_RANGE, "timestamp")
    return moment


def in_range(moment: datetime, received_at: datetime) -> bool:
    """Whether an event of that time may come in then."""
    return -events.OLDEST <= moment - received_at <= events.NEWEST


def time_of(event: Any) -> datetime | None:
    """When an event happened, whatever else is at fault with it; None if that cannot be read."""
    text = event.get("timestamp") if isinstance(event, dict) else None
    return parse_time(text) if isinstance(text, str) else None


def line_of(row: Mapping[str, Any]) -> bytes:
    """A row of the table `events` as a line of JSON. Raises EventRefusedError if a text in it is none."""
    try:
        # Put together anew: what orjson gives holds on to several times its length, and there are many lines.
        return orjson.dumps(row) + b"\n"
    except orjson.JSONEncodeError:  # a single surrogate
        raise EventRefusedError(RecordReason.INVALID_BYTES, _not_utf8(row)) from None


def raw_of(event: Any) -> str | None:
    """An event's own JSON, of characters that can be stored; None if it is too deep to be written."""
    try:
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        return text if _is_utf8(text) else json.dumps(event, separators=(",", ":"))
    except RecursionError:
        return None


def _field(fault: fastjsonschema.JsonSchemaValueException) -> str | None:
    """The field at fault, such as `properties.cart`; None if it is the event as a whole."""
    path = fault.path[1:]
    if fault.rule == "required":
        path.append(min(set(fault.rule_definition) - set(fault.value)))
    elif fault.rule == "additionalProperties" and not path:
        path.append(min(set(fault.value) - set(fault.definition["properties"])))
    return json.dumps(".".join(path))[1:-1][:_LONGEST_NAME] or None


def _not_utf8(row: Mapping[str, Any]) -> str:
    return next(
        name for name, value in row.items() if not _is_utf8(json.dumps(value, ensure_ascii=False, default=str))
    )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
