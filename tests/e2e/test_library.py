"""Every question of queries/ on the stage that holds the sample data: what Athena answers, and whether it is so."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from atlas import questions
from atlas.formats import load_formats
from atlas_cli import library
from atlas_cli.cloud import Cloud
from atlas_cli.query import ask
from stacks.library import told
from tests.e2e.conftest import Sample

FRIDAY = {"date": "2024-11-29"}
SPAN = {"from": "2024-11-29", "to": "2024-11-30"}
_ERROR_LEVELS = ("ERROR", "CRITICAL", "FATAL")


def test_every_question_answers_what_the_docs_say(cloud: Cloud, sample: Sample) -> None:
    assert sample.days == [SPAN["from"], SPAN["to"]]
    assert set(library.EXAMPLES) == set(questions.load())
    kept = json.loads(library.ANSWERS.read_text(encoding="utf-8"))
    assert library.answers(cloud) == kept, "python -m atlas_cli.library writes them anew"
    assert all(kept.values())


def test_counts_of_a_day_are_those_of_the_samples_generator(cloud: Cloud, sample: Sample) -> None:
    types = {name: form.log_type for name, form in load_formats().items()}
    for day, truth in sample.truth["days"].items():
        span, activity = {"from": day, "to": day}, truth["daily_activity"]
        published = {types[name]: books["published"] for name, books in truth["formats"].items()}
        assert {row["log_type"]: row["requests"] for row in ask(cloud, "record_counts", {"date": day})} == published

        [detail] = ask(cloud, "daily_detail", span)
        for name in ("requests_by_status", "requests_by_type", "requests_by_app"):
            assert json.loads(detail[name]) == activity[name]
        assert sum(json.loads(detail["requests_by_device"]).values()) == activity["total_requests"]

        hours = ask(cloud, "status_by_hour", {"date": day})
        by_status = Counter[str]()
        for status, requests in activity["requests_by_status"].items():
            by_status[{"4": "errors_4xx", "5": "errors_5xx"}.get(status[0], "other")] += requests
        assert {name: sum(row[name] for row in hours) for name in by_status} == by_status

        rates = ask(cloud, "error_rate", span)
        assert {row["app_name"]: row["requests"] for row in rates} == activity["requests_by_app"]
        assert sum(row["errors_4xx"] + row["errors_5xx"] for row in rates) == (
            by_status["errors_4xx"] + by_status["errors_5xx"]
        )

        endpoints = ask(cloud, "endpoints", {**span, "most": "1001"})
        assert sum(row["requests"] for row in endpoints) == activity["total_requests"]
        failed = ask(cloud, "errors", {"date": day})
        assert sum(row["errors"] for row in failed) == activity["total_errors"]
        assert sum(row["errors"] for row in endpoints) == activity["total_errors"]

        refused = Counter[str]()
        for books in truth["formats"].values():
            refused.update(books["rejected"])
        counted = Counter[str]()
        for row in ask(cloud, "refusals_by_reason", span):
            counted[row["reason"]] += row["records"]
        assert counted == refused
        assert ask(cloud, "refusals", {**span, "most": "1"})[0]["in_all"] == refused.total()


def test_what_is_read_from_silver_counts_each_record_once(cloud: Cloud, sample: Sample) -> None:
    """Reckoned anew here: of copies in several files those count that the file with the most of them has."""
    columns = "log_id, source_file, source_line, ip_address, app_name, status_code, level, event_timestamp, action"
    silver = ask(cloud, f"SELECT {columns} FROM logs WHERE year = '2024' AND month = '11' AND day = '29'", {})
    copies = Counter((row["log_id"], row["source_file"]) for row in silver)
    most: dict[str, str] = {}
    for log_id, file in sorted(copies, key=lambda held: (-copies[held], held[1])):
        most.setdefault(log_id, file)
    once = [row for row in silver if most[row["log_id"]] == row["source_file"]]
    assert len(once) == sample.truth["days"][FRIDAY["date"]]["daily_activity"]["total_requests"] < len(silver)

    clients = Counter(row["ip_address"] for row in once if row["ip_address"])
    errors = Counter(row["ip_address"] for row in once if _failed(row))
    top = ask(cloud, "top_clients", {**FRIDAY, "most": "1000"})
    assert {row["ip_address"]: row["requests"] for row in top} == clients
    assert {row["ip_address"]: row["errors"] for row in top if row["errors"]} == {
        address: n for address, n in errors.items() if address
    }
    last = ask(cloud, "recent_errors", {**FRIDAY, "most": "100000"})
    assert Counter(_place(row) for row in last) == Counter(_place(row) for row in once if _failed(row))
    assert [row["event_timestamp"] for row in last] == sorted(
        (row["event_timestamp"] for row in last), reverse=True
    )

    signed_in = Counter(_place(row) for row in once if row["action"] == "login")
    seen = [row for row in ask(cloud, "logins", {**FRIDAY, "most": "100000"}) if row["source"] == "logs"]
    assert Counter(_place(row) for row in seen) == signed_in
    by_day = {(row["date"], row["source"]): row["logins"] for row in ask(cloud, "logins_by_day", SPAN)}
    assert by_day[FRIDAY["date"], "logs"] == signed_in.total()
    now = {
        row["source"]: row["logins"]
        for row in ask(cloud, "logins_today", {"from": "2024-11-29T00:00:00Z", "to": "2024-11-30T00:00:00Z"})
    }
    assert now["logs"] == signed_in.total()


@pytest.mark.usefixtures("sample")
def test_a_record_is_traced_to_the_line_that_holds_it(cloud: Cloud) -> None:
    [found, *_] = ask(cloud, "trace_request", library.EXAMPLES["trace_request"])
    body = cloud.s3.list_objects_v2(Bucket=cloud.bucket, Prefix=f"archive/ndjson/{found['source_file']}")
    archived = cloud.s3.get_object(Bucket=cloud.bucket, Key=body["Contents"][0]["Key"])["Body"].read()
    line = archived.decode().splitlines()[found["source_line"] - 1]
    assert json.loads(line)["request_id"] == library.EXAMPLES["trace_request"]["request_id"]


def test_every_question_is_saved_in_the_analysts_workgroup(cloud: Cloud) -> None:
    athena = cloud.session.client("athena")
    ids = athena.list_named_queries(WorkGroup=cloud.names.workgroup)["NamedQueryIds"]
    saved = [athena.get_named_query(NamedQueryId=each)["NamedQuery"] for each in ids]
    assert {query["Name"]: query["QueryString"] for query in saved} == {
        name: told(question) for name, question in questions.load().items()
    }
    [books] = [query for query in saved if query["Name"] == "books"]
    assert "?" not in books["QueryString"].partition("SELECT")[0]


def _failed(row: dict[str, Any]) -> bool:
    return (row["status_code"] or 0) >= 400 or row["level"] in _ERROR_LEVELS


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["event_timestamp"], row["source_file"], row["source_line"]
