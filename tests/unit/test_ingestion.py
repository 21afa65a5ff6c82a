"""What one landed object does to the lake and the ledger, once, twice, late, corrected, and interrupted."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from boto3.exceptions import Boto3Error
from botocore.exceptions import ClientError

from atlas import lake as keys
from atlas.ledger import FileEntry, FileState, day_state_key, file_key
from atlas.manifest import Manifest, read_manifest, records_in
from lambda_ingest import ledger_writer
from lambda_ingest.ingest import Outcome
from tests.lake_under_test import FRIDAY, SATURDAY, LakeUnderTest, lake_under_test

KEY = "raw/web/access.ndjson"


def record(day: int, second: int, **more: Any) -> str:
    time = f"2024-11-{day:02d}T10:00:{second:02d}Z"
    return json.dumps({"timestamp": time, "ip": "192.0.2.1", "status": 200, "endpoint": "/", **more})


def body(*lines: str) -> bytes:
    return "\n".join(lines).encode()


FIRST = body(record(29, 1), record(29, 2), record(30, 3))
CORRECTED = body(record(30, 3), record(30, 4), "{broken")

SEVERAL_DAYS = body(*(record(day, 0) for day in (21, 22, 23, 24, 29)))


def november(day: int) -> date:
    return date(2024, 11, day)


def state(lake: LakeUnderTest) -> dict[str, Any]:
    """Everything that a later stage reads: the ledger but for its change counters, and all objects' contents."""
    items = [{name: value for name, value in item.items() if name != "changes"} for item in lake.ledger_items()]
    objects = {key: lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read() for key in lake.keys("")}
    return {"ledger": items, "objects": objects}


def manifest(lake: LakeUnderTest, day: Any) -> dict[str, int]:
    return {file.raw_key: records_in(file) for file in read_manifest(lake.ledger, day, "r").files}


def test_a_file_is_split_by_day_archived_entered_and_taken_out_of_raw(lake: LakeUnderTest) -> None:
    verdict = lake.drop(KEY, FIRST)
    assert verdict.outcome is Outcome.INGESTED
    assert lake.keys("raw/") == []
    [archived] = lake.keys("archive/ndjson/" + KEY)
    assert lake.s3.get_object(Bucket=lake.bucket, Key=archived)["Body"].read() == FIRST
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({KEY: 2}, {KEY: 1})
    for day, lines in ((FRIDAY, 2), (SATURDAY, 1)):
        [file] = read_manifest(lake.ledger, day, "r").files
        [key] = file.objects()
        assert keys.ValidatedKey.parse(key).day == day
        assert gzip.decompress(lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read()).count(b"\n") == lines
        item = lake.ledger.get_item(Key=day_state_key(day))["Item"]
        assert (item["dirty"], item["changes"], item["day"]) == ("yes", 1, day.isoformat())


def test_a_manifest_survives_its_document(lake: LakeUnderTest) -> None:
    lake.drop(KEY, FIRST)
    read = read_manifest(lake.ledger, FRIDAY, "run")
    assert Manifest.from_json(read.to_json()) == read
    assert read.bytes > 0


def test_the_same_delivery_again_changes_nothing(lake: LakeUnderTest) -> None:
    landed = lake.landed(KEY, FIRST)
    lake.ingestion.take(landed)
    before = state(lake)
    assert lake.ingestion.take(landed).outcome is Outcome.REDELIVERED
    assert state(lake) == before


def test_a_correction_replaces_its_predecessor_in_every_day_that_either_touched(lake: LakeUnderTest) -> None:
    lake.drop(KEY, FIRST)
    lake.drop(KEY, CORRECTED)
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({}, {KEY: 3})
    [entry] = [FileEntry.from_item(i) for i in lake.ledger_items() if i["pk"] == file_key(KEY)["pk"]]
    assert lake.keys("validated/") == entry.objects()
    assert {day: lake.ledger.get_item(Key=day_state_key(day))["Item"]["changes"] for day in (FRIDAY, SATURDAY)} == {
        FRIDAY: 2,
        SATURDAY: 2,
    }


def test_the_same_bytes_under_another_name_add_nothing(lake: LakeUnderTest) -> None:
    lake.drop(KEY, FIRST)
    before = manifest(lake, FRIDAY), manifest(lake, SATURDAY), lake.keys("validated/")
    verdict = lake.drop("raw/again.ndjson", FIRST)
    assert verdict.entry is not None
    assert (verdict.outcome, verdict.entry.duplicate_of) == (Outcome.DUPLICATE, KEY)
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY), lake.keys("validated/")) == before
    assert len(lake.keys("archive/")) == 2


def test_the_same_bytes_under_the_same_name_leave_the_days_clean(lake: LakeUnderTest) -> None:
    lake.drop(KEY, FIRST)
    before = (
        manifest(lake, FRIDAY),
        lake.keys("validated/"),
        lake.ledger.get_item(Key=day_state_key(FRIDAY))["Item"],
    )
    lake.drop(KEY, FIRST)
    after = manifest(lake, FRIDAY), lake.keys("validated/"), lake.ledger.get_item(Key=day_state_key(FRIDAY))["Item"]
    assert after == before


def test_bytes_that_a_correction_gave_up_count_when_another_file_brings_them(lake: LakeUnderTest) -> None:
    lake.drop(KEY, FIRST)
    lake.drop(KEY, CORRECTED)
    assert lake.drop("raw/again.ndjson", FIRST).outcome is Outcome.INGESTED


def test_an_older_version_that_is_delivered_late_is_archived_and_changes_no_day(lake: LakeUnderTest) -> None:
    older, newer = lake.landed(KEY, FIRST), lake.landed(KEY, CORRECTED)
    lake.ingestion.take(newer)
    before = lake.ledger_items()
    assert lake.ingestion.take(older).outcome is Outcome.SUPERSEDED
    assert lake.ledger_items() == before
    assert len(lake.keys("archive/superseded/")) == 1
    assert lake.keys("raw/") == []


def test_a_newer_version_that_lands_meanwhile_stays_in_raw(lake: LakeUnderTest) -> None:
    older = lake.landed(KEY, FIRST)
    newer = lake.landed(KEY, CORRECTED)
    lake.ingestion.take(older)
    assert lake.keys("raw/") == [KEY]
    assert lake.ingestion.take(newer).outcome is Outcome.INGESTED
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({}, {KEY: 3})


def test_sequencers_of_other_lengths_compare_as_s3_says(lake: LakeUnderTest) -> None:
    landed = replace(lake.landed(KEY, FIRST), sequencer="0055AED6DCD90281E5")
    assert landed.newer_than("0055AED6DCD90281")
    assert not landed.newer_than("0055AED6DCD90281E50")
    assert not landed.newer_than("0055AED6DCD90281E6")


def test_a_refused_file_leaves_only_itself_and_its_reason(lake: LakeUnderTest) -> None:
    broken = b'[{"timestamp": "2024-11-29T10:00:00Z", "ip": "192.0.2.1", "status": 200},'
    verdict = lake.drop("raw/broken.json", broken)
    assert verdict.outcome is Outcome.REJECTED
    assert lake.keys() == [keys.rejected_file_key("raw/broken.json"), keys.reason_key("raw/broken.json")]
    reason = json.loads(
        lake.s3.get_object(Bucket=lake.bucket, Key=keys.reason_key("raw/broken.json"))["Body"].read()
    )
    assert (reason["reason"], reason["raw_key"], reason["size"]) == (
        "malformed_json",
        "raw/broken.json",
        len(broken),
    )
    assert reason["place"].startswith("line 1, byte 73")
    assert (reason["records_read"], reason["records_refused"]) == (0, 0)
    assert [item["pk"] for item in lake.ledger_items()] == ["FILE#raw/broken.json"]


def test_a_refused_correction_leaves_its_predecessors_records_and_the_next_one_replaces_them(
    lake: LakeUnderTest,
) -> None:
    lake.drop(KEY, FIRST)
    assert lake.drop(KEY, b"[").outcome is Outcome.REJECTED
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({KEY: 2}, {KEY: 1})
    lake.drop(KEY, CORRECTED)
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({}, {KEY: 3})
    assert len(lake.keys("validated/")) == 1


def test_a_file_corrected_to_nothing_takes_its_records_out_again(lake: LakeUnderTest) -> None:
    lake.drop(KEY, FIRST)
    assert lake.drop(KEY, b"").outcome is Outcome.EMPTY
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY), lake.keys("validated/")) == ({}, {}, [])
    assert lake.ledger.get_item(Key=day_state_key(FRIDAY))["Item"]["dirty"] == "yes"


def test_a_file_of_more_days_than_a_transaction_holds_is_switched_over_whole(lake: LakeUnderTest) -> None:
    row = '{"timestamp": "20%02d-01-%02dT00:00:00Z", "ip": "192.0.2.1", "status": 200}'
    verdict = lake.drop(KEY, body(*(row % (n // 28, n % 28 + 1) for n in range(110))))
    assert verdict.entry is not None
    assert not verdict.entry.committing
    assert sum(item["sk"].startswith("FILE#") for item in lake.ledger_items()) == 110
    lake.drop(KEY, FIRST)
    assert sum(item["sk"].startswith("FILE#") for item in lake.ledger_items()) == 2


@pytest.mark.parametrize("third", [b"[", CORRECTED], ids=["refused", "the same bytes"])
def test_what_leaves_the_records_as_they_are_leaves_every_day_as_it_is(lake: LakeUnderTest, third: bytes) -> None:
    lake.drop(KEY, FIRST)
    lake.drop(KEY, CORRECTED)
    changes = {day: lake.ledger.get_item(Key=day_state_key(day))["Item"]["changes"] for day in (FRIDAY, SATURDAY)}
    lake.drop(KEY, third)
    assert {
        day: lake.ledger.get_item(Key=day_state_key(day))["Item"]["changes"] for day in (FRIDAY, SATURDAY)
    } == changes
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({}, {KEY: 3})


@pytest.mark.parametrize("first", [FIRST, SEVERAL_DAYS], ids=["one transaction", "several transactions"])
def test_a_newer_version_that_overtakes_at_any_call_wins_and_the_older_bytes_are_kept(
    first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_writer, "_DAYS_A_TRANSACTION", 2)

    def overtaken(at: int) -> int:
        with lake_under_test() as lake:
            older = lake.landed(KEY, first)
            newer = lake.landed(KEY, CORRECTED)
            calls = 0

            def overtake(**_: Any) -> None:
                nonlocal calls
                calls += 1
                if calls == at:
                    lake.ingestion.take(newer)

            for client in (lake.s3, lake.ledger.meta.client):
                client.meta.events.register_first("before-send", overtake, unique_id="overtake")
            try:
                lake.ingestion.take(older)
            finally:
                for client in (lake.s3, lake.ledger.meta.client):
                    client.meta.events.unregister("before-send", unique_id="overtake")
            if at <= calls:
                counted = {day: manifest(lake, day) for day in (*map(november, (21, 22, 23, 24)), FRIDAY, SATURDAY)}
                assert {day: files for day, files in counted.items() if files} == {SATURDAY: {KEY: 3}}, f"call {at}"
                kept = [
                    lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read() for key in lake.keys("archive/")
                ]
                assert {first, CORRECTED} <= set(kept), f"call {at}"
                assert lake.keys("raw/") == []
            return calls

    alone = overtaken(at=10**9)
    for at in range(1, alone + 1):
        overtaken(at)


class Killed(BaseException):
    """The process is gone: no handler may go on."""


def _interrupt(lake: LakeUnderTest, at: int, fault: Callable[[], BaseException], *, after: bool) -> list[str]:
    """Makes the `at`-th AWS call fail, or die once it took effect; the list fills with the calls that were made."""
    calls: list[str] = []

    def before_send(request: Any, **_: Any) -> None:
        calls.append(str(request.headers.get("X-Amz-Target", request.method)))
        if not after and len(calls) == at:
            raise fault()

    def after_call(**_: Any) -> None:
        if after and len(calls) == at:
            raise fault()

    for client in (lake.s3, lake.ledger.meta.client):
        client.meta.events.register_first("before-send", before_send, unique_id="interrupt-before")
        client.meta.events.register("after-call", after_call, unique_id="interrupt-after")
    return calls


def _heal(lake: LakeUnderTest) -> None:
    for client in (lake.s3, lake.ledger.meta.client):
        client.meta.events.unregister("before-send", unique_id="interrupt-before")
        client.meta.events.unregister("after-call", unique_id="interrupt-after")


def _denied() -> BaseException:
    return ClientError({"Error": {"Code": "InternalError", "Message": "try again"}}, "AnyCall")


@pytest.mark.parametrize("after", [False, True], ids=["fails", "dies after taking effect"])
@pytest.mark.parametrize(
    ("first", "then"),
    [(FIRST, CORRECTED), (FIRST, b"["), (FIRST, SEVERAL_DAYS), (SEVERAL_DAYS, FIRST)],
    ids=["corrected", "refused", "to several transactions", "from several transactions"],
)
def test_whichever_aws_call_is_interrupted_the_retry_reaches_the_same_end(
    first: bytes, then: bytes, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    monkeypatch.setattr(ledger_writer, "_DAYS_A_TRANSACTION", 2)

    def history(at: int) -> tuple[dict[str, Any], list[str]]:
        with lake_under_test() as lake:
            lake.drop(KEY, first)
            landed = lake.landed(KEY, then)
            calls = _interrupt(lake, at, Killed if after else _denied, after=after)
            try:
                lake.ingestion.take(landed)
            except (Killed, ClientError, Boto3Error):
                assert at <= len(calls)
            _heal(lake)
            lake.ingestion.take(landed)
            return _timeless(state(lake)), calls

    undisturbed, calls = history(at=10**9)
    assert len(calls) > 6
    for at in range(1, len(calls) + 1):
        ended, _ = history(at)
        assert ended == undisturbed, f"call {at} of {calls}"


def _timeless(found: dict[str, Any]) -> dict[str, Any]:
    """Version ids and landing times differ between two lakes; everything that follows from them is left out."""
    differing = {"version", "shares_version", "sequencer", "landed_at", "copied_to", "dirty_since", "obsolete"}
    ledger = [{k: v for k, v in item.items() if k not in differing} for item in found["ledger"]]
    contents = sorted((key.split("/")[0], _without_times(key, data)) for key, data in found["objects"].items())
    return {"ledger": ledger, "objects": contents}


def _without_times(key: str, data: bytes) -> bytes:
    if not key.endswith(".reason.json"):
        return data
    document = json.loads(data)
    del document["version"], document["landed_at"]
    return json.dumps(document).encode()


def test_files_that_meet_at_one_day_wait_for_each_other(
    lake: LakeUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB cancels one of two transactions that touch the same item; nothing of it has happened then."""
    waits: list[float] = []
    monkeypatch.setattr("lambda_ingest.ledger_writer.time.sleep", waits.append)
    busy = [{"Code": "None"}, {"Code": "TransactionConflict"}]
    fault: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": busy}
    tries = iter(range(3))

    def cancelled(**_: Any) -> None:
        if next(tries, None) is not None:
            raise ClientError(fault, "TransactWriteItems")

    lake.ledger.meta.client.meta.events.register("before-call.dynamodb.TransactWriteItems", cancelled)
    assert lake.drop(KEY, FIRST).outcome is Outcome.INGESTED
    assert len(waits) == 3
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({KEY: 2}, {KEY: 1})


def test_a_gone_object_is_no_error(lake: LakeUnderTest) -> None:
    landed = lake.landed(KEY, FIRST)
    lake.s3.delete_object(Bucket=lake.bucket, Key=KEY, VersionId=landed.version)
    assert lake.ingestion.take(landed).outcome is Outcome.GONE
    assert lake.ledger_items() == []


def test_every_entry_survives_the_ledger(lake: LakeUnderTest) -> None:
    for key, data in ((KEY, FIRST), ("raw/b.ndjson", FIRST), ("raw/c.ndjson", b""), ("raw/d.ndjson", b"x")):
        lake.drop(key, data)
    entries = [item for item in lake.ledger_items() if item["pk"].startswith("FILE#")]
    assert {item["state"] for item in entries} == set(FileState)
    for item in entries:
        entry = FileEntry.from_item(item)
        assert FileEntry.from_item(entry.to_item()) == entry
