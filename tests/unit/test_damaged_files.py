"""What is cut, bent or made up is refused or says what it lacks, and is never taken for another file."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from encodings.aliases import aliases
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.file_forms import BLANKS, CODECS, CONTAINERS, ENCODINGS, JSON_LAYOUTS, Written, json_text
from tests.reading_under_test import Case, Taken, by_day, take, unordered
from tests.record_strategies import Packing, packings
from tests.unit.test_reading_properties import ACCESSES, ERRORS, write_json, write_xml
from tests.xml_forms import XML_ENCODINGS, XML_LAYOUTS

pytestmark = pytest.mark.timeout(120)  # nothing here may hang
quick = settings(deadline=None)

# --- Cuts ---

_MISCELLANY = re.compile(r"<!--.*?-->|<\?.*?\?>", re.DOTALL)


def assert_cut(taken: Taken, written: Written, cases: Sequence[Case], text: str, half: bool | None) -> None:
    """A file cut behind `text` holds the records before the cut, or is refused.

    `half`: the cut lies in a character behind the text; None: it is too short for its encoding to be known.
    """
    xml = written.text.startswith("<")
    stop, count = max(stop for stop in written.stops if stop[0] <= len(text))
    rest = text[stop:].strip(BLANKS)
    if taken.reason is None:
        found, expected = taken.records(), by_day(cases[:count], written.places[:count])
        assert (unordered(found) == unordered(expected)) if xml else (found == expected)
        assert len(taken.refused()) <= 1
    if half is None:
        return
    if half:
        assert taken.reason is not None or taken.refused()
    elif not rest:
        assert (taken.reason, taken.refused()) == (None, [])
    elif xml and (stop or written.kind == "objects") and not _MISCELLANY.sub("", rest).strip(BLANKS):
        pass  # comments and declarations hold no records: nothing is lost, whether they end a file or not
    elif written.kind == "lines" and count:
        assert [place for place, _, _ in taken.refused()] == [written.places[count]]
    elif written.kind == "document" or xml:
        broken = "malformed_xml" if xml else "malformed_json"
        whole_records = len(text) > len(written.text) * 0.7
        assert taken.reason in ({broken} if whole_records else {broken, "unsupported_format"})
    else:
        assert taken.reason is not None or taken.refused()


def assert_cuts(written: Written, body: bytes, codec: str, cases: Sequence[Case]) -> None:
    """The same for each length."""
    mark = next((mark for mark in (codecs.BOM_UTF8, b"\xff\xfe", b"\xfe\xff") if body.startswith(mark)), b"")
    for length in range(len(body)):
        decoder = codecs.getincrementaldecoder(codec)()
        text = decoder.decode(body[len(mark) : length])
        half = decoder.getstate()[0] != b"" if length >= 4 else None
        try:
            assert_cut(take(body[:length]), written, cases, text, half)
        except AssertionError as fault:
            fault.add_note(f"cut at byte {length}: {body[:length]!r}")
            raise


@pytest.mark.parametrize("layout", JSON_LAYOUTS)
@pytest.mark.parametrize("encoding", ["utf-8 with BOM", "utf-16-be"])
def test_json_cut_at_any_byte_is_no_other_file(layout: str, encoding: str) -> None:
    written = write_json(layout, ACCESSES, partial(json_text, tight=True))
    assert_cuts(written, ENCODINGS[encoding](written.text), CODECS[encoding], ACCESSES)


@pytest.mark.parametrize("layout", XML_LAYOUTS)
def test_xml_cut_at_any_byte_is_no_other_file(layout: str) -> None:
    written, body = write_xml(ERRORS, XML_LAYOUTS[layout], "utf-8")
    assert_cuts(written, body, "utf-8", ERRORS)


@pytest.mark.parametrize("between", ["", "\n"])
def test_two_xml_documents_cut_at_any_byte_are_no_other_file(between: str) -> None:
    encoding = "declared utf-16, little-endian with BOM"
    written, body = write_xml(ERRORS, XML_LAYOUTS["declaration"], encoding, between)
    assert_cuts(written, body, "utf-16-le", ERRORS)


@pytest.mark.parametrize("container", [name for name in CONTAINERS if name != "plain"])
def test_a_container_cut_at_any_byte_is_refused_as_truncated(container: str) -> None:
    written = write_json("lines, LF", ACCESSES)
    packed = CONTAINERS[container](written.text.encode())
    whole = by_day(ACCESSES, written.places)
    truncated = "truncated_gzip" if container.startswith("gzip") else "truncated_stream"
    for length in range(len(packed.data)):
        taken = take(packed.data[:length])
        if length not in packed.whole:
            # Less than a magic number is not known for what it was.
            assert taken.reason == truncated or (length < 6 and taken.reason == "unsupported_format"), length
        elif taken.reason is None:
            assert taken.reading.records + taken.reading.unparsable <= len(ACCESSES)
            for day, records in taken.records().items():
                assert records == whole[day][: len(records)]
        else:  # whole members that hold no whole record
            assert taken.reason in ("unsupported_format", "malformed_json"), length


# --- Bent and made up ---


@pytest.mark.parametrize("container", ["gzip", "gzip with name and comment", "bzip2", "xz", "zstd"])
def test_a_container_with_any_bit_flipped_is_refused_or_holds_the_same(container: str) -> None:
    written = write_json("lines, LF", ACCESSES)
    whole = CONTAINERS[container](written.text.encode()).data
    for at in range(len(whole)):
        for bit in range(8):
            bent = bytearray(whole)
            bent[at] ^= 1 << bit
            taken = take(bytes(bent))
            if taken.reason is None:  # perhaps with a warning: without its mark, a checksum is trailing garbage
                assert (taken.records(), taken.refused()) == (by_day(ACCESSES, written.places), [])


BEGINNINGS = (
    b"", b"\x1f\x8b", b"\x1f\x8b\x08\x00", b"BZh9", b"BZh91AY&SY", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04", b"\x50\x2a\x4d\x18", codecs.BOM_UTF8, b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"<\0", b"\0{",
    b"<", b"</", b"<!", b"<?", b"<?xml", b'<?xml version="1.0" encoding="', b"<!DOCTYPE", b"<!DOCTYPE e [",
    b"<errors><error ", b"<error><errorTime>", b"<errors>", b'<error errorTime="2024-11-29T10:00:00Z" ',
    b"[", b"[[", b"[{", b"{", b'{"', b'{"a":', b'{"Records":[', b'{"Records":[{"time":', b'"', b"\\",
    b"#Fields:", b"#Fields: date time c-ip\n", b"version account-id interface-id start\n", b"192.0.2.1 - - [",
    b'192.0.2.1 - - [29/Nov/2024:10:00:00 +0000] "', b"2024-11-29\t10:00:00\t", b"http 2024-11-29T10:00:00.0Z ",
)  # fmt: skip
"""What makes a reader believe that it knows what follows."""

_TOKENS = [bytes((byte,)) for byte in b'{}[]",:\\\n\r \t<>/=&;#\x00\xff1-'] + (
    b'error null "time" "2024-11-29T10:00:00Z" errorTime <error> </error> Records ]]> <![CDATA[ <!-- --> <?'.split()
)
_noise = st.binary(max_size=200) | st.lists(st.sampled_from(_TOKENS), max_size=40).map(b"".join)


@given(beginning=st.sampled_from(BEGINNINGS), noise=_noise, packing=packings)
@settings(quick, max_examples=1000)
def test_any_bytes_get_a_verdict_that_does_not_depend_on_how_they_arrive(
    beginning: bytes, noise: bytes, packing: Packing
) -> None:
    assert_same_verdict(packing.pack(beginning + noise), packing.sizes)


@st.composite
def bent_files(draw: st.DrawFn) -> bytes:
    """A good file with a few places of it cut out, doubled, overwritten."""
    if draw(st.booleans()):
        text = write_json(draw(st.sampled_from(tuple(JSON_LAYOUTS))), ACCESSES).text
        body = ENCODINGS[draw(st.sampled_from(tuple(ENCODINGS)))](text)
    else:
        layout, encoding = draw(st.sampled_from(tuple(XML_LAYOUTS))), draw(st.sampled_from(tuple(XML_ENCODINGS)))
        _, body = write_xml(ERRORS, XML_LAYOUTS[layout], encoding)
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(body)))
        end = begin + draw(st.integers(0, 12))
        body = body[:begin] + draw(st.sampled_from([b"", body[begin:end] * 2]) | _noise) + body[end:]
    return body


@given(body=bent_files(), packing=packings)
@settings(quick, max_examples=800)
def test_a_bent_file_gets_a_verdict_that_does_not_depend_on_how_it_arrives(body: bytes, packing: Packing) -> None:
    assert_same_verdict(packing.pack(body), packing.sizes)


def assert_same_verdict(body: bytes, sizes: Sequence[int]) -> None:
    at_once, in_pieces = take(body), take(body, sizes=sizes)
    assert (at_once.reason, at_once.text) == (in_pieces.reason, in_pieces.text)
    assert at_once.reading.content_hash == in_pieces.reading.content_hash
    if at_once.reason is None:
        assert at_once.reading == in_pieces.reading


_STRANGE = ("undefined", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf_8_sig", "none", "x" * 99)


@pytest.mark.parametrize("encoding", sorted({*aliases.values(), *_STRANGE}))
def test_whatever_encoding_a_declaration_names_is_judged(encoding: str) -> None:
    for text in ("é\u20ac", "+2AA-", r"\ud800", "x" * 300):
        body = f'<?xml version="1.0" encoding="{encoding}"?><errors><error a="{text}"/></errors>'.encode()
        for whole in (body, body[:90]):
            assert take(whole).reading.size == len(whole)
