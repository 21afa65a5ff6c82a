"""Events of a day as the forwarder and the delivery stream leave them in a lake: receipts, Parquet, refusals."""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from atlas import event_receipts, lake
from atlas.event_receipts import DayReceipts, Receipt
from atlas.events import RefusedEvent
from atlas.reasons import RecordReason
from atlas.schema import EVENTS
from atlas.timestamps import iso_utc
from tests.lake_under_test import LANDED, LakeUnderTest

_ARROW = {
    "string": pa.string(),
    "int": pa.int32(),
    "timestamp": pa.timestamp("us"),
    "map<string,string>": pa.map_(pa.string(), pa.string()),
}
_SCHEMA = pa.schema([(column.name, _ARROW[column.type]) for column in EVENTS.columns])


@dataclass(frozen=True)
class Event:
    """One event of a request; `position` is from 1."""

    position: int
    event_id: str
    action: str = "login"
    user_id: str = "u1"
    hour: int = 10


@dataclass
class Sent:
    """An accepted request."""

    client_id: str
    request_id: str
    received_at: datetime = LANDED
    events: Sequence[Event] = field(default_factory=tuple)


class Delivery:
    """Leaves in a lake what there would be of requests. Names are counted, so that equal histories are equal."""

    def __init__(self, where: LakeUnderTest, day: date) -> None:
        self._where = where
        self._day = day
        self._names = itertools.count(1)

    def rows(self, sent: Sent, *positions: int) -> list[dict[str, Any]]:
        """The events at some positions, or all of them, as the forwarder hands them to the delivery stream."""
        day = self._day
        return [
            {
                "event_id": event.event_id,
                "event_timestamp": datetime(day.year, day.month, day.day, event.hour),
                "user_id": event.user_id,
                "action": event.action,
                "properties": [("k", "v")],
                "client_id": sent.client_id,
                "received_at": sent.received_at.astimezone(UTC).replace(tzinfo=None),
                "request_id": sent.request_id,
                "position": event.position,
            }
            for event in sent.events
            if not positions or event.position in positions
        ]

    def arrives(self, *given: Sequence[dict[str, Any]]) -> None:
        """One object, as Firehose writes them: Hive's writer has timestamps of 96 bits."""
        out = io.BytesIO()
        table = pa.Table.from_pylist([row for rows in given for row in rows], schema=_SCHEMA)
        pq.write_table(table, out, compression="snappy", use_deprecated_int96_timestamps=True)
        folder = f"{lake.events_day_prefix(self._day)}hour=10/"
        self._put(f"{folder}20241201-{next(self._names)}.parquet", out.getvalue())

    def accepted(self, *sent: Sent, refused: int = 0) -> None:
        """Receipts of one batch. `refused` events of each request are none of its `events`."""
        receipts = [
            Receipt(s.client_id, s.request_id, iso_utc(s.received_at), len(s.events) + refused) for s in sent
        ]
        days = {self._day: DayReceipts(receipts, 100)}
        event_receipts.enter(self._where.ledger, f"batch-{next(self._names)}", days, iso_utc(LANDED))

    def refused(self, sent: Sent, *positions: int) -> None:
        """What the forwarder leaves of events that it refused."""
        told = iso_utc(sent.received_at)
        time = f"{self._day}T10:00:00Z"
        events = [
            RefusedEvent(
                sent.client_id, sent.request_id, told, RecordReason.INVALID_EVENT, '{"action": 1}', position,
                f"refused-{position}", time, "action",
            )
            for position in positions
        ]  # fmt: skip
        body = "".join(event.to_line() for event in events)
        self._put(lake.refused_events_key(self._day, sent.client_id, sent.request_id), body.encode())

    def fails_to_be_written(self, given: Sequence[dict[str, Any]]) -> None:
        """The delivery stream's own document of records that it could not convert."""
        lines = []
        for row in given:
            record = {**row, "properties": dict(row["properties"])}
            record |= {name: f"{row[name]:%Y-%m-%d %H:%M:%S.%f}" for name in ("event_timestamp", "received_at")}
            raw = base64.b64encode(json.dumps(record).encode()).decode()
            lines.append(json.dumps({"errorCode": "DataFormatConversion.ParseError", "rawData": raw}))
        gave_up = self._day + timedelta(days=1)
        key = f"{lake.UNDELIVERED_EVENTS}format-conversion-failed/{gave_up}/object-{next(self._names)}"
        self._put(key, "\n".join(lines).encode())

    def _put(self, key: str, body: bytes) -> None:
        self._where.s3.put_object(Bucket=self._where.bucket, Key=key, Body=body)


def some_of_everything(where: LakeUnderTest, day: date) -> None:
    """Copies, events sent again, refused and lost ones, two clients, and a request that is on its way."""
    delivery, long_ago = Delivery(where, day), LANDED - timedelta(days=2)
    first = Sent("shop", "r1", events=[Event(1, "a"), Event(2, "b", "buy", "u2"), Event(3, "c", "käufe ☂", "")])
    again = Sent("shop", "r2", LANDED + timedelta(seconds=1), [Event(1, "a", "buy"), Event(2, "d")])
    other = Sent("till", "r3", long_ago, [Event(1, "a"), Event(2, "b"), Event(3, "c")])
    on_its_way = Sent("till", "r4", LANDED + timedelta(days=1), [Event(1, "e"), Event(2, "f")])
    delivery.arrives(delivery.rows(first), delivery.rows(first, 1), delivery.rows(on_its_way, 1))
    delivery.arrives(delivery.rows(again), delivery.rows(other, 1), delivery.rows(first))
    delivery.refused(other, 4, 5)
    delivery.fails_to_be_written(delivery.rows(other, 2))
    delivery.accepted(first, again)
    delivery.accepted(first, on_its_way)
    delivery.accepted(other, refused=2)
