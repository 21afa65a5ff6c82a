"""Validated objects that are gone when their day needs them come again from the archive; nothing else changes."""

from __future__ import annotations

import gzip
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atlas import day as work
from atlas import lake as keys
from atlas.formats import load_formats
from atlas.ledger import FileState
from atlas.orders import Order, OrderKind
from atlas.restore import OrderNotTakenError, ValidatedGoneError
from lambda_day.limits import Limits
from lambda_day.process import run
from lambda_ingest.decide import UnrestorableError
from lambda_ingest.ingest import Outcome
from tests.faults import watched
from tests.lake_under_test import FRIDAY, SATURDAY, LakeUnderTest, lake_under_test
from tests.ledger_invariants import check, entries, state

LIMITS = Limits.of(1769, 900_000)


def records(*numbers: int, day: str = "2024-11-29") -> bytes:
    made = (
        {"timestamp": f"{day}T10:00:{n % 60:02d}Z", "ip": "192.0.2.1", "status": 200, "endpoint": f"/{n}"}
        for n in numbers
    )
    return "\n".join(map(json.dumps, made)).encode()


FRIDAYS = records(1, 2)
BOTH_DAYS = FRIDAYS + b"\n" + records(3, day="2024-11-30") + b"\n{broken"
CUT = gzip.compress(records(*range(100, 9000)))[:-200]


def given(lake: LakeUnderTest) -> None:
    """Files of every kind that count: whole, heir, salvaged, and one whose correction was refused."""
    lake.drop("raw/a.ndjson", BOTH_DAYS)
    lake.drop("raw/first.ndjson", records(7))
    lake.drop("raw/heir.ndjson", records(7))
    lake.obey(OrderKind.WITHDRAW, "raw/first.ndjson")
    lake.drop("raw/cut.gz", CUT)
    lake.obey(OrderKind.SALVAGE, "raw/cut.gz")
    lake.drop("raw/kept.ndjson", records(8, 9))
    lake.drop("raw/kept.ndjson", b"[")
    for day in (FRIDAY, SATURDAY):  # what became obsolete is cleared away
        work.begin(lake.settings(day), lake.clients)


def expire(lake: LakeUnderTest, *prefixes: str) -> None:
    for key in lake.keys(keys.VALIDATED):
        if key.startswith(prefixes or keys.VALIDATED):
            lake.s3.delete_object(Bucket=lake.bucket, Key=key)


def asked_for(lake: LakeUnderTest) -> list[Order]:
    """The orders of a run of Friday that finds objects gone."""
    with pytest.raises(ValidatedGoneError, match="validated objects of .* of 2024-11-29 are gone"):
        work.begin(lake.settings(FRIDAY), lake.clients)
    return lake.orders()


def test_a_run_that_finds_objects_gone_has_them_written_as_they_were_and_then_publishes(
    lake: LakeUnderTest, tmp_path: Path
) -> None:
    given(lake)
    before = state(lake)
    expire(lake)
    with pytest.raises(ValidatedGoneError, match=r"of 4 of the 4 files.*raw/a\.ndjson"):
        run(lake.settings(FRIDAY), lake.clients, LIMITS, tmp_path)
    assert lake.notices() == []  # nobody is woken for what mends itself
    orders = lake.orders()
    assert [order.raw_key for order in orders] == [
        "raw/a.ndjson",
        "raw/cut.gz",
        "raw/heir.ndjson",
        "raw/kept.ndjson",
    ]
    for order in orders * 2:  # a queue may deliver twice
        assert lake.ingestion.obey(order, lake.bucket).outcome is Outcome.RESTORED
    assert state(lake) == before
    check(lake)
    assert run(lake.settings(FRIDAY), lake.clients, LIMITS, tmp_path)["books"]
    assert lake.orders() == []


def test_only_files_that_lack_an_object_are_ordered(lake: LakeUnderTest) -> None:
    small = replace(lake, part_bytes=200)
    small.drop("raw/parts.ndjson", records(*range(10)))
    small.drop("raw/whole.ndjson", FRIDAYS)
    parts = [key for key in lake.keys(keys.VALIDATED) if "/parts." in key]
    assert len(parts) == 2
    expire(lake, parts[1])
    [order] = asked_for(lake)
    assert order.raw_key == "raw/parts.ndjson"
    small.ingestion.obey(order, lake.bucket)
    assert work.begin(lake.settings(FRIDAY), lake.clients).files


def test_a_day_of_many_files_is_ordered_whole_and_an_order_that_is_not_taken_is_an_error(
    lake: LakeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(23):
        lake.drop(f"raw/{number:02}.ndjson", records(number))
    expire(lake)
    assert len(asked_for(lake)) == 23

    def refuse(**_: Any) -> dict[str, Any]:
        return {"Failed": [{"Id": "2", "Code": "InternalError", "SenderFault": False}]}

    monkeypatch.setattr(lake.sqs, "send_message_batch", refuse)
    with pytest.raises(OrderNotTakenError, match=r"restore raw/\d+2\.ndjson was not taken.*InternalError"):
        work.begin(lake.settings(FRIDAY), lake.clients)


def test_bytes_that_come_to_other_objects_by_now_count_anew(lake: LakeUnderTest) -> None:
    in_parts = replace(lake, part_bytes=1)
    in_parts.drop("raw/a.ndjson", records(*range(3000)))
    assert entries(lake)["raw/a.ndjson"].shares[FRIDAY].parts > 1
    expire(lake)
    [order] = asked_for(lake)
    assert lake.ingestion.obey(order, lake.bucket).outcome is Outcome.RESTORED
    assert lake.ingestion.obey(order, lake.bucket).outcome is Outcome.SUPERSEDED
    manifest = work.begin(lake.settings(FRIDAY), lake.clients)
    assert [(file.share.records, file.share.parts) for file in manifest.files] == [(3000, 1)]
    check(lake)


def test_bytes_that_are_refused_by_now_are_an_error_that_says_what_to_do(lake: LakeUnderTest) -> None:
    lake.drop("raw/a.ndjson", FRIDAYS)
    expire(lake)
    before = state(lake)
    [order] = asked_for(lake)
    forgetful = replace(lake, formats={"xml_errors": load_formats()["xml_errors"]})
    with pytest.raises(
        UnrestorableError, match=r"raw/a\.ndjson was .* refused as unsupported_format now.* withdraw"
    ):
        forgetful.ingestion.obey(order, lake.bucket)
    assert state(lake) == before


@pytest.mark.parametrize("overtaking", ["correction", "withdrawal"])
def test_a_file_that_changes_while_it_is_restored_is_as_if_it_had_changed_before(overtaking: str) -> None:
    for at in itertools.count(1):
        with lake_under_test() as lake:
            lake.drop("raw/a.ndjson", BOTH_DAYS)
            expire(lake)
            [order] = asked_for(lake)
            begun: list[int] = []

            def overtake(
                calls: list[str], lake: LakeUnderTest = lake, begun: list[int] = begun, at: int = at
            ) -> None:
                if len(calls) == at and not begun:
                    begun.append(at)
                    if overtaking == "withdrawal":
                        lake.obey(OrderKind.WITHDRAW, "raw/a.ndjson")
                    else:
                        lake.drop("raw/a.ndjson", FRIDAYS)
                    for day in (FRIDAY, SATURDAY):
                        work.begin(lake.settings(day), lake.clients)  # takes away what is obsolete by then

            with watched([lake.s3, lake.ledger.meta.client], overtake):
                lake.ingestion.obey(order, lake.bucket)
            if not begun:
                assert at > 5
                return
            check(lake)
            [entry] = entries(lake).values()
            assert entry.state is (FileState.WITHDRAWN if overtaking == "withdrawal" else FileState.INGESTED)
