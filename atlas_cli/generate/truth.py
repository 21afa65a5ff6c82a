"""What the books must say about generated files: counted as planted, not by the pipeline's code."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

from atlas.ledger import FileState
from atlas_cli.generate.drafts import Facts, Record
from atlas_cli.generate.files import DataFile
from atlas_cli.generate.formats import FORMATS

NONE = "(none)"
_ERROR_LEVELS = {"ERROR", "CRITICAL", "FATAL"}


@dataclass(frozen=True)
class Books:
    """One format on one day: records_in = published + duplicates + rejected."""

    files: int
    records_in: int
    rejected: Mapping[str, int]
    """By reason."""
    duplicates: int
    published: int


@dataclass(frozen=True)
class Activity:
    """What the day's row of daily_activity must hold. Not the devices: only the pipeline tells those."""

    total_requests: int
    total_errors: int
    unique_ips: int
    requests_by_status: Mapping[str, int]
    requests_by_type: Mapping[str, int]
    requests_by_app: Mapping[str, int]


@dataclass(frozen=True)
class DayTruth:
    """One day: its books by format, and its activity."""

    formats: Mapping[str, Books]
    daily_activity: Activity


@dataclass(frozen=True)
class FileTruth:
    """One file: what becomes of it, and how many records (refused ones too) it gives to each day."""

    path: str
    format: str | None
    state: FileState
    records: Mapping[str, int]
    what: str
    same_as: str | None


@dataclass(frozen=True)
class Planted:
    """One record with something special about it; `reason` is None if it is nevertheless sound."""

    path: str
    line: int
    """Line, element or array index, from 1."""
    day: str
    reason: str | None
    note: str


@dataclass(frozen=True)
class Truth:
    """The whole of what was generated. Days are `YYYY-MM-DD`, paths relative to the directory."""

    seed: int
    records_per_day: int
    days: Mapping[str, DayTruth]
    files: Sequence[FileTruth]
    planted: Sequence[Planted]

    def to_json(self) -> str:
        """Write the text of expected.json."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def tell(seed: int, days: Sequence[date], records_per_day: int, files: Sequence[DataFile]) -> Truth:
    """Count what the files hold."""
    counted = [file for file in files if file.records]
    return Truth(
        seed=seed,
        records_per_day=records_per_day,
        days={day.isoformat(): _day(day, counted) for day in days},
        files=[_file(file) for file in files],
        planted=[planted for file in counted for planted in _planted(file)],
    )


def _placed(file: DataFile) -> list[tuple[date, Record]]:
    """Pair the file's records with the day that each counts on: its own, or else the file's first."""
    first = min(record.day for record in file.records if record.day)
    return [(record.day or first, record) for record in file.records]


def _day(day: date, files: Sequence[DataFile]) -> DayTruth:
    books: dict[str, Books] = {}
    published: list[tuple[Facts, int]] = []
    for fmt in FORMATS:
        held = [
            [record for placed, record in _placed(file) if placed == day]
            for file in files
            if file.format == fmt.name
        ]
        books[fmt.name], sound = _books([records for records in held if records])
        published += sound
    return DayTruth(books, _activity(published))


def _books(held: Sequence[Sequence[Record]]) -> tuple[Books, list[tuple[Facts, int]]]:
    """Balance what each file holds of a day; and tell what is published, and how many times."""
    facts: dict[str, Facts] = {}
    most: dict[str, int] = defaultdict(int)
    rejected: Counter[str] = Counter()
    sound = 0
    for records in held:
        rejected.update(record.reason.value for record in records if record.reason)
        here = Counter(record.text for record in records if not record.reason)
        facts.update((record.text, record.facts) for record in records if not record.reason)
        sound += here.total()
        for text, times in here.items():
            most[text] = max(most[text], times)
    published = sum(most.values())
    books = Books(
        files=len(held),
        records_in=sum(len(records) for records in held),
        rejected=_ordered(rejected),
        duplicates=sound - published,
        published=published,
    )
    return books, [(facts[text], times) for text, times in most.items()]


def _activity(published: Sequence[tuple[Facts, int]]) -> Activity:
    return Activity(
        total_requests=sum(times for _, times in published),
        total_errors=sum(times for facts, times in published if _is_error(facts)),
        unique_ips=len({facts.ip for facts, _ in published if facts.ip}),
        requests_by_status=_by((str(facts.status or NONE), times) for facts, times in published),
        requests_by_type=_by((facts.method or NONE, times) for facts, times in published),
        requests_by_app=_by((facts.app or NONE, times) for facts, times in published),
    )


def _is_error(facts: Facts) -> bool:
    return (facts.status or 0) >= 400 or facts.level in _ERROR_LEVELS


def _by(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for key, times in pairs:
        counts[key] += times
    return _ordered(counts)


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return {key: counts[key] for key in sorted(counts)}


def _file(file: DataFile) -> FileTruth:
    records = Counter(day.isoformat() for day, _ in _placed(file)) if file.records else {}
    return FileTruth(file.path, file.format, file.state, _ordered(records), file.what, file.same_as)


def _planted(file: DataFile) -> list[Planted]:
    return [
        Planted(file.path, line, day.isoformat(), record.reason.value if record.reason else None, record.note)
        for line, (day, record) in enumerate(_placed(file), start=1)
        if record.note
    ]
