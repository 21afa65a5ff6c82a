"""What the ledger knows of accepted events: how many each request brought to each day. The books go by it.

    DAY#<YYYY-MM-DD>     EVENTS#<batch>    the requests of a batch of the forwarder, and what each gave to this day

A request that is delivered again is entered again, in another item: the facts are the same, and counted once. The
forwarder enters a request after the delivery stream has taken all of its events, and before the request leaves the
queue. So events that are in the lake without a receipt are on their way, and count later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

from atlas.day_state import day_items
from atlas.ledger import EVENT_BYTES, PK, SK, day_pk, dirtying

RECEIPTS = "EVENTS#"
"""How the sort keys of a day's receipts begin."""
_AN_ITEM = 2000
"""Receipts of one item: some 120 bytes each of the 400 KB that DynamoDB allows."""


@dataclass(frozen=True)
class Receipt:
    """How many events a request gave to a day, refused ones included. `received_at` is ISO 8601, UTC."""

    client_id: str
    request_id: str
    received_at: str
    accepted: int


@dataclass(frozen=True)
class DayReceipts:
    """The receipts of one batch for one day, and how many bytes its events have."""

    receipts: Sequence[Receipt]
    bytes: int


def enter(table: Any, batch: str, days: Mapping[date, DayReceipts], at: str) -> None:
    """Enters a batch in the ledger and makes its days dirty. `table` is a boto3 Table; doing it again is harmless.

    `batch` is the batch's name, the same for the same requests; `at` is ISO 8601, UTC.
    """
    for day, given in sorted(days.items()):
        receipts = iter(given.receipts)
        number = 0
        while part := list(islice(receipts, _AN_ITEM)):
            rows = [[r.client_id, r.request_id, r.received_at, r.accepted] for r in part]
            item = {PK: day_pk(day), SK: f"{RECEIPTS}{batch}.{number}", "receipts": json.dumps(rows)}
            table.put_item(Item=item)
            number += 1
        # After the receipts: a run that reads the ledger in between finds them, and the day is dirty all the same.
        change = dirtying(day, at)
        change["UpdateExpression"] += f", {EVENT_BYTES} :bytes"
        change["ExpressionAttributeValues"][":bytes"] = given.bytes
        table.update_item(**change)


def read(table: Any, day: date) -> Iterator[Receipt]:
    """All receipts of a day, consistently, some perhaps more than once."""
    for item in day_items(table, day, RECEIPTS):
        for client_id, request_id, received_at, accepted in json.loads(item["receipts"]):
            yield Receipt(client_id, request_id, received_at, accepted)
