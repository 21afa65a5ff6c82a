"""What a file's bytes come to: any list of records, in any layout and container, comes back as the same records."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.formats import load_formats
from atlas.reasons import FileReason
from lambda_ingest.read import Reading, read_file
from lambda_ingest.spool import Spool

FRIDAY = datetime(2024, 11, 29, tzinfo=UTC)


def read(
    body: bytes, key: str = "raw/access.ndjson", part_bytes: int = 1 << 20
) -> tuple[Reading, dict[date, list[dict[str, Any]]]]:
    """The reading, and each day's envelopes."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), part_bytes)
        reading = read_file(io.BytesIO(body), key, spool, load_formats())
        envelopes = {
            day: [
                json.loads(line)
                for part in range(share.parts)
                for line in gzip.decompress(spool.part(day, part).read_bytes()).splitlines()
            ]
            for day, share in reading.shares.items()
        }
    return reading, envelopes


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
seconds = st.integers(0, 3 * 86_400)
records = st.lists(
    st.builds(
        lambda extra, second: {
            **extra,
            "timestamp": (FRIDAY + timedelta(seconds=second)).isoformat(),
            "ip": "192.0.2.1",
            "status": 200,
        },
        st.dictionaries(texts, values, max_size=3),
        seconds,
    ),
    min_size=1,
    max_size=8,
)


def lines(rows: list[Any], newline: str = "\n") -> str:
    return newline.join(json.dumps(row, ensure_ascii=False) for row in rows)


LAYOUTS: dict[str, Callable[[Any], str]] = {
    "lines": lambda rows: lines(rows) + "\n",
    "lines without a last newline": lines,
    "CRLF and blank lines": lambda rows: "\r\n" + lines(rows, "\r\n\r\n  \r\n") + "\r\n",
    "one array": json.dumps,
    "a pretty array": lambda rows: json.dumps(rows, indent=3, ensure_ascii=False),
    "concatenated": lambda rows: "".join(json.dumps(row) for row in rows),
    "pretty objects in a row": lambda rows: "\n".join(json.dumps(row, indent=1) for row in rows),
    "BOM and lines": lambda rows: "\ufeff" + lines(rows),
}
CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "members": lambda data: b"".join(gzip.compress(data[i : i + 40]) for i in range(0, len(data), 40)),
    "members, empty ones and padding": lambda data: gzip.compress(b"") + gzip.compress(data) + b"\0" * 700,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("container", CONTAINERS)
@given(rows=records)
@settings(max_examples=25, deadline=None)
def test_records_come_back_whatever_they_were_packed_in(
    layout: str, container: str, rows: list[dict[str, Any]]
) -> None:
    reading, days = read(CONTAINERS[container](LAYOUTS[layout](rows).encode()))
    assert reading.refusal is None
    assert (reading.records, reading.unparsable) == (len(rows), 0)
    expected = Counter(row["timestamp"][:10] for row in rows)
    assert {day.isoformat(): share.records for day, share in reading.shares.items()} == expected
    for day, envelopes in days.items():
        mine = [row for row in rows if row["timestamp"][:10] == day.isoformat()]
        assert [envelope["record"] for envelope in envelopes] == mine
    every = [envelope for envelopes in days.values() for envelope in envelopes]
    if "lines" not in layout and "CRLF" not in layout:
        assert sorted(envelope["line"] for envelope in every) == list(range(1, len(rows) + 1))
    else:
        source = LAYOUTS[layout](rows).removeprefix("\ufeff").split("\n")
        assert all(json.loads(source[envelope["line"] - 1]) == envelope["record"] for envelope in every)


@given(rows=records)
def test_the_same_record_has_the_same_id_in_every_file_and_another_record_another(
    rows: list[dict[str, Any]],
) -> None:
    body = lines(rows).encode()
    _, first = read(body)
    _, second = read(gzip.compress(body + b"\n" + body), "raw/other.json.gz")
    ids = {json.dumps(e["record"], ensure_ascii=False): e["record_id"] for es in first.values() for e in es}
    assert len(set(ids.values())) == len(ids)
    for envelopes in second.values():
        for envelope in envelopes:
            assert ids[json.dumps(envelope["record"], ensure_ascii=False)] == envelope["record_id"]


GOOD = '{"timestamp":"2024-11-29T10:00:00Z","ip":"192.0.2.1","status":200,"endpoint":"/"}'
NEXT_DAY = GOOD.replace("-29T", "-30T")


def test_a_bad_line_is_a_refused_record_of_the_files_first_day() -> None:
    bad = [
        '{"timestamp": "2024-11-30T',
        "[1, 2]",
        '"text"',
        '{"a": NaN}',
        '{"ip": "no time"}',
        '{"timestamp": "soon"}',
    ]
    reading, days = read("\n".join([bad[0], NEXT_DAY, *bad[1:4], GOOD, *bad[4:]]).encode())
    assert {day.isoformat(): (s.records, s.unparsable) for day, s in reading.shares.items()} == {
        "2024-11-29": (1, 6),
        "2024-11-30": (1, 0),
    }
    refused = [e for e in days[date(2024, 11, 29)] if "error" in e]
    assert [(e["line"], e["error"], e["raw"]) for e in refused] == [
        (1, "malformed_record", bad[0]),
        (3, "malformed_record", bad[1]),
        (4, "malformed_record", bad[2]),
        (5, "malformed_record", bad[3]),
        (7, "no_event_time", bad[4]),
        (8, "no_event_time", bad[5]),
    ]


def test_the_first_and_the_last_day_of_the_calendar_are_days_like_others() -> None:
    first, last = GOOD.replace("2024-11-29", "0001-01-01"), GOOD.replace("2024-11-29", "9999-12-31")
    reading, days = read("\n".join([last, "{", first, first]).encode())
    assert {day: (share.records, share.unparsable) for day, share in reading.shares.items()} == {
        date.min: (2, 1),
        date.max: (1, 0),
    }
    assert {day: len(envelopes) for day, envelopes in days.items()} == {date.min: 3, date.max: 1}


XML = "<errors>{}</errors>"
ERROR = "<error><errorTime>2024-11-29T10:00:0{}Z</errorTime><errorCode>500</errorCode><message>m</message></error>"
REFUSED = {
    "zip": (b"PK\x03\x04" + b"x" * 600, FileReason.UNSUPPORTED_CONTAINER),
    "text": (b"hello world\n", FileReason.UNSUPPORTED_FORMAT),
    "foreign keys": (b'{"a": 1}\n{"b": 2}\n', FileReason.UNSUPPORTED_FORMAT),
    "array that breaks": (f"[{GOOD}, {GOOD} {GOOD}]".encode(), FileReason.MALFORMED_JSON),
    "array without end": (f"[{GOOD}, {GOOD}".encode(), FileReason.MALFORMED_JSON),
    "no time anywhere": (b'{"time": "soon", "ip": "192.0.2.1", "status": 200}', FileReason.NO_EVENT_TIME),
    "xml without end": (XML.format(ERROR.format(1))[:-5].encode(), FileReason.MALFORMED_XML),
    "xml with an entity": (
        b'<!DOCTYPE e [<!ENTITY a "b">]>' + XML.format(ERROR.format(1)).encode(),
        FileReason.FORBIDDEN_XML_ENTITY,
    ),
    "gzip without end": (gzip.compress(GOOD.encode() * 9)[:-12], FileReason.TRUNCATED_GZIP),
    "gzip with a wrong sum": (gzip.compress(GOOD.encode())[:-8] + b"12345678", FileReason.CORRUPT_GZIP),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_taken_is_refused_whole_with_its_reason(case: str) -> None:
    body, reason = REFUSED[case]
    reading, days = read(body)
    assert reading.refusal is not None
    assert reading.refusal.reason is reason
    assert days == {}
    assert reading.size == len(body)


@pytest.mark.parametrize(
    "body", [b"", b"\n \r\n", b"\xef\xbb\xbf", gzip.compress(b""), b"[]", b"[ \n ]", b"<errors/>"]
)
def test_a_file_without_records_is_empty_and_no_error(body: bytes) -> None:
    reading, _ = read(body)
    assert (reading.refusal, reading.format, reading.shares) == (None, None, {})


@given(rows=records, cut=st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_a_truncated_gzip_is_never_taken(rows: list[dict[str, Any]], cut: float) -> None:
    whole = gzip.compress(lines(rows).encode())
    reading, _ = read(whole[: max(3, int(len(whole) * cut)) - 1] if cut < 1 else whole[:-1])
    assert reading.refusal is not None


@given(body=st.binary(max_size=600), magic=st.sampled_from([b"", b"\x1f\x8b", b"[", b"{", b"<", b'[{"time":']))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_judged_without_a_crash(body: bytes, magic: bytes) -> None:
    reading, _ = read(magic + body)
    assert reading.size == len(magic + body)


@given(rows=records, part_bytes=st.integers(50, 600))
@settings(max_examples=50, deadline=None)
def test_parts_roll_and_lose_nothing(rows: list[dict[str, Any]], part_bytes: int) -> None:
    whole, _ = read(lines(rows).encode())
    rolled, days = read(lines(rows).encode(), part_bytes=part_bytes)
    assert {d: s.records for d, s in rolled.shares.items()} == {d: s.records for d, s in whole.shares.items()}
    assert sum(map(len, days.values())) == len(rows)


def test_xml_fields_are_children_and_attributes_whatever_dresses_them() -> None:
    body = f"""<?xml version="1.0"?><!-- c --><!DOCTYPE x>
      <x:errors xmlns:x="urn:x"><x:error severity="high"><errorTime>2024-11-29T10:00:00Z</errorTime>
      <message><![CDATA[a <b> & c]]></message><?pi?><errorCode>500</errorCode></x:error>
      {ERROR.format(1)}</x:errors>"""
    reading, days = read(body.encode(), "raw/errors.xml")
    assert (reading.format, reading.records) == ("xml_errors", 2)
    assert days[date(2024, 11, 29)][0]["record"] == {
        "severity": "high",
        "errorTime": "2024-11-29T10:00:00Z",
        "message": "a <b> & c",
        "errorCode": "500",
    }


@pytest.mark.parametrize(
    ("key", "gzipped", "expected"),
    [
        ("raw/a.ndjson", False, "ndjson"),
        ("raw/a.json.gz", True, "json_gzip"),
        ("raw/a", True, "json_gzip"),
        ("raw/a", False, "ndjson"),
        ("raw/a.ndjson.gz", True, "ndjson"),
        ("raw/json_gzip/a.ndjson", False, "json_gzip"),
        ("raw/ndjson/a.json.gz", True, "ndjson"),
    ],
)
def test_where_the_content_fits_two_formats_folder_then_name_then_container_decide(
    key: str, gzipped: bool, expected: str
) -> None:
    body = GOOD.encode()
    reading, _ = read(gzip.compress(body) if gzipped else body, key)
    assert reading.format == expected


def test_bytes_behind_a_gzip_stream_are_a_warning() -> None:
    reading, _ = read(gzip.compress(GOOD.encode()) + b"garbage")
    assert (reading.records, reading.warnings) == (1, ("trailing_garbage",))


def test_a_bzip2_file_is_refused_and_not_misread() -> None:
    reading, _ = read(bz2.compress(GOOD.encode()))
    assert reading.refusal is not None
