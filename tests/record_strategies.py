"""Hypothesis strategies: times in every spelling, records of every content, and what files are packed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import partial

from hypothesis import strategies as st

from atlas.formats import load_formats
from tests.file_forms import BLANKS, CONTAINERS, ENCODINGS, NUMBER, json_text
from tests.reading_under_test import Case

# --- Packing ---


@dataclass(frozen=True)
class Packing:
    """How a text becomes a stream: its encoding, its container, and the sizes of the stream's pieces."""

    encoding: str
    container: str
    sizes: tuple[int, ...]

    def pack(self, body: bytes) -> bytes:
        return CONTAINERS[self.container](body).data

    def encode(self, text: str) -> bytes:
        return self.pack(ENCODINGS[self.encoding](text))


piece_sizes = st.lists(st.integers(1, 9) | st.integers(10, 1 << 17), min_size=1, max_size=4).map(tuple)
packings = st.builds(Packing, st.sampled_from(tuple(ENCODINGS)), st.sampled_from(tuple(CONTAINERS)), piece_sizes)
dumps: st.SearchStrategy[Callable[..., str]] = st.builds(
    lambda ascii_only, tight: partial(json_text, ascii_only=ascii_only, tight=tight), st.booleans(), st.booleans()
)

# --- Times ---

moments = st.datetimes(datetime(1975, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)) | st.builds(
    lambda days, micros: datetime(2024, 11, 1, tzinfo=UTC) + timedelta(days=days, microseconds=micros),
    st.integers(0, 60),
    st.integers(-2_000_000, 2_000_000),  # around midnight
)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def spellings(moment: datetime, zone: timezone) -> dict[str, tuple[datetime, str]]:
    """Every spelling of a moment, each with as much of the moment as it tells."""
    local = moment.astimezone(zone)
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    second = moment.replace(microsecond=0)
    milli = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    tenth = moment.replace(microsecond=moment.microsecond // 100_000 * 100_000)
    clock, offset = local.strftime("%Y-%m-%dT%H:%M:%S"), local.strftime("%z")
    colon = offset[:3] + ":" + offset[3:]
    fraction = f"{moment.microsecond:06d}"
    utc = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return {
        "Z": (moment, f"{utc}.{fraction}Z"),
        "offset with colon": (moment, f"{clock}.{fraction}{colon}"),
        "offset without colon": (moment, f"{clock}.{fraction}{offset}"),
        "no zone": (moment, f"{utc}.{fraction}"),
        "space for T": (moment, f"{utc}.{fraction}".replace("T", " ")),
        "space for T, offset": (moment, f"{clock}.{fraction}{colon}".replace("T", " ")),
        "comma": (moment, f"{utc},{fraction}Z"),
        "tenths": (tenth, f"{clock}.{fraction[0]}{colon}"),
        "milliseconds": (milli, f"{clock}.{fraction[:3]}{colon}"),
        "nanoseconds": (moment, f"{clock}.{fraction}987{offset}"),
        "seconds": (second, f"{clock}{colon}"),
        "Apache": (second, local.strftime("%d/%b/%Y:%H:%M:%S %z")),
        "Apache in brackets": (second, local.strftime("[%d/%b/%Y:%H:%M:%S %z]")),
        "epoch": (second, f"{NUMBER}{micros // 10**6}"),
        "epoch, fractional": (moment, f"{NUMBER}{micros // 10**6}.{fraction}"),
        "epoch, zero fraction": (second, f"{NUMBER}{micros // 10**6}.0"),
        "epoch, milliseconds": (milli, f"{NUMBER}{micros // 1000}"),
        "epoch, fractional milliseconds": (moment, f"{NUMBER}{micros // 1000}.{fraction[3:]}"),
        "epoch, microseconds": (moment, f"{NUMBER}{micros}"),
        "epoch, nanoseconds": (moment, f"{NUMBER}{micros}789"),
        "epoch text": (second, str(micros // 10**6)),
        "epoch text, fractional": (moment, f"{micros // 10**6}.{fraction}"),
        "epoch text, fractional to nanoseconds": (moment, f"{micros // 10**6}.{fraction}999"),
        "epoch text, milliseconds": (milli, str(micros // 1000)),
        "epoch text, microseconds": (moment, str(micros)),
        "epoch text, nanoseconds": (moment, f"{micros}999"),
    }


_SPELLINGS = {name: text for name, (_, text) in spellings(datetime(2024, 11, 29, tzinfo=UTC), UTC).items()}


def spelled(*, numbers: bool) -> st.SearchStrategy[tuple[datetime, str]]:
    """A moment and its spelling, as a text or (if `numbers`) perhaps as a number."""
    names = [name for name, text in _SPELLINGS.items() if numbers or not text.startswith(NUMBER)]
    return st.builds(
        lambda moment, zone, name: spellings(moment, zone)[name], moments, zones, st.sampled_from(names)
    )


# --- JSON records ---

_KNOWN = {
    part
    for known in load_formats().values()
    for path in (
        *known.source_paths(),
        *(path for paths in known.time_fields for path in paths),
        *(path for group in known.recognise for paths in group for path in paths),
    )
    for part in (path, path.split(".")[0])
}
"""Names that mean something to some format."""

_TIME_FIELDS = tuple(paths[0] for paths in load_formats()["ndjson"].time_fields if len(paths) == 1)

_tricky = st.sampled_from(
    [*list('"\\\n\r\t\x00\x1f\x7f\x85\u2028\ufeff{}[],:<# é😀\U0010ffffਊഊ∊筽'), "}{", "}]", '\\"', "//"]
)
_any = st.characters(exclude_categories=["Cs"], exclude_characters=NUMBER)
texts = st.lists(_tricky | _any, max_size=10).map("".join)
_numbers = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["-0", "0.0", "1E+5", "1e-400", "0.10", "-0.0e0", "3.141592653589793238462643383279"]),
    st.sampled_from(["123456789012345678901234567890", "18446744073709551616", "-9223372036854775809"]),
).map(lambda text: NUMBER + text)
_values = st.recursive(
    st.none() | st.booleans() | _numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
_extras = st.dictionaries(texts.filter(lambda name: name not in _KNOWN), _values, max_size=3)


@st.composite
def access_cases(draw: st.DrawFn) -> Case:
    """A record that the format of access logs recognises, its members in any order."""
    moment, spelling = draw(spelled(numbers=True))
    known = {draw(st.sampled_from(_TIME_FIELDS)): spelling, "ip": draw(texts), "status": f"{NUMBER}200"}
    members = draw(st.permutations([*known.items(), *draw(_extras).items()]))
    return Case(dict(members), moment)


access_files = st.lists(access_cases(), min_size=1, max_size=6)

# --- XML records ---

_xml_tricky = st.sampled_from(
    [*list("<>&\"'\n\r\t \xa0\x85é€😀ਊ\u2028"), "]]>", "&amp;", "<!--", "-->", "<![CDATA[", "</error>", "?>"]
)
_xml_any = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
xml_texts = st.lists(_xml_tricky | _xml_any, max_size=8).map(lambda parts: "".join(parts).strip(BLANKS))
_XML_KNOWN = {name.lower() for name in _KNOWN} | {"text", "error"}
_xml_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,5}", fullmatch=True).filter(
    lambda name: name.lower() not in _XML_KNOWN and not name.lower().startswith("xml")
)
_xml_values = st.recursive(
    xml_texts,
    lambda inner: (
        st.lists(inner.filter(lambda value: not isinstance(value, list)), min_size=2, max_size=3)
        | st.dictionaries(_xml_names, inner, min_size=1, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def error_cases(draw: st.DrawFn) -> Case:
    """A record of an error, its members in any order."""
    moment, time = draw(spelled(numbers=False))
    known = {"errorTime": time, "errorCode": "500", "message": draw(xml_texts)}
    extra = draw(st.dictionaries(_xml_names, _xml_values, max_size=3))
    return Case(dict(draw(st.permutations([*known.items(), *extra.items()]))), moment)


error_files = st.lists(error_cases(), min_size=1, max_size=4)
