"""From a format's fields to the canonical columns, and to the reason of a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas import mapping
from atlas.formats import load_formats, parse_format
from atlas.reasons import RecordReason
from atlas.schema import LOGS
from tests.duckdb_engine import normalize
from tests.lake_under_test import FRIDAY
from tests.request_lines import REQUESTS

ACCESS = {"ip": "192.0.2.1", "status": "200", "endpoint": "/cart", "request_type": "get"}

REQUEST_LINES = parse_format(
    "requests",
    """
title = "Request lines"
log_type = "access"
syntax = "json"
required = [["app_name"]]
[recognise]
has = [["endpoint"]]
[time]
fields = ["time"]
[columns]
request_type = ["method", { path = "request", take = "method" }]
endpoint = [{ path = "request", take = "path" }, "endpoint"]
bytes_sent = ["bytes", { path = "kB", scale = 1024 }]
duration_ms = ["ms", { path = "seconds", scale = 1000 }]
[defaults]
app_name = "requests"
[attributes]
query = [{ path = "request", take = "query" }]
""",
)


def one(name: str, record: dict[str, str | None]) -> dict[str, Any]:
    [row] = normalize(load_formats()[name], [record], FRIDAY)
    return row


def test_fields_land_in_their_columns_and_the_first_that_has_a_value_wins() -> None:
    row = one(
        "ndjson",
        {**ACCESS, "method": "PUT", "client_ip": "192.0.2.9", "bytes": "17", "request_time": "0.25",
         "user_agent": "Mozilla/5.0 (iPhone)", "app": "shop", "status_code": "404", "referer": "-", "host": " h "},
    )  # fmt: skip
    expected = {
        "ip_address": "192.0.2.1", "request_type": "GET", "status_code": 200, "endpoint": "/cart",
        "app_name": "shop",
        "bytes_sent": 17, "duration_ms": 250.0, "device": "mobile", "day_of_week": "Friday", "raw_format": "ndjson",
        "log_type": "access", "source_file": "raw/f", "source_line": 1, "log_id": "id1",
        "reason": None, "message": None,
        "attributes": [("user_agent", "Mozilla/5.0 (iPhone)"), ("host", "h")],
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert list(row)[: len(LOGS.columns)] == list(LOGS.column_names)


@pytest.mark.parametrize(
    ("name", "record", "app"),
    [
        ("ndjson", ACCESS, "web_app_1"),
        ("json_gzip", ACCESS, "api_service"),
        ("json_gzip", {**ACCESS, "service": "billing"}, "billing"),
        ("xml_errors", {"errorCode": "500", "message": "m", "service": "auth"}, "auth"),
        ("app_log", {"level": "info", "message": "m"}, None),
    ],
)
def test_a_records_own_application_wins_over_its_formats_default(
    name: str, record: dict[str, str], app: str
) -> None:
    assert one(name, dict(record))["app_name"] == app


REFUSED = [
    ("ndjson", {**ACCESS, "ip": None}, "missing_field", "ip_address"),
    ("ndjson", {**ACCESS, "ip": ""}, "missing_field", "ip_address"),
    ("ndjson", {**ACCESS, "endpoint": "-"}, "missing_field", "endpoint"),
    ("ndjson", {**ACCESS, "status": None}, "missing_field", "status_code"),
    *[("ndjson", {**ACCESS, "status": s}, "invalid_status_code", "status_code")
      for s in ("99", "600", "999", "42", "abc", "200.5", "-200", "2e2", "1042", "0x190")],
    ("xml_errors", {"errorCode": "500"}, "missing_field", "message"),
    ("app_log", {"level": "INFO"}, "missing_field", "level+message or user_id+action"),
    ("app_log", {"user_id": "u", "message": "m"}, "missing_field", "level+message or user_id+action"),
    ("ndjson", {"error": "malformed_record", "raw": "{"}, "malformed_record", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "record", "reason", "detail"), REFUSED)
def test_what_is_missing_or_impossible_is_refused_with_reason_and_column(
    name: str, record: dict[str, str | None], reason: str, detail: str | None
) -> None:
    row = one(name, record)
    assert (row["reason"], row["detail"]) == (reason, detail)
    assert reason in set(RecordReason)


@pytest.mark.parametrize("status", ["100", "599", "200", " 404 ", "200.0"])
def test_possible_statuses_pass(status: str) -> None:
    row = one("ndjson", {**ACCESS, "status": status})
    assert (row["reason"], row["status_code"]) == (None, int(float(status)))


@pytest.mark.parametrize("record", [{"level": "warn", "message": "m"}, {"user_id": "u", "action": "login"}])
def test_a_log_line_says_something_or_who_did_what(record: dict[str, str]) -> None:
    row = one("app_log", dict(record))
    assert row["reason"] is None
    assert row["level"] == (record["level"].upper() if "level" in record else None)


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", "bot"),
        ("Mozilla/5.0 (iPad; CPU OS 17_2)", "tablet"),
        ("Mozilla/5.0 (Linux; Android 14) Mobile", "mobile"),
        ("Mobile/iOS", "mobile"),
        ("Chrome/120.0", "desktop"),
        ("python-requests/2.31", "script"),
        ("Roku/DVP", "other"),
        (None, None),
    ],
)
def test_a_user_agent_tells_the_device_and_the_records_own_word_wins(agent: str | None, device: str | None) -> None:
    assert one("ndjson", {**ACCESS, "user_agent": agent})["device"] == device
    assert one("ndjson", {**ACCESS, "user_agent": agent, "device": "fridge"})["device"] == "fridge"


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12), ("-", None), ("12.5", None), ("-1", None), ("9" * 18, 10**18 - 1), ("9" * 19, None)],
)
def test_an_optional_number_that_is_none_is_null_and_no_reason_to_refuse(text: str, value: int | None) -> None:
    row = one("ndjson", {**ACCESS, "bytes": text})
    assert (row["bytes_sent"], row["reason"]) == (value, None)


def parts(requests: list[str | None]) -> list[tuple[str | None, str | None, str | None]]:
    rows = normalize(REQUEST_LINES, [{"request": request} for request in requests], FRIDAY)
    return [(row["request_type"], row["endpoint"], dict(row["attributes"]).get("query")) for row in rows]


def test_a_request_line_gives_its_method_path_and_query() -> None:
    texts = [text for text, *_ in REQUESTS]
    expected = [(method and method.upper(), path, query) for _, method, path, query in REQUESTS]
    assert dict(zip(texts, parts(texts), strict=True)) == dict(zip(texts, expected, strict=True))


text_without = st.characters(exclude_categories=["Cs"], exclude_characters="\0 ?#")
paths = st.text(text_without, max_size=20).map("/{}".format)
queries = st.text(text_without | st.sampled_from(" ?&="), max_size=20).map(lambda text: text.strip(" "))
methods = st.text(st.sampled_from("abcXYZ"), min_size=1, max_size=9)


@given(st.lists(st.tuples(methods, paths, queries), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_any_method_path_and_query_come_back_from_their_request_line(wholes: list[tuple[str, str, str]]) -> None:
    given_texts: list[str | None] = []
    expected: list[tuple[str | None, str | None, str | None]] = []
    for method, path, query in wholes:
        given_texts += [f"{method} {host}{path}?{query} HTTP/1.1" for host in ("", "http://h.example:80")]
        expected += [(method.upper(), path, query or None)] * 2
        alone = query.replace(" ", "+")
        given_texts += [f"{host}{path}?{alone}" for host in ("", "wss://[::1]")]
        expected += [(None, path, alone or None)] * 2
    assert parts(given_texts) == expected


def test_the_first_source_with_a_value_wins_also_over_a_part_of_another() -> None:
    given_both = {"method": "put", "request": "GET /a HTTP/1.1", "endpoint": "/b"}
    [both, other] = normalize(REQUEST_LINES, [given_both, {**given_both, "method": "", "request": "bad"}], FRIDAY)
    assert (both["request_type"], both["endpoint"]) == ("PUT", "/a")
    assert (other["request_type"], other["endpoint"]) == (None, "/b")


@pytest.mark.parametrize(
    ("record", "bytes_sent"),
    [
        ({"kB": "2"}, 2048),
        ({"kB": "1.5"}, 1536),
        ({"kB": "0.00048828125"}, 1),
        ({"bytes": "7", "kB": "2"}, 7),
        ({"bytes": "x", "kB": "2"}, 2048),
        ({"kB": "9e99"}, None),
        ({"kB": "-1"}, None),
        ({"bytes": "1.5"}, None),
    ],
)
def test_whole_numbers_are_scaled_and_rounded(record: dict[str, str | None], bytes_sent: int | None) -> None:
    [row] = normalize(REQUEST_LINES, [record], FRIDAY)
    assert (row["bytes_sent"], row["reason"]) == (bytes_sent, None)


def test_the_sql_of_a_long_mapping_stays_small() -> None:
    longest = max(load_formats().values(), key=lambda log_format: len(log_format.source_paths()))
    assert len(mapping.normalize_sql(longest, "given_records", FRIDAY)) < 40_000
