"""What a log format says, once its file has been read and found sound."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

MAPPED_COLUMNS = (
    "ip_address", "device", "request_type", "status_code", "app_name", "endpoint", "message",
    "level", "user_id", "action", "request_id", "bytes_sent", "duration_ms",
)  # fmt: skip
"""The columns of `logs` that a format may feed. The others come from the envelope."""

SYNTAXES = ("json", "xml", "text", "delimited")
CONTAINERS = ("any", "gzip")
PARTS = ("method", "path", "query")
"""What `take` may take out of a request line or a URL."""


@dataclass(frozen=True)
class Source:
    """A field of the record that feeds a column.

    `path` is dotted: the key `a.b` itself if the record has it, else key `b` of the object `a`. Its number is
    multiplied by `scale` to get our unit; `take` is the part of a request line or URL that is meant, one of PARTS.
    """

    path: str
    scale: float = 1.0
    take: str | None = None


@dataclass(frozen=True)
class Delimited:
    """How lines of fields are written.

    `separator` is one character, and every one separates, so that runs of blanks make empty fields. `quote` is the
    character around fields that hold the separator (doubled inside them), or None. `header_prefix` is what a header
    line begins with; None: a header is a first line whose words the format recognises. `fields` are the names in
    their standard order, for files without a header; () if there always is one.
    """

    separator: str
    quote: str | None = None
    header_prefix: str | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogFormat:
    """One log format.

    `recognise` is a list of groups: a file is of this format if of each group its first records have at least one
    alternative, that is, all of the alternative's fields. The more groups, the more specific the format. A `text`
    format may have none, its `pattern` recognises it. `columns` gives each canonical column its sources, first
    non-null wins, and `defaults` the value if all are null. `required` are alternatives: all columns of at least
    one must be there.

    `time_fields` are in order of preference, each of them one path, or several whose texts are joined by a blank.
    `time_zone` is the IANA name of the zone that texts without one mean; None means UTC. `element` is set for
    `xml`, `pattern` for `text` (it must match a whole line; its named groups are the record's fields), `delimited`
    for `delimited`. Lines of text and delimited files that begin with `comment` are no records.
    """

    name: str
    title: str
    log_type: str
    syntax: str
    recognise: tuple[tuple[tuple[str, ...], ...], ...]
    suffixes: tuple[str, ...]
    container: str
    element: str | None
    pattern: re.Pattern[str] | None
    delimited: Delimited | None
    comment: str | None
    time_fields: tuple[tuple[str, ...], ...]
    time_zone: str | None
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

    def source_keys(self) -> tuple[str, ...]:
        """The top-level keys of a record that those paths may mean: each path whole, and up to its first dot."""
        return tuple(dict.fromkeys(key for path in self.source_paths() for key in (path, path.partition(".")[0])))

    def only(self, fields: Collection[str] | None) -> LogFormat:
        """The same for records that have no other top-level fields than these; None: any.

        The mapping gives the same values, from SQL that asks for none of the fields that no record has.
        """
        if fields is None:
            return self

        def there(sources: tuple[Source, ...]) -> tuple[Source, ...]:
            return tuple(s for s in sources if s.path in fields or s.path.partition(".")[0] in fields)

        columns = {column: there(sources) for column, sources in self.columns.items()}
        attributes = {name: there(sources) for name, sources in self.attributes.items()}
        return replace(
            self,
            columns={column: sources for column, sources in columns.items() if sources},
            user_agent=there(self.user_agent),
            attributes={name: sources for name, sources in attributes.items() if sources},
        )

    @property
    def specificity(self) -> int:
        """How much a record must have to be of this format."""
        return len(self.recognise) + (len(self.pattern.groupindex) if self.pattern else 0)

    def recognises(self, has: Callable[[str], bool]) -> bool:
        """Whether records are of this format, of whose paths `has` tells which are there."""
        return all(any(all(map(has, paths)) for paths in group) for group in self.recognise)


def value_at(fields: Mapping[str, Any], path: str) -> Any:
    """What a record has at a dotted path: at the key of that very name, else nested; None if nothing."""
    value = fields.get(path)
    if value is not None or "." not in path:
        return value
    value = fields
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
