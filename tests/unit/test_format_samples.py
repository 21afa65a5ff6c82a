"""Every format has a pair in tests/formats: what a producer writes, and the records that come of it.

Adding a format is one TOML file and one such pair; here it is also done while the tests run.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from atlas import mapping
from atlas.formats import MAPPED_COLUMNS, LogFormat, load_formats, parse_format
from atlas.reasons import FileReason
from lambda_ingest.read import Reading, read_file
from lambda_ingest.spool import Spool
from tests import duckdb_engine

SAMPLES = Path(__file__).parents[1] / "formats"
JSON_BY_NAME = {"ndjson", "json_gzip", "app_log"}
"""Formats whose fields overlap: the folder, the file's name and its container tell them apart."""

OBJECTS = "SELECT 'o' AS object_key, 'raw/f' AS source_file, CAST(NULL AS TIMESTAMP) AS ingested_at"


class Outcome(NamedTuple):
    reading: Reading
    normalized: list[dict[str, Any]]
    refused: list[dict[str, Any]]


def outcome(body: bytes, key: str, folder: Path, formats: Mapping[str, LogFormat]) -> Outcome:
    """What ingestion and the mapping make of a file: of each record the columns that have a value."""
    folder.mkdir()
    spool = Spool(folder, 1 << 20)
    reading = read_file(io.BytesIO(body), key, spool, formats)
    rows = []
    for day, share in reading.shares.items():
        for part in range(share.parts):
            engine = duckdb_engine.day_engine(folder / f"{day}.{part}.scratch")
            engine.objects.mkdir()
            file = engine.objects / "o"
            file.write_bytes(gzip.decompress(spool.part(day, part).read_bytes()))
            engine.connection.execute(f"CREATE TEMP TABLE manifest_objects AS {OBJECTS}")
            assert reading.format is not None
            found = formats[reading.format].only(reading.fields)
            engine.read(found, [file])
            rows += duckdb_engine.answer(engine.connection, mapping.normalize_sql(found, "input", day))
            engine.close()
    rows.sort(key=lambda row: row["source_line"])
    normalized = [_shown(row) for row in rows if row["reason"] is None]
    refused = [
        {"line": row["source_line"], "reason": row["reason"], "detail": row["detail"]}
        for row in rows
        if row["reason"] is not None
    ]
    return Outcome(reading, normalized, refused)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    time: datetime = row["event_timestamp"]
    columns = {name: row[name] for name in MAPPED_COLUMNS if row[name] is not None}
    instant = time.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    return {"line": row["source_line"], "time": instant, **columns, "attributes": dict(row["attributes"])}


def key_of(name: str) -> str:
    """The name that a producer would give to the format's sample."""
    return f"raw/sample{next(iter(load_formats()[name].suffixes), '')}"


@pytest.mark.parametrize("name", load_formats())
def test_a_formats_sample_comes_to_the_records_that_are_expected(name: str, tmp_path: Path) -> None:
    body = (SAMPLES / f"{name}.input").read_bytes()
    expected = json.loads((SAMPLES / f"{name}.expected.json").read_text(encoding="utf-8"))
    found = outcome(body, key_of(name), tmp_path / "spool", load_formats())
    assert (found.reading.refusal, found.reading.format) == (None, name)
    assert found.normalized == expected["normalized"]
    assert found.refused == expected["refused"]
    assert found.reading.records + found.reading.unparsable == expected["records"]
    assert len(found.normalized) + len(found.refused) == expected["records"]


def test_every_pair_is_a_formats() -> None:
    assert {file.name.partition(".")[0] for file in SAMPLES.iterdir()} == set(load_formats())


@pytest.mark.parametrize("name", load_formats())
def test_a_formats_sample_is_recognised_by_no_other_format(name: str, tmp_path: Path) -> None:
    body = (SAMPLES / f"{name}.input").read_bytes()
    others = {
        other: log_format
        for other, log_format in load_formats().items()
        if other != name and not {name, other} <= JSON_BY_NAME
    }
    for other, log_format in others.items():
        reading = read_file(io.BytesIO(body), key_of(name), Spool(tmp_path, 1 << 20), {other: log_format})
        assert reading.refusal is not None, other
        assert reading.refusal.reason == FileReason.UNSUPPORTED_FORMAT, other


def test_gzipped_access_records_are_known_by_the_same_names() -> None:
    plain, gzipped = load_formats()["ndjson"], load_formats()["json_gzip"]
    for said in ("columns", "attributes", "user_agent", "time_fields", "required", "recognise"):
        assert getattr(plain, said) == getattr(gzipped, said), said


V2_FLOW = b"""\
2 123456789010 eni-102010ab 198.51.100.1 192.0.2.1 443 49152 6 10 840 1732838400 1732838459 ACCEPT OK
2 123456789010 eni-1a2b3c4d - - - - - - - 1732838400 1732838459 - NODATA
"""
TGW_FLOW = b"""\
version resource-type account-id tgw-id srcaddr dstaddr protocol packets bytes start end log-status
6 TransitGateway 123456789012 tgw-0123 192.0.2.1 198.51.100.1 6 2 108 1732838400 1732838459 OK
"""
PLAIN_CLOUDFRONT = b"2024-11-29\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\tcdn.example.net\t/index.html\t200\n"
EVENT = b'{"eventTime":"2024-11-29T09:15:30Z","eventName":"GetObject","eventSource":"s3.amazonaws.com"}'
VARIANTS = {
    "flow logs in the default format have no header": ("vpc_flow", V2_FLOW, "ip_address", ["198.51.100.1", None]),
    "transit gateways have fields of their own": ("vpc_flow", TGW_FLOW, "app_name", ["tgw-0123"]),
    "CloudFront without its header, and of long ago": ("cloudfront", PLAIN_CLOUDFRONT, "endpoint", ["/index.html"]),
    "CloudTrail as lines": ("cloudtrail", EVENT + b"\n" + EVENT, "action", ["GetObject"] * 2),
    "CloudTrail as a bare array": ("cloudtrail", b"[" + EVENT + b",\n" + EVENT + b"]", "action", ["GetObject"] * 2),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_a_format(variant: str, tmp_path: Path) -> None:
    name, body, column, values = VARIANTS[variant]
    found = outcome(body, "raw/sample.log", tmp_path / "spool", load_formats())
    assert (found.reading.format, found.refused) == (name, [])
    assert [row.get(column) for row in found.normalized] == values


DOOR = r"""
title = "Door log"
log_type = "door"
syntax = "text"
required = [["user_id"]]
[time]
fields = [["day", "clock"]]
zone = "Europe/Berlin"
[text]
pattern = '''(?P<day>[0-9-]+)/(?P<clock>[0-9:]+) door=(?P<door>[a-z]+) badge=(?P<badge>\S*)'''
comment = ";"
[columns]
user_id = ["badge"]
[defaults]
action = "in"
[attributes]
door = ["door"]
"""
DOOR_LINES = b"""\
; morning shift
2024-11-29/09:00:00 door=north badge=u1
2024-11-30/00:30:00 door=south badge=u2
2024-11-29/09:00:02 door=north badge=
knock, knock
"""
METER = """
title = "Meter readings"
log_type = "meter"
syntax = "delimited"
required = [["app_name"]]
[recognise]
has = [["time"], ["app_name"]]
[time]
fields = ["read at"]
[delimited]
separator = ";"
quote = "'"
[columns]
app_name = ["meter"]
duration_ms = [{ path = "hours", scale = 3600000 }]
"""
METER_LINES = b"""\
meter;hours;read at
'hall; E';0.5;2024-11-29T10:00:00Z
cellar;2;1732875000
cellar;2
"""


def test_adding_a_format_is_one_file_of_toml_and_a_sample(tmp_path: Path) -> None:
    formats = {**load_formats(), "door": parse_format("door", DOOR), "meter": parse_format("meter", METER)}
    doors = outcome(DOOR_LINES, "raw/door.txt", tmp_path / "doors", formats)
    assert (doors.reading.format, doors.reading.refusal) == ("door", None)
    assert doors.normalized == [
        {
            "line": 2,
            "time": "2024-11-29T08:00:00Z",
            "user_id": "u1",
            "action": "in",
            "attributes": {"door": "north"},
        },
        {
            "line": 3,
            "time": "2024-11-29T23:30:00Z",
            "user_id": "u2",
            "action": "in",
            "attributes": {"door": "south"},
        },
    ]
    assert doors.refused == [
        {"line": 4, "reason": "missing_field", "detail": "user_id"},
        {"line": 5, "reason": "malformed_record", "detail": None},
    ]
    meters = outcome(METER_LINES, "raw/meter.txt", tmp_path / "meters", formats)
    assert (meters.reading.format, meters.reading.refusal) == ("meter", None)
    assert meters.normalized == [
        {"line": 2, "time": "2024-11-29T10:00:00Z", "app_name": "hall; E", "duration_ms": 1.8e6, "attributes": {}},
        {"line": 3, "time": "2024-11-29T10:10:00Z", "app_name": "cellar", "duration_ms": 7.2e6, "attributes": {}},
    ]
    assert meters.refused == [{"line": 4, "reason": "malformed_record", "detail": None}]
