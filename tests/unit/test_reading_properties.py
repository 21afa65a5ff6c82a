"""Any list of records, in any layout, encoding and container, comes back as the same records on the same days."""

from __future__ import annotations

import codecs
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.timestamps import iso_utc
from tests.file_forms import CONTAINERS, ENCODINGS, JSON_LAYOUTS, NUMBER, Dump, Written, json_text
from tests.reading_under_test import Case, Taken, assert_whole, by_day, take, unordered
from tests.record_strategies import (
    Packing,
    access_cases,
    access_files,
    dumps,
    error_files,
    packings,
    texts,
)
from tests.xml_forms import XML_ENCODINGS, XML_LAYOUTS, Dress, two_xml_documents, xml_text

pytestmark = pytest.mark.timeout(120)  # nothing here may hang
quick = settings(deadline=None)

MIDNIGHT = datetime(2024, 11, 30, tzinfo=UTC)
ACCESSES = [
    Case(
        {"time": "2024-11-29T23:59:59Z", "ip": "é", "status": 200, "x": {"a": [{}]}},
        MIDNIGHT - timedelta(seconds=1),
    ),
    Case({"ip": "::1", "status": "2]", "time": "2024-11-30 00:00:00.5"}, MIDNIGHT + timedelta(seconds=0.5)),
    Case({"status": 1, "x": '}{\\"', "ip": "", "time": f"{NUMBER}1732924798"}, MIDNIGHT - timedelta(seconds=2)),
]
ERRORS = [
    Case(
        {"errorTime": "2024-11-29T23:59:59Z", "errorCode": "500", "message": "é<"}, MIDNIGHT - timedelta(seconds=1)
    ),
    Case({"message": "", "errorTime": "2024-11-30 00:00:00", "errorCode": "4", "x": ["1", {"y": "2"}]}, MIDNIGHT),
]
ACCESS_LINE = json_text(ACCESSES[0].row).encode()


def write_json(layout: str, cases: Sequence[Case], dump: Dump = json_text) -> Written:
    return JSON_LAYOUTS[layout]([case.row for case in cases], dump)


@pytest.mark.parametrize("layout", JSON_LAYOUTS)
@given(cases=access_files, dump=dumps, packing=packings)
@settings(quick, max_examples=40)
def test_json_records_come_back_whatever_they_were_packed_in(
    layout: str, cases: list[Case], dump: Dump, packing: Packing
) -> None:
    written = write_json(layout, cases, dump)
    assert_whole(take(packing.encode(written.text), sizes=packing.sizes), cases, written.places)


@pytest.mark.parametrize("layout", JSON_LAYOUTS)
def test_every_json_layout_in_every_encoding_and_container(layout: str) -> None:
    written = write_json(layout, ACCESSES)
    for encode in ENCODINGS.values():
        for pack in CONTAINERS.values():
            assert_whole(take(pack(encode(written.text)).data), ACCESSES, written.places)


@pytest.mark.parametrize("layout", JSON_LAYOUTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_records_that_lie_across_the_readers_pieces_come_back(layout: str, encoding: str) -> None:
    dice = random.Random(layout)  # noqa: S311 - the same files in every run
    cases = []
    for number in range(150):
        moment = MIDNIGHT + timedelta(minutes=dice.randrange(4000))
        filler = dice.choice(['"', "}{", "é", "😀", "]}", "\\"]) * dice.randrange(900)
        cases.append(
            Case({"timestamp": iso_utc(moment), "ip": "::1", "status": number, "x": [{"k": filler}] * 2}, moment)
        )
    written = write_json(layout, cases)
    body = ENCODINGS[encoding](written.text)
    for sizes in ([1 << 20], [65_537, 1, 4093]):
        assert_whole(take(body, sizes=sizes), cases, written.places)


def test_more_days_than_stay_open_get_all_their_records_in_order() -> None:
    dice = random.Random(0)  # noqa: S311
    moments = [MIDNIGHT + timedelta(hours=dice.randrange(24 * 300)) for _ in range(3000)]
    cases = [Case({"time": iso_utc(moment), "ip": "::1", "status": 200}, moment) for moment in moments]
    written = write_json("lines, LF", cases)
    assert_whole(take(written.text.encode(), sizes=[5000]), cases, written.places)


def test_a_wrapper_is_known_wherever_the_readers_pieces_and_looks_ahead_end() -> None:
    rows = [case.row for case in ACCESSES]
    for length in (*range(3_800, 4_120), *range(65_300, 65_560)):
        text = json_text({"a": "x" * length, "b": f"{NUMBER}{'1' * 90}", "c": [], "Records": rows})
        assert_whole(take(text.encode()), ACCESSES, (1, 2, 3))


def test_a_number_behind_the_records_is_read_whole_wherever_the_readers_pieces_end() -> None:
    for length in range(65_000, 65_560, 20):
        long = Case({**ACCESSES[0].row, "a": "x" * length}, ACCESSES[0].moment)
        text = json_text({"Records": [ACCESSES[1].row, long.row], "b": f"{NUMBER}{'1' * 90}"})
        assert_whole(take(text.encode()), [ACCESSES[1], long], (1, 2))


@pytest.mark.parametrize("layout", JSON_LAYOUTS)
def test_a_record_that_holds_records_is_one_record(layout: str) -> None:
    inner = {"time": "2020-01-01T00:00:00Z", "ip": "::1", "status": 200}
    row = {"time": iso_utc(MIDNIGHT), "ip": "::2", "status": 404, "spans": [inner, inner]}
    cases = [Case(row, MIDNIGHT)] * 3
    written = write_json(layout, cases)
    assert_whole(take(written.text.encode()), cases, written.places)


# --- XML ---


def write_xml(
    cases: Sequence[Case], dress: Dress, encoding: str, between: str | None = None
) -> tuple[Written, bytes]:
    """One document, or two with that text between them, in one of XML_ENCODINGS."""
    declared, encode = XML_ENCODINGS[encoding]
    rows = [case.row for case in cases]
    if declared is not None:
        lacking = b"&#" in encode(json.dumps(rows, ensure_ascii=False).replace("&#", ""))
        dress = replace(dress, declared=declared, cdata=dress.cdata and not lacking)  # CDATA has no references
    written = xml_text(rows, dress) if between is None else two_xml_documents(rows, dress, between)
    return written, encode(written.text)


def assert_whole_xml(taken: Taken, cases: Sequence[Case]) -> None:
    assert (taken.reason, taken.reading.format, taken.refused()) == (None, "xml_errors", [])
    assert unordered(taken.records()) == unordered(by_day(cases, range(1, len(cases) + 1)))


@pytest.mark.parametrize("layout", XML_LAYOUTS)
@given(cases=error_files, encoding=st.sampled_from(tuple(XML_ENCODINGS)), packing=packings)
@settings(quick, max_examples=30)
def test_xml_records_come_back_whatever_they_were_dressed_in(
    layout: str, cases: list[Case], encoding: str, packing: Packing
) -> None:
    _, body = write_xml(cases, XML_LAYOUTS[layout], encoding)
    assert_whole_xml(take(packing.pack(body), sizes=packing.sizes), cases)


@pytest.mark.parametrize("layout", XML_LAYOUTS)
def test_every_xml_layout_in_every_encoding_once_and_as_two_documents(layout: str) -> None:
    for encoding in XML_ENCODINGS:
        for between in (None, "\n", ""):
            _, body = write_xml(ERRORS, XML_LAYOUTS[layout], encoding, between)
            assert_whole_xml(take(body), ERRORS)


@pytest.mark.parametrize("encoding", ["utf-8 with BOM", "declared utf-16, little-endian with BOM"])
def test_documents_that_each_have_a_byte_order_mark_can_be_joined(encoding: str) -> None:
    first, second = (write_xml([case], Dress(declared=""), encoding)[1] for case in ERRORS)
    assert_whole_xml(take(first + second), ERRORS)


@pytest.mark.parametrize("layout", XML_LAYOUTS)
def test_xml_records_that_lie_across_the_readers_pieces_come_back(layout: str) -> None:
    dice = random.Random(layout)  # noqa: S311
    cases = []
    for _ in range(150):
        message = dice.choice(["&", "]]>", "é", "😀", "<a>", "\r\n"]) * dice.randrange(900)
        moment = MIDNIGHT + timedelta(minutes=dice.randrange(4000))
        cases.append(Case({"errorTime": iso_utc(moment), "errorCode": "1", "message": message.strip()}, moment))
    for encoding in ("utf-8", "declared iso-8859-1", "declared utf-16, but utf-8"):
        _, body = write_xml(cases, XML_LAYOUTS[layout], encoding)
        for sizes in ([1 << 20], [65_537, 1, 4093]):
            assert_whole_xml(take(body, sizes=sizes), cases)


def test_an_elements_own_text_stands_beside_its_attributes_and_children() -> None:
    body = b"""<errors><error severity="high" id="1">own<errorTime>2024-11-30T00:00:00Z</errorTime>
      <message lang="en"> a<b/>c </message><b/>text</error></errors>"""
    assert unordered(take(body).records())[MIDNIGHT.date()][0][2] == {
        "severity": "high",
        "id": "1",
        "errorTime": "2024-11-30T00:00:00Z",
        "message": {"lang": "en", "b": "", "text": "ac"},
        "b": "",
        "text": "own\n      text",
    }


# --- Malformed lines among good ones ---


def is_object(text: bytes) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


_cut_lines = st.builds(
    lambda case, share: (line := json_text(case.row).encode())[: 1 + int((len(line) - 1) * share)],
    access_cases(),
    st.floats(0, 0.99),
)
_NO_OBJECTS = (
    b"[1, 2]", b'"text"', b"NaN", b"null", b"12", b"hello", b"//", b"<", b'"', b"\xff\xfe",
    b"#", b"{", b"}", b"[", b"]",
    b"{'a': 1}", b'{"a": 01}', b'{"a": 1}}', b'{"a": 1,}', b'{"a": 1}{"b": 2}', b"{1: 2}",
    b'{"time": NaN}', b'{"ip": Infinity}', b'{"a": -Infinity}', b'{"a": "\t"}', b'{"a": "\x00"}', b'{"a": "\\x"}',
    b'{"a": "\xed\xa0\x80"}', b'{"a":"\xc3"}', b'{"a":"\xc3\x28"}', b'{"a": "' + b"x" * 1500,
)  # fmt: skip
_broken = (
    (_cut_lines | st.sampled_from(_NO_OBJECTS) | st.binary(min_size=1, max_size=20) | texts.map(str.encode))
    .map(lambda line: line.replace(b"\n", b"").strip().removeprefix(codecs.BOM_UTF8).strip())
    .filter(lambda line: line != b"" and not is_object(line))
)
_unreadable_times = ['"soon"', "[1]", "12", "true", '"2024-02-30T00:00:00Z"', '{"a": 1}', '"2024-11-29"', '""']
_timeless = st.sampled_from(
    [b"{}", *(b'{"time": %b, "ip": "::1", "status": 200}' % time.encode() for time in _unreadable_times)]
)
_other_records = st.sampled_from([b'{"ip": "::1", "status": 200}', b'{"time": null, "ip": ""}', b'{"user": {}}'])
"""Too many of these among the first records, and the file would be of no format that we know."""


def why_not(line: bytes) -> str:
    try:
        line.decode()
    except UnicodeDecodeError:
        return "invalid_bytes"
    return "no_event_time" if is_object(line) else "malformed_record"


@given(
    before=st.lists(_broken.filter(lambda line: line.startswith(b"{") and not line.endswith(b"[")), max_size=2),
    first=access_cases(),
    rest=st.lists(access_cases() | _broken | _timeless, max_size=12).flatmap(
        lambda rest: _other_records.map(lambda other: [*rest, other])
    ),
    newline=st.sampled_from([b"\n", b"\r\n", b"\n \n"]),
    packing=packings,
)
@settings(quick, max_examples=400)
def test_a_bad_line_is_refused_with_its_number_and_text_and_costs_no_other_line(
    before: list[bytes], first: Case, rest: list[Case | bytes], newline: bytes, packing: Packing
) -> None:
    items = [*before, first, *rest]
    lines = [json_text(item.row).encode() if isinstance(item, Case) else item for item in items]
    step = newline.count(b"\n")
    numbered = list(zip(range(1, 1 + step * len(items), step), items, strict=True))
    taken = take(packing.pack(newline.join(lines)), sizes=packing.sizes)
    assert taken.reason is None
    good = [(place, item) for place, item in numbered if isinstance(item, Case)]
    assert taken.records() == by_day([case for _, case in good], [place for place, _ in good])
    assert taken.refused() == [
        (place, why_not(item), item.decode("utf-8", "backslashreplace"))
        for place, item in numbered
        if isinstance(item, bytes)
    ]


@pytest.mark.parametrize("length", [10, 5_000, 70_000, 900_000])
@pytest.mark.parametrize("bad", [b"bad", b'{"time": "2024', b"[", b'{"a": 1}}', b"\xff"])
def test_a_bad_line_costs_no_other_line_however_long_these_are(length: int, bad: bytes) -> None:
    long = Case({"time": iso_utc(MIDNIGHT), "ip": "::1", "status": 200, "x": "x" * length}, MIDNIGHT)
    line = json_text(long.row).encode()
    for lines, places in (
        ([line, bad, line], (1, 3)),
        ([line, line, bad], (1, 2)),
        ([ACCESS_LINE, line, bad], (2,)),
    ):
        taken = take(b"\n".join(lines))
        assert taken.reason is None
        assert [record for record in taken.records()[MIDNIGHT.date()] if record[0] in places] == by_day(
            [long] * len(places), places
        )[MIDNIGHT.date()]
        assert [place for place, _, _ in taken.refused()] == [lines.index(bad) + 1]
