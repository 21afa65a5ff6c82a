"""The query API: what is asked of Athena, how it looks as an answer, and for how long an answer holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from urllib.parse import urlsplit

import jsonschema_rs
import pytest

from tests.queries_under_test import (
    FRIDAY,
    QUESTIONS,
    SATURDAY,
    QueriesUnderTest,
    Rows,
    queries_under_test,
)

DAY = {"date": "2024-11-29", "day_of_week": "Friday", "total_requests": 3, "total_errors": 1, "error_rate": 1 / 3,
       "unique_ips": 2, "requests_by_device": '{"mobile":3}', "requests_by_type": '{"GET":3}',
       "requests_by_status": '{"200":2,"500":1}', "requests_by_app": "{}", "run_id": "r-1"}  # fmt: skip
REFUSED = {"date": "2024-11-29", "reason": "missing_field", "detail": None, "raw_format": "ndjson",
           "source_file": "raw/a.ndjson", "source_line": 7, "raw": "{}", "in_all": 1, "place": 1}  # fmt: skip
ROWS: dict[str, Rows] = {
    "daily_detail": [DAY],
    "hourly_activity": [
        {"date": "2024-11-29", "hour": 9, "app_name": "web", "log_type": "access", "requests": 3, "errors_4xx": 0,
         "errors_5xx": 1, "unique_ips": 2, "p50_duration_ms": None, "p95_duration_ms": None},
    ],
    "endpoints": [
        {"app_name": "web", "request_type": "GET", "endpoint": "/", "requests": 3, "errors": 1, "error_rate": 1 / 3,
         "p95_duration_ms": 12.5},
    ],
    "errors": [
        {"app_name": "web", "request_type": "GET", "endpoint": "/", "status_class": "5xx", "errors": 1},
        {"app_name": "web", "request_type": "GET", "endpoint": "/b", "status_class": "4xx", "errors": 2},
    ],
    "books": [
        {"date": "2024-11-29", "raw_format": "ndjson", "outcome": "published", "files": 1, "records_in": 4,
         "published": 3, "duplicates": 0, "rejected": 1, "books": "balanced"},
        {"date": "2024-11-29", "raw_format": "ndjson", "outcome": "failed", "files": 1, "records_in": 4,
         "published": 3, "duplicates": None, "rejected": 0, "books": "OUT OF BALANCE"},
    ],
    "refusals": [REFUSED],
    "freshness": [{"last_published": "2024-11-29", "days_behind": 1, "days_published": 1, "days_missing": 29}],
    "logins_by_day": [{"date": "2024-11-29", "source": "logs", "logins": 5, "users": 4}],
    "logins_today": [
        {"source": "all", "logins": 5, "users": 4}, {"source": "events", "logins": 2, "users": 2},
        {"source": "logs", "logins": 3, "users": 3},
    ],
}  # fmt: skip
OF_GOLD = (
    "/daily_activity?from=2024-11-29&to=2024-11-30",
    "/daily_activity/2024-11-29",
    "/hourly_activity/2024-11-29",
    "/endpoints?from=2024-11-29&to=2024-11-30&most=7",
    "/endpoints/2024-11-29",
    "/errors/2024-11-29",
    "/books?from=2024-11-29&to=2024-11-30",
    "/books/2024-11-29",
    "/refusals/2024-11-29?limit=5",
    "/freshness",
    "/logins?from=2024-11-29&to=2024-11-30",
)
KEPT = "/daily_activity/2024-11-29"


def canned(question: str, _: Sequence[str]) -> Rows:
    return ROWS[question]


@cache
def canned_api() -> QueriesUnderTest:
    """To be reset before use: making one takes a while."""
    return queries_under_test(canned)


@pytest.fixture
def api() -> QueriesUnderTest:
    """Friday is published, and Athena sees it."""
    return friday(canned_api())


def friday(made: QueriesUnderTest) -> QueriesUnderTest:
    """As new, with Friday published three hours ago."""
    made.reset()
    made.athena.answering = canned
    made.lake.publish(FRIDAY)
    made.catalog.enter(FRIDAY)
    made.clock.pass_by(3 * 3600)
    return made


def _schema(api: QueriesUnderTest, url: str) -> jsonschema_rs.Draft202012Validator:
    """What the API's own document says of the answer 200 to a request."""
    document = api.app.openapi()
    path = urlsplit(url).path.replace("2024-11-29", "{date}")
    schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": document["components"]}, validate_formats=True
    )


@pytest.mark.parametrize("url", [*OF_GOLD, "/logins_today"])
def test_every_answer_is_what_the_document_says_and_every_question_goes_as_it_is_written(
    api: QueriesUnderTest, url: str
) -> None:
    answer = api.get(url)
    assert answer.status == 200, answer.text
    _schema(api, url).validate(answer.body)
    [started] = api.athena.started.values()
    assert started.text.partition("\n")[2] in [question.sql for question in QUESTIONS.values()]
    assert "2024" not in started.text.partition("\n")[0]
    assert started.workgroup == "atlas-api-local"


def test_numbers_are_those_of_the_rows(api: QueriesUnderTest) -> None:
    day = api.get(KEPT).body
    assert day == {**DAY, **{name: json.loads(str(DAY[name])) for name in DAY if name.startswith("requests_by")}}
    assert api.get("/errors/2024-11-29").body["total_errors"] == 3
    assert [row["balanced"] for row in api.get("/books/2024-11-29").body["items"]] == [True, False]
    assert api.get("/freshness").body == {
        "today": "2024-12-01", "last_published": "2024-11-29", "published_at": "2024-12-01T10:30:00Z",
        "days_behind": 1, "days_published": 1, "days_missing": 29,
    }  # fmt: skip
    today = api.get("/logins_today").body
    assert (today["logins"], today["users"], [row["source"] for row in today["sources"]]) == (
        5,
        4,
        ["events", "logs"],
    )


@pytest.mark.parametrize(
    ("zone", "now", "begins", "ends"),
    [
        ("UTC", datetime(2024, 12, 1, 0, 0), "2024-12-01T00:00:00Z", "2024-12-02T00:00:00Z"),
        ("Europe/Berlin", datetime(2024, 3, 31, 12, 0), "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"),
        ("America/New_York", datetime(2024, 11, 3, 12, 0), "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"),
        ("Asia/Kathmandu", datetime(2024, 12, 1, 18, 15), "2024-12-01T18:15:00Z", "2024-12-02T18:15:00Z"),
        ("Asia/Beirut", datetime(2024, 3, 31, 1, 0), "2024-03-30T22:00:00Z", "2024-03-31T21:00:00Z"),
    ],
)  # fmt: skip
def test_today_is_the_zones_own_day_of_23_to_25_hours(
    api: QueriesUnderTest, zone: str, now: datetime, begins: str, ends: str
) -> None:
    api.clock.now = now.replace(tzinfo=UTC)
    answer = api.get(f"/logins_today?zone={zone}")
    assert (answer.body["from"], answer.body["to"]) == (begins, ends)
    [started] = api.athena.started.values()
    assert {text.strip("'").replace(" ", "T") + "Z" for text in started.literals} == {begins, ends}
    assert answer.etag is None
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("url", OF_GOLD)
def test_a_day_is_asked_of_athena_once_until_it_is_published_again(api: QueriesUnderTest, url: str) -> None:
    first = api.get(url)
    assert first.headers["cache-control"] == "private, no-cache"
    assert api.get(url).text == first.text
    unchanged = api.get(url, {"if-none-match": f'"other", {first.etag}'})
    assert (unchanged.status, unchanged.text, unchanged.etag) == (304, "", first.etag)
    assert len(api.athena.started) == 1

    api.lake.publish(FRIDAY)
    again = api.get(url, {"if-none-match": str(first.etag)})
    assert again.status == 200
    assert again.etag != first.etag
    assert len(api.athena.started) == 2
    assert [told["answered"] for told in api.told] == ["asked", "kept", "unchanged", "asked"]


def test_an_answer_is_another_one_if_its_parameters_are(api: QueriesUnderTest) -> None:
    etags = {api.get(f"/endpoints/2024-11-29?most={most}").etag for most in (1, 2)}
    assert len(etags | {api.get("/endpoints?from=2024-11-29&to=2024-11-29&most=3").etag}) == 3


def test_resources_that_ask_the_same_question_have_answers_of_their_own(api: QueriesUnderTest) -> None:
    pairs = (
        ("/daily_activity?from=2024-11-29&to=2024-11-29", "/daily_activity/2024-11-29"),
        ("/endpoints?from=2024-11-29&to=2024-11-29", "/endpoints/2024-11-29"),
        ("/books?from=2024-11-29&to=2024-11-29", "/books/2024-11-29"),
    )
    for of_days, of_day in pairs:
        for url in (of_days, of_day):
            _schema(api, url).validate(api.get(url).body)
        assert api.get(of_days).etag != api.get(of_day).etag


def test_a_day_that_is_published_while_it_is_asked_for_is_asked_for_once_more(api: QueriesUnderTest) -> None:
    def once() -> None:
        if len(api.athena.started) == 1:
            api.lake.publish(FRIDAY)

    api.athena.while_running = once
    first = api.get(KEPT)
    assert len(api.athena.started) == 2
    assert api.get(KEPT).etag == first.etag is not None

    api.athena.while_running = lambda: api.lake.publish(FRIDAY)
    api.lake.publish(FRIDAY)
    restless = api.get(KEPT)
    assert len(api.athena.started) == 4
    assert (restless.etag, restless.headers["cache-control"]) == (None, "no-store")


def test_a_day_that_was_never_processed_is_404_and_asks_nothing(api: QueriesUnderTest) -> None:
    missing = api.get("/daily_activity/2024-11-28")
    assert (missing.status, missing.body["detail"]) == (404, "2024-11-28 was never processed.")
    assert api.get("/books?from=2024-11-01&to=2024-11-28").body["items"] == []
    assert api.athena.started == {}


def test_a_day_whose_partitions_are_not_entered_yet_is_not_called_missing_and_not_kept(
    api: QueriesUnderTest,
) -> None:
    api.lake.publish(SATURDAY)
    api.athena.answering = lambda *_: []
    soon = api.get("/daily_activity/2024-11-30")
    assert (soon.status, soon.headers["retry-after"]) == (503, "5")
    books = api.get("/books/2024-11-30")
    assert (books.status, books.etag) == (200, None)

    api.catalog.enter(SATURDAY)
    api.athena.answering = canned
    assert api.get("/books/2024-11-30").etag is not None
