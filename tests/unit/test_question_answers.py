"""What questions answer on tables of known rows, where the sample data cannot tell: events, zones, copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas import lake, questions, schema
from atlas_cli.local.athena_queries import bind
from atlas_cli.local.athena_tables import PRELUDE, duckdb_type

QUESTIONS = questions.load()
TODAY = date(2025, 3, 31)
QUARTER = timedelta(minutes=15)
START = datetime(2025, 3, 28, tzinfo=UTC)


def catalog(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> duckdb.DuckDBPyConnection:
    """The catalog's tables and views with these rows; what a row lacks is null. Days come from event_timestamp."""
    connection = duckdb.connect()
    connection.execute(PRELUDE)
    for table in schema.TABLES:
        columns = (*table.columns, *table.partition_keys)
        typed = ", ".join(f'"{column.name}" {duckdb_type(column.type)}' for column in columns)
        connection.execute(f"CREATE TABLE {table.name} ({typed})")
        rows = [_with_day(row) for row in tables.get(table.name, ())]
        if rows:
            marks = ", ".join("?" for _ in columns)
            given = [[row.get(column.name) for column in columns] for row in rows]
            connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", given)
    for view in questions.load(questions.VIEWS).values():
        connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
    return connection


def _with_day(row: Mapping[str, Any]) -> dict[str, Any]:
    moment = row.get("event_timestamp")
    if moment is None:
        return dict(row)
    year, month, day = lake.day_values(moment.date())
    return {"year": year, "month": month, "day": day, **row, "event_timestamp": moment.replace(tzinfo=None)}


def ask(connection: duckdb.DuckDBPyConnection, name: str, **given: str) -> list[dict[str, Any]]:
    question = QUESTIONS[name]
    values = {key.rstrip("_"): value for key, value in given.items()}
    rows: list[dict[str, Any]] = (
        connection.sql(bind(question.sql, question.literals(values, TODAY))).to_arrow_table().to_pylist()
    )
    return rows


@dataclass(frozen=True)
class SignIn:
    """One that happened `minutes` after START; `copies` times delivered if it is an event."""

    minutes: int
    user: str | None
    source: str
    copies: int = 1

    @property
    def at(self) -> datetime:
        return START + timedelta(minutes=self.minutes)


def signed_in(happened: Sequence[SignIn]) -> duckdb.DuckDBPyConnection:
    """As events that arrived, some of them more than once, and as gold of log files and events."""
    events, gold = [], Counter[tuple[datetime, str, str | None]]()
    for n, one in enumerate(happened):
        gold[one.at - (one.at - START) % QUARTER, one.source, one.user] += 1
        if one.source == "events":
            events += [
                {
                    "client_id": "shop", "event_id": f"e{n}", "event_timestamp": one.at, "user_id": one.user,
                    "action": "login", "received_at": one.at.replace(tzinfo=None), "request_id": f"r{copy}",
                    "position": n,
                }
                for copy in range(one.copies)
            ]  # fmt: skip
            events.append({**events[-1], "event_id": f"x{n}", "action": "logout"})
    rows = [
        {"quarter": at.replace(tzinfo=None), "source": source, "user_id": user, "logins": n, "date": at.date()}
        for (at, source, user), n in gold.items()
    ]
    return catalog({"events": events, "login_activity": rows})


sign_ins = st.lists(
    st.builds(
        SignIn,
        st.integers(0, 5 * 24 * 60 - 1),
        st.sampled_from([None, "u1", "u2", "u3"]),
        st.sampled_from(["logs", "events"]),
        st.integers(1, 3),
    ),
    max_size=40,
)
# Among them the day of London that has 23 hours, and days that begin at odd times of the UTC day.
zones = st.sampled_from(["UTC", "Europe/London", "America/St_Johns", "Asia/Kathmandu", "Pacific/Kiritimati"])


@given(sign_ins, zones, st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_sign_ins_of_a_local_day_are_those_that_its_clocks_saw(
    happened: list[SignIn], zone: str, offset: int
) -> None:
    day = START.date() + timedelta(offset)
    begins, ends = (
        datetime(each.year, each.month, each.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for each in (day, day + timedelta(1))
    )
    of_day = [one for one in happened if one.at.astimezone(ZoneInfo(zone)).date() == day]
    rows = ask(
        signed_in(happened), "logins_today", from_=f"{begins:%Y-%m-%dT%H:%M:%SZ}", to=f"{ends:%Y-%m-%dT%H:%M:%SZ}"
    )
    assert {row["source"]: (row["logins"], row["users"]) for row in rows} == {
        name: (len(chosen), len({one.user for one in chosen if one.user}))
        for name, chosen in {
            "all": of_day,
            "logs": [one for one in of_day if one.source == "logs"],
            "events": [one for one in of_day if one.source == "events"],
        }.items()
    }


@pytest.mark.parametrize(
    ("begins", "ends", "logins"),
    [
        ("2025-03-28T00:00:00Z", "2025-04-02T00:00:00Z", 120),
        ("2025-03-29T23:45:00Z", "2025-03-31T00:45:00Z", 25),  # as long as a day can be, and of three UTC days
    ],
)
def test_whichever_utc_days_a_span_touches_all_of_it_counts(begins: str, ends: str, logins: int) -> None:
    happened = [SignIn(hour * 60, "u1", source) for hour in range(5 * 24 + 1) for source in ("logs", "events")]
    rows = ask(signed_in(happened), "logins_today", from_=begins, to=ends)
    assert [(row["source"], row["logins"]) for row in rows] == [
        ("all", 2 * logins), ("events", logins), ("logs", logins),
    ]  # fmt: skip


def test_a_sign_in_is_in_the_view_as_often_as_gold_counts_it() -> None:
    moment = datetime(2024, 11, 29, 10, tzinfo=UTC)
    record = {"event_timestamp": moment, "action": "login", "log_type": "app", "app_name": "web", "user_id": "u1"}
    logs = [
        *({**record, "log_id": "a", "source_file": "raw/1", "source_line": line} for line in (1, 2)),
        *({**record, "log_id": "a", "source_file": "raw/2", "source_line": line} for line in (4, 5, 6)),
        {**record, "log_id": "b", "source_file": "raw/1", "source_line": 9, "action": "logout"},
    ]
    event = {"event_timestamp": moment, "client_id": "shop", "event_id": "e", "action": "login", "request_id": "r"}
    events = [
        {**event, "user_id": "first", "received_at": datetime(2024, 11, 29, 11), "position": 3},
        {**event, "user_id": "late", "received_at": datetime(2024, 11, 29, 12), "position": 1},
    ]
    rows = ask(catalog({"logs": logs, "events": events}), "logins", date="2024-11-29")
    told = [(row["source"], row["app"], row["user_id"], row["source_file"], row["source_line"]) for row in rows]
    assert told == [
        ("events", "shop", "first", "events/shop", 3),
        ("logs", "web", "u1", "raw/2", 4),
        ("logs", "web", "u1", "raw/2", 5),
        ("logs", "web", "u1", "raw/2", 6),
    ]
    assert ask(catalog({"logs": logs}), "logins", date="2024-11-30") == []


def test_a_request_is_found_among_records_events_and_what_was_refused() -> None:
    at = datetime(2024, 11, 29, 10, tzinfo=UTC)
    tables = {
        "logs": [
            {"event_timestamp": at, "request_id": name, "log_type": "api", "source_file": "raw/a", "source_line": n}
            for n, name in ((7, "r-1"), (8, "r-2"))
        ],
        "events": [
            {"event_timestamp": at, "request_id": "r-1", "client_id": "shop", "position": 2, "action": "buy"}
        ],
        "rejected_records": [
            {"event_timestamp": at, "raw": '{"request": "r-1"}', "source_file": "raw/b", "source_line": 3,
             "raw_format": "ndjson", "reason": "missing_field", "detail": "endpoint"},
            {"event_timestamp": at, "raw": "{}", "source_file": "events/shop", "source_line": 1,
             "raw_format": "events", "reason": "not_delivered", "request_id": "r-1"},
            {"event_timestamp": at, "raw": "{}", "source_file": "raw/c", "source_line": 1, "raw_format": "ndjson",
             "reason": "missing_field"},
        ],
    }  # fmt: skip
    connection = catalog(tables)
    rows = ask(connection, "trace_request", date="2024-11-29", request_id="r-1")
    assert [(row["what"], row["source_file"], row["source_line"], row["detail"]) for row in rows] == [
        ("event", "events/shop", 2, "buy"),
        ("log record", "raw/a", 7, None),
        ("refused", "events/shop", 1, "not_delivered"),
        ("refused", "raw/b", 3, "missing_field: endpoint"),
    ]
    assert ask(connection, "trace_request", date="2024-11-29", request_id="") == []


def test_pages_of_refused_records_follow_each_other_and_miss_none() -> None:
    at = datetime(2024, 11, 29, 10, tzinfo=UTC)
    connection = catalog(
        {"rejected_records": [{"event_timestamp": at, "source_file": "f", "source_line": n} for n in range(1, 8)]}
    )
    lines, after = [], 0
    while page := ask(connection, "refusals", after=str(after), most="3"):
        assert {row["in_all"] for row in page} == {7}
        lines.append([row["source_line"] for row in page])
        after = page[-1]["place"]
    assert lines == [[1, 2, 3], [4, 5, 6], [7]]


@pytest.mark.parametrize(
    ("published", "today", "expected"),
    [
        ([], "2025-03-31", (None, None, 0, 30)),
        (["2025-03-30"], "2025-03-31", (date(2025, 3, 30), 0, 1, 29)),
        (["2025-03-31"], "2025-03-31", (date(2025, 3, 31), 0, 0, 30)),
        (["2025-02-28", "2025-03-01", "2025-03-20"], "2025-03-31", (date(2025, 3, 20), 10, 2, 28)),
        (["2025-04-01", "2024-01-01"], "2025-03-31", (date(2024, 1, 1), 454, 0, 30)),
    ],
)
def test_freshness_is_how_far_the_last_published_day_is_from_yesterday(
    published: list[str], today: str, expected: tuple[Any, ...]
) -> None:
    books = [
        {"date": date.fromisoformat(day), "raw_format": name, "outcome": "published"}
        for day in published
        for name in ("ndjson", "app_log")
    ]
    books.append({"date": date(2025, 3, 30), "raw_format": "ndjson", "outcome": "failed"})
    [row] = ask(catalog({"data_quality": books}), "freshness", today=today)
    assert tuple(row.values()) == expected


def test_a_trend_compares_days_in_a_row_only_and_averages_over_a_week() -> None:
    days = {"2025-03-01": 100, "2025-03-02": 150, "2025-03-04": 0, "2025-03-05": 10, "2025-03-09": 20}
    activity = [
        {"date": date.fromisoformat(day), "total_requests": n, "error_rate": 0.0} for day, n in days.items()
    ]
    rows = ask(catalog({"daily_activity": activity}), "trend")
    assert [(row["change_percent"], row["seven_day_average"]) for row in rows] == [
        (None, 100.0), (50.0, 125.0), (None, 83.3), (None, 65.0), (None, 10.0),
    ]  # fmt: skip
