"""A day through both jobs, on each engine, over the live lake of the test."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from atlas import lake as keys
from atlas.ledger import day_state_key
from atlas.orders import OrderKind
from atlas.run_report import REPORT
from atlas.schema import DAILY_ACTIVITY, DATA_QUALITY, FILE_BOOKS, GOLD_TABLES, HOURLY_ACTIVITY, LOGS
from atlas.settings import JobSettings
from tests.engines.conftest import Process, on_duckdb
from tests.engines.outputs import gold, parquet, rows_under, totals
from tests.lake_under_test import FRIDAY, SATURDAY, LakeUnderTest

SAMPLE = Path(__file__).parents[2] / "sample-dataset"
TRUTH = json.loads((SAMPLE / "expected.json").read_text())


def access(second: int, **more: Any) -> str:
    record = {"timestamp": f"2024-11-29T10:00:{second:02d}Z", "ip": "192.0.2.1", "status": 200, "endpoint": "/"}
    return json.dumps({**record, **more})


def lines(*rows: str) -> bytes:
    return "\n".join(rows).encode()


def test_the_sample_days_come_out_as_their_generator_says(lake: LakeUnderTest, tmp_path: Path) -> None:
    """On DuckDB; on the local cloud Spark runs one of them to the same values."""

    def process(day: date) -> JobSettings:
        return on_duckdb(lake, tmp_path, day)

    for file in TRUTH["files"]:
        lake.drop(keys.RAW + file["path"], (SAMPLE / file["path"]).read_bytes())
    for day in (FRIDAY, SATURDAY):
        process(day)
        truth = TRUTH["days"][day.isoformat()]
        [activity] = gold(lake, DAILY_ACTIVITY, day)
        assert {name: activity[name] for name in truth["daily_activity"]} == truth["daily_activity"]
        for counts in ("requests_by_device", "requests_by_type", "requests_by_status", "requests_by_app"):
            assert sum(activity[counts].values()) == activity["total_requests"]
        found = {
            row["raw_format"]: {
                "files": row["files"],
                "records_in": row["records_in"],
                "rejected": row["rejected_by_reason"],
                "duplicates": row["duplicates"],
                "published": row["published"],
            }
            for row in gold(lake, DATA_QUALITY, day)
        }
        assert found == truth["formats"]
        assert sum(row["requests"] for row in gold(lake, HOURLY_ACTIVITY, day)) == activity["total_requests"]
        assert sum(row["published"] for row in gold(lake, FILE_BOOKS, day)) == activity["total_requests"]
    _refused_records_keep_the_producers_text(lake)
    _the_day_again_gives_the_same_gold(lake, process)


def _refused_records_keep_the_producers_text(lake: LakeUnderTest) -> None:
    """Checked against the files themselves: the text of line n is line n."""
    for day in (FRIDAY, SATURDAY):
        refused = rows_under(lake, keys.rejected_records_prefix(day))
        assert refused
        for row in refused:
            source = SAMPLE / row["source_file"].removeprefix(keys.RAW)
            if source.suffix in (".ndjson", ".log"):
                assert row["raw"] == source.read_text().split("\n")[row["source_line"] - 1].strip()
            else:
                assert row["raw"]


def _the_day_again_gives_the_same_gold(lake: LakeUnderTest, process: Process) -> None:
    before = {table.name: gold(lake, table, FRIDAY) for table in GOLD_TABLES}
    silver = sorted(rows_under(lake, keys.LOGS), key=str)
    process(FRIDAY)
    for row in (row for rows in before.values() for row in rows):
        assert row.pop("run_id") == "run-1"
        row["run_id"] = "run-3"
    assert {table.name: gold(lake, table, FRIDAY) for table in GOLD_TABLES} == before
    assert sorted(rows_under(lake, keys.LOGS), key=str) == silver
    assert lake.keys(keys.STAGING) == []


def test_silver_is_what_the_schema_says_in_types_that_every_engine_reads(
    lake: LakeUnderTest, process: Process
) -> None:
    lake.drop("raw/a.ndjson", lines(access(1, bytes=5), access(2, timestamp="2024-11-29T10:00:02.123456+00:00")))
    process(FRIDAY)
    [key] = lake.keys(keys.LOGS)
    assert key.startswith(keys.silver_day_prefix("access", FRIDAY))
    file = parquet(lake, key)
    assert file.schema_arrow.names == list(LOGS.column_names)
    stamp = file.schema.column(LOGS.column_names.index("event_timestamp"))
    assert stamp.physical_type == "INT64"
    assert str(stamp.logical_type).startswith("Timestamp(isAdjustedToUTC=true, timeUnit=microseconds")
    moments = [row["event_timestamp"].isoformat() for row in file.read().to_pylist()]
    assert sorted(moments) == ["2024-11-29T10:00:01+00:00", "2024-11-29T10:00:02.123456+00:00"]


def test_a_correction_replaces_its_records_and_the_same_bytes_again_count_only_then(
    lake: LakeUnderTest, process: Process
) -> None:
    first = lines(access(1), access(1), access(2), "{")
    lake.drop("raw/a.ndjson", first)
    process(FRIDAY)
    assert totals(lake, FRIDAY) == {"records_in": 4, "published": 3, "duplicates": 0, "rejected": 1}
    lake.drop("raw/copy.ndjson", first)
    lake.drop("raw/overlap.ndjson", lines(access(1), access(3)))
    process(FRIDAY)
    assert totals(lake, FRIDAY) == {"records_in": 6, "published": 4, "duplicates": 1, "rejected": 1}
    books_of = {row.pop("source_file"): row for row in gold(lake, FILE_BOOKS, FRIDAY)}
    common = {"raw_format": "ndjson", "run_id": gold(lake, DATA_QUALITY, FRIDAY)[0]["run_id"]}
    assert books_of == {
        "raw/a.ndjson": {
            **common, "records_in": 4, "normalized": 3, "rejected": 1, "duplicates": 0, "published": 3,
        },
        "raw/overlap.ndjson": {
            **common, "records_in": 2, "normalized": 2, "rejected": 0, "duplicates": 1, "published": 1,
        },
    }  # fmt: skip
    lake.drop("raw/a.ndjson", lines(access(7, status=404)))
    process(FRIDAY)
    assert totals(lake, FRIDAY) == {"records_in": 7, "published": 5, "duplicates": 1, "rejected": 1}
    assert {row["source_file"] for row in gold(lake, FILE_BOOKS, FRIDAY)} == {
        "raw/a.ndjson", "raw/copy.ndjson", "raw/overlap.ndjson",
    }  # fmt: skip
    lake.obey(OrderKind.WITHDRAW, "raw/copy.ndjson")
    process(FRIDAY)
    assert totals(lake, FRIDAY) == {"records_in": 3, "published": 3, "duplicates": 0, "rejected": 0}
    assert gold(lake, DAILY_ACTIVITY, FRIDAY)[0]["requests_by_status"] == {"200": 2, "404": 1}
    assert rows_under(lake, keys.REJECTED_RECORDS) == []


def test_a_log_type_that_vanished_from_a_day_vanishes_from_silver_and_other_days_stay(
    lake: LakeUnderTest, process: Process
) -> None:
    event = '{"timestamp": "2024-11-%dT10:00:00Z", "user_id": "u1", "action": "login"}'
    lake.drop("raw/a.ndjson", lines(access(1)))
    lake.drop("raw/app_log/b.log", lines(event % 29, event % 30))
    for day in (FRIDAY, SATURDAY):
        process(day)
    state = lake.ledger.get_item(Key=day_state_key(FRIDAY))["Item"]
    assert state["partitions"].split(",") == sorted(["access", "app", *(table.name for table in GOLD_TABLES)])
    lake.drop("raw/app_log/b.log", lines(event % 30))
    process(FRIDAY)
    assert lake.keys(keys.silver_day_prefix("access", FRIDAY))
    assert lake.keys(keys.silver_day_prefix("app", FRIDAY)) == []
    assert lake.keys(keys.silver_day_prefix("app", SATURDAY))
    assert totals(lake, FRIDAY)["published"] == 1


def test_a_day_on_which_nothing_came_has_its_rows_of_zeros(lake: LakeUnderTest, process: Process) -> None:
    process(SATURDAY)
    [activity] = gold(lake, DAILY_ACTIVITY, SATURDAY)
    assert (activity["total_requests"], activity["requests_by_app"], activity["day_of_week"]) == (0, {}, "Saturday")
    assert [row["raw_format"] for row in gold(lake, DATA_QUALITY, SATURDAY)] == ["(none)"]
    assert (gold(lake, HOURLY_ACTIVITY, SATURDAY), gold(lake, FILE_BOOKS, SATURDAY)) == ([], [])
    assert lake.keys(keys.LOGS) == []


def test_a_day_whose_files_were_all_withdrawn_or_emptied_is_published_as_zeros(
    lake: LakeUnderTest, process: Process
) -> None:
    lake.drop("raw/a.ndjson", lines(access(1), access(2), "{"))
    lake.drop("raw/app_log/b.log", b'{"timestamp": "2024-11-29T10:00:00Z", "user_id": "u1", "action": "login"}')
    process(FRIDAY)
    assert totals(lake, FRIDAY)["published"] == 3
    lake.obey(OrderKind.WITHDRAW, "raw/a.ndjson")
    lake.drop("raw/app_log/b.log", b"")
    process(FRIDAY)
    assert totals(lake, FRIDAY) == {"records_in": 0, "published": 0, "duplicates": 0, "rejected": 0}
    assert [row["raw_format"] for row in gold(lake, DATA_QUALITY, FRIDAY)] == ["(none)"]
    assert gold(lake, DAILY_ACTIVITY, FRIDAY)[0]["total_requests"] == 0
    assert (gold(lake, HOURLY_ACTIVITY, FRIDAY), gold(lake, FILE_BOOKS, FRIDAY)) == ([], [])
    assert lake.keys(keys.PROCESSED + "logs/") + lake.keys(keys.REJECTED_RECORDS) + lake.keys(keys.VALIDATED) == []


def test_what_came_and_what_became_of_it_is_announced(lake: LakeUnderTest, process: Process) -> None:
    lake.drop("raw/a.ndjson", lines(access(1), access(2, status=999), "{"))
    process(FRIDAY)
    [notice] = lake.notices()
    assert notice["subject"].endswith(" 2024-11-29 done")
    assert notice["attributes"] == [REPORT]  # by which the mails to people leave it out
    assert (notice["records_in"], notice["normalized"], notice["rejected"]) == (3, 1, 2)
    assert notice["formats"]["ndjson"]["rejected_by_reason"] == {"invalid_status_code": 1, "malformed_record": 1}


EXTREME = [  # each of them a line that ingestion takes, and that Spark's JSON reader would not by itself
    access(1, deep=0).replace('"deep": 0', '"deep": ' + "[" * 1010 + "]" * 1010),
    access(2, deep=0).replace('"deep": 0', '"deep": ' + '{"x":' * 1010 + "0" + "}" * 1010),
    access(3, long=0).replace('"long": 0', '"long": 0.' + "1" * 1_500),
    access(4, long="x" * 3_000_000),
    access(5).replace(", ", ",\r"),
    access(6, endpoint="/\u2028\u0085"),
    access(7, **{"": 1, "record": {"event_time": "1999-01-01T00:00:00Z"}, "line": 99, "error": "none"}),
    access(8, odd="\ud83d\ude00\x00\x7f"),
    access(9) + " \r",
]
REFUSED = [
    access(10, status="\u2028"),
    access(11) + "\u2029 and more",
    "x\r\ry",
    "\u0000" + "y" * 3_000_000,
]


def test_whatever_a_line_holds_the_engine_reads_it_as_ingestion_did(lake: LakeUnderTest, process: Process) -> None:
    lake.drop("raw/a.ndjson", lines(*EXTREME, *REFUSED))
    lake.drop("raw/b.ndjson", access(20).encode() + b"\n" + access(21).encode().replace(b"/", b"\xff"))
    process(FRIDAY)
    assert totals(lake, FRIDAY) == {
        "records_in": len(EXTREME) + len(REFUSED) + 2,
        "published": len(EXTREME) + 1,
        "duplicates": 0,
        "rejected": len(REFUSED) + 1,
    }
    silver = sorted(rows_under(lake, keys.LOGS), key=lambda row: row["event_timestamp"])
    assert [row["event_timestamp"].second for row in silver] == [*range(1, 10), 20]
    assert [row["source_line"] for row in silver] == [*range(1, 10), 1]
    assert silver[5]["endpoint"] == "/\u2028\u0085"
    refused = {row["raw"]: row["reason"] for row in rows_under(lake, keys.rejected_records_prefix(FRIDAY))}
    assert refused == {
        REFUSED[0]: "invalid_status_code",
        REFUSED[1]: "malformed_record",
        REFUSED[2]: "malformed_record",
        REFUSED[3]: "malformed_record",
        access(21).replace("/", "\\xff"): "invalid_bytes",
    }


FORMATS = sorted((Path(__file__).parents[1] / "formats").glob("*.input"))


def test_files_of_every_format_go_through_a_day_together_and_the_books_balance(
    lake: LakeUnderTest, tmp_path: Path
) -> None:
    """On DuckDB: test_equal_days.py holds Spark to the same."""
    for path in FORMATS:
        verdict = lake.drop(f"{keys.RAW}{path.stem}/{path.name}", path.read_bytes())
        assert verdict.entry is not None
        assert verdict.entry.format == path.stem
    on_duckdb(lake, tmp_path, FRIDAY)
    published = {row["raw_format"]: row["published"] for row in gold(lake, DATA_QUALITY, FRIDAY)}
    expected = {path.stem: json.loads(path.with_suffix(".expected.json").read_text()) for path in FORMATS}
    assert published == {
        name: sum(record["time"].startswith(FRIDAY.isoformat()) for record in sample["normalized"])
        for name, sample in expected.items()
    }
