"""Duplicates, gold and the books, as the SQL that both engines run."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas import books, sql
from atlas.schema import GOLD_TABLES
from tests.duckdb_engine import answer, day

copies = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["f1", "f2", "f3"])), max_size=30)


def log(log_id: str, file: str = "f1", **more: Any) -> dict[str, Any]:
    return {"log_id": log_id, "source_file": file, "raw_format": "ndjson", "log_type": "access", **more}


@given(copies)
@settings(max_examples=150, deadline=None)
def test_a_record_counts_as_often_as_the_file_that_holds_it_most_often_holds_it(
    rows: list[tuple[str, str]],
) -> None:
    connection = day([log(*row) for row in rows])
    kept = Counter(row["log_id"] for row in answer(connection, "SELECT log_id FROM distinct_records"))
    held = Counter(rows)
    assert kept == Counter({i: max(n for (j, _), n in held.items() if j == i) for i, _ in rows})


@given(copies)
@settings(max_examples=50, deadline=None)
def test_what_is_kept_comes_from_one_file_whole(rows: list[tuple[str, str]]) -> None:
    connection = day([log(*row) for row in rows])
    kept = Counter((r["log_id"], r["source_file"]) for r in answer(connection, "SELECT * FROM distinct_records"))
    assert len({log_id for log_id, _ in kept}) == len(kept)
    assert all(Counter(rows)[row] == times for row, times in kept.items())


@given(copies, copies)
@settings(max_examples=100, deadline=None)
def test_the_books_balance_whatever_came(rows: list[tuple[str, str]], bad: list[tuple[str, str]]) -> None:
    held = Counter(file for _, file in rows + bad)
    files = [{"source_file": file, "raw_format": "ndjson", "records": n} for file, n in held.items()]
    refused = [{"source_file": f, "raw_format": "ndjson", "reason": reason} for reason, f in bad]
    connection = day([log(*row) for row in rows], refused, files)
    assert answer(connection, sql.statement("unbalanced_files")) == []
    quality = answer(connection, sql.statement("gold/data_quality"))
    books.check_formats(quality)
    assert sum(row["records_in"] for row in quality) == len(rows) + len(bad)
    assert sum(row["published"] + row["duplicates"] + row["rejected"] for row in quality) == len(rows) + len(bad)
    assert Counter(dict(quality[0]["rejected_by_reason"])) == Counter(reason for reason, _ in bad)
    by_file = {row["source_file"]: row for row in answer(connection, sql.statement("gold/file_books"))}
    assert {file: row["records_in"] for file, row in by_file.items()} == held
    for counted, came in (("normalized", rows), ("rejected", bad)):
        assert {file: row[counted] for file, row in by_file.items()} == {
            file: sum(source == file for _, source in came) for file in held
        }
    for counted in ("published", "duplicates"):
        assert sum(row[counted] for row in by_file.values()) == sum(row[counted] for row in quality)


@pytest.mark.parametrize(("claimed", "difference"), [(3, "-1"), (1, r"\+1")])
def test_a_file_that_does_not_add_up_is_named_with_its_difference(claimed: int, difference: str) -> None:
    connection = day(
        [log("a"), log("b")], files=[{"source_file": "f1", "raw_format": "ndjson", "records": claimed}]
    )
    with pytest.raises(books.BooksError, match=rf"f1: {claimed} records in, but 2 in silver .*\({difference}\)"):
        books.check_files(answer(connection, sql.statement("unbalanced_files")))
    with pytest.raises(books.BooksError, match="ndjson: "):
        books.check_formats(answer(connection, sql.statement("gold/data_quality")))


def test_a_file_of_which_a_record_is_neither_published_nor_a_duplicate_is_named_with_the_difference() -> None:
    rows = [log("a"), log("b"), log("a", "f2")]
    files = [{"source_file": f, "raw_format": "ndjson", "records": n} for f, n in (("f1", 2), ("f2", 1))]
    connection = day(rows, files=files)
    connection.execute("CREATE OR REPLACE TEMP VIEW distinct_records AS SELECT * FROM logs WHERE log_id = 'a'")
    found = answer(connection, sql.statement("unbalanced_files"))
    message = r"f1: 2 in silver, but 1 published and 0 dup\w+ \(-1\); f2: 1 in silver, .* and 1 duplicates \(\+1\)"
    with pytest.raises(books.BooksError, match=message):
        books.check_files(found)
    books.check_files([])


def test_many_files_out_of_balance_are_named_up_to_twenty_and_counted() -> None:
    rows = answer(day([log("a", f"f{n:03d}") for n in range(25)]), sql.statement("unbalanced_files"))
    with pytest.raises(
        books.BooksError, match=r"f000: 0 records in.* f019: .*and 5 more files; .atlas replay FILE. reads"
    ):
        books.check_files(rows)


def test_before_anybody_has_looked_for_duplicates_the_books_are_checked_without_them() -> None:
    connection = day([log("a")], files=[{"source_file": "f1", "raw_format": "ndjson", "records": 1}])
    statement = sql.statement(sql.CHECK_VIEWS["file_books"])
    connection.execute(f"CREATE OR REPLACE TEMP VIEW file_books AS {statement}")
    assert answer(connection, sql.statement("unbalanced_files")) == []
    [quality] = answer(connection, sql.statement("gold/data_quality"))
    assert (quality["normalized"], quality["duplicates"], quality["published"]) == (1, None, None)
    books.check_formats([quality])


def test_records_of_a_file_that_the_manifest_does_not_know_are_out_of_balance() -> None:
    rows = answer(day([log("a", "stray")]), sql.statement("unbalanced_files"))
    assert [(row["source_file"], row["records_in"], row["normalized"]) for row in rows] == [("stray", 0, 1)]


def test_a_day_without_records_has_its_rows_of_zeros() -> None:
    connection = day([])
    [activity] = answer(connection, sql.statement("gold/daily_activity"))
    assert activity == {
        "total_requests": 0, "total_errors": 0, "unique_ips": 0, "requests_by_device": [], "requests_by_type": [],
        "requests_by_status": [], "requests_by_app": [], "error_rate": 0.0, "day_of_week": "Friday",
        "run_id": "run-1",
    }  # fmt: skip
    assert answer(connection, sql.statement("gold/hourly_activity")) == []
    [quality] = answer(connection, sql.statement("gold/data_quality"))
    assert (quality["raw_format"], quality["records_in"], quality["published"]) == ("(none)", 0, 0)
    assert quality["rejected_by_reason"] == []


def test_daily_activity_counts_what_it_says() -> None:
    rows = [
        log("a", status_code=200, device="mobile", request_type="GET", app_name="web", ip_address="192.0.2.1"),
        log("b", status_code=404, device="mobile", request_type="GET", app_name="web", ip_address="192.0.2.1"),
        log("c", status_code=503, ip_address="192.0.2.2"),
        log("d", level="FATAL", app_name="jobs"),
        log(
            "a", "f2", status_code=200, device="mobile", request_type="GET", app_name="web", ip_address="192.0.2.1"
        ),
    ]
    [found] = answer(day(rows), sql.statement("gold/daily_activity"))
    assert found == {
        "total_requests": 4, "total_errors": 3, "unique_ips": 2, "error_rate": 0.75, "day_of_week": "Friday",
        "requests_by_device": [("(none)", 2), ("mobile", 2)], "requests_by_type": [("(none)", 2), ("GET", 2)],
        "requests_by_status": [("(none)", 1), ("200", 1), ("404", 1), ("503", 1)],
        "requests_by_app": [("(none)", 1), ("jobs", 1), ("web", 2)], "run_id": "run-1",
    }  # fmt: skip


def test_hourly_activity_counts_by_hour_application_and_type() -> None:
    nine, ten = datetime(2024, 11, 29, 9, 59, tzinfo=UTC), datetime(2024, 11, 29, 10, tzinfo=UTC)
    rows = [
        log("a", event_timestamp=nine, app_name="web", status_code=200, duration_ms=10.0, ip_address="x"),
        log("b", event_timestamp=nine, app_name="web", status_code=499, duration_ms=20.0, ip_address="x"),
        log("c", event_timestamp=nine, app_name="web", status_code=500, duration_ms=30.0),
        log("d", event_timestamp=ten),
    ]
    first, second = answer(day(rows), sql.statement("gold/hourly_activity"))
    assert first == {
        "hour": 9, "app_name": "web", "log_type": "access", "requests": 3, "errors_4xx": 1, "errors_5xx": 1,
        "unique_ips": 1, "p50_duration_ms": 20.0, "p95_duration_ms": 30.0, "run_id": "run-1",
    }  # fmt: skip
    assert (second["hour"], second["app_name"], second["p50_duration_ms"]) == (10, "(none)", None)


def test_endpoint_activity_counts_by_application_method_endpoint_and_status_class() -> None:
    asked = {"app_name": "web", "request_type": "GET", "endpoint": "/"}
    rows = [
        *(log(f"a{n}", **asked, status_code=200 + n, duration_ms=float(n)) for n in range(20)),
        log("b", **asked, status_code=503, duration_ms=5.0),
        log("c", **asked, status_code=200, level="ERROR"),
        log("d", level="FATAL"),
    ]
    found = answer(day(rows), sql.statement("gold/endpoint_activity"))
    assert [tuple(row.values()) for row in found] == [
        ("web", "GET", "/", "2xx", 21, 1, 18.0, "run-1"),
        ("(none)", "(none)", "(none)", "(none)", 1, 1, None, "run-1"),
        ("web", "GET", "/", "5xx", 1, 1, 5.0, "run-1"),
    ]


def test_endpoints_beyond_the_thousand_most_frequent_are_one_row_and_none_is_lost() -> None:
    rows = [
        log(f"{n}-{copy}", endpoint=f"/{n:04d}", status_code=500 if n % 2 else 200, duration_ms=1.0)
        for n in range(1_005)
        for copy in range(2 if n >= 1_000 else 1)
    ]
    connection = day(rows)
    found = answer(connection, sql.statement("gold/endpoint_activity"))
    assert len(found) == 1_001
    assert {row["endpoint"] for row in found} == {
        "(other)", *(f"/{n:04d}" for n in range(995)), *(f"/{n:04d}" for n in range(1_000, 1_005)),
    }  # fmt: skip
    [other] = [row for row in found if row["endpoint"] == "(other)"]
    names = ("app_name", "request_type", "status_class", "requests", "errors", "p95_duration_ms")
    assert tuple(other[name] for name in names) == ("(other)", "(other)", "(other)", 5, 3, None)
    [activity] = answer(connection, sql.statement("gold/daily_activity"))
    assert sum(row["requests"] for row in found) == activity["total_requests"] == len(rows)
    assert sum(row["errors"] for row in found) == activity["total_errors"]


def test_login_activity_counts_sign_ins_by_quarter_source_and_user() -> None:
    def at(hour: int, minute: int, second: int = 0) -> datetime:
        return datetime(2024, 11, 29, hour, minute, second, tzinfo=UTC)

    rows = [
        log("a", event_timestamp=at(9, 14, 59), action="login", user_id="u1"),
        log("b", event_timestamp=at(9, 15), action="login", user_id="u1"),
        log("c", event_timestamp=at(9, 29, 59), action="login", user_id="u1"),
        log("d", event_timestamp=at(9, 59, 59), action="login"),
        log("e", event_timestamp=at(9, 30), action="logout", user_id="u1"),
        log("f", event_timestamp=at(23, 45), action="login", user_id="u2"),
        log("f", "f2", event_timestamp=at(23, 45), action="login", user_id="u2"),
    ]
    connection = day(rows)
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW settled_events AS SELECT * FROM (VALUES "
        "(TIMESTAMPTZ '2024-11-29 09:44:59.999+00', 'login', 'u1', 1), "
        "(TIMESTAMPTZ '2024-11-29 09:44:59.999+00', 'login', 'u1', 2), "
        "(TIMESTAMPTZ '2024-11-29 09:44:59.999+00', 'logout', 'u1', 1)) "
        "AS e (event_timestamp, action, user_id, place)"
    )
    found = answer(connection, sql.statement("gold/login_activity"))
    told = [(row["quarter"], row["source"], row["user_id"], row["logins"]) for row in found]
    assert told == [
        (at(9, 0), "logs", "u1", 1),
        (at(9, 15), "logs", "u1", 2),
        (at(9, 30), "events", "u1", 1),
        (at(9, 45), "logs", None, 1),
        (at(23, 45), "logs", "u2", 1),
    ]


@pytest.mark.parametrize("table", GOLD_TABLES, ids=lambda table: table.name)
def test_every_gold_table_is_its_statements_columns_in_order(table: Any) -> None:
    relation = day([log("a")]).sql(sql.statement(f"gold/{table.name}"))
    assert tuple(relation.columns) == table.column_names
