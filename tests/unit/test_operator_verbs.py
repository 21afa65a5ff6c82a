"""`atlas withdraw`, `atlas replay`: orders go through the queue, and the command says what came of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atlas.ledger import FileState, day_state_key, file_key
from atlas.orders import Order, OrderKind
from atlas_cli import replay as replay_verb
from atlas_cli import withdraw as withdraw_verb
from atlas_cli.console import CommandError, Say
from atlas_cli.entries import await_entries, entries, find
from atlas_cli.main import main
from atlas_cli.orders import give
from atlas_cli.put import put, verdict_row
from atlas_cli.refusals import files
from atlas_cli.replay import replay
from atlas_cli.withdraw import withdraw
from lambda_ingest.events import LandedObject
from tests.lake_under_test import FRIDAY, SATURDAY
from tests.stage_under_test import StageUnderTest, stage_under_test


def log(day: int, records: int) -> bytes:
    line = '{"timestamp":"2024-11-%dT10:00:00Z","ip":"192.0.2.1","status":200,"endpoint":"/%x"}\n'
    return "".join(line % (day, number**9) for number in range(records)).encode()


GOOD, LATE, MANY = log(29, 3), log(30, 1), log(29, 9000)
CUT = gzip.compress(MANY)[:-9000]


@pytest.fixture
def stage() -> Iterator[StageUnderTest]:
    with stage_under_test() as made:
        yield made


def dirty(stage: StageUnderTest) -> list[str]:
    return [item["day"] for item in stage.lake.ledger_items() if item["sk"] == "STATE" and "dirty" in item]


def clean(stage: StageUnderTest) -> None:
    """As if every day had been processed."""
    for day in (FRIDAY, SATURDAY):
        stage.cloud.ledger.delete_item(Key=day_state_key(day))


def test_a_withdrawn_file_leaves_its_days_and_the_command_says_which(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/a/x.ndjson", GOOD + LATE)
    clean(stage)
    [told] = withdraw(stage.cloud, ["a/x.ndjson"], say)
    assert withdraw_verb.row(told) == {
        "file": "raw/a/x.ndjson",
        "verdict": "withdrawn",
        "was": "ingested",
        "dirty_days": "2024-11-29 2024-11-30",
        "counts_now": None,
    }
    assert dirty(stage) == ["2024-11-29", "2024-11-30"]
    assert told.after.shares == {}


def test_another_file_of_the_same_bytes_counts_then_and_is_named(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/one.ndjson", GOOD)
    stage.lake.drop("raw/two.ndjson", GOOD)
    clean(stage)
    [told] = withdraw(stage.cloud, ["raw/one.ndjson"], say)
    assert (told.counts_now, told.days) == ("raw/two.ndjson", [FRIDAY])
    [two] = entries(stage.cloud, ["two.ndjson"])
    assert two.shares[FRIDAY].records == 3


def test_a_duplicate_that_is_withdrawn_changes_no_day(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/one.ndjson", GOOD)
    stage.lake.drop("raw/two.ndjson", GOOD)
    clean(stage)
    [told] = withdraw(stage.cloud, ["two.ndjson"], say)
    assert (told.after.state, told.days, told.counts_now) == (FileState.WITHDRAWN, [], None)
    assert dirty(stage) == []


def test_nothing_is_ordered_if_one_of_the_files_cannot_be_withdrawn(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/x.ndjson", GOOD)
    with pytest.raises(CommandError, match=r"no such file in the ledger: raw/y\.ndjson, raw/z\.ndjson"):
        withdraw(stage.cloud, ["y.ndjson", "x.ndjson", "raw/z.ndjson"], say)
    assert stage.cloud.depth(stage.cloud.names.ingest_queue) == 0
    withdraw(stage.cloud, ["x.ndjson"], say)
    with pytest.raises(CommandError, match=r"withdrawn already: raw/x\.ndjson"):
        withdraw(stage.cloud, ["x.ndjson"], say)


def test_a_file_that_is_named_twice_is_withdrawn_once(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/x.ndjson", GOOD)
    assert len(withdraw(stage.cloud, ["x.ndjson", "raw/x.ndjson"], say)) == 1


def test_an_order_does_not_mean_a_version_that_lands_meanwhile(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/x.ndjson", GOOD)
    stage.meanwhile.append(lambda: stage.lake.drop("raw/x.ndjson", GOOD + LATE))
    with pytest.raises(CommandError, match=r"a newer version landed meanwhile.*raw/x\.ndjson"):
        withdraw(stage.cloud, ["x.ndjson"], say)
    [entry] = entries(stage.cloud, ["x.ndjson"])
    assert (entry.state, set(entry.shares)) == (FileState.INGESTED, {FRIDAY, SATURDAY})


def test_of_two_orders_at_once_the_later_one_is_told_as_it_is(stage: StageUnderTest, say: Say) -> None:
    """Ours is not obeyed, since a later one was: the file is not withdrawn, so the command must not say so."""
    stage.lake.drop("raw/x.ndjson", GOOD)
    [entry] = entries(stage.cloud, ["x.ndjson"])
    later = Order(OrderKind.REPLAY, entry.raw_key, entry.version, "2999-01-01T00:00:00.000000Z", "somebody")
    stage.meanwhile.append(lambda: stage.lake.ingestion.obey(later, stage.cloud.bucket))
    with pytest.raises(CommandError, match=r"another order came first: raw/x\.ndjson is ingested"):
        withdraw(stage.cloud, ["x.ndjson"], say)


def test_an_order_is_later_than_the_last_one_whatever_the_clock_says(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/x.ndjson", GOOD)
    [entry] = entries(stage.cloud, ["x.ndjson"])
    ahead = Order(OrderKind.REPLAY, entry.raw_key, entry.version, "2999-01-01T00:00:00.000000Z", "somebody")
    stage.lake.ingestion.obey(ahead, stage.cloud.bucket)
    [told] = withdraw(stage.cloud, ["x.ndjson"], say)
    assert (told.after.state, told.after.ordered_at) == (FileState.WITHDRAWN, "2999-01-01T00:00:00.000001Z")


def test_all_refused_files_are_judged_anew_and_no_others(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/bad.gz", CUT)
    stage.lake.drop("raw/mended.gz", CUT)
    stage.lake.drop("raw/mended.gz", GOOD)
    stage.lake.drop("raw/good.ndjson", LATE)
    [told] = replay(stage.cloud, [], say)
    row = replay_verb.row(told)
    assert (row["file"], row["was"], row["verdict"], row["records"]) == ("raw/bad.gz", "rejected", "rejected", 0)
    assert row["why"].startswith("truncated_gzip (")
    assert told.days == []


def test_without_refused_files_there_is_nothing_to_replay(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/good.ndjson", GOOD)
    assert replay(stage.cloud, [], say) == []


def test_a_withdrawn_file_comes_back_by_a_replay(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/x.ndjson", GOOD)
    withdraw(stage.cloud, ["x.ndjson"], say)
    clean(stage)
    [told] = replay(stage.cloud, ["x.ndjson"], say)
    row = replay_verb.row(told)
    assert (row["was"], row["verdict"], row["records"], row["days"]) == ("withdrawn", "ingested", 3, "2024-11-29")
    assert (told.days, dirty(stage)) == ([FRIDAY], ["2024-11-29"])


def test_a_file_that_is_replayed_is_written_anew_and_its_days_are_told(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/x.ndjson", GOOD)
    clean(stage)
    [told] = replay(stage.cloud, ["x.ndjson"], say)
    assert (told.after.state, told.days, dirty(stage)) == (FileState.INGESTED, [FRIDAY], ["2024-11-29"])


def test_what_is_salvaged_is_told_with_what_is_wrong_and_who_ordered_it(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/bad.gz", CUT)
    [told] = replay(stage.cloud, ["bad.gz"], say, salvage=True)
    row = replay_verb.row(told)
    assert row["verdict"] == "ingested"
    assert 0 < row["records"] < 9000
    assert row["why"].startswith(f"taken up to the fault, as {stage.cloud.caller} ordered: truncated_gzip (")
    assert files(stage.cloud) == []


def test_a_file_of_which_nothing_can_be_salvaged_fails_the_command(
    stage: StageUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.lake.drop("raw/bad.zip", b"PK\x03\x04" + bytes(400))
    with pytest.raises(CommandError, match=r"not salvaged: raw/bad\.zip \(unsupported_container\).*truncated_gzip"):
        replay(stage.cloud, ["bad.zip"], Say(), salvage=True)
    assert "unsupported_container" in capsys.readouterr().out
    with pytest.raises(CommandError, match="--salvage is said of a file"):
        replay(stage.cloud, [], Say(), salvage=True)


def test_an_order_that_nobody_obeys_ends_in_an_error_that_says_where_to_look(
    stage: StageUnderTest, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.lake.drop("raw/x.ndjson", GOOD)
    monkeypatch.setattr("atlas_cli.entries._PATIENCE_SECONDS", 0)
    monkeypatch.setattr("atlas_cli.entries.time.sleep", lambda _: None)
    with pytest.raises(CommandError, match=r"no verdict after 0 s on raw/x\.ndjson.*atlas dead-letters"):
        withdraw(stage.cloud, ["x.ndjson"], say)
    entry = find(stage.cloud, "raw/x.ndjson")
    assert entry is not None
    assert entry.state is FileState.INGESTED


def test_a_verdict_that_has_not_reached_all_days_is_waited_for(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/x.ndjson", GOOD)
    key = file_key("raw/x.ndjson")

    def commits(under_way: bool) -> None:
        stage.cloud.ledger.update_item(
            Key=key, UpdateExpression="SET committing = :so", ExpressionAttributeValues={":so": under_way}
        )

    commits(True)
    stage.meanwhile.append(lambda: commits(False))
    assert await_entries(stage.cloud, {"raw/x.ndjson": lambda _: True}, say)["raw/x.ndjson"].committing is False


def test_a_message_names_the_version_and_who_gave_the_order(stage: StageUnderTest, say: Say) -> None:
    stage.lake.drop("raw/x.ndjson", GOOD)
    [entry] = entries(stage.cloud, ["x.ndjson"])
    seen: list[dict[str, str]] = []

    def look() -> None:
        [message] = stage.cloud.sqs.receive_message(QueueUrl=stage.queue, VisibilityTimeout=0)["Messages"]
        seen.append(json.loads(message["Body"])["order"])

    stage.meanwhile.append(look)
    give(stage.cloud, OrderKind.WITHDRAW, [entry], say)
    assert {name: seen[0][name] for name in ("kind", "raw_key", "version", "by")} == {
        "kind": "withdraw",
        "raw_key": "raw/x.ndjson",
        "version": entry.version,
        "by": stage.cloud.caller,
    }


def test_a_refused_correction_is_told_as_refused_although_its_predecessor_counts(stage: StageUnderTest) -> None:
    stage.lake.drop("raw/one.ndjson", GOOD)
    stage.lake.drop("raw/two.ndjson", GOOD)
    stage.lake.drop("raw/two.ndjson", CUT)
    [entry] = entries(stage.cloud, ["two.ndjson"])
    row = verdict_row(entry)
    assert (row["verdict"], row["records"]) == ("rejected", 0)
    assert row["why"].startswith("truncated_gzip")


def test_the_command_tells_verdicts_and_what_is_to_be_processed_anew(
    stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("atlas_cli.main.connect", lambda _: stage.cloud)
    stage.lake.drop("raw/x.ndjson", GOOD + LATE)
    assert main(["withdraw", "x.ndjson"]) == 0
    assert "To be processed anew: 2024-11-29, 2024-11-30." in capsys.readouterr().out
    assert main(["replay", "x.ndjson", "--json"]) == 0
    [row] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["was"], row["verdict"], row["days"]) == ("withdrawn", "ingested", "2024-11-29 2024-11-30")
    assert main(["replay"]) == 0
    assert "Verdicts: none" in capsys.readouterr().out
    assert main(["withdraw", "y.ndjson"]) == 1
    assert "no such file in the ledger: raw/y.ndjson" in capsys.readouterr().err


@pytest.fixture
def say() -> Say:
    return Say()


def test_a_dropped_file_has_its_verdict_however_fast_ingestion_takes_it_away(
    stage: StageUnderTest, say: Say, tmp_path: Path
) -> None:
    file = tmp_path / "a.ndjson"
    file.write_bytes(GOOD)

    def taken_at_once(parsed: dict[str, Any], **_: Any) -> None:
        events.unregister("after-call.s3.PutObject", taken_at_once)
        version = parsed["VersionId"]
        stage.lake.ingestion.take(LandedObject(stage.cloud.bucket, "raw/a.ndjson", version, version, "01"))

    events = stage.cloud.s3.meta.events
    events.register("after-call.s3.PutObject", taken_at_once)
    [entry] = put(stage.cloud, {"raw/a.ndjson": file}, say)
    assert (entry.state, stage.lake.keys("raw/")) == ("ingested", [])
