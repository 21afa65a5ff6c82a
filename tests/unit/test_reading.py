"""What single files come to. That any file comes back as it was is in test_reading_properties.py."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.formats import load_formats, parse_format
from atlas.reasons import FileReason
from lambda_ingest.container import CHUNK_BYTES
from lambda_ingest.read import MAX_SECONDS, Reading, read_file
from lambda_ingest.spool import Spool


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


def lines(rows: Sequence[Any]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


extras = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(-9, 9), max_size=3)


@given(rows=st.lists(extras.map(lambda extra: extra | json.loads(GOOD)), min_size=1, max_size=8))
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


def thrice(pack: Callable[[bytes], bytes]) -> bytes:
    return pack(pack(pack(GOOD.encode())))


XML = "<errors>{}</errors>"
ERROR = "<error><errorTime>2024-11-29T10:00:0{}Z</errorTime><errorCode>500</errorCode><message>m</message></error>"
REFUSED = {
    "zip": (b"PK\x03\x04" + b"x" * 600, FileReason.UNSUPPORTED_CONTAINER),
    "tar in gzip": (gzip.compress(b"\0" * 257 + b"ustar" + b"\0" * 600), FileReason.UNSUPPORTED_CONTAINER),
    "gzip in gzip in gzip": (thrice(gzip.compress), FileReason.UNSUPPORTED_CONTAINER),
    "a Parquet file": (b"PAR1" + b"x" * 600, FileReason.UNSUPPORTED_CONTAINER),
    "bzip2 without end": (bz2.compress(GOOD.encode() * 9)[:-12], FileReason.TRUNCATED_STREAM),
    "xz that is damaged": (lzma.compress(GOOD.encode())[:-9] + b"123456789", FileReason.CORRUPT_STREAM),
    "an encoding that nobody knows": (
        b'<?xml version="1.0" encoding="x-klingon"?><errors/>',
        FileReason.UNREADABLE_ENCODING,
    ),
    "an encoding that is another": (
        b"\xff\xfe" + GOOD.encode("utf-16-le") + b"\0\xd8",
        FileReason.UNREADABLE_ENCODING,
    ),
    "Latin-1 without saying so": (
        "<errors><error>é</error></errors>".encode("latin-1"),
        FileReason.UNREADABLE_ENCODING,
    ),
    "a line that is too long": (GOOD.encode() + b"\n" + b"x" * (5 << 20), FileReason.RECORD_TOO_LONG),
    "xml without a record": (b"<html><body>It works!</body></html>", FileReason.UNSUPPORTED_FORMAT),
    "an external entity": (
        b'<!DOCTYPE e [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + XML.format(ERROR.format("&a;")).encode(),
        FileReason.FORBIDDEN_XML_ENTITY,
    ),
    "text": (b"hello world\n", FileReason.UNSUPPORTED_FORMAT),
    "foreign keys": (b'{"a": 1}\n{"b": 2}\n', FileReason.UNSUPPORTED_FORMAT),
    "array that breaks": (f"[{GOOD}, {GOOD} {GOOD}]".encode(), FileReason.MALFORMED_JSON),
    "a record that holds records": (
        ('{"Records":[' + GOOD + "]," + GOOD.removeprefix("{")).encode(),
        FileReason.MALFORMED_JSON,
    ),
    "an array with a number that is none": (f'[{GOOD}, {{"x": NaN}}]'.encode(), FileReason.MALFORMED_JSON),
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
    assert reading.content_hash == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n \r\n",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        gzip.compress(b"", mtime=0),
        bz2.compress(b"\n"),
        b"[]",
        b"[ \n ]",
        b'{"Records": []}',
        b"<errors/>",
        b'<?xml version="1.0"?>\n<!-- none --><errors xmlns="urn:x">\n</errors>\n',
    ],
)
def test_a_file_without_records_is_empty_and_no_error(body: bytes) -> None:
    reading, _ = read(body)
    assert (reading.refusal, reading.format, reading.shares) == (None, None, {})


@pytest.mark.parametrize("part_bytes", [1, 4_000, 40_000])
def test_parts_roll_and_lose_nothing(part_bytes: int) -> None:
    rows = [{**json.loads(GOOD if number % 3 else NEXT_DAY), "number": number} for number in range(3_000)]
    whole, every = read(lines(rows).encode())
    rolled, days = read(lines(rows).encode(), part_bytes=part_bytes)
    assert all(share.parts > 2 for share in rolled.shares.values())
    assert {d: s.records for d, s in rolled.shares.items()} == {d: s.records for d, s in whole.shares.items()}
    assert days == every


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


def test_xml_keeps_what_occurs_again_and_the_text_beside_the_children() -> None:
    body = """<errors><error errorTime="2024-11-29T10:00:00Z"> out <tag>a</tag><tag>b</tag> of
      <at line="3">memory<!-- ! --> here</at><none/></error></errors>"""
    _, days = read(body.encode())
    assert days[date(2024, 11, 29)][0]["record"] == {
        "errorTime": "2024-11-29T10:00:00Z",
        "tag": ["a", "b"],
        "at": {"line": "3", "text": "memory here"},
        "none": "",
        "text": "out  of",
    }


COMMON = '192.0.2.7 - - [29/Nov/2024:10:00:00 +0100] "GET / HTTP/1.1" 200 5'
APP = '{"timestamp":"2024-11-29T10:00:00Z","level":"info","message":"m","status":"ok"}'


@pytest.mark.parametrize(
    ("body", "expected", "records", "refused"),
    [
        ("Starting server ...\n" + f"{GOOD}\n" * 3, "ndjson", 3, 1),
        ("[notice] starting\n" + f"{COMMON}\n" * 3, "combined", 3, 1),
        ("{broken\n" + f"{GOOD}\n" * 3, "ndjson", 3, 1),
        (f"{GOOD}\n{GOOD} and more\n" * 2, "ndjson", 2, 2),
        (f"{APP}\n" * 3, "app_log", 3, 0),
        (f"{APP}\n" * 3 + GOOD, "app_log", 4, 0),
        ('{"Records":[' + GOOD + '],"next":[' + GOOD + "]}", "ndjson", 2, 0),
        ('{"Records":[' + GOOD + "]}\n" + '{"Records":[' + GOOD + "]}", "ndjson", 2, 0),
        ('{"timestamp":"2024-11-29T10:00:00Z","ip":"::1","status":1,"x":[' + GOOD + "]}", "ndjson", 1, 0),
        ("[" + GOOD + ",1,null]", "ndjson", 1, 2),
        ("[" + GOOD + ',{"x":"\\ud83d"},{"x":1e400},' + GOOD + "]", "ndjson", 2, 2),
        ("[" + GOOD + "]\ufeff[" + GOOD + "]", "ndjson", 2, 0),
        ('{"\\ud83d":1,"Records":[' + GOOD + '],"\\ud83d":2}', "ndjson", 1, 0),
    ],
)
def test_the_content_tells_the_format_also_where_some_of_it_is_none(
    body: str, expected: str, records: int, refused: int
) -> None:
    reading, _ = read(body.encode(), "raw/drop")
    assert (reading.format, reading.records, reading.unparsable) == (expected, records, refused)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"hello world\nsecond\n", "hello world"),
        (b'{"colour": 1}', "colour"),
        (COMMON.encode() + b"\nx\ny\nz\n", "nearest is combined, which reads 25%"),
        (f'[{GOOD},\n {{"a": 1,,}}]'.encode(), "line 2, byte"),
        (b"<errors>\n<error>\n</errors>", "line 3, column"),
        (f"[{GOOD}\n {GOOD}]".encode(), "line 2, byte"),
        (b'<?xml version="1.0" encoding="x-klingon"?>', "x-klingon"),
    ],
)
def test_a_refusal_says_what_was_found_and_where(body: bytes, words: str) -> None:
    reading, _ = read(body, "raw/drop")
    assert reading.refusal is not None
    assert words in reading.refusal.place


def test_a_file_that_was_compressed_twice_is_read_like_others() -> None:
    reading, _ = read(gzip.compress(bz2.compress(GOOD.encode())))
    assert (reading.records, reading.refusal) == (1, None)


def test_lines_with_invalid_bytes_are_refused_alone_and_their_bytes_are_told() -> None:
    for line, key in ((GOOD, "ndjson"), (COMMON, "combined")):
        bad = line.encode().replace(b"/ ", b"/\xe9 ").replace(b'"/"', b'"\xe9"')
        reading, days = read(b"\n".join([line.encode(), bad, line.encode()]), "raw/drop")
        assert (reading.format, reading.records, reading.unparsable) == (key, 2, 1)
        [refused] = [e for e in days[date(2024, 11, 29)] if "error" in e]
        assert (refused["line"], refused["error"]) == (2, "invalid_bytes")
        assert "\\xe9" in refused["raw"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_scratch_disk_that_is_full_refuses_the_file(tmp_path: Path) -> None:
    (tmp_path / "2024-11-29.0").symlink_to("/dev/full")
    reading = read_file(io.BytesIO(GOOD.encode()), "raw/drop", Spool(tmp_path, 1 << 20), load_formats())
    assert reading.refusal is not None
    assert reading.refusal.reason is FileReason.TOO_LARGE
    assert "scratch disk" in reading.refusal.place


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


def test_lines_are_lines_also_where_the_first_is_long_and_a_later_one_broken() -> None:
    long = GOOD.replace('"/"', '"/' + "x" * 100_000 + '"')
    reading, days = read("\n".join([long, "{", GOOD]).encode())
    assert (reading.records, reading.unparsable) == (2, 1)
    assert [envelope["line"] for envelope in days[date(2024, 11, 29)]] == [1, 3, 2]


@pytest.mark.parametrize("length", range(4_094, 4_099))
def test_objects_in_a_row_are_no_lines_wherever_the_first_one_ends(length: int) -> None:
    first = GOOD.replace('"/"', '"/' + "x" * (length - len(GOOD)) + '"')
    assert len(first) == length
    reading, _ = read((first + GOOD + GOOD).encode())
    assert (reading.records, reading.unparsable, reading.refusal) == (3, 0, None)


@pytest.mark.parametrize(
    "body",
    [
        lines([json.loads(GOOD)] * 12),
        GOOD + "\n" * 12,
        "[" + ",".join([GOOD] * 12) + "]",
        "\n".join([COMMON] * 12),
        COMMON + "\n \n" * 12,
        XML.format(ERROR.format(1) * 12),
    ],
)
def test_a_file_of_too_many_records_or_lines_is_refused(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(body.encode(), "raw/drop")[0].refusal is None
    monkeypatch.setattr("lambda_ingest.lines.MAX_RECORDS", 11)
    reading, days = read(body.encode(), "raw/drop")
    assert reading.refusal is not None
    assert reading.refusal.reason is FileReason.TOO_LARGE
    assert days == {}


def test_a_file_of_too_much_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    body = f"{GOOD}\n".encode() * 1_000
    monkeypatch.setattr("lambda_ingest.container.MAX_TEXT_BYTES", len(body))
    assert read(body)[0].refusal is None
    reading, _ = read(gzip.compress(body + b"\n"))
    assert reading.refusal is not None
    assert reading.refusal.reason is FileReason.TOO_LARGE


@pytest.mark.parametrize("line", [GOOD, COMMON])
@pytest.mark.parametrize("blanks", ["", "\n", "\n\n", "\r\n \n"])
def test_lines_keep_their_numbers_wherever_the_readers_pieces_end(line: str, blanks: str) -> None:
    for shift in range(6):
        first = line.replace("/ ", "/" + "x" * (CHUNK_BYTES - len(line) - shift) + " ")
        first = first.replace('"/"', '"/' + "x" * (CHUNK_BYTES - len(line) - shift) + '"')
        assert len(first) == CHUNK_BYTES - shift
        reading, days = read("\n".join([first + "\n" + blanks + line, line]).encode(), "raw/drop")
        after = 2 + blanks.count("\n")
        assert reading.unparsable == 0
        assert [envelope["line"] for envelope in days[date(2024, 11, 29)]] == [1, after, after + 1]


def test_a_file_that_takes_too_long_is_refused_and_not_tried_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 0.0, MAX_SECONDS - 1.0, MAX_SECONDS + 1.0])
    monkeypatch.setattr("lambda_ingest.read.monotonic", lambda: next(clock))
    reading, days = read(f"{GOOD}\n".encode() * 3_000)
    assert reading.refusal is not None
    assert reading.refusal.reason is FileReason.TOO_LARGE
    assert (days, reading.records_read > 0) == ({}, True)


def test_a_comment_is_no_record_though_it_has_as_many_words_as_one(tmp_path: Path) -> None:
    text = """
title = "Doors"
log_type = "door"
syntax = "delimited"
required = [["user_id"]]
[recognise]
has = [["time"], ["user_id"]]
[time]
fields = [["date", "clock"]]
[delimited]
separator = " "
comment = "#"
fields = ["date", "clock", "badge"]
[columns]
user_id = ["badge"]
"""
    body = b"2024-11-29 10:00:00 b1\n#Closed: 2024-11-29 10:30:00\n2024-11-29 11:00:00 b2\n"
    formats = {"door": parse_format("door", text)}
    reading = read_file(io.BytesIO(body), "raw/drop", Spool(tmp_path, 1 << 20), formats)
    assert (reading.format, reading.records, reading.unparsable) == ("door", 2, 0)
