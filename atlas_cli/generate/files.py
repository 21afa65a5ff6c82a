"""The files of the days, with their troubles: what is spoiled, doubled, sent again, or put elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from atlas.ledger import FileState
from atlas.reasons import RecordReason
from atlas_cli.generate.drafts import Draft, Fault, Format, Record, cut
from atlas_cli.generate.formats import FORMATS, gzipped
from atlas_cli.generate.model import Traffic
from atlas_cli.generate.rng import Rng

TWIN = "the same as the record before it: two real records, both count"
TWIN_AGAIN = "one of the two identical records again"
_LATE = "ndjson"
_CUT = Fault(
    RecordReason.MALFORMED_RECORD,
    "the line ends in its middle, after midnight, and yet counts on the first day",
    cut,
    lines_only=True,
)


@dataclass(frozen=True)
class DataFile:
    """One file with the records it holds, and what must become of it."""

    path: str
    data: bytes
    state: FileState
    what: str
    format: str | None = None
    records: tuple[Record, ...] = ()
    """Empty for a file that adds nothing."""
    same_as: str | None = None


@dataclass(frozen=True)
class Plan:
    """The troubles with whole files on one day."""

    retry: str
    overlap: tuple[str, ...]
    empty: tuple[str, bytes, str]


PLANS = (
    Plan("ndjson", ("ndjson", "xml_errors"), ("api_logs_{}_empty.json.gz", b"", "no bytes at all")),
    Plan(
        "json_gzip",
        ("json_gzip", "app_log"),
        ("app_events_{}_empty.log.gz", gzipped(b""), "gzip of nothing"),
    ),
)
"""Taken in turn. The overlapping formats of a plan are made of lines or elements in its variant."""


@dataclass
class _Day:
    day: date
    variant: int
    drafts: dict[str, list[Draft]] = field(default_factory=dict)
    late: list[Draft] = field(default_factory=list)
    """What the next file, which crosses midnight, holds of this day and the following one."""


def build(seed: int, days: Sequence[date], records_per_day: int) -> list[DataFile]:
    """Make every file of the days, in the order of their paths."""
    plans = [_drafted(seed, day, index % 2, records_per_day) for index, day in enumerate(days)]
    for today, tomorrow in itertools.pairwise(plans):
        if tomorrow.day - today.day == timedelta(days=1):
            _across_midnight(today, tomorrow)
    files = [file for plan in plans for file in _day_files(seed, plan)]
    return sorted(files, key=lambda file: file.path)


def _drafted(seed: int, day: date, variant: int, records: int) -> _Day:
    traffic = Traffic(seed, day)
    result = _Day(day, variant)
    for fmt in FORMATS:
        rng = Rng(seed, day, "format", fmt.name)
        result.drafts[fmt.name] = fmt.draft(traffic, rng, records * fmt.share // 100)
    return result


def _across_midnight(today: _Day, tomorrow: _Day) -> None:
    before, after = today.drafts[_LATE], tomorrow.drafts[_LATE]
    count = max(3, len(before) // 40)
    today.late = before[-count:] + after[:count]
    del before[-count:], after[:count]


def _day_files(seed: int, plan: _Day) -> list[DataFile]:
    troubles = PLANS[plan.variant]
    files: list[DataFile] = []
    for fmt in FORMATS:
        rng = Rng(seed, plan.day, "troubles", fmt.name)
        main, export = _spoiled(fmt, plan, rng, overlap=fmt.name in troubles.overlap)
        files.append(_file(fmt, plan, "", main, "the day's log"))
        if export:
            files.append(_file(fmt, plan, "_export", export, "a part of the day's log again, and new records"))
        if fmt.name == troubles.retry:
            files.append(_retry(fmt, plan, files, main))
        if fmt.name == _LATE and plan.late:
            files.append(_late(fmt, plan))
    name, data, what = troubles.empty
    path = f"{plan.day.isoformat()}/{name.format(plan.day.isoformat())}"
    return [*files, DataFile(path, data, FileState.EMPTY, what)]


def _file(fmt: Format, plan: _Day, label: str, records: Sequence[Record], what: str) -> DataFile:
    data = fmt.pack([record.text for record in records], plan.variant)
    path = fmt.path(plan.day, label)
    return DataFile(path, data, FileState.INGESTED, what, fmt.name, tuple(records))


def _retry(fmt: Format, plan: _Day, files: Sequence[DataFile], main: Sequence[Record]) -> DataFile:
    path = fmt.path(plan.day)
    original = next(file for file in files if file.path == path)
    what = f"the bytes of `{path.partition('/')[2]}` under another name, {len(main)} records"
    again = fmt.path(plan.day, "_retry")
    return DataFile(again, original.data, FileState.DUPLICATE, what, fmt.name, same_as=path)


def _late(fmt: Format, plan: _Day) -> DataFile:
    records = [_sound(fmt, draft) for draft in plan.late]
    records[-2] = _CUT.apply(plan.late[-2], fmt.write)
    return _file(fmt, plan, "_late", records, "crosses midnight; in no other file")


def _spoiled(fmt: Format, plan: _Day, rng: Rng, overlap: bool) -> tuple[list[Record], list[Record]]:
    """Make the records of the day's log, and of the overlapping export if there is to be one.

    The export begins with the second of the two identical records, so that the log holds that record twice
    and the export once; the first spoiled record follows, and both files hold it.
    """
    drafts = plan.drafts[fmt.name]
    faults = [fault for fault in fmt.faults if fmt.is_lines(plan.variant) or not fault.lines_only]
    twin = len(drafts) // 3 + rng.below(len(drafts) // 3)
    spoiled = dict(zip(_places(rng, len(drafts), twin, len(faults)), faults, strict=True))
    span = range(twin, twin + 2 + max(3, len(drafts) // 20)) if overlap else range(0)
    main: list[Record] = []
    export: list[Record] = []
    for place, draft in enumerate(drafts):
        if place == twin:
            first, second = _twins(fmt, draft)
            main += first, second
            again = [replace(second, note=TWIN_AGAIN)]
        else:
            record = spoiled[place].apply(draft, fmt.write) if place in spoiled else _sound(fmt, draft)
            again = [record]
            new = place in span and place % 3 == 0 and place not in spoiled
            main += [] if new else [record]
        export += again if place in span else []
    return main, export


def _sound(fmt: Format, draft: Draft) -> Record:
    return Record(fmt.write(draft.fields), draft.day, draft.facts)


def _twins(fmt: Format, draft: Draft) -> tuple[Record, Record]:
    fields = {key: value for key, value in draft.fields.items() if key not in fmt.serial}
    text = fmt.write(fields)
    return Record(text, draft.day, draft.facts), Record(text, draft.day, draft.facts, note=TWIN)


def _places(rng: Rng, count: int, twin: int, wanted: int) -> list[int]:
    """Choose where to spoil: right behind the twins, then anywhere but at the head, which tells formats."""
    places, head = [twin + 1], min(20, count // 4)
    while len(places) < wanted:
        place = head + rng.below(count - head)
        if place != twin and place not in places:
            places.append(place)
    return places
