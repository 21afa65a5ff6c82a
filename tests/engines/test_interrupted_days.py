"""The day function, interrupted at each of its AWS calls; what readers see meanwhile; and whose day it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from atlas import day as work
from atlas import lake as keys
from atlas import publish
from atlas.books import BooksError
from atlas.day_state import LockLostError
from atlas.ledger import OBSOLETE, PUBLISHING, Obsolete, day_state_key
from atlas.manifest import read_manifest
from atlas.schema import DATA_QUALITY, GOLD_TABLES
from lambda_day.process import run
from tests.engines.outputs import gold, rows_under
from tests.engines.remembered import LIMITS, Remembered, access, body, changed_day, lock, locked
from tests.faults import CHANGING, INTERRUPTED, Interrupted
from tests.lake_under_test import FRIDAY, LakeUnderTest, lake_under_test


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Remembered:
    return changed_day(tmp_path_factory.mktemp("scratch"), events=True)


def clients(lake: LakeUnderTest) -> list[Any]:
    return [lake.s3, lake.ledger.meta.client, lake.sns]


def result(lake: LakeUnderTest) -> dict[str, Any]:
    """All that is left, but for what an interrupted run says of itself and what it staged, which expires.

    How often a run has said that events are on their way is no difference either.
    """
    of_the_run = (keys.MANIFESTS + "date=2024-11-29/interrupted", keys.REJECTED_RUNS, keys.STAGING)
    objects = {key: held for key, held in lake.objects().items() if not key.startswith(of_the_run)}
    ledger = [{name: value for name, value in item.items() if name != "changes"} for item in lake.ledger_items()]
    return {"objects": objects, "ledger": ledger}


@pytest.mark.parametrize("dies", [False, True], ids=["fails", "dies after taking effect"])
def test_whichever_aws_call_is_interrupted_the_next_run_reaches_the_same_end(
    history: Remembered, tmp_path: Path, *, dies: bool
) -> None:
    """To die after a call that changes nothing is to die after the last one that did."""
    only = CHANGING if dies else None
    with lake_under_test() as lake:
        history.restore(lake)
        settings = locked(lake, "next")
        with Interrupted(clients(lake), only=only) as undisturbed:
            run(settings, lake.clients, LIMITS, tmp_path)
        expected = result(lake)
        assert lake.keys(keys.STAGING) == []
    assert len(undisturbed.calls) > 20
    for at in range(1, len(undisturbed.calls) + 1):
        with lake_under_test() as lake:
            history.restore(lake)
            settings = locked(lake, "interrupted")
            with Interrupted(clients(lake), at, dies=dies, only=only) as interrupted, pytest.raises(INTERRUPTED):
                run(settings, lake.clients, LIMITS, tmp_path)
            run(locked(lake, "next"), lake.clients, LIMITS, tmp_path)
            assert result(lake) == expected, f"call {at} of {interrupted.calls}"


def view(lake: LakeUnderTest, reader: Any) -> tuple[str, ...]:
    """What a reader finds in the place of each gold table, the receipt last."""
    found = (
        reader.head_object(Bucket=lake.bucket, Key=keys.gold_key(table.name, FRIDAY))["ETag"]
        for table in GOLD_TABLES
    )
    return tuple(found)


def test_at_any_time_a_reader_sees_of_each_table_the_old_day_or_the_new_one_and_the_receipt_changes_last(
    history: Remembered, lake: LakeUnderTest, tmp_path: Path
) -> None:
    history.restore(lake)
    reader = boto3.client("s3")
    seen = [view(lake, reader)]

    def look() -> None:
        found = view(lake, reader)
        if found != seen[-1]:
            seen.append(found)

    with Interrupted(clients(lake), watch=look):
        run(locked(lake, "next"), lake.clients, LIMITS, tmp_path)
    old, new = seen[0], view(lake, reader)
    assert not set(old) & set(new)
    assert seen == [new[:put] + old[put:] for put in range(len(GOLD_TABLES) + 1)]
    assert GOLD_TABLES[-1] is DATA_QUALITY
    assert {row["run_id"] for table in GOLD_TABLES for row in gold(lake, table, FRIDAY)} == {"next"}


@pytest.mark.parametrize("put", range(1, len(GOLD_TABLES) + 1))
def test_what_a_crash_interrupted_between_two_tables_is_completed_before_anything_else_is_done(
    history: Remembered, lake: LakeUnderTest, tmp_path: Path, put: int
) -> None:
    history.restore(lake)
    with Interrupted(clients(lake), put, dies=True, only=["CopyObject"]), pytest.raises(INTERRUPTED):
        run(locked(lake, "interrupted"), lake.clients, LIMITS, tmp_path)
    assert PUBLISHING in lake.ledger.get_item(Key=day_state_key(FRIDAY))["Item"]
    work.begin(locked(lake, "next"), lake.clients)
    assert {row["run_id"] for table in GOLD_TABLES for row in gold(lake, table, FRIDAY)} == {"interrupted"}
    assert PUBLISHING not in lake.ledger.get_item(Key=day_state_key(FRIDAY))["Item"]
    assert lake.keys(keys.STAGING) == []


def test_a_publication_whose_staged_tables_are_gone_is_left_to_the_next_one(
    history: Remembered, lake: LakeUnderTest, tmp_path: Path
) -> None:
    history.restore(lake)
    with Interrupted(clients(lake), 2, dies=True, only=["CopyObject"]), pytest.raises(INTERRUPTED):
        run(locked(lake, "interrupted"), lake.clients, LIMITS, tmp_path)
    lake.s3.delete_object(Bucket=lake.bucket, Key=min(lake.keys(keys.STAGING)))
    work.begin(locked(lake, "next"), lake.clients)
    assert {row["run_id"] for row in gold(lake, DATA_QUALITY, FRIDAY)} == {"first"}
    run(locked(lake, "next"), lake.clients, LIMITS, tmp_path)
    assert {row["run_id"] for table in GOLD_TABLES for row in gold(lake, table, FRIDAY)} == {"next"}
    assert PUBLISHING not in lake.ledger.get_item(Key=day_state_key(FRIDAY))["Item"]


def test_two_calls_of_one_run_publish_what_one_of_them_staged(
    history: Remembered, lake: LakeUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call publishes when the second, which began before that, is done with its work."""
    history.restore(lake)
    settings = locked(lake, "twice")
    with Interrupted(clients(lake), 1, dies=True, only=["CopyObject"]), pytest.raises(INTERRUPTED):
        run(settings, lake.clients, LIMITS, tmp_path)
    reader = boto3.client("s3")
    staged = {reader.head_object(Bucket=lake.bucket, Key=key)["ETag"] for key in lake.keys(keys.STAGING)}
    lake.drop("raw/d.ndjson", body(access(9)))
    monkeypatch.setattr(publish, "complete", lambda *_: None)
    run(settings, lake.clients, LIMITS, tmp_path)
    assert set(view(lake, reader)) == staged
    assert lake.keys(keys.STAGING) == []


def test_a_run_whose_day_another_run_has_changes_nothing(
    history: Remembered, lake: LakeUnderTest, tmp_path: Path
) -> None:
    history.restore(lake)
    settings = locked(lake, "late")
    lock(lake, "another")
    before = result(lake)
    with pytest.raises(LockLostError, match="another has taken 2024-11-29 over from late"):
        run(settings, lake.clients, LIMITS, tmp_path)
    assert result(lake) == before


@pytest.mark.parametrize("effect", ["_note_partitions", "publish"])
def test_a_run_that_loses_the_lock_on_its_way_publishes_nothing(
    history: Remembered, lake: LakeUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, effect: str
) -> None:
    history.restore(lake)
    owner: Any = publish if effect == "publish" else work
    there = getattr(owner, effect)

    def taken_over(*arguments: Any) -> None:
        lock(lake, "another")
        there(*arguments)

    monkeypatch.setattr(owner, effect, taken_over)
    before, reader = lake.ledger.get_item(Key=day_state_key(FRIDAY))["Item"], boto3.client("s3")
    gold_before = view(lake, reader)
    with pytest.raises(LockLostError):
        run(locked(lake, "late"), lake.clients, LIMITS, tmp_path)
    assert view(lake, reader) == gold_before
    assert lake.keys(keys.STAGING) == []
    after = lake.ledger.get_item(Key=day_state_key(FRIDAY))["Item"]
    assert PUBLISHING not in after
    if effect == "_note_partitions":
        assert after["partitions"] == before["partitions"]


def test_what_is_obsolete_goes_with_the_next_run_but_never_what_its_manifest_names(
    history: Remembered, lake: LakeUnderTest, tmp_path: Path
) -> None:
    history.restore(lake)
    files = read_manifest(lake.ledger, FRIDAY, "").files
    named = {key for file in files for key in file.objects()}
    assert set(lake.keys(keys.VALIDATED)) > named
    [one, *_] = files
    item = Obsolete(FRIDAY, one.raw_key, one.format, one.version, one.share.parts).to_item()
    lake.ledger.put_item(Item=item)
    run(locked(lake, "next"), lake.clients, LIMITS, tmp_path)
    assert set(lake.keys(keys.VALIDATED)) == named
    assert [item for item in lake.ledger_items() if item["sk"].startswith(OBSOLETE)] == []


def test_whatever_fails_while_a_failed_attempt_is_entered_people_hear_of_the_books(
    history: Remembered, tmp_path: Path
) -> None:
    def attempt(at: int) -> list[str]:
        with lake_under_test() as lake:
            history.restore(lake)
            [lost, *_] = [key for file in read_manifest(lake.ledger, FRIDAY, "").files for key in file.objects()]
            lake.s3.put_object(Bucket=lake.bucket, Key=lost, Body=b"")
            before = view(lake, lake.s3)
            settings = locked(lake, "interrupted")
            changing = ["PutObject", "CopyObject"]
            with Interrupted(clients(lake), at, only=changing) as calls, pytest.raises(BooksError):
                run(settings, lake.clients, LIMITS, tmp_path)
            assert view(lake, lake.s3) == before
            assert lake.keys(keys.STAGING) == []
            [reason] = lake.keys(keys.REJECTED_RUNS)
            document = json.loads(lake.s3.get_object(Bucket=lake.bucket, Key=reason)["Body"].read())
            assert document["error"] == "BooksError"
            entered = rows_under(lake, keys.failed_attempt_key(FRIDAY))
            assert bool(entered) is ("could not be entered" not in document["message"])
            return calls.calls

    calls = attempt(at=10**9)
    of_events = ["PutObject"] * 3  # receipts, and what this run found to be refused
    assert calls == ["PutObject", *of_events, "PutObject", "CopyObject", "PutObject"]  # manifest, attempt, reason
    for at in (5, 6):
        attempt(at)
