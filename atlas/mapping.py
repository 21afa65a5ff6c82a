"""A format's fields -> SQL that fills the canonical columns and tells why a record is refused.

The SQL is Spark's and DuckDB's alike: string literals hold no backslash, functions are those of Spark, which
atlas/sql/duckdb_macros.sql gives to DuckDB. Its input is a view with the envelope's columns (`object_key`,
`event_time`, `line`, `record_id`, `error`, `raw`) and each source field as text under the name that `fields`
gives it, joined to `manifest_objects`, which knows the source of each object.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from atlas.formats import LogFormat, Source
from atlas.reasons import RecordReason
from atlas.schema import LOGS

CHECK_DDL = "log_type STRING, reason STRING, detail STRING, raw STRING, object_key STRING"
"""The columns of `normalize_sql` beside the stored ones of `logs`, as Spark DDL."""

_DEVICES = (
    ("bot", ("bot", "crawler", "spider", "slurp")),
    ("tablet", ("ipad", "tablet", "kindle")),
    ("mobile", ("mobile", "iphone", "android")),
    ("script", ("curl", "wget", "python", "postman", "okhttp", "java/", "go-http-client", "axios", "libwww")),
    ("desktop", ("mozilla", "chrome", "firefox", "safari", "edg", "opera")),
)
"""What a user agent tells of the device, the first that fits. Coarse by design: gold counts by it."""

_NO_TEXT = "CAST(NULL AS STRING)"
_NUMBER = "^[0-9]{1,15}([.][0-9]{1,40})?([eE][-+]?[0-9]{1,2})?$"
_WHOLE = "^[0-9]{1,18}$"
_STATUS = "^[1-5][0-9][0-9]([.]0+)?$"
_NO_NUMBER = "[^0-9.eE+-]"
"""Java's `$` also matches before a line break at the end, of which it knows five; RE2's does not."""
_MAX_WHOLE = "CAST('9e18' AS DOUBLE)"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_METHOD = "[A-Za-z][A-Za-z_-]*"
_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*://"
_PROTOCOL = " [A-Z]+/[0-9][0-9.]*"
_ORIGIN = f"^(?:{_METHOD} +)?(?:{_SCHEME}[^/?# ]*)?"
_PARTS = {
    "method": f"^({_METHOD}) +(?:[/*]|{_SCHEME}|[^ #/]+:[0-9]|[^ #][^#]*{_PROTOCOL}#)",
    "path": f"{_ORIGIN}(/[^?#]*?|[*])(?:{_PROTOCOL})?[?#]",
    "query": f"{_ORIGIN}(?:/[^?#]*|[*])?[?]([^#]*?)(?:{_PROTOCOL})?#",
}
"""The parts of `GET /a?b HTTP/1.1`, and of what else stands in its place: an address with its host, a bare path.

They are matched against the text with a `#` behind it, because the engines differ about where a text ends. None
of them takes longer than a few passes over a text, whatever is in it, also where the engine backtracks.
"""
_NO_PATH = f"^(?:{_METHOD} +)?{_SCHEME}[^/?# ]+(?:{_PROTOCOL})?[?#]"
"""An address without a path means the path `/`."""


def fields(log_format: LogFormat) -> Mapping[str, str]:
    """Source path -> the column of the input view that holds it as text. Names are safe in any engine."""
    return {path: f"f{number}" for number, path in enumerate(log_format.source_paths())}


def normalize_sql(log_format: LogFormat, input_view: str, process_date: date) -> str:
    """A SELECT with one row for each row of `input_view`.

    Its columns are those of `logs` with `log_type`, then `reason` and `detail` (null for a
    record that passed), `raw` and `object_key`.
    """
    outer = ",\n  ".join(
        [
            *(f"{column.name}" for column in LOGS.columns),
            f"'{log_format.log_type}' AS log_type",
            f"{_reason(log_format)} AS reason",
            f"{_detail(log_format)} AS detail",
            "raw",
            "object_key",
        ]
    )
    return f"SELECT\n  {outer}\nFROM (\n{_mapped(log_format, input_view, process_date)}\n) AS mapped"


def _mapped(log_format: LogFormat, input_view: str, process_date: date) -> str:
    columns = {
        "log_id": "i.record_id",
        "event_timestamp": "i.event_time",
        "day_of_week": f"'{process_date:%A}'",
        "raw_format": f"'{log_format.name}'",
        "source_file": "m.source_file",
        "source_line": "i.line",
        "ingested_at": "m.ingested_at",
        "attributes": _attributes(log_format),
    }
    for column in LOGS.columns:
        if column.name not in columns:
            columns[column.name] = _canonical(log_format, column.name, column.type)
    selected = [f"{columns[column.name]} AS {column.name}" for column in LOGS.columns]
    selected += [f"{_text(log_format, log_format.columns.get('status_code', ()))} AS status_text"]
    selected += ["i.error AS error", "i.raw AS raw", "i.object_key AS object_key"]
    body = ",\n    ".join(selected)
    return (
        f"  SELECT\n    {body}\n  FROM (\n{_cleaned(log_format, input_view)}\n  ) AS i\n"
        "  JOIN manifest_objects AS m ON m.object_key = i.object_key"
    )


def _cleaned(log_format: LogFormat, input_view: str) -> str:
    """The input, each field of it without blanks at its ends, and the user agent in lower case.

    A select of its own, so that neither the text of the SQL nor the work grows with how often a field is read.
    """
    names = fields(log_format)
    agent = _first([_clean(names[source.path]) for source in log_format.user_agent], _NO_TEXT)
    selected = ["i.object_key", "i.event_time", "i.line", "i.record_id", "i.error", "i.raw"]
    selected += [f"{_clean(name)} AS {name}" for name in names.values()]
    selected += [f"{_folded('lower', agent)} AS agent"]
    body = ",\n      ".join(selected)
    return f"    SELECT\n      {body}\n    FROM {input_view} AS i"


def _clean(name: str) -> str:
    """Empty text and the `-` of access logs mean that there is no value."""
    return f"nullif(nullif({_trim(f'i.{name}')}, ''), '-')"


def _trim(text: str) -> str:
    """Without blanks at its ends. It has to say so: left to itself, DuckDB trims every space of Unicode."""
    return f"trim(BOTH ' ' FROM {text})"


def _folded(case: str, text: str) -> str:
    """Text in `lower` or `upper` case, letters of ASCII only: the engines differ about those of other alphabets.

    `translate` does no more than that, but slowly; most text is all ASCII.
    """
    letters = (_CAPITALS, _CAPITALS.lower()) if case == "lower" else (_CAPITALS.lower(), _CAPITALS)
    other = f"translate({text}, '{letters[0]}', '{letters[1]}')"
    return f"CASE WHEN bit_length({text}) = 8 * length({text}) THEN {case}({text}) ELSE {other} END"


def _matches(text: str, pattern: str) -> str:
    """Whether all of a text is a number of this form."""
    return f"regexp_like({text}, '{pattern}') AND NOT regexp_like({text}, '{_NO_NUMBER}')"


def _first(candidates: list[str], otherwise: str) -> str:
    if not candidates:
        return otherwise
    return candidates[0] if len(candidates) == 1 else f"coalesce({', '.join(candidates)})"


def _taken(text: str, part: str) -> str:
    """The part of a request line or URL; null if it has none."""
    line = f"concat({text}, '#')"
    found = f"regexp_extract({line}, '{_PARTS[part]}', 1)"
    taken = f"nullif({_trim(found)}, '')"
    if part != "path":
        return taken
    return f"CASE WHEN regexp_like({line}, '{_NO_PATH}') THEN '/' ELSE {taken} END"


def _text(log_format: LogFormat, sources: tuple[Source, ...]) -> str:
    names = fields(log_format)
    texts = []
    for source in sources:
        text = f"i.{names[source.path]}"
        texts.append(_taken(text, source.take) if source.take else text)
    return _first(texts, _NO_TEXT)


def _canonical(log_format: LogFormat, column: str, kind: str) -> str:
    sources = log_format.columns.get(column, ())
    if column == "status_code":
        text = _text(log_format, sources)
        return f"CASE WHEN {_matches(text, _STATUS)} THEN CAST(substring({text}, 1, 3) AS INT) END"
    if kind in ("bigint", "double"):
        names = fields(log_format)
        numbers = [_number(f"i.{names[source.path]}", source.scale, kind) for source in sources]
        return _first(numbers, f"CAST(NULL AS {kind.upper()})")
    value = _text(log_format, sources)
    if column == "device":
        value = _first([value, _device()], value) if sources else _device()
    if column in ("level", "request_type"):
        value = _folded("upper", value) if sources else value
    default = log_format.defaults.get(column)
    return f"coalesce({value}, '{default}')" if default else value


def _number(text: str, scale: float, kind: str) -> str:
    """A number without sign; null for other text. Whole ones that are scaled may have a fraction before it."""
    if kind == "bigint" and scale == 1:
        return f"CASE WHEN {_matches(text, _WHOLE)} THEN CAST({text} AS BIGINT) END"
    factor = "" if scale == 1 else f" * CAST('{scale!r}' AS DOUBLE)"
    number, condition = f"CAST({text} AS DOUBLE){factor}", _matches(text, _NUMBER)
    if kind == "bigint":
        # Only where the number fits: the engines differ about the last one that does.
        condition = f"CASE WHEN {condition} THEN {number} < {_MAX_WHOLE} ELSE 1 = 0 END"
        number = f"CAST(round({number}) AS BIGINT)"
    return f"CASE WHEN {condition} THEN {number} END"


def _device() -> str:
    cases = []
    for device, marks in _DEVICES:
        condition = " OR ".join(f"i.agent LIKE '%{mark}%'" for mark in marks)
        cases.append(f"WHEN {condition} THEN '{device}'")
    return f"CASE {' '.join(cases)} WHEN i.agent IS NOT NULL THEN 'other' END"


def _attributes(log_format: LogFormat) -> str:
    """A map of the attributes that have a value.

    Arrays are built by `array_repeat` and `concat`, since the engines share no array literal. The cast takes a
    column's name away from it: Spark would name the pair's field after it, and pairs of one array must be alike.
    """
    entries = []
    for name, sources in log_format.attributes.items():
        value = _text(log_format, sources)
        pair = f"struct('{name}', CAST({value} AS STRING))"
        entries.append(f"array_repeat(CASE WHEN {value} IS NOT NULL THEN {pair} END, 1)")
    if not entries:
        entries = ["array_repeat(CASE WHEN 1 = 0 THEN struct('', '') END, 1)"]
    return f"map_from_entries(array_compact(concat({', '.join(entries)})))"


def _missing(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"{column} IS NULL" for column in columns)


def _bad_status(log_format: LogFormat) -> str:
    """An impossible status, where the format requires one; elsewhere it is as good as none."""
    if any("status_code" in group for group in log_format.required):
        return "status_text IS NOT NULL AND status_code IS NULL"
    return "1 = 0"


def _reason(log_format: LogFormat) -> str:
    """A line that the engine cannot read, which has no number then, is a refused record like others."""
    incomplete = " AND ".join(f"({_missing(group)})" for group in log_format.required)
    return (
        "CASE WHEN error IS NOT NULL THEN error "
        f"WHEN source_line IS NULL THEN '{RecordReason.MALFORMED_RECORD}' "
        f"WHEN {_bad_status(log_format)} THEN '{RecordReason.INVALID_STATUS_CODE}' "
        f"WHEN {incomplete} THEN '{RecordReason.MISSING_FIELD}' END"
    )


def _detail(log_format: LogFormat) -> str:
    """The first missing column; where there are alternatives, what would have done."""
    if len(log_format.required) == 1:
        missing = "".join(f" WHEN {column} IS NULL THEN '{column}'" for column in log_format.required[0])
    else:
        wanted = " or ".join("+".join(group) for group in log_format.required)
        incomplete = " AND ".join(f"({_missing(group)})" for group in log_format.required)
        missing = f" WHEN {incomplete} THEN '{wanted}'"
    return (
        "CASE WHEN error IS NOT NULL OR source_line IS NULL THEN CAST(NULL AS STRING) "
        f"WHEN {_bad_status(log_format)} THEN 'status_code'{missing} END"
    )
