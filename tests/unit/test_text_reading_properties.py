"""Lines of text and delimited fields come back as their fields, whatever stands in them and around them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.formats import load_formats
from tests.file_forms import LINES, headed
from tests.reading_under_test import Case, Taken, by_day, take, unordered
from tests.record_strategies import Packing, moments, packings, spellings, texts, zones

pytestmark = pytest.mark.timeout(120)
quick = settings(deadline=None)

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def assert_whole_fields(taken: Taken, name: str, cases: Sequence[Case], places: Sequence[int]) -> None:
    assert (taken.reason, taken.reading.format, taken.refused()) == (None, name, [])
    assert unordered(taken.records()) == unordered(by_day(cases, places))


# --- Combined and common ---

COMBINED = load_formats()["combined"]
assert COMBINED.pattern is not None
GROUPS = tuple(COMBINED.pattern.groupindex)


def _escaped(text: str) -> str:
    """As servers escape what stands between quotes."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


_quoted = texts.map(_escaped) | st.sampled_from(
    ["-", "", "GET / HTTP/1.1", "\\x16\\x03\\x01", 'GET /?q=\\"] [\\" HTTP/2']
)
_clients = st.sampled_from(["192.0.2.1", "2001:db8::1", "host.example.com", "unknown", "10.0.0.1, 10.0.0.2", "-"])
_users = st.sampled_from(["-", "frank", "a@b.example", "DOMAIN\\user", "jean luc"])


@st.composite
def combined_cases(draw: st.DrawFn) -> tuple[str, Case]:
    """A line of Apache's or nginx's, and what it holds."""
    moment, time = spellings(draw(moments), draw(zones))["Apache"]
    row = {
        "client": draw(_clients), "ident": draw(st.sampled_from(["-", "id"])), "user": draw(_users), "time": time,
        "request": draw(_quoted), "status": str(draw(st.integers(100, 999))),
        "bytes": draw(st.integers(0, 10**8 - 1).map(str) | st.just("-")),
    }  # fmt: skip
    if " " in row["user"]:  # with an ident, nobody could tell the client from a virtual host
        row["ident"] = "-"
    line = '{client} {ident} {user} [{time}] "{request}" {status} {bytes}'.format_map(row)
    if row["client"] != "-" and draw(st.booleans()):
        row |= {"vhost": "www.example.com", "port": "443"}
        line = f"www.example.com:443 {line}"
    if draw(st.booleans()):
        row |= {"referrer": draw(_quoted), "user_agent": draw(_quoted)}
        line += ' "{referrer}" "{user_agent}"'.format_map(row)
        if draw(st.booleans()):
            row["rest"] = '"10.1.1.1" 0.005 "a \\" b" -'
            line += " " + row["rest"]
    return line, Case({group: row.get(group) for group in GROUPS}, moment)


@pytest.mark.parametrize("layout", LINES)
@given(pairs=st.lists(combined_cases(), min_size=1, max_size=8), packing=packings)
@settings(quick, max_examples=40)
def test_access_log_lines_come_back_as_their_fields(
    layout: str, pairs: list[tuple[str, Case]], packing: Packing
) -> None:
    written = LINES[layout](line for line, _ in pairs)
    taken = take(packing.encode(written.text), sizes=packing.sizes)
    assert_whole_fields(taken, "combined", [case for _, case in pairs], written.places)


def test_a_large_download_is_no_flow_log() -> None:
    line = (
        'www.example.com:443 192.0.2.1 - - [29/Nov/2024:10:00:00 +0000] "GET /a HTTP/1.1" 200 1732900000 "-" "a b"'
    )
    assert take(line.encode()).reading.format == "combined"  # though it has as many words, and a time at its place


_GOOD = '192.0.2.1 - - [29/Nov/2024:10:00:00 +0000] "GET / HTTP/1.1" 200 1'
_bad_texts = st.sampled_from(
    [
        "hello", '{"time": 1}', "<a>", "[", '"', _GOOD + ' "', _GOOD.replace("]", ""), _GOOD.replace("200", "2xx"),
        _GOOD.replace('"', "'"), "- - -", "\\", "x" * 1500, '192.0.2.1 - - [29/Nov/2024:10:00:00 +0000] "GET / 200',
    ]
) | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30).filter(str.strip)  # fmt: skip
_timeless = st.sampled_from([_GOOD.replace("29/Nov", "31/Feb"), _GOOD.replace("29/Nov/2024:10:00:00 +0000", "-")])
_bad_bytes = st.sampled_from([b"\xff", b"\xc3(", _GOOD.encode() + b' "\xe9" "-"', b"caf\xe9"])


@given(
    first=combined_cases(),
    rest=st.lists(st.tuples(combined_cases(), _bad_texts.map(str.encode) | _timeless.map(str.encode) | _bad_bytes)),
    packing=packings,
)
@settings(quick, max_examples=200)
def test_a_line_that_does_not_match_is_refused_with_its_number_and_text(
    first: tuple[str, Case], rest: list[tuple[tuple[str, Case], bytes]], packing: Packing
) -> None:
    assert COMBINED.pattern is not None
    body = [first[0].encode()]
    cases, places, refused = [first[1]], [1], []
    for (line, case), bad in rest:
        body += [bad, line.encode()]
        cases.append(case)
        places.append(len(body))
        text = bad.decode("utf-8", "backslashreplace")
        if "\\x" in text and bad.decode("utf-8", "ignore") != text:
            reason = "invalid_bytes"
        else:
            reason = "no_event_time" if COMBINED.pattern.fullmatch(text) else "malformed_record"
        refused.append((len(body) - 1, reason, text))
    taken = take(packing.pack(b"\n".join(body)), sizes=packing.sizes)
    assert (taken.reason, taken.reading.format) == (None, "combined")
    assert unordered(taken.records()) == unordered(by_day(cases, places))
    assert [(place, reason) for place, reason, _ in taken.refused()] == [refusal[:2] for refusal in refused]
    for (_, _, raw), (_, reason, text) in zip(taken.refused(), refused, strict=True):
        assert raw == text or reason == "no_event_time"  # a line that was parsed travels as its fields


# --- Delimited ---


def _standard_columns(name: str) -> list[str]:
    delimited = load_formats()[name].delimited
    assert delimited is not None
    return list(delimited.fields)


_LATER_COLUMNS = ("vpc-id", "subnet-id", "tcp-flags", "pkt-srcaddr", "region", "flow-direction", "traffic-path")


def _fields_of(text: st.SearchStrategy[str], columns: Sequence[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries(dict.fromkeys(columns, text))


_words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8).map(
    lambda word: word.lstrip("#") or "-"
)
_phrases = st.lists(_words, min_size=1, max_size=3).map(" ".join)


@st.composite
def cloudfront_files(draw: st.DrawFn) -> tuple[list[str], list[str], list[Case]]:
    """The lines of a header, perhaps none, the lines of records, and what these hold."""
    columns = _standard_columns("cloudfront")
    head: list[str] = []
    if draw(st.booleans()):
        needed = ["date", "time", "c-ip", "sc-status", "cs-method"]
        others = draw(st.lists(st.sampled_from(columns[5:]), unique=True).map(set)) - set(needed)
        columns = draw(st.permutations([*needed, *sorted(others)]))
        head = ["#Version: 1.0", "#Fields: " + " ".join(columns)]
    rows, cases = [], []
    for moment in draw(st.lists(moments, min_size=1, max_size=5)):
        second = moment.replace(microsecond=0)
        row = draw(_fields_of(_phrases, columns))
        row |= {"date": f"{second:%Y-%m-%d}", "time": f"{second:%H:%M:%S}"}
        rows.append("\t".join(row[column] for column in columns))
        cases.append(Case(row, second))
    return head, rows, cases


@st.composite
def flow_files(draw: st.DrawFn) -> tuple[list[str], list[str], list[Case]]:
    """The same of VPC flow logs: the header may have any columns in any order; without one, it is version 2."""
    columns = _standard_columns("vpc_flow")
    head: list[str] = []
    if draw(st.booleans()):
        others = draw(st.lists(st.sampled_from([*columns[:10], *columns[11:], *_LATER_COLUMNS]), unique=True))
        columns = draw(st.permutations(list(dict.fromkeys(["start", "srcaddr", *others]))))
        head = [" ".join(columns)]
    rows, cases = [], []
    for moment in draw(st.lists(moments, min_size=1, max_size=5)):
        second, spelling = spellings(moment, UTC)["epoch text"]
        row = draw(_fields_of(_words, columns)) | {"start": spelling} | ({} if head else {"version": "2"})
        rows.append(" ".join(row[column] for column in columns))
        cases.append(Case(row, second))
    return head, rows, cases


@pytest.mark.parametrize("name", ["cloudfront", "vpc_flow"])
@given(data=st.data(), newline=st.sampled_from(["\n", "\r\n"]), last=st.booleans(), packing=packings)
@settings(quick, max_examples=150)
def test_delimited_lines_come_back_under_the_names_of_their_header_or_of_the_standard(
    name: str, data: st.DataObject, newline: str, last: bool, packing: Packing
) -> None:
    head, rows, cases = data.draw(cloudfront_files() if name == "cloudfront" else flow_files())
    written = headed(head, rows, newline=newline, last=last)
    taken = take(packing.encode(written.text), sizes=packing.sizes)
    assert_whole_fields(taken, name, cases, written.places)


# --- Cuts ---

_CUT: Mapping[str, tuple[list[str], list[str]]] = {
    "combined": ([], [_GOOD + ' "-" "é"', _GOOD.replace("29", "30"), _GOOD + ' "-" "b"']),
    "vpc_flow": (["start end srcaddr log-status"], ["1732924798 - 192.0.2.1 OK", "1732924800 1 é OK"]),
    "cloudfront": (
        ["#Version: 1.0", "#Fields: date time c-ip cs-method sc-status"],
        ["2024-11-29\t10:00:00\t::1\tGET\t200", "2024-11-30\t10:00:00\té\tGET\t404"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _CUT)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_cut_at_any_byte_are_the_lines_before_and_at_most_one_more(name: str, newline: str) -> None:
    head, rows = _CUT[name]
    body = headed(head, rows, newline=newline).text.encode()
    whole = sorted(record for records in take(body).records().values() for record in records)
    assert len(whole) == len(rows)
    for length in range(len(body)):
        taken = take(body[:length])
        complete = max(0, body[:length].count(newline.encode()) - len(head))
        found = sorted(record for records in taken.records().values() for record in records)
        if taken.reason is None:
            assert found[:complete] == whole[:complete], length
            assert complete <= len(found) + len(taken.refused()) <= complete + 1, length
        else:
            assert complete == 0, length
