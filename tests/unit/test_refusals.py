"""`atlas refusals` and `atlas books --file`: the questions on DuckDB, refused files, what is shown."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from atlas import lake as keys
from atlas import questions
from atlas_cli import books, refusals
from atlas_cli.console import CommandError, Say
from atlas_cli.local.athena_queries import bind
from tests.duckdb_engine import connect
from tests.lake_under_test import FRIDAY, SATURDAY
from tests.stage_under_test import StageUnderTest, stage_under_test

LINE = b'{"timestamp":"2024-11-29T10:00:00Z","ip":"192.0.2.1","status":200,"endpoint":"/"}\n'
CUT = gzip.compress(LINE * 500)[:-20]


@pytest.fixture
def stage() -> Iterator[StageUnderTest]:
    with stage_under_test() as made:
        yield made


def asked(name: str, tables: str, **given: str) -> list[dict[str, Any]]:
    """A question's answer over some tables."""
    connection = connect()
    connection.execute(tables)
    question = questions.load()[name]
    statement = bind(question.sql, question.literals(given, SATURDAY))
    rows: list[dict[str, Any]] = connection.sql(statement).to_arrow_table().to_pylist()
    return rows


REJECTED_RECORDS = """
CREATE TABLE rejected_records AS SELECT * FROM (VALUES
  ('ndjson', 'malformed_record', NULL, 'raw/b', 7, '{"', '2024', '11', '29'),
  ('ndjson', 'missing_field', 'endpoint', 'raw/a', 20, '{}', '2024', '11', '29'),
  ('ndjson', 'missing_field', 'endpoint', 'raw/a', 3, '{}', '2024', '11', '30'),
  ('ndjson', 'no_event_time', NULL, 'raw/a', 100, '{}', '2024', '11', '29')
) AS r (raw_format, reason, detail, source_file, source_line, raw, year, month, day)
"""


def test_refused_records_come_by_day_file_and_line() -> None:
    rows = asked("refusals", REJECTED_RECORDS)
    assert [(row["date"], row["source_file"], row["source_line"]) for row in rows] == [
        (FRIDAY, "raw/a", 20),
        (FRIDAY, "raw/a", 100),
        (FRIDAY, "raw/b", 7),
        (SATURDAY, "raw/a", 3),
    ]
    assert (rows[0]["reason"], rows[0]["detail"], rows[0]["raw"]) == ("missing_field", "endpoint", "{}")


def test_the_first_few_say_how_many_there_are() -> None:
    rows = asked("refusals", REJECTED_RECORDS, most="2")
    assert [(row["source_line"], row["in_all"]) for row in rows] == [(20, 4), (100, 4)]


def test_a_span_of_days_holds_both_its_ends() -> None:
    rows = asked("refusals", REJECTED_RECORDS, **{"from": "2024-11-30", "to": "2024-11-30"})
    assert [(row["date"], row["in_all"]) for row in rows] == [(SATURDAY, 1)]


FILE_BOOKS = """
CREATE TABLE file_books AS SELECT * FROM (VALUES
  ('raw/any', 'ndjson', 5, 4, 1, 1, 3, 'run', DATE '2024-11-29'),
  ('raw/a%', 'ndjson', 5, 5, 0, 0, 5, 'run', DATE '2024-11-29'),
  ('raw/any', 'ndjson', 5, 4, 1, 1, 2, 'run', DATE '2024-11-30'),
  ('raw/any', 'ndjson', 5, 3, 1, 1, 2, 'run', DATE '2024-12-01')
) AS b (source_file, raw_format, records_in, normalized, rejected, duplicates, published, run_id, date)
"""


def test_the_books_of_a_file_are_its_own_days_and_say_whether_they_balance() -> None:
    rows = asked("file_books", FILE_BOOKS, file="raw/any")
    assert [(row["date"].isoformat(), row["published"], row["books"]) for row in rows] == [
        ("2024-11-29", 3, "balanced"),
        ("2024-11-30", 2, "OUT OF BALANCE"),
        ("2024-12-01", 2, "OUT OF BALANCE"),
    ]
    assert [row["source_file"] for row in asked("file_books", FILE_BOOKS, file="raw/a%")] == ["raw/a%"]
    assert len(asked("file_books", FILE_BOOKS)) == 4


def test_refused_files_are_those_that_are_refused_now(stage: StageUnderTest) -> None:
    stage.lake.drop("raw/a/bad.gz", CUT)
    stage.lake.drop("raw/mended.gz", CUT)
    stage.lake.drop("raw/mended.gz", LINE)
    [found] = refusals.files(stage.cloud)
    assert (found["raw_key"], found["reason"], found["size"]) == ("raw/a/bad.gz", "truncated_gzip", len(CUT))


@pytest.mark.parametrize(
    "body", [b"\x00\x01", b"[1]", b'{"raw_key": 1}', b'{"raw_key": "raw/bad.gz", "landed_at": ""}']
)
def test_a_refused_file_that_is_called_like_a_document_is_taken_for_none(
    stage: StageUnderTest, body: bytes
) -> None:
    stage.lake.drop("raw/bad.gz", CUT)
    stage.lake.drop("raw/odd.reason.json", body)
    assert [row["raw_key"] for row in refusals.files(stage.cloud)] == ["raw/bad.gz", "raw/odd.reason.json"]


def test_a_document_that_outlives_its_refusal_for_a_moment_is_not_shown(stage: StageUnderTest) -> None:
    """Ingestion changes the ledger first, and then the rejected zone."""
    stage.lake.drop("raw/x.gz", CUT)
    document = stage.cloud.s3.get_object(Bucket=stage.cloud.bucket, Key=keys.reason_key("raw/x.gz"))["Body"].read()
    stage.lake.drop("raw/x.gz", LINE)
    stage.cloud.s3.put_object(Bucket=stage.cloud.bucket, Key=keys.reason_key("raw/x.gz"), Body=document)
    assert refusals.files(stage.cloud) == []


def test_a_day_has_the_files_that_landed_on_it(stage: StageUnderTest) -> None:
    stage.lake.drop("raw/bad.gz", CUT)
    [found] = refusals.files(stage.cloud)
    landed = date.fromisoformat(found["landed_at"][:10])
    assert refusals.files(stage.cloud, landed) == [found]
    assert refusals.files(stage.cloud, FRIDAY) == []


RECORDS = [
    {
        "date": "2024-11-29",
        "reason": "missing_field",
        "detail": "endpoint",
        "raw_format": "ndjson",
        "source_file": "raw/a",
        "source_line": 1234,
        "raw": "\x1b[31m" + "x" * 500,
        "in_all": 51,
    }
]


def test_people_see_each_record_on_two_lines_that_do_nothing_to_their_terminal(
    stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(refusals, "ask", lambda *_: RECORDS)
    refusals.show(stage.cloud, None, Say())
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Refused files: none", "Refused records, the first 1 of 51"]
    assert lines[2] == "  2024-11-29  missing_field (endpoint)  raw/a, line 1,234"
    assert lines[3].startswith("    \\x1b[31mxxx")
    assert lines[3].endswith("…")
    assert len(lines[3]) == 60
    assert lines[4].startswith("50 more")


def test_programs_are_told_of_each_row_what_it_is_and_get_all_of_it(
    stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(refusals, "ask", lambda *words: [] if "most" in words[2] else RECORDS)
    stage.lake.drop("raw/bad.gz", CUT)
    refusals.show(stage.cloud, None, Say(as_json=True))
    file, record = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (file["what"], file["raw_key"], file["reason"]) == ("file", "raw/bad.gz", "truncated_gzip")
    assert record == {"what": "record", **RECORDS[0]}


def test_a_file_is_told_with_its_archive_copy_and_its_books(
    stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.lake.drop("raw/a.ndjson", LINE + LINE.replace(b"29T", b"30T"))
    row = {"date": "2024-11-29", "raw_format": "ndjson", "records_in": 1, "books": "balanced"}
    monkeypatch.setattr(books, "ask", lambda *_: [row])
    books.show_file(stage.cloud, "a.ndjson", {}, Say())
    said = capsys.readouterr().out
    assert "archive/ndjson/raw/a.ndjson_" in said
    assert "Not processed yet: 2024-11-30." in said
    books.show_file(stage.cloud, "a.ndjson", {}, Say(as_json=True))
    file, day = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (file["what"], file["state"], file["records"]) == ("file", "ingested", 2)
    assert day == {"what": "day", **row}
    with pytest.raises(CommandError, match=r"no such file in the ledger: raw/b"):
        books.show_file(stage.cloud, "b", {}, Say())


def test_books_of_a_file_that_do_not_balance_fail_the_command(
    stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.lake.drop("raw/a.ndjson", LINE)
    row = {"date": "2024-11-29", "raw_format": "ndjson", "books": "OUT OF BALANCE"}
    monkeypatch.setattr(books, "ask", lambda *_: [row])
    with pytest.raises(CommandError, match="out of balance: 2024-11-29 ndjson"):
        books.show_file(stage.cloud, "a.ndjson", {}, Say())
