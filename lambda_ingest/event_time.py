"""Finds the event times of a batch: of each record, the first of its format's time fields that can be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from atlas import envelope
from atlas.log_format import LogFormat, value_at
from atlas.timestamps import iso_utc, parse_time
from lambda_ingest.records import Fields

_REMEMBERED = 1 << 12


EventTime = tuple[date, bytes]
"""An event time: its UTC day, and how the envelopes of all records of that time begin."""


class EventTimes:
    """The event times of one format's records. Logs repeat their times, so those that were read are kept."""

    def __init__(self, log_format: LogFormat) -> None:
        self._zone: tzinfo = ZoneInfo(log_format.time_zone) if log_format.time_zone else UTC
        self._sources = [_column(paths) for paths in log_format.time_fields]
        self._known: dict[Any, EventTime] = {}

    def of(self, records: Sequence[Fields]) -> list[EventTime | None]:
        """A time a record, or None where none can be read."""
        values = self._sources[0](records)
        try:
            different = set(values)
        except TypeError:  # an object or array in the place of a time
            return list(map(self._read, records))
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        unread = [value for value in different.difference(self._known) if self._learn(value) is None]
        times = list(map(self._known.get, values))
        if unread:
            times = [
                time or (self._read(record) if record else None)
                for time, record in zip(times, records, strict=True)
            ]
        return times

    def _read(self, record: Fields) -> EventTime | None:
        for source in self._sources:
            (value,) = source((record,))
            if isinstance(value, str | int | float):
                time = self._known.get(value) or self._learn(value)
                if time:
                    return time
        return None

    def _learn(self, value: object) -> EventTime | None:
        time = parse_time(value, self._zone)
        if time is None:
            return None
        known = self._known[value] = time.date(), envelope.opening(iso_utc(time))
        return known


def _column(paths: tuple[str, ...]) -> Callable[[Sequence[Fields]], list[Any]]:
    """What reads one time source of many records."""
    if len(paths) > 1:
        return lambda records: [_joined(record, paths) for record in records]
    (path,) = paths
    if "." in path:
        return lambda records: [value_at(record, path) for record in records]
    return lambda records: [record.get(path) for record in records]


def _joined(record: Fields, paths: tuple[str, ...]) -> str | None:
    """Several fields as one text, such as a date and a time; None unless all are texts."""
    parts = [value_at(record, path) for path in paths]
    return " ".join(parts) if all(isinstance(part, str) for part in parts) else None
