"""What a format makes of the traffic: drafts, which may still be spoiled, and records, which are final."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

from atlas.reasons import RecordReason
from atlas_cli.generate.model import Traffic
from atlas_cli.generate.rng import Rng

Fields = Mapping[str, object]
Write = Callable[[Fields], str]

MILLISECONDS = "milliseconds"
SECONDS = "seconds"
MICROSECONDS = "microseconds"
_OFFSETS = (timedelta(hours=2), timedelta(hours=-5), timedelta(hours=5, minutes=30))


@dataclass(frozen=True, slots=True)
class Facts:
    """What gold counts of a record, as the generator meant it. None where the record does not say."""

    ip: str | None = None
    status: int | None = None
    method: str | None = None
    level: str | None = None
    app: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A sound record before it is written."""

    day: date
    fields: Fields
    facts: Facts


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a file holds it, and what the books must make of it."""

    text: str
    day: date | None
    """None if no reader can tell its time: then it counts on its file's first day."""
    facts: Facts = Facts()
    reason: RecordReason | None = None
    note: str = ""
    """What is special about it, for people; empty for most."""


@dataclass(frozen=True)
class Fault:
    """One way to spoil a record. `spoil` gets its fields and the format's writer, and gives the text."""

    reason: RecordReason
    note: str
    spoil: Callable[[Fields, Write], str]
    lines_only: bool = False
    """It breaks a line, which a format that is no lines today would not survive."""

    def apply(self, draft: Draft, write: Write) -> Record:
        """Spoil this draft."""
        unreadable = self.reason in {RecordReason.MALFORMED_RECORD, RecordReason.NO_EVENT_TIME}
        day = None if unreadable else draft.day
        return Record(self.spoil(draft.fields, write), day, reason=self.reason, note=self.note)


@dataclass(frozen=True)
class Format:
    """How one log format is generated. `variant` is 0 and 1 on alternate days."""

    name: str
    """As in atlas/formats/<name>.toml."""
    stem: str
    """A file is called <stem>_<day><suffix>."""
    suffix: str
    share: int
    """Records of each hundred that a day is asked to have."""
    draft: Callable[[Traffic, Rng, int], list[Draft]]
    """So many sound records of the day, in the order of their time."""
    write: Write
    """The text of one record: its identity."""
    pack: Callable[[Sequence[str], int], bytes]
    """The file that holds these texts, in the day's variant."""
    faults: tuple[Fault, ...]
    serial: tuple[str, ...] = ()
    """Optional fields that make each record unique, which two identical records must lack."""
    is_lines: Callable[[int], bool] = lambda variant: True  # noqa: ARG005

    def path(self, day: date, label: str = "") -> str:
        """Where a file goes, relative to the directory."""
        return f"{day.isoformat()}/{self.stem}_{day.isoformat()}{label}{self.suffix}"


def stamp(day: date, at: int, rng: Rng, precision: str, zulu: bool) -> str:
    """Write a time as the format mostly does; four in a hundred come from a machine with another habit."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(milliseconds=at)
    if precision == MICROSECONDS:
        moment += timedelta(microseconds=rng.below(1000))
    habit = rng.below(100)
    if habit < 2:
        return moment.astimezone(timezone(rng.pick(_OFFSETS))).isoformat(timespec=precision)
    if habit < 4:
        precision, zulu = rng.pick((SECONDS, MILLISECONDS)), not zulu
    text = moment.isoformat(timespec=precision)
    return text.removesuffix("+00:00") + "Z" if zulu else text


def compact_json(fields: Fields) -> str:
    """One line of JSON without spaces."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def spaced_json(fields: Fields) -> str:
    """One line of JSON with the spaces that most libraries put."""
    return json.dumps(fields, ensure_ascii=False)


def lines(texts: Sequence[str], variant: int) -> bytes:
    """Put each text on a line. In variant 1 the last has no newline: not every producer writes it."""
    return ("\n".join(texts) + ("\n" if variant == 0 else "")).encode()


def without(*names: str) -> Callable[[Fields, Write], str]:
    """Leave these fields out."""
    return lambda fields, write: write({key: value for key, value in fields.items() if key not in names})


def with_value(name: str, value: object) -> Callable[[Fields, Write], str]:
    """Put this value instead."""
    return lambda fields, write: write({**fields, name: value})


def cut(fields: Fields, write: Write) -> str:
    """End the record's text in its middle."""
    text = write(fields)
    return text[: len(text) // 2]


def python_repr(fields: Fields, _write: Write) -> str:
    """Print the record as a careless program does: no JSON, though lenient parsers take it."""
    return repr(dict(fields))
