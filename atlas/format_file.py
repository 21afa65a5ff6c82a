"""Reads a format's TOML file and checks it. A fault is a FormatError that names file, key and what was expected."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from atlas.log_format import CONTAINERS, MAPPED_COLUMNS, SYNTAXES, Delimited, LogFormat, Source
from atlas.schema import EVENTS_FORMAT, LOGS
from atlas.toml_table import FormatError, TomlTable

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PLAIN_TEXT = re.compile(r"[^'\"\\\n]+")
"""Text that stands in SQL as it is: the engines escape quotes differently."""
_KINDS = {column.name: column.type for column in LOGS.columns if column.name in MAPPED_COLUMNS}
_TEXT_COLUMNS = tuple(name for name in MAPPED_COLUMNS if _KINDS[name] == "string")
_SCALED_COLUMNS = ("bytes_sent", "duration_ms")


def parse_format(name: str, text: str, others: Mapping[str, str] = MappingProxyType({})) -> LogFormat:
    """The format that a TOML text describes; `name` is its file's name without `.toml`. Raises FormatError.

    `others` are the texts of formats by name, for `like` to name one of them: what the text does not say itself is
    as it is there.
    """
    file = f"{name}.toml"
    if not _NAME.fullmatch(name):
        raise FormatError(f"{file}: the file's name: expected lower-case letters, digits and _")
    if name == EVENTS_FORMAT:
        raise FormatError(f"{file}: the file's name: the books call events by it that come over the events API")
    top = TomlTable(file, _toml(file, text))
    model = top.maybe("like", "the name of another format, which is like no third one")
    if model is not None:
        inherited = _toml(f"{model}.toml", others.get(model, ""))
        if not inherited or "like" in inherited:
            raise top.fault("like", "the name of another format, which is like no third one", model)
        top.rest = {**inherited, **top.rest}
    syntax = top.one_of("syntax", SYNTAXES)
    pattern, delimited, comment = _lines(top, syntax)
    recognise, time = top.table("recognise", optional=syntax == "text"), top.table("time")
    user_agent = _unscaled(top, "user_agent", top.sources("user_agent", []))
    time_fields = _time_fields(time)
    columns = _columns(top.table("columns"))
    built = LogFormat(
        name=name,
        title=top.take("title", str, "a text"),
        log_type=top.take("log_type", str, "a text"),
        syntax=syntax,
        recognise=_recognised_keys(recognise, columns, time_fields, optional=syntax == "text"),
        suffixes=recognise.words("suffixes", []),
        container=recognise.one_of("container", CONTAINERS, "any"),
        element=recognise.take("element", str, "an element's name") if syntax == "xml" else None,
        pattern=pattern,
        delimited=delimited,
        comment=comment,
        time_fields=time_fields,
        time_zone=_zone(time),
        columns=columns,
        user_agent=user_agent,
        defaults=_defaults(top.table("defaults", optional=True)),
        required=top.groups("required"),
        attributes=_attributes(top.table("attributes", optional=True)),
    )
    if not _NAME.fullmatch(built.log_type):
        raise top.fault("log_type", "lower-case letters, digits and _", built.log_type)
    _check_required(top, built)
    _check_groups(top, built)
    for reader in (top, recognise, time):
        reader.done()
    return built


def _toml(file: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise FormatError(f"{file}: {fault}") from fault


def _lines(top: TomlTable, syntax: str) -> tuple[re.Pattern[str] | None, Delimited | None, str | None]:
    """What [text] or [delimited] says, and their `comment`. Each is there if and only if that is the syntax."""
    for key in ("text", "delimited"):
        if key in top.rest and syntax != key:
            raise top.fault(key, f'this table only with syntax = "{key}"', syntax)
    if syntax not in ("text", "delimited"):
        return None, None, None
    table = top.table(syntax)
    comment = table.maybe("comment")
    if syntax == "text":
        pattern, delimited = _pattern(table), None
    else:
        pattern, delimited = None, _delimited(table)
    table.done()
    return pattern, delimited, comment


def _pattern(table: TomlTable) -> re.Pattern[str]:
    expected = "a regular expression with named groups such as (?P<status>[0-9]+)"
    text = table.take("pattern", str, expected)
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError) as fault:
        raise table.fault("pattern", f"{expected}, but {fault}") from fault
    if not pattern.groupindex:
        raise table.fault("pattern", expected, text)
    return pattern


def _delimited(table: TomlTable) -> Delimited:
    separator = table.character("separator")
    quote = table.character("quote") if "quote" in table.rest else None
    if quote == separator:
        raise table.fault("quote", "another character than the separator", quote)
    fields = table.words("fields", [])
    for name in fields:
        if fields.count(name) > 1:
            raise table.fault("fields", "each name once", name)
    return Delimited(separator, quote, table.maybe("header_prefix"), fields)


def _time_fields(time: TomlTable) -> tuple[tuple[str, ...], ...]:
    expected = "a list of fields, each a text or, for a time in several fields, a list of texts"
    found = []
    for item in time.take("fields", list, expected):
        paths = item if isinstance(item, list) and item else [item]
        found.append(tuple(time.path("fields", path, expected) for path in paths))
    return tuple(found)


def _zone(time: TomlTable) -> str | None:
    expected = "the IANA name of a time zone, such as Europe/Berlin"
    name = time.maybe("zone", expected)
    if name is not None:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as fault:  # no such zone, no such name, the name of a folder
            raise time.fault("zone", expected, name) from fault
    return name


def _columns(table: TomlTable) -> dict[str, tuple[Source, ...]]:
    found = {column: table.sources(column) for column in MAPPED_COLUMNS if column in table.rest}
    table.done()
    for column, sources in found.items():
        if column not in _SCALED_COLUMNS:
            _unscaled(table, column, sources)
        if column not in _TEXT_COLUMNS and any(source.take for source in sources):
            raise table.fault(column, "a number, of which nothing can be taken", sources[0].take)
    return found


def _attributes(table: TomlTable) -> dict[str, tuple[Source, ...]]:
    for name in table.rest:
        if not _NAME.fullmatch(name):
            raise table.fault(name, "a name of lower-case letters, digits and _")
    return {name: _unscaled(table, name, table.sources(name)) for name in tuple(table.rest)}


def _unscaled(table: TomlTable, key: str, sources: tuple[Source, ...]) -> tuple[Source, ...]:
    for source in sources:
        if source.scale != 1:
            raise table.fault(key, f"scale only in columns.{' and columns.'.join(_SCALED_COLUMNS)}", source.scale)
    return sources


def _recognised_keys(
    recognise: TomlTable,
    columns: Mapping[str, tuple[Source, ...]],
    time_fields: tuple[tuple[str, ...], ...],
    *,
    optional: bool,
) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """The groups of `recognise.has`: each names columns (or `time`), and stands for all fields that feed them."""
    paths = {"time": time_fields} | {name: tuple((s.path,) for s in sources) for name, sources in columns.items()}
    groups = recognise.groups("has", [] if optional else None)
    for group in groups:
        for column in group:
            if column not in paths:
                raise recognise.fault("has", f"a list of lists of: {', '.join(paths)}", column)
    return tuple(tuple(dict.fromkeys(path for column in group for path in paths[column])) for group in groups)


def _defaults(table: TomlTable) -> dict[str, str]:
    expected = "a text without quotes and backslashes"
    for column in table.rest:
        if column in MAPPED_COLUMNS and column not in _TEXT_COLUMNS:
            raise table.fault(column, f"a column of text ({', '.join(_TEXT_COLUMNS)}), not one of numbers")
    found = {column: table.take(column, str, expected) for column in _TEXT_COLUMNS if column in table.rest}
    for column, text in found.items():
        if not _PLAIN_TEXT.fullmatch(text):
            raise table.fault(column, expected, text)
    table.done()
    return found


def _check_required(top: TomlTable, built: LogFormat) -> None:
    fed = {*built.columns, *built.defaults}
    for group in built.required:
        for column in group:
            if column not in fed:
                raise top.fault("required", f"columns that [columns] feeds ({', '.join(sorted(fed))})", column)


def _check_groups(top: TomlTable, built: LogFormat) -> None:
    """Whatever reads a field of a text format reads a group of its pattern."""
    if built.pattern is None:
        return
    read = {"time.fields": [path for paths in built.time_fields for path in paths]}
    for place, sources in (
        *((f"columns.{name}", sources) for name, sources in built.columns.items()),
        *((f"attributes.{name}", sources) for name, sources in built.attributes.items()),
        ("user_agent", built.user_agent),
    ):
        read[place] = [source.path for source in sources]
    for place, paths in read.items():
        for path in paths:
            if path not in built.pattern.groupindex:
                groups = ", ".join(built.pattern.groupindex)
                raise top.fault(place, f"a named group of text.pattern ({groups})", path)
