"""The same records through the mapping on both engines: every value must come out the same."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from atlas import lake as keys
from atlas import mapping
from atlas.formats import LogFormat, load_formats, parse_format
from atlas.reasons import RecordReason
from glue_jobs.spark_engine import SparkEngine
from tests.duckdb_engine import day_engine
from tests.lake_under_test import FRIDAY, LakeUnderTest
from tests.request_lines import REQUESTS

FORMAT = parse_format(
    "odd",
    """
title = "Odd names"
log_type = "odd"
syntax = "json"
user_agent = ["cs(User-Agent)"]
required = [["log_id_is_enough"]]
[recognise]
has = [["time"]]
[time]
fields = ["at"]
[columns]
ip_address = ["id.orig_h", "client.address.ip"]
request_type = ["method", { path = "request", take = "method" }]
endpoint = [{ path = "request", take = "path" }]
status_code = ["x-e.y(z)"]
user_id = ["userId"]
action = ["userid"]
request_id = ["@request id.x-y"]
bytes_sent = ["bytes", { path = "kB", scale = 1024 }]
duration_ms = ["ms", { path = "took", scale = 1000 }]
[defaults]
app_name = "odd"
[attributes]
query = [{ path = "request", take = "query" }]
account = ["account-id"]
whole = ["id"]
blank = ["a b"]
dollar = ["$x.é ü"]
deep = ["client.address"]
""".replace("log_id_is_enough", "app_name"),
)

KEY = f"{keys.VALIDATED}odd/part.ndjson.gz"
OBJECTS = f"SELECT '{KEY}' AS object_key, 'raw/f' AS source_file, CAST(NULL AS TIMESTAMP) AS ingested_at"

RECORDS: list[dict[str, Any]] = [
    *({"request": text} for text, *_ in REQUESTS),
    {"request": "GET / HTTP/1.1", "method": "put"},
    {"userId": "A", "userid": "B", "USERID": "C"},
    {"userid": "only"},
    {"cs(User-Agent)": "curl/8", "account-id": 17, "a b": True, "@request id": {"x-y": "r"}},
    {"id.orig_h": "literal", "id": {"orig_h": "nested"}},
    {"id.orig_h": None, "id": {"orig_h": "nested"}},
    {"id": {"orig_h": "nested", "Orig_H": "other"}},
    {"id": {"Orig_H": "other"}},
    {"id": [{"orig_h": "in a list"}]},
    {"id": "no { object"},
    {"id": '{"orig_h": "object as text"}'},
    {"client": {"address": {"ip": "192.0.2.1", "seen": [1, {"x": None}], "ok": True}}},
    {"client": {"address": "192.0.2.1"}},
    {"client.address.ip": "literal", "client": {"address.ip": "half"}},
    {"$x": {"é ü": 'tab\t \u00e9 \U0001f600 "quoted" \\'}, "x-e": {"y(z)": 404}},
    {"x-e.y(z)": "999"},
    {"userId": " \u00a0\t x \u2003 ", "userid": " - ", "account-id": "\t", "request": "GET /\u00a0 HTTP/1.1"},
    *({"bytes": text, "ms": text} for text in (17, "17", "-", "1.5", 2.5, -1, "abc", 10**18, 10**19)),
    *({"kB": text, "took": text} for text in (1.5, "0.25", "12", "-", -1, "1e3", "9e99", 10**14, "0.00048828125")),
    {"bytes": "abc", "kB": 1},
    *({"method": text, "cs(User-Agent)": text} for text in ("straße", "ŉ ı ſ", "KİNDLE", "Kindle", "POST é")),
    *({"x-e.y(z)": f"404{e}", "bytes": f"17{e}", "ms": f"1.5{e}"} for e in ("\n", "\r\n", "\u0085", "\u2028")),
    {"ms": 0.30000000000000004, "took": 1e-05},
    *({"userId": number} for number in (12345678.5, 0.001, 1e-4, -2.5e-7, 1e16, 7.33629687074913e18, 4e17, 1e30)),
]  # fmt: skip


HOSTILE = [
    {"request": form.format(filling * (300_000 // len(filling)))}
    for form in ("GET /{}", "GET{}", "GET {}", "GET /?{}", "{}", "/{}?{{", "A://{}")
    for filling in (" ", "A", " A", " H/1", "a:", "x H/", "1", "?", "/")
]
"""Text that makes a careless pattern go over it again from each of its characters: Java's engine backtracks."""


def _lines(records: list[dict[str, Any]]) -> list[bytes]:
    header = {"event_time": "2024-11-29T10:00:00Z", "record_id": "9f86d081884c7d65"}
    envelopes = [{**header, "line": n, "record": record} for n, record in enumerate(records, 1)]
    return [json.dumps(envelope).encode() + b"\n" for envelope in envelopes]


def _on_spark(
    lake: LakeUnderTest, spark: SparkSession, log_format: LogFormat, lines: list[bytes]
) -> list[dict[str, Any]]:
    lake.s3.put_object(Bucket=lake.bucket, Key=KEY, Body=gzip.compress(b"".join(lines)))
    spark.sql(OBJECTS).createOrReplaceTempView("manifest_objects")
    engine = SparkEngine(spark, lake.s3, lake.settings(FRIDAY))
    engine.envelopes(log_format, [KEY]).createOrReplaceTempView("given")
    rows = spark.sql(mapping.normalize_sql(log_format, "given", FRIDAY)).orderBy("source_line").collect()
    return [row.asDict() for row in rows]


def _on_duckdb(folder: Path, log_format: LogFormat, lines: list[bytes]) -> list[dict[str, Any]]:
    engine = day_engine(folder / "scratch")
    file = engine.objects / KEY
    file.parent.mkdir(parents=True)
    file.write_bytes(b"".join(lines))
    engine.connection.execute(f"CREATE TEMP TABLE manifest_objects AS {OBJECTS}")
    engine.read(log_format, [file])
    statement = f"{mapping.normalize_sql(log_format, 'input', FRIDAY)} ORDER BY source_line"
    rows: list[dict[str, Any]] = engine.connection.sql(statement).to_arrow_table().to_pylist()
    engine.close()
    for row in rows:
        row["attributes"] = dict(row["attributes"])
        # Python gets Spark's times without their zone.
        row["event_timestamp"] = row["event_timestamp"] and row["event_timestamp"].replace(tzinfo=None)
    return rows


def _on_both(
    lake: LakeUnderTest, spark: SparkSession, folder: Path, log_format: LogFormat, lines: list[bytes]
) -> list[dict[str, Any]]:
    """The rows, which both engines must give alike."""
    on_spark = _on_spark(lake, spark, log_format, lines)
    on_duckdb = _on_duckdb(folder, log_format, lines)
    assert len(on_spark) == len(on_duckdb) == len(lines)
    for n, (ours, theirs) in enumerate(zip(on_spark, on_duckdb, strict=True)):
        assert ours == theirs, f"line {n + 1}: {lines[n][:500]!r}"
    return on_spark


def test_both_engines_map_the_same_records_to_the_same_values(
    lake: LakeUnderTest, spark: SparkSession, tmp_path: Path
) -> None:
    lines = _lines(RECORDS)
    refused = {"line": len(lines) + 1, "error": RecordReason.MALFORMED_RECORD, "raw": "{"}
    lines.append(json.dumps(refused).encode())
    _each_value_is_the_one_that_is_meant(_on_both(lake, spark, tmp_path, FORMAT, lines))


def _each_value_is_the_one_that_is_meant(rows: list[dict[str, Any]]) -> None:
    for row, (_, method, path, query) in zip(rows, REQUESTS, strict=False):
        assert (row["request_type"], row["endpoint"], row["attributes"].get("query")) == (method, path, query)
    found = {json.dumps(record): row for record, row in zip(RECORDS, rows, strict=False)}

    def of(column: str, **record: Any) -> Any:
        return found[json.dumps(record)][column]

    assert (of("user_id", userId="A", userid="B", USERID="C"), of("action", userid="only")) == ("A", "only")
    assert of("user_id", userid="only") is None
    assert of("ip_address", **{"id.orig_h": "literal", "id": {"orig_h": "nested"}}) == "literal"
    assert of("ip_address", **{"id.orig_h": None, "id": {"orig_h": "nested"}}) == "nested"
    assert of("ip_address", id={"Orig_H": "other"}) is None
    assert of("attributes", id=[{"orig_h": "in a list"}]) == {"whole": '[{"orig_h":"in a list"}]'}
    assert of("attributes", client={"address": "192.0.2.1"}) == {"deep": "192.0.2.1"}
    assert of("status_code", **RECORDS[len(REQUESTS) + 14]) == 404
    assert (of("reason", **{"x-e.y(z)": "999"}), of("status_code", **{"x-e.y(z)": "999"})) == (None, None)
    assert (of("bytes_sent", kB=1.5, took=1.5), of("duration_ms", kB=1.5, took=1.5)) == (1536, 1500.0)
    assert of("bytes_sent", kB="9e99", took="9e99") is None
    assert of("bytes_sent", bytes="abc", kB=1) == 1024
    assert rows[-1]["reason"] == RecordReason.MALFORMED_RECORD


def test_a_hostile_request_line_takes_no_longer_than_its_size_asks_for(
    lake: LakeUnderTest, spark: SparkSession, tmp_path: Path
) -> None:
    _on_both(lake, spark, tmp_path, FORMAT, _lines(HOSTILE))


@pytest.mark.parametrize("name", load_formats())
def test_both_engines_run_the_mapping_of_every_shipped_format(
    name: str, lake: LakeUnderTest, spark: SparkSession, tmp_path: Path
) -> None:
    paths = load_formats()[name].source_paths()
    records: list[dict[str, Any]] = [{}]
    for value in ("404", "GET /x?y HTTP/1.1", "Mozilla/5.0", 17, "0.25"):
        records += [dict.fromkeys(paths, value), _nested(paths, value), *({path: value} for path in paths[:9])]
    rows = _on_both(lake, spark, tmp_path, load_formats()[name], _lines(records))
    assert {row["status_code"] for row in rows[1:3]} <= {404, None}


def _nested(paths: tuple[str, ...], value: object) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for path in sorted(paths, key=lambda path: path.count(".")):
        *outer, last = path.split(".")
        inner = record
        for key in outer:
            if not isinstance(inner.get(key), dict):
                inner[key] = {}
            inner = inner[key]
        inner[last] = value
    return record
