"""A log format is data: one TOML file in atlas/formats/. This module loads and checks them.

What a file may say is in docs/formats.md. A fault is a FormatError that names the file, the key and what was
expected there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

MAPPED_COLUMNS = (
    "ip_address", "device", "request_type", "status_code", "app_name", "endpoint", "message",
    "level", "user_id", "action", "request_id", "bytes_sent", "duration_ms",
)  # fmt: skip
"""The columns of `logs` that a format may feed. The others come from the envelope."""

SYNTAXES = ("json", "xml")
CONTAINERS = ("any", "gzip")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PLAIN_TEXT = re.compile(r"[^'\"\\\n]+")
"""Text that stands in SQL as it is: the engines escape quotes differently."""


class FormatError(ValueError):
    """A format file is wrong: the message says which, where and what was expected."""


@dataclass(frozen=True)
class Source:
    """A field of the record, by dotted path, and what its number is multiplied by to get our unit."""

    path: str
    scale: float = 1.0


@dataclass(frozen=True)
class LogFormat:
    """One log format.

    `recognise` is a list of groups of keys: a file is of this format if, among the keys of its first records,
    each group has at least one. The more groups, the more specific the format. `columns` gives each canonical
    column its sources, first non-null wins, and `defaults` the value if all are null. `required` are
    alternatives: all columns of at least one must be there.
    """

    name: str
    title: str
    log_type: str
    syntax: str
    recognise: tuple[tuple[str, ...], ...]
    suffixes: tuple[str, ...]
    container: str
    element: str | None
    time_fields: tuple[str, ...]
    columns: Mapping[str, tuple[Source, ...]]
    user_agent: tuple[Source, ...]
    defaults: Mapping[str, str]
    required: tuple[tuple[str, ...], ...]
    attributes: Mapping[str, tuple[Source, ...]]

    def source_paths(self) -> tuple[str, ...]:
        """Every dotted path that the mapping reads, each once, in the order of first mention."""
        groups: Iterable[tuple[Source, ...]] = (
            *self.columns.values(),
            self.user_agent,
            *self.attributes.values(),
        )
        return tuple(dict.fromkeys(source.path for group in groups for source in group))

    def recognises(self, keys: frozenset[str]) -> bool:
        """Whether records with these keys are of this format."""
        return all(not keys.isdisjoint(group) for group in self.recognise)


class _Reader:
    """Takes keys out of one TOML table and complains in terms of that file."""

    def __init__(self, file: str, table: Mapping[str, Any], place: str = "") -> None:
        self.file, self.place, self.rest = file, place, dict(table)

    def fault(self, key: str, expected: str, found: object = None) -> FormatError:
        said = "" if found is None else f", found {found!r}"
        return FormatError(f"{self.file}: {self.place}{key}: expected {expected}{said}")

    def take(self, key: str, kind: type, expected: str, default: Any = None) -> Any:
        if key not in self.rest:
            if default is None:
                raise self.fault(key, expected + ", but it is missing")
            return default
        value = self.rest.pop(key)
        if not isinstance(value, kind) or value in ("", []):
            raise self.fault(key, expected, value)
        return value

    def table(self, key: str, *, optional: bool = False) -> _Reader:
        inner = self.take(key, dict, "a table", {} if optional else None)
        return _Reader(self.file, inner, f"{self.place}{key}.")

    def words(self, key: str, default: Any = None) -> tuple[str, ...]:
        expected = "a list of texts"
        value = self.take(key, list, expected, default)
        if not all(isinstance(word, str) and word for word in value):
            raise self.fault(key, expected, value)
        return tuple(value)

    def groups(self, key: str, default: Any = None) -> tuple[tuple[str, ...], ...]:
        expected = "a list of lists of texts"
        value = self.take(key, list, expected, default)
        if not all(isinstance(group, list) and group and all(isinstance(w, str) for w in group) for group in value):
            raise self.fault(key, expected, value)
        return tuple(tuple(group) for group in value)

    def one_of(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.take(key, str, f"one of {', '.join(choices)}", default)
        if value not in choices:
            raise self.fault(key, f"one of {', '.join(choices)}", value)
        return str(value)

    def sources(self, key: str, default: Any = None) -> tuple[Source, ...]:
        expected = "a list of fields, each a text or {path = TEXT, scale = NUMBER}"
        found = []
        for item in self.take(key, list, expected, default):
            entry = {"path": item} if isinstance(item, str) else item
            try:
                source = Source(**entry)
            except TypeError:
                raise self.fault(key, expected, item) from None
            if not (isinstance(source.path, str) and source.path and isinstance(source.scale, int | float)):
                raise self.fault(key, expected, item)
            found.append(source)
        return tuple(found)

    def done(self) -> None:
        for key in self.rest:
            raise self.fault(key, "no such key here; see docs/formats.md")


def parse_format(name: str, text: str) -> LogFormat:
    """The format that a TOML text describes; `name` is its file's name without `.toml`. Raises FormatError."""
    file = f"{name}.toml"
    if not _NAME.fullmatch(name):
        raise FormatError(f"{file}: the file's name: expected lower-case letters, digits and _")
    try:
        top = _Reader(file, tomllib.loads(text))
    except tomllib.TOMLDecodeError as fault:
        raise FormatError(f"{file}: {fault}") from fault
    syntax = top.one_of("syntax", SYNTAXES)
    recognise, time = top.table("recognise"), top.table("time")
    columns, attributes = top.table("columns"), top.table("attributes", optional=True)
    user_agent = top.sources("user_agent", [])
    time_fields = time.words("fields")
    fields = {column: columns.sources(column) for column in MAPPED_COLUMNS if column in columns.rest}
    built = LogFormat(
        name=name,
        title=top.take("title", str, "a text"),
        log_type=top.take("log_type", str, "a text"),
        syntax=syntax,
        recognise=_recognised_keys(recognise, fields, time_fields),
        suffixes=recognise.words("suffixes"),
        container=recognise.one_of("container", CONTAINERS, "any"),
        element=recognise.take("element", str, "an element's name") if syntax == "xml" else None,
        time_fields=time_fields,
        columns=fields,
        user_agent=user_agent,
        defaults=_defaults(top.table("defaults", optional=True)),
        required=top.groups("required"),
        attributes={name: attributes.sources(name) for name in tuple(attributes.rest)},
    )
    if not _NAME.fullmatch(built.log_type):
        raise top.fault("log_type", "lower-case letters, digits and _", built.log_type)
    for attribute in built.attributes:
        if not _NAME.fullmatch(attribute):
            raise attributes.fault(attribute, "a name of lower-case letters, digits and _")
    _check_required(top, built)
    for reader in (top, recognise, time, columns, attributes):
        reader.done()
    return built


def _recognised_keys(
    recognise: _Reader, fields: Mapping[str, tuple[Source, ...]], time_fields: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    """The groups of `recognise.has`: each names columns (or `time`), and stands for all the keys that feed them."""
    keys = {"time": time_fields} | {column: tuple(s.path for s in sources) for column, sources in fields.items()}
    expected = f"a list of lists of: {', '.join(keys)}"
    groups = recognise.groups("has")
    for group in groups:
        for column in group:
            if column not in keys:
                raise recognise.fault("has", expected, column)
    return tuple(tuple(key.split(".")[0] for column in group for key in keys[column]) for group in groups)


def _defaults(table: _Reader) -> dict[str, str]:
    expected = "a text without quotes and backslashes"
    found = {column: table.take(column, str, expected) for column in MAPPED_COLUMNS if column in table.rest}
    for column, text in found.items():
        if not _PLAIN_TEXT.fullmatch(text):
            raise table.fault(column, expected, text)
    table.done()
    return found


def _check_required(top: _Reader, built: LogFormat) -> None:
    fed = {*built.columns, *built.defaults}
    for group in built.required:
        for column in group:
            if column not in fed:
                raise top.fault("required", f"columns that [columns] feeds ({', '.join(sorted(fed))})", column)


@cache
def load_formats() -> Mapping[str, LogFormat]:
    """Every shipped format by name, in alphabetical order. Raises FormatError."""
    folder = resources.files("atlas") / "formats"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {
        (name := file.name.removesuffix(".toml")): parse_format(name, file.read_text(encoding="utf-8"))
        for file in files
    }
