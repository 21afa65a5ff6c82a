"""What one landed object does to the lake and the ledger, once, twice, late, corrected, and interrupted."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from atlas import lake as keys
from atlas.file_entry import Content, FileEntry, Replaced
from atlas.ledger import FileState, Share, day_state_key
from atlas.manifest import Manifest, read_manifest, records_in
from atlas.orders import OrderKind
from lambda_ingest.events import newer
from lambda_ingest.ingest import Outcome
from lambda_ingest.spool import MAX_DAYS
from tests.lake_under_test import FRIDAY, SATURDAY, LakeUnderTest
from tests.ledger_invariants import check, entries, state

KEY = "raw/web/access.ndjson"


def record(day: int, second: int, **more: Any) -> str:
    time = f"2024-11-{day:02d}T10:00:{second:02d}Z"
    return json.dumps({"timestamp": time, "ip": "192.0.2.1", "status": 200, "endpoint": "/", **more})


def body(*lines: str) -> bytes:
    return "\n".join(lines).encode()


FIRST = body(record(29, 1), record(29, 2), record(30, 3))
CORRECTED = body(record(30, 3), record(30, 4), "{broken")

ERROR = (
    b"<error><errorTime>2024-11-29T10:00:00Z</errorTime><clientIp>192.0.2.7</clientIp><service>till</service>"
    b"<errorCode>503</errorCode><message>no paper</message></error>"
)


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
    check(lake)
    assert set(entries(lake)[KEY].objects()) < set(lake.keys("validated/")), (
        "a run may be reading the predecessor's"
    )
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
    check(lake)
    obsolete = [item for item in lake.ledger_items() if item["sk"].startswith("OBSOLETE#")]
    assert [item for item in lake.ledger_items() if item not in obsolete] == before
    assert len(lake.keys("archive/ndjson/")) == 2
    assert lake.keys("raw/") == []


def test_a_newer_version_that_lands_meanwhile_stays_in_raw(lake: LakeUnderTest) -> None:
    older = lake.landed(KEY, FIRST)
    newer = lake.landed(KEY, CORRECTED)
    lake.ingestion.take(older)
    assert lake.keys("raw/") == [KEY]
    assert lake.ingestion.take(newer).outcome is Outcome.INGESTED
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({}, {KEY: 3})


def test_sequencers_of_other_lengths_compare_as_s3_says() -> None:
    landed = "0055AED6DCD90281E5"
    assert newer(landed, "0055AED6DCD90281")
    assert not newer(landed, "0055AED6DCD90281E50")
    assert not newer(landed, "0055AED6DCD90281E6")
    assert newer(landed, "")


def test_a_refused_file_leaves_only_itself_and_its_reason(lake: LakeUnderTest) -> None:
    broken = b'[{"timestamp": "2024-11-29T10:00:00Z", "ip": "192.0.2.1", "status": 200},'
    verdict = lake.drop("raw/broken.json", broken)
    assert verdict.outcome is Outcome.REJECTED
    [archived] = lake.keys("archive/rejected/")
    shown = [keys.rejected_file_key("raw/broken.json"), keys.reason_key("raw/broken.json")]
    assert lake.keys() == [archived, *shown]
    assert lake.objects()[archived] == lake.objects()[shown[0]] == broken
    reason = json.loads(
        lake.s3.get_object(Bucket=lake.bucket, Key=keys.reason_key("raw/broken.json"))["Body"].read()
    )
    assert (reason["reason"], reason["raw_key"], reason["size"]) == (
        "malformed_json",
        "raw/broken.json",
        len(broken),
    )
    assert reason["place"].startswith("line 1, byte 73")
    assert (reason["records_read"], reason["records_refused"]) == (1, 0)
    assert [item["pk"] for item in lake.ledger_items()] == ["FILE#raw/broken.json"]


def test_a_refused_correction_leaves_its_predecessors_records_and_the_next_one_replaces_them(
    lake: LakeUnderTest,
) -> None:
    lake.drop(KEY, FIRST)
    assert lake.drop(KEY, b"[").outcome is Outcome.REJECTED
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({KEY: 2}, {KEY: 1})
    lake.drop(KEY, CORRECTED)
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({}, {KEY: 3})
    assert lake.keys("rejected/") == []
    check(lake)


def test_a_file_corrected_to_nothing_takes_its_records_out_again(lake: LakeUnderTest) -> None:
    lake.drop(KEY, FIRST)
    assert lake.drop(KEY, b"").outcome is Outcome.EMPTY
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({}, {})
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

    events = lake.ledger.meta.client.meta.events
    events.register("before-call.dynamodb.TransactWriteItems", cancelled)
    try:
        assert lake.drop(KEY, FIRST).outcome is Outcome.INGESTED
    finally:
        events.unregister("before-call.dynamodb.TransactWriteItems", cancelled)
    assert len(waits) == 3
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({KEY: 2}, {KEY: 1})


def test_a_gone_object_is_no_error(lake: LakeUnderTest) -> None:
    landed = lake.landed(KEY, FIRST)
    lake.s3.delete_object(Bucket=lake.bucket, Key=KEY, VersionId=landed.version)
    assert lake.ingestion.take(landed).outcome is Outcome.GONE
    assert lake.ledger_items() == []


def test_every_entry_survives_the_ledger(lake: LakeUnderTest) -> None:
    bodies = {
        KEY: FIRST,
        "raw/b.ndjson": FIRST,
        "raw/c.ndjson": b"",
        "raw/d.ndjson": b"x",
        "raw/e.ndjson": CORRECTED,
    }
    for key, data in bodies.items():
        lake.drop(key, data)
    lake.obey(OrderKind.WITHDRAW, "raw/e.ndjson")
    items = [item for item in lake.ledger_items() if item["pk"].startswith("FILE#")]
    assert {item["state"] for item in items} == set(FileState)
    for item in items:
        entry = FileEntry.from_item(item)
        assert FileEntry.from_item(entry.to_item()) == entry


def test_a_withdrawn_file_leaves_every_day_and_an_older_version_does_not_bring_it_back(lake: LakeUnderTest) -> None:
    older, newer_one = lake.landed(KEY, CORRECTED), lake.landed(KEY, FIRST)
    lake.ingestion.take(newer_one)
    assert lake.obey(OrderKind.WITHDRAW, KEY).outcome is Outcome.WITHDRAWN
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({}, {})
    assert {lake.ledger.get_item(Key=day_state_key(day))["Item"]["changes"] for day in (FRIDAY, SATURDAY)} == {2}
    assert lake.ingestion.take(older).outcome is Outcome.SUPERSEDED
    assert lake.ingestion.take(newer_one).outcome is Outcome.REDELIVERED
    check(lake)
    assert manifest(lake, SATURDAY) == {}
    assert lake.drop(KEY, FIRST).outcome is Outcome.INGESTED, "who drops it again means it"


def test_an_order_for_a_version_that_was_overtaken_or_that_was_obeyed_does_nothing(lake: LakeUnderTest) -> None:
    lake.drop(KEY, FIRST)
    replay, withdraw = lake.order(OrderKind.REPLAY, KEY), lake.order(OrderKind.WITHDRAW, KEY)
    lake.ingestion.obey(withdraw, lake.bucket)
    before = state(lake)
    assert lake.ingestion.obey(withdraw, lake.bucket).outcome is Outcome.REDELIVERED
    assert lake.ingestion.obey(replay, lake.bucket).outcome is Outcome.REDELIVERED, "a withdrawal came after it"
    assert state(lake) == before
    lake.drop(KEY, CORRECTED)
    assert lake.ingestion.obey(replace(withdraw, at="2025-01-01"), lake.bucket).outcome is Outcome.SUPERSEDED
    assert manifest(lake, SATURDAY) == {KEY: 3}


def test_the_other_file_of_the_same_bytes_counts_once_the_first_gives_them_up(lake: LakeUnderTest) -> None:
    """It is read as its own folder says, not as the first one's did."""
    event = (
        b'{"timestamp": "2024-11-29T10:00:00Z", "level": "info", "message": "m", "ip": "192.0.2.1", "status": 200}'
    )
    for key in ("raw/ndjson/wrong", "raw/app_log/right", "raw/app_log/spare"):
        lake.drop(key, event)
    assert {key: entry.state.value for key, entry in entries(lake).items()} == {
        "raw/ndjson/wrong": "ingested", "raw/app_log/right": "duplicate", "raw/app_log/spare": "duplicate",
    }  # fmt: skip
    for gone, heir in (("raw/ndjson/wrong", "raw/app_log/right"), ("raw/app_log/right", "raw/app_log/spare")):
        lake.obey(OrderKind.WITHDRAW, gone)
        check(lake)
        [file] = read_manifest(lake.ledger, FRIDAY, "r").files
        assert (file.raw_key, file.format, records_in(file)) == (heir, "app_log", 1)
    lake.obey(OrderKind.WITHDRAW, "raw/app_log/spare")
    assert manifest(lake, FRIDAY) == {}


def test_a_replay_after_a_format_was_added_takes_the_file_and_clears_the_refusal(lake: LakeUnderTest) -> None:
    known = dict(lake.formats)
    lake.formats = {name: known[name] for name in ("alb", "vpc_flow")}
    lake.drop(KEY, FIRST)
    assert entries(lake)[KEY].reason == "unsupported_format"
    lake.formats = known
    lake.obey(OrderKind.REPLAY, KEY)
    check(lake)
    assert (manifest(lake, FRIDAY), lake.keys("rejected/")) == ({KEY: 2}, [])


def test_a_replay_of_a_file_that_reads_otherwise_now_replaces_its_records(lake: LakeUnderTest) -> None:
    known = dict(lake.formats)
    lake.formats = {**known, "app_log": replace(known["app_log"], time_zone="Asia/Tokyo")}
    lake.drop("raw/app_log/x", b'{"timestamp": "2024-11-30T01:00:00", "level": "info", "message": "m"}')
    assert (len(manifest(lake, FRIDAY)), len(manifest(lake, SATURDAY))) == (1, 0)
    lake.formats = known
    lake.obey(OrderKind.REPLAY, "raw/app_log/x")
    check(lake)
    assert (len(manifest(lake, FRIDAY)), len(manifest(lake, SATURDAY))) == (0, 1)


def test_a_replay_writes_anew_what_was_lost_of_the_validated_zone(lake: LakeUnderTest) -> None:
    lake.drop(KEY, FIRST)
    for key in lake.keys("validated/"):
        lake.s3.delete_object(Bucket=lake.bucket, Key=key)
    lake.obey(OrderKind.REPLAY, KEY)
    check(lake)
    assert (manifest(lake, FRIDAY), manifest(lake, SATURDAY)) == ({KEY: 2}, {KEY: 1})


def test_a_file_of_the_most_days_fits_the_ledger_while_it_takes_the_place_of_another() -> None:
    days = [date(2015, 1, 1) + timedelta(days=n) for n in range(MAX_DAYS)]
    shares = {day: Share(10**8, 10**8, 10**3, 1 << 32) for day in days}
    text = "x" * keys.MAX_KEY_BYTES
    content = Content(text, text, text, text, text, text, text, shares, tuple("n" * 20 for _ in range(100)))
    entry = FileEntry(text, text, text, FileState.INGESTED, text, 1, text, text, content=content, reason=text)
    replaces = Replaced(text, text, text, dict.fromkeys(days, 10**3))
    assert _size_in_dynamodb(replace(entry, replaces=replaces).to_item()) < 400_000


def _size_in_dynamodb(value: Any) -> int:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
    if isinstance(value, Mapping):
        return 3 + sum(len(name.encode()) + 1 + _size_in_dynamodb(item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return 3 + sum(1 + _size_in_dynamodb(item) for item in value)
    if value is None or isinstance(value, bool):
        return 1
    return len(value.encode()) if isinstance(value, str) else len(str(value)) // 2 + 2


@pytest.mark.parametrize("number", [1, 40])
def test_a_truncated_file_is_taken_up_to_its_fault_on_an_operators_word_and_only_then(
    lake: LakeUnderTest, number: int
) -> None:
    rows = [record(29, n % 60, n=n) for n in range(500)]
    packed = gzip.compress(body(*rows))
    key, cut = "raw/cut.ndjson.gz", packed[: len(packed) * number // 41]
    lake.drop(key, cut)
    assert lake.obey(OrderKind.REPLAY, key).outcome is Outcome.REJECTED
    verdict = lake.obey(OrderKind.SALVAGE, key)
    check(lake)
    readable = zlib.decompressobj(31).decompress(cut).split(b"\n")
    entry = entries(lake)[key]
    if len(readable) < 2:
        assert (verdict.outcome, manifest(lake, FRIDAY)) == (Outcome.REJECTED, {})
        return
    assert manifest(lake, FRIDAY) == {key: len(readable)}, "the last line is cut, and will be refused"
    [share] = entry.shares.values()
    assert (share.records, share.unparsable) == (len(readable) - 1, 1)
    assert (entry.state, entry.reason, entry.salvaged_by) == ("ingested", "truncated_gzip", "an operator")
    assert entry.place is not None
    assert lake.keys("rejected/") == []


@pytest.mark.parametrize(
    ("key", "data", "records"),
    [
        ("raw/a.json", f"[{record(29, 1)}, {record(29, 2)}, {record(29, 3)[:30]}".encode(), 2),
        ("raw/a.json", f'{{"Records": [{record(29, 1)}, {record(29, 2)}'.encode(), 2),
        ("raw/a.xml", (b"<errors>" + ERROR * 3)[:-20], 2),
        ("raw/a.xml", b"<errors>" + ERROR * 3 + b"<error>&", 3),
    ],
    ids=["array", "wrapper", "cut element", "broken element"],
)
def test_what_a_broken_document_holds_before_its_fault_is_taken_on_an_operators_word(
    lake: LakeUnderTest, key: str, data: bytes, records: int
) -> None:
    assert lake.drop(key, data).outcome is Outcome.REJECTED
    assert lake.obey(OrderKind.SALVAGE, key).outcome is Outcome.INGESTED
    check(lake)
    [share] = entries(lake)[key].shares.values()
    assert share.records == records


def test_a_damaged_stream_is_not_salvaged_because_nobody_knows_where_the_damage_begins(lake: LakeUnderTest) -> None:
    packed = bytearray(gzip.compress(body(*(record(29, n % 60, n=n) for n in range(500)))))
    packed[-6] ^= 1  # of the checksum
    lake.drop("raw/a.gz", bytes(packed))
    assert lake.obey(OrderKind.SALVAGE, "raw/a.gz").outcome is Outcome.REJECTED
