"""Deliveries and orders that are cut off, repeated, or overtaken at any AWS call: the end is the same."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from atlas import lake as keys
from atlas.orders import Order, OrderKind
from lambda_ingest import ledger_writer
from lambda_ingest.events import LandedObject
from tests.faults import CHANGING, INTERRUPTED, Interrupted, watched
from tests.lake_under_test import LakeUnderTest, lake_under_test
from tests.ledger_invariants import check, entries, state

ONE, TWO = "raw/one.ndjson", "raw/two.ndjson"


def lines(*moments: tuple[int, int]) -> bytes:
    """A record for each day of November and second."""
    rows = (
        {"timestamp": f"2024-11-{day:02d}T10:00:{second:02d}Z", "ip": "192.0.2.1", "status": 200, "endpoint": "/"}
        for day, second in moments
    )
    return "\n".join(map(json.dumps, rows)).encode()


A = lines((29, 1), (30, 1))
B = lines((30, 2), (30, 3)) + b"\n{broken"
DAYS = lines((21, 1), (22, 1), (29, 1))
CUT = gzip.compress(lines(*((day, second) for day in (28, 29) for second in range(50))))[:-40]
REFUSED = b"["

Delivery = LandedObject | Order
Step = tuple[str, str | bytes]
"""A key with the bytes that land under it, or with what is ordered of it."""


def announced(lake: LakeUnderTest, step: Step) -> Delivery:
    key, what = step
    return lake.landed(key, what) if isinstance(what, bytes) else lake.order(OrderKind(what), key)


def deliver(lake: LakeUnderTest, delivery: Delivery) -> None:
    if isinstance(delivery, Order):
        lake.ingestion.obey(delivery, lake.bucket)
    else:
        lake.ingestion.take(delivery)


def counts(lake: LakeUnderTest) -> dict[str, dict[str, int]]:
    """Records by file and day."""
    found = {
        key: {day.isoformat(): share.records for day, share in entry.shares.items()}
        for key, entry in entries(lake).items()
    }
    return {key: days for key, days in found.items() if days}


HISTORIES: Mapping[str, Sequence[Step]] = {
    "corrected": [(ONE, A), (ONE, B)],
    "refused": [(ONE, A), (ONE, REFUSED)],
    "refused, then taken": [(ONE, REFUSED), (ONE, A)],
    "a duplicate": [(ONE, A), (TWO, A)],
    "to several transactions": [(ONE, A), (ONE, DAYS)],
    "corrected, and the other file of the same bytes takes over": [(ONE, DAYS), (TWO, DAYS), (ONE, A)],
    "withdrawn, and the other file of the same bytes takes over": [(ONE, A), (TWO, A), (ONE, "withdraw")],
    "a refused file withdrawn": [(ONE, REFUSED), (ONE, "withdraw")],
    "replayed in vain": [(ONE, REFUSED), (ONE, "replay")],
    "salvaged": [(ONE, CUT), (ONE, "salvage")],
}


@pytest.mark.parametrize("dies", [False, True], ids=["fails", "dies after taking effect"])
@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_whichever_aws_call_is_interrupted_the_retry_reaches_the_same_end(
    history: Sequence[Step], monkeypatch: pytest.MonkeyPatch, *, dies: bool
) -> None:
    """To die after a call that changes nothing is to die after the last one that did."""
    monkeypatch.setattr(ledger_writer, "_DAYS_A_TRANSACTION", 2)
    only = CHANGING if dies else None

    def ended(at: int) -> tuple[dict[str, Any], list[str]]:
        with lake_under_test() as lake:
            for step in history[:-1]:
                deliver(lake, announced(lake, step))
            delivery = announced(lake, history[-1])
            with Interrupted((lake.s3, lake.ledger.meta.client), at, dies=dies, only=only) as interrupted:
                try:
                    deliver(lake, delivery)
                except INTERRUPTED:
                    assert at <= len(interrupted.calls)
            deliver(lake, delivery)
            check(lake)
            return state(lake), interrupted.calls

    undisturbed, calls = ended(at=10**9)
    assert len(calls) > 2
    for at in range(1, len(calls) + 1):
        assert ended(at)[0] == undisturbed, f"call {at} of {calls}"


RACES: Mapping[str, tuple[Sequence[Step], Sequence[Step], Mapping[str, Mapping[str, int]]]] = {
    "a newer version of several transactions": ([], [(ONE, DAYS), (ONE, B)], {ONE: {"2024-11-30": 2}}),
    "the same bytes, while the first gives them up": (
        [(ONE, A)],
        [(ONE, B), (TWO, A)],
        {ONE: {"2024-11-30": 2}, TWO: {"2024-11-29": 1, "2024-11-30": 1}},
    ),
    "the same bytes, while the first is withdrawn": (
        [(ONE, A)],
        [(ONE, "withdraw"), (TWO, A)],
        {TWO: {"2024-11-29": 1, "2024-11-30": 1}},
    ),
    "a correction of the heir": (
        [(ONE, A), (TWO, A)],
        [(ONE, "withdraw"), (TWO, B)],
        {TWO: {"2024-11-30": 2}},
    ),
    "the withdrawal of the heir": ([(ONE, A), (TWO, A)], [(ONE, "withdraw"), (TWO, "withdraw")], {}),
    "a correction, and the withdrawal of what was there": (
        [(ONE, A)],
        [(ONE, "withdraw"), (ONE, B)],
        {ONE: {"2024-11-30": 2}},
    ),
    "a refusal": ([], [(ONE, A), (ONE, REFUSED)], {ONE: {"2024-11-29": 1, "2024-11-30": 1}}),
    "an acceptance": ([], [(ONE, REFUSED), (ONE, A)], {ONE: {"2024-11-29": 1, "2024-11-30": 1}}),
}


@pytest.mark.parametrize(("before", "racing", "end"), RACES.values(), ids=RACES)
def test_whatever_overtakes_a_delivery_at_any_call_both_end_as_if_one_had_followed_the_other(
    before: Sequence[Step],
    racing: Sequence[Step],
    end: Mapping[str, Mapping[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger_writer, "_DAYS_A_TRANSACTION", 2)

    def raced(first: int, at: int) -> int:
        with lake_under_test() as lake:
            for step in before:
                deliver(lake, announced(lake, step))
            deliveries = [announced(lake, step) for step in racing]
            bodies = {what for _, what in (*before, *racing) if isinstance(what, bytes)}
            overtaken, other = deliveries[first], deliveries[1 - first]
            begun = False

            def overtake(calls: list[str]) -> None:
                nonlocal begun
                if len(calls) == at and not begun:
                    begun = True
                    deliver(lake, other)

            with watched((lake.s3, lake.ledger.meta.client), overtake) as calls:
                deliver(lake, overtaken)
                made = len(calls)
            if not begun:
                deliver(lake, other)
            check(lake)
            assert counts(lake) == end, f"call {at}"
            objects = lake.objects()
            assert {objects[key] for key in objects if key.startswith(keys.ARCHIVE)} == bodies
            assert not [key for key in objects if key.startswith(keys.RAW)]
            return made

    for first in (0, 1):
        for at in range(1, raced(first, at=10**9) + 1):
            raced(first, at)


@pytest.mark.parametrize("body", [A, REFUSED, b""], ids=["taken", "refused", "empty"])
def test_one_event_that_is_delivered_twice_at_once_is_taken_once_and_neither_delivery_fails(body: bytes) -> None:
    def ended(at: int) -> tuple[dict[str, Any], bool]:
        with lake_under_test() as lake:
            landed = lake.landed(ONE, body)
            begun = False

            def overtake(calls: list[str]) -> None:
                nonlocal begun
                if len(calls) == at and not begun:
                    begun = True
                    deliver(lake, landed)

            with watched((lake.s3, lake.ledger.meta.client), overtake):
                deliver(lake, landed)
            check(lake)
            return state(lake), begun

    undisturbed, _ = ended(10**9)
    for at in itertools.count(1):
        found, begun = ended(at)
        if not begun:
            assert at > 5
            return
        assert found == undisturbed, f"call {at}"


VERSIONS = {"taken": A, "corrected": B, "refused": REFUSED, "empty": b""}


@pytest.mark.parametrize("history", list(itertools.permutations(VERSIONS, 3)), ids="-".join)
def test_versions_of_a_file_in_any_order_and_repeated_leave_the_lake_that_they_leave_in_order(
    history: tuple[str, ...],
) -> None:
    def ended(order: Sequence[int]) -> dict[str, Any]:
        with lake_under_test() as lake:
            deliveries = [lake.landed(ONE, VERSIONS[name]) for name in history]
            for number in order:
                deliver(lake, deliveries[number])
                check(lake)
            return _standing(state(lake))

    in_order = ended([0, 1, 2])
    for order in itertools.permutations(range(3)):
        assert ended([*order, *order[:2]]) == in_order, order


def _standing(found: dict[str, Any]) -> dict[str, Any]:
    """Without what the day's next run clears away, and the days that are dirty for nothing else."""
    for item in found["ledger"]:
        item.pop("once_refused", None)  # whether the rejected zone may hold something
    obsolete = [item for item in found["ledger"] if item["sk"].startswith("OBSOLETE#")]
    gone = {
        str(keys.ValidatedKey.of(i["raw_key"], i["version"], i["format"], keys.parse_day(i["day"]), part))
        for i in obsolete
        for part in range(int(i["parts"]))
    }
    ledger = [item for item in found["ledger"] if item not in obsolete and item["sk"] != "STATE"]
    return {"ledger": ledger, "objects": {k: v for k, v in found["objects"].items() if k not in gone}}
