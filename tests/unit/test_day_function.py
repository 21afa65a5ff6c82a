"""The day function: its limits, what it does when a day outgrows them, and what it is told and tells."""

from __future__ import annotations

import errno
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atlas import day as work
from atlas import lake as keys
from lambda_day import handler as handler_module
from lambda_day.duckdb_engine import DuckdbEngine, connect
from lambda_day.limits import Clock, DayTooLargeError, Limits
from lambda_day.objects import Scratch
from lambda_day.process import run
from tests.engines.outputs import rows_under
from tests.lake_under_test import FRIDAY, LakeUnderTest

LIMITS = Limits.of(1769, 900_000)


def records(count: int, start: int = 0) -> bytes:
    made = (
        {"timestamp": f"2024-11-29T{n % 24:02d}:00:00Z", "ip": "192.0.2.1", "status": 200, "endpoint": f"/{n}"}
        for n in range(start, start + count)
    )
    return "\n".join(map(json.dumps, made)).encode()


def etags(lake: LakeUnderTest) -> dict[str, str]:
    return {key: lake.s3.head_object(Bucket=lake.bucket, Key=key)["ETag"] for key in lake.keys(keys.ANALYTICS)}


def test_memory_threads_and_chunks_follow_the_functions_size() -> None:
    sizes = [Limits.of(megabytes, 900_000) for megabytes in (512, 1769, 1770, 3008, 10240)]
    assert [limits.threads for limits in sizes] == [1, 1, 2, 2, 6]
    for megabytes, limits in zip((512, 1769, 1770, 3008, 10240), sizes, strict=True):
        assert 2 * limits.chunk < limits.memory < megabytes << 20
    assert LIMITS.seconds < 900


def test_a_day_larger_than_the_memory_spills_and_comes_to_the_same(
    lake: LakeUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.drop("raw/a.ndjson", records(60_000))
    lake.drop("raw/b.ndjson", records(60_000, start=30_000))
    spilled: list[int] = []
    execute = DuckdbEngine._run

    def watched(engine: DuckdbEngine, statement: str) -> Any:
        answer = execute(engine, statement)
        files = engine.connection.cursor().execute("SELECT coalesce(sum(size), 0) FROM duckdb_temporary_files()")
        spilled.append(files.fetchall()[0][0])
        return answer

    monkeypatch.setattr(DuckdbEngine, "_run", watched)
    small = replace(LIMITS, memory=80 << 20, chunk=1 << 30, threads=1)
    [ours] = run(lake.settings(FRIDAY), lake.clients, LIMITS, tmp_path)["books"]
    assert max(spilled) == 0
    [theirs] = run(lake.settings(FRIDAY), lake.clients, small, tmp_path)["books"]
    assert max(spilled) > 1 << 20
    assert {**ours, "run_id": ""} == {**theirs, "run_id": ""}
    assert (ours["records_in"], ours["published"], ours["duplicates"]) == (120_000, 90_000, 30_000)


def _no_memory(_: pytest.MonkeyPatch) -> Limits:
    return replace(LIMITS, memory=1 << 20)


def _no_time(_: pytest.MonkeyPatch) -> Limits:
    return replace(LIMITS, seconds=0.0)


def _too_little_time(patch: pytest.MonkeyPatch) -> Limits:
    """A statement that would run for minutes, after silver has been replaced."""

    def endless(engine: DuckdbEngine, *_: Any) -> None:
        engine.rows("SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE hash(a.range + b.range) = 1")

    patch.setattr(work, "aggregate", endless)
    return replace(LIMITS, seconds=1.5)


def _no_scratch(patch: pytest.MonkeyPatch) -> Limits:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr(Scratch, "_bring", full)
    return LIMITS


@pytest.mark.parametrize(
    ("outgrow", "told"),
    [
        (_no_memory, "memory"),
        (_no_time, "takes longer"),
        (_too_little_time, "takes longer"),
        (_no_scratch, "scratch"),
    ],
)
def test_a_day_that_outgrows_the_function_says_so_and_leaves_gold_as_it_was(
    lake: LakeUnderTest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    outgrow: Callable[[pytest.MonkeyPatch], Limits],
    told: str,
) -> None:
    lake.drop("raw/a.ndjson", records(3))
    run(lake.settings(FRIDAY), lake.clients, LIMITS, tmp_path)
    before, notices = etags(lake), lake.notices()
    assert notices
    lake.drop("raw/b.ndjson", records(2000))
    with pytest.raises(DayTooLargeError, match=told):
        run(lake.settings(FRIDAY), lake.clients, outgrow(monkeypatch), tmp_path)
    assert etags(lake) == before
    assert lake.notices() == []
    assert lake.keys(keys.REJECTED_RUNS) == []
    assert list(tmp_path.iterdir()) == []


def test_a_day_whose_files_have_more_fields_than_the_ledger_lists_comes_to_the_same(
    lake: LakeUnderTest, tmp_path: Path
) -> None:
    named = {
        "timestamp": "2024-11-29T10:00:00Z",
        "clientIp": "192.0.2.1",
        "CLIENTIP": "x",
        "status": 200,
        "uri": "/a",
    }
    lake.drop("raw/a.ndjson", json.dumps({**named, "unknown to all": 1}).encode())
    run(lake.settings(FRIDAY), lake.clients, LIMITS, tmp_path)
    [listed] = rows_under(lake, keys.LOGS)
    many = {f"label {number:09d}": number for number in range(200)}
    lake.drop("raw/a.ndjson", json.dumps({**many, **named}).encode())
    [item] = [item for item in lake.ledger_items() if item["sk"] == "FILE#raw/a.ndjson"]
    assert "fields" not in item
    run(lake.settings(FRIDAY), lake.clients, LIMITS, tmp_path)
    [found] = rows_under(lake, keys.LOGS)
    own = {"log_id": "", "ingested_at": ""}  # another record, in another version of the file
    assert {**found, **own} == {**listed, **own}
    assert (found["ip_address"], found["endpoint"]) == ("192.0.2.1", "/a")


def test_scratch_holds_two_batches_of_objects_at_most(tmp_path: Path) -> None:
    class Bucket:
        def download_file(self, _bucket: str, _key: str, file: str, **_: Any) -> None:
            Path(file).write_bytes(gzip.compress(b"x"))

    scratch = Scratch(Bucket(), "lake", tmp_path)  # type: ignore[arg-type]
    batches = [[f"a/{batch}/{n}" for n in range(5)] for batch in range(6)]
    seen = []
    for files in scratch.batches(batches):
        seen.append([str(file.relative_to(tmp_path)) for file in files])
        assert all(file.exists() for file in files)
        there = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".packed"]
        assert len(there) <= 10
    assert seen == batches
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_interrupted_clock_stops_no_later_statement(tmp_path: Path) -> None:
    connection = connect(LIMITS, tmp_path)
    with Clock(0.05).interrupting(connection.interrupt):
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    assert connection.execute("SELECT count(*) FROM range(50000000) WHERE hash(range) = 1").fetchall() == [(0,)]


def test_nothing_is_loaded_from_the_network(tmp_path: Path) -> None:
    connection = connect(LIMITS, tmp_path)
    for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
        assert connection.execute(f"SELECT current_setting('{setting}')").fetchall() == [(False,)]


class _Context:
    function_name = "atlas-day-test"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:atlas-day-test"
    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


Context: Any = _Context
"""Powertools' type of it asks for more than a handler needs."""


@pytest.fixture
def _deployed(lake: LakeUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**lake.day_settings.to_env(), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    handler_module._settings.cache_clear()
    handler_module._clients.cache_clear()


@pytest.mark.usefixtures("_deployed")
def test_the_handler_does_the_day_of_its_event_and_answers_with_the_summary(
    lake: LakeUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.drop("raw/a.ndjson", records(3) + b"\n{")
    event = {"process_date": "2024-11-29", "run_id": "run-7", "as_of": "2024-11-30T00:20:00.123Z"}
    answer = handler_module.handler(event, Context())
    assert json.loads(json.dumps(answer)) == answer
    assert (answer["run_id"], answer["records_in"], answer["rejected"]) == ("run-7", 4, 1)
    assert [row["published"] for row in answer["books"]] == [3]
    assert [notice["subject"] for notice in lake.notices()] == ["Atlas: day 2024-11-29 done"]
    assert "192.0.2.1" not in capsys.readouterr().out
