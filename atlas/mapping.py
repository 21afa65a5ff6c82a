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

_NUMBER = "^[0-9]{1,15}([.][0-9]{1,15})?([eE][-+]?[0-9]{1,2})?$"
_WHOLE = "^[0-9]{1,18}$"
_STATUS = "^[1-5][0-9][0-9]([.]0+)?$"


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
        f"  SELECT\n    {body}\n  FROM {input_view} AS i\n"
        "  JOIN manifest_objects AS m ON m.object_key = i.object_key"
    )


def _clean(name: str) -> str:
    """Empty text and the `-` of access logs mean that there is no value."""
    return f"nullif(nullif(trim(i.{name}), ''), '-')"


def _first(candidates: list[str], otherwise: str) -> str:
    if not candidates:
        return otherwise
    return candidates[0] if len(candidates) == 1 else f"coalesce({', '.join(candidates)})"


def _text(log_format: LogFormat, sources: tuple[Source, ...]) -> str:
    names = fields(log_format)
    return _first([_clean(names[source.path]) for source in sources], "CAST(NULL AS STRING)")


def _canonical(log_format: LogFormat, column: str, kind: str) -> str:
    sources = log_format.columns.get(column, ())
    if column == "status_code":
        text = _text(log_format, sources)
        return f"CASE WHEN regexp_like({text}, '{_STATUS}') THEN CAST(substring({text}, 1, 3) AS INT) END"
    if kind == "bigint":
        text = _text(log_format, sources)
        return f"CASE WHEN regexp_like({text}, '{_WHOLE}') THEN CAST({text} AS BIGINT) END"
    if kind == "double":
        return _number(log_format, sources)
    value = _text(log_format, sources)
    if column == "device":
        value = _first([value, _device(log_format)], value) if sources else _device(log_format)
    if column in ("level", "request_type"):
        value = f"upper({value})"
    default = log_format.defaults.get(column)
    return f"coalesce({value}, '{default}')" if default else value


def _number(log_format: LogFormat, sources: tuple[Source, ...]) -> str:
    names = fields(log_format)
    scaled = []
    for source in sources:
        text = _clean(names[source.path])
        factor = "" if source.scale == 1 else f" * CAST('{source.scale!r}' AS DOUBLE)"
        scaled.append(f"CASE WHEN regexp_like({text}, '{_NUMBER}') THEN CAST({text} AS DOUBLE){factor} END")
    return _first(scaled, "CAST(NULL AS DOUBLE)")


def _device(log_format: LogFormat) -> str:
    agent = f"lower({_text(log_format, log_format.user_agent)})"
    cases = []
    for device, marks in _DEVICES:
        condition = " OR ".join(f"{agent} LIKE '%{mark}%'" for mark in marks)
        cases.append(f"WHEN {condition} THEN '{device}'")
    return f"CASE {' '.join(cases)} WHEN {agent} IS NOT NULL THEN 'other' END"


def _attributes(log_format: LogFormat) -> str:
    """A map of the attributes that have a value.

    Arrays are built by `array_repeat` and `concat`, since the engines share no array literal.
    """
    entries = []
    for name, sources in log_format.attributes.items():
        value = _text(log_format, sources)
        entries.append(f"array_repeat(CASE WHEN {value} IS NOT NULL THEN struct('{name}', {value}) END, 1)")
    if not entries:
        entries = ["array_repeat(CASE WHEN 1 = 0 THEN struct('', '') END, 1)"]
    return f"map_from_entries(array_compact(concat({', '.join(entries)})))"


def _missing(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"{column} IS NULL" for column in columns)


def _reason(log_format: LogFormat) -> str:
    incomplete = " AND ".join(f"({_missing(group)})" for group in log_format.required)
    return (
        "CASE WHEN error IS NOT NULL THEN error "
        f"WHEN status_text IS NOT NULL AND status_code IS NULL THEN '{RecordReason.INVALID_STATUS_CODE}' "
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
        "CASE WHEN error IS NOT NULL THEN CAST(NULL AS STRING) "
        f"WHEN status_text IS NOT NULL AND status_code IS NULL THEN 'status_code'{missing} END"
    )
