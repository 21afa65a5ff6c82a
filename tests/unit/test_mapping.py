"""From a format's fields to the canonical columns, and to the reason of a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from atlas.formats import load_formats
from atlas.reasons import RecordReason
from atlas.schema import LOGS
from tests.duckdb_engine import normalize
from tests.lake_under_test import FRIDAY

ACCESS = {"ip": "192.0.2.1", "status": "200", "endpoint": "/cart", "request_type": "get"}


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
