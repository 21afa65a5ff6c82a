"""The query API through its real endpoint, on the stacks that deploy, with the sample published."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from atlas import access
from atlas_cli.cloud import Cloud
from atlas_cli.console import Say
from atlas_cli.put import put
from atlas_cli.query import ask
from atlas_cli.run import run
from tests.e2e.asking import Asking, register, token_of
from tests.e2e.conftest import Sample
from tests.e2e.days import files
from tests.e2e.sending import forged

RERUN = "2025-03-08"
NEVER = "2025-03-09"
AUDIENCE = access.audience("local", access.QUERIES_API)

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Asking:
    return Asking(cloud, token_of(cloud, register(cloud, "board")))


def test_daily_numbers_are_those_of_the_samples_generator(api: Asking, sample: Sample) -> None:
    first, last = sample.days
    told = api.told(f"/daily_activity?from={first}&to={last}")
    assert (told["from"], told["to"], [item["date"] for item in told["items"]]) == (first, last, sample.days)
    for item in told["items"]:
        expected = sample.truth["days"][item["date"]]["daily_activity"]
        assert {name: item[name] for name in expected} == expected
        assert sum(item["requests_by_device"].values()) == item["total_requests"]
        assert api.told(f"/daily_activity/{item['date']}") == item


def test_hours_endpoints_and_errors_sum_to_the_day(api: Asking, sample: Sample) -> None:
    for day in sample.days:
        expected = sample.truth["days"][day]["daily_activity"]
        hours = api.told(f"/hourly_activity/{day}")["items"]
        assert sum(hour["requests"] for hour in hours) == expected["total_requests"]
        assert {hour["hour"] for hour in hours} <= set(range(24))
        endpoints = api.told(f"/endpoints/{day}?most=1000")["items"]
        assert sum(endpoint["requests"] for endpoint in endpoints) == expected["total_requests"]
        errors = api.told(f"/errors/{day}")
        assert errors["total_errors"] == expected["total_errors"]
        assert sum(item["errors"] for item in errors["items"]) == expected["total_errors"]
    few = api.told(f"/endpoints?from={sample.days[0]}&to={sample.days[-1]}&most=3")["items"]
    assert [item["requests"] for item in few] == sorted((item["requests"] for item in few), reverse=True)
    assert len(few) == 3


def test_books_and_refused_records_are_those_of_the_samples_generator(api: Asking, sample: Sample) -> None:
    for day in sample.days:
        formats = sample.truth["days"][day]["formats"]
        books = {item["raw_format"]: item for item in api.told(f"/books/{day}")["items"]}
        assert set(books) == set(formats)
        for name, item in books.items():
            rejected = formats[name]["rejected"]
            expected = {**formats[name], "rejected": sum(rejected.values()), "balanced": True}
            assert {key: item[key] for key in expected} == expected
        reasons: Counter[str] = Counter()
        for told in formats.values():
            reasons.update(told["rejected"])
        assert Counter(item["reason"] for item in _all_refusals(api, day)) == reasons


def _all_refusals(api: Asking, day: str) -> list[dict[str, Any]]:
    """Page by page."""
    page = api.told(f"/refusals/{day}?limit=7")
    items, in_all = list(page["items"]), page["in_all"]
    while page["next"]:
        page = api.told(f"/refusals/{day}?limit=7&next={page['next']}")
        items += page["items"]
    assert len(items) == in_all == len({item["place"] for item in items})
    assert all(item["source_file"].startswith("raw/") and item["meaning"] for item in items)
    return items


def test_logins_and_freshness_are_answered(api: Asking, sample: Sample) -> None:
    logins = api.told(f"/logins?from={sample.days[0]}&to={sample.days[-1]}")["items"]
    assert {item["source"] for item in logins} == {"logs"}
    assert sum(item["logins"] for item in logins) > 0
    today = api.get("/logins_today?zone=Pacific/Auckland")
    assert (today.status, today.headers["cache-control"]) == (200, "no-store")
    assert today.json()["zone"] == "Pacific/Auckland"
    fresh = api.told("/freshness")
    assert fresh["last_published"] >= sample.days[-1]
    assert (fresh["days_behind"] is None) is (fresh["last_published"] is None)


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/daily_activity/{NEVER}", 404),
        ("/daily_activity/2025-3-9", 400),
        ("/daily_activity?from=2025-03-09&to=2025-03-08", 400),
        ("/books?from=2020-01-01&to=2025-03-08", 400),
        (f"/books/{NEVER}?colour=red", 400),
        ("/logins_today?zone=../../etc/passwd", 400),
        ("/refusals/2024-11-30?next=abc", 400),
        ("/nowhere", 404),
    ],
)
def test_what_cannot_be_answered_is_told_as_a_problem(api: Asking, path: str, status: int) -> None:
    answer = api.get(path)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status


def test_whoever_has_no_token_that_holds_hears_401_and_sees_nothing(cloud: Cloud) -> None:
    seller = register(cloud, "seller", access.EVENTS_API, access.QUERIES_API)
    register(cloud, "forger")
    of_events = token_of(cloud, seller, seller["events_audience"])
    past: Any = {"iat": int(time.time()) - 1200, "nbf": int(time.time()) - 1200, "exp": int(time.time()) - 1}
    tokens = {
        "none": None,
        "nonsense": "x.y.z",
        "expired": forged(cloud, "forger", aud=AUDIENCE, **past),
        "by another key": forged(cloud, "forger", key="k" * 64, aud=AUDIENCE),
        "for the other API": of_events,
        "of nobody": forged(cloud, "nobody", aud=AUDIENCE),
    }
    for name, token in tokens.items():
        for path in ("/books/2024-11-30", "/nowhere", "/answers/0?of=/books/2024-11-30"):
            answer = Asking(cloud, token).get(path)
            assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json"), name
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert Asking(cloud, token_of(cloud, seller, seller["queries_audience"])).get("/freshness").status == 200
    as_it_is_made = forged(cloud, "forger", aud=AUDIENCE)
    assert Asking(cloud, as_it_is_made).get("/freshness").status == 200


def test_a_client_that_may_no_longer_ask_hears_403(cloud: Cloud) -> None:
    leaver = register(cloud, "leaver-of-queries")
    token = token_of(cloud, leaver)
    secrets = cloud.session.client("secretsmanager")
    tag: Any = {"Key": access.AUDIENCES_TAG, "Value": access.EVENTS_API}
    secrets.tag_resource(SecretId=cloud.names.client_secret(leaver["client_id"]), Tags=[tag])
    answer = Asking(cloud, token).get("/freshness")
    assert (answer.status, answer.json()["title"]) == (403, "Forbidden")


def test_the_page_and_what_it_is_made_of_need_no_token_and_hold_no_data(cloud: Cloud) -> None:
    nobody = Asking(cloud)
    assert nobody.told("/health") == {"status": "ok", "stage": "local"}
    described = nobody.told("/openapi.json")
    assert described["openapi"].startswith("3.1")
    for path in ("/", "/docs"):
        page = nobody.get(path)
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "script-src 'self'" in page.headers["content-security-policy"]
    assert nobody.get("/page/nothing.js").status == 404


def test_a_day_that_is_run_anew_is_answered_anew_and_one_that_is_not_is_not_sent_again(
    cloud: Cloud, api: Asking, say: Say, tmp_path: Path
) -> None:
    path = f"/daily_activity/{RERUN}"
    put(cloud, files(tmp_path, RERUN, 1), say)
    run(cloud, {"process_date": RERUN}, say)
    first = api.get(path)
    assert first.json()["total_requests"] == 10
    again = api.get(path, If_None_Match=first.headers["etag"])
    assert (again.status, again.data) == (304, b"")
    put(cloud, files(tmp_path, RERUN, 2), say)
    run(cloud, {"process_date": RERUN}, say)
    anew = api.get(path, If_None_Match=first.headers["etag"])
    assert (anew.status, anew.json()["total_requests"]) == (200, 20)
    assert anew.headers["etag"] != first.headers["etag"]


def test_nobody_reads_over_the_api_what_an_analyst_asked(cloud: Cloud, api: Asking, sample: Sample) -> None:
    """Its role may not see the query, and the answer is that there is none."""
    ask(cloud, "SELECT count(*) AS records FROM logs WHERE year = '2024'", {})
    athena = cloud.session.client("athena")
    theirs = athena.list_query_executions(WorkGroup=cloud.names.workgroup)["QueryExecutionIds"]
    assert theirs
    for query in theirs[:3]:
        # Something that nobody has asked yet: what the function has kept it may tell.
        answer = api.get(f"/answers/{query}?of=%2Fendpoints%2F{sample.days[0]}%3Fmost%3D17")
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


def test_each_request_is_a_line_in_the_functions_log_with_the_id_that_the_client_was_told(
    cloud: Cloud, api: Asking
) -> None:
    answer = api.get("/freshness")
    logs = cloud.session.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=cloud.names.query_logs)
    lines = [event["message"] for page in pages for event in page["events"]]
    told = [json.loads(line) for line in lines if answer.headers["apigw-requestid"] in line]
    assert [(line["route"], line["status"]) for line in told] == [("/freshness", 200)]
    assert not [line for line in lines if api.token and api.token in line]
