"""One table of a format's TOML file, whose keys are taken out one by one: what is wrong is said in its terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from atlas.log_format import PARTS, Source

_PATH = re.compile(r"[^.'\"`\\\[\]*\n]+(\.[^.'\"`\\\[\]*\n]+)*")
"""A dotted path stands in SQL, too, and there also in JSON paths, where brackets and stars mean something."""
_MOST_SCALE = 1e12


class FormatError(ValueError):
    """A format file is wrong: the message says which, where and what was expected."""


class TomlTable:
    """Takes keys out of one TOML table and complains in terms of that file."""

    def __init__(self, file: str, table: Mapping[str, Any], place: str = "") -> None:
        self.file, self.place, self.rest = file, place, dict(table)

    def fault(self, key: str, expected: str, found: object = None) -> FormatError:
        """The error of a key: what was expected of it, and what was found."""
        said = "" if found is None else f", found {found!r}"
        return FormatError(f"{self.file}: {self.place}{key}: expected {expected}{said}")

    def take(self, key: str, kind: type, expected: str, default: Any = None) -> Any:
        """The value of a key, which is of a type and not empty; the default, if there is one, for a missing key."""
        if key not in self.rest:
            if default is None:
                raise self.fault(key, expected + ", but it is missing")
            return default
        value = self.rest.pop(key)
        if not isinstance(value, kind) or (value in ("", []) and value != default):
            raise self.fault(key, expected, value)
        return value

    def table(self, key: str, *, optional: bool = False) -> TomlTable:
        """The table under a key; an empty one if it is optional and missing."""
        inner = self.take(key, dict, "a table", {} if optional else None)
        return TomlTable(self.file, inner, f"{self.place}{key}.")

    def maybe(self, key: str, expected: str = "a text") -> str | None:
        """The text of an optional key."""
        return str(self.take(key, str, expected)) if key in self.rest else None

    def character(self, key: str) -> str:
        """The one character of a key."""
        expected = "one character, no line break"
        value = self.take(key, str, expected)
        if len(value) != 1 or value in "\r\n":
            raise self.fault(key, expected, value)
        return str(value)

    def words(self, key: str, default: Any = None) -> tuple[str, ...]:
        """A list of texts."""
        expected = "a list of texts"
        value = self.take(key, list, expected, default)
        if not all(isinstance(word, str) and word for word in value):
            raise self.fault(key, expected, value)
        return tuple(value)

    def groups(self, key: str, default: Any = None) -> tuple[tuple[str, ...], ...]:
        """A list of lists of texts."""
        expected = "a list of lists of texts"
        value = self.take(key, list, expected, default)
        if not all(isinstance(group, list) and group and all(isinstance(w, str) for w in group) for group in value):
            raise self.fault(key, expected, value)
        return tuple(tuple(group) for group in value)

    def one_of(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """One of several words."""
        value = self.take(key, str, f"one of {', '.join(choices)}", default)
        if value not in choices:
            raise self.fault(key, f"one of {', '.join(choices)}", value)
        return str(value)

    def path(self, key: str, value: object, expected: str) -> str:
        """A dotted path, found under a key."""
        if not (isinstance(value, str) and value):
            raise self.fault(key, expected, value)
        if not _PATH.fullmatch(value):
            raise self.fault(
                key, "a dotted path without quotes, backslashes, brackets, stars and empty parts", value
            )
        return value

    def sources(self, key: str, default: Any = None) -> tuple[Source, ...]:
        """A list of fields that feed a column."""
        expected = "a list of fields, each a text or {path = TEXT, scale = NUMBER, take = PART}"
        return tuple(self._source(key, item, expected) for item in self.take(key, list, expected, default))

    def _source(self, key: str, item: object, expected: str) -> Source:
        entry = item if isinstance(item, dict) else {"path": item}
        if not set(entry) <= {"path", "scale", "take"}:
            raise self.fault(key, expected, item)
        scale, take = entry.get("scale", 1.0), entry.get("take")
        if isinstance(scale, bool) or not isinstance(scale, int | float):
            raise self.fault(key, expected, item)
        if not 0 < scale <= _MOST_SCALE:
            raise self.fault(key, f"a scale above 0, up to {_MOST_SCALE:g}", scale)
        if take is not None and take not in PARTS:
            raise self.fault(key, f"take to be one of {', '.join(PARTS)}", take)
        return Source(self.path(key, entry.get("path"), expected), float(scale), take)

    def done(self) -> None:
        """Raises FormatError if there are keys that nobody took: they are unknown."""
        for key in self.rest:
            raise self.fault(key, "no such key here; see docs/formats.md")
