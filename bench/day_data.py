"""Makes a day of N records as ingestion leaves it in the lake: validated objects, and what the ledger says of them.

    python bench/day_data.py N FOLDER

FOLDER then holds `bucket/validated/...`, and `day.json`: the ledger's items of the day, the bytes of its envelopes
and of the objects, and the counts that every engine must find.

Half of the records are web access logs, half application events, each in files of 128 MiB of text, three at least.
One record in a hundred is in another file once more; one in two hundred is refused, half of these because their
text breaks off, half because they lack what their format requires.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from samples import CASES, Case, Stream

from atlas.formats import load_formats
from atlas.ledger import DayFile
from lambda_ingest.read import read_file
from lambda_ingest.spool import Spool

DAY = date(2024, 11, 29)
_CASES = ("NDJSON, gzip", "NDJSON, short records, microseconds, gzip")
_WANTED = {"ndjson": '"status":', "app_log": '"action":'}
"""What a record is refused without. Application events that have a level and a message need no action."""
_FILE_BYTES = _PART_BYTES = 128 << 20
_FEWEST_FILES = 3
_TWICE, _REFUSED = 100, 200
_LINES_A_PIECE = 500


@dataclass(frozen=True)
class _File:
    """Some of a case's records, of which the day has `of`."""

    case: int
    name: str
    numbers: Sequence[int]
    of: int

    @property
    def format(self) -> str:
        return CASES[self.case].format


def files_of_day(records: int) -> Iterator[_File]:
    """The files of a day of so many records."""
    names = [case.name for case in CASES]
    for position, name in enumerate(_CASES):
        case = names.index(name)
        share = records // len(_CASES) + (position < records % len(_CASES))
        twice = share // _TWICE
        once = share - twice
        text = sum(len(line) + 1 for line in CASES[case].of_day(range(1000), once)) // 1000
        count = max(_FEWEST_FILES, -(-once * text // _FILE_BYTES))
        for number in range(count):
            numbers = range(once * number // count, once * (number + 1) // count)
            yield _File(case, f"part-{number:03d}", numbers, once)
        if twice:
            yield _File(case, "again", range(0, once, once // twice)[:twice], once)


def _is_cut(number: int) -> bool:
    return number % (2 * _REFUSED) == 7


def _is_incomplete(number: int) -> bool:
    return number % (2 * _REFUSED) == _REFUSED + 7


def lines_of(case: Case, file: _File) -> Iterator[str]:
    """The file's records, one a line, those that are refused among them."""
    wanted = _WANTED[case.format]
    for number, line in zip(file.numbers, case.of_day(file.numbers, file.of), strict=True):
        if _is_cut(number):
            yield line[: len(line) // 2]
        elif _is_incomplete(number):
            yield line.replace(wanted, '"other":').replace('"message":', '"text":')
        else:
            yield line


def pieces_of(lines: Iterator[str]) -> Iterator[bytes]:
    """The lines as bytes, some hundred at a time."""
    while some := list(islice(lines, _LINES_A_PIECE)):
        yield ("\n".join(some) + "\n").encode()


def _ingest(file: _File, bucket: Path) -> dict[str, Any]:
    """The file goes through the code that the Lambda runs; its item in the ledger."""
    case = CASES[file.case]
    raw_key = f"raw/{case.format}/{file.name}.ndjson"
    with tempfile.TemporaryDirectory(dir=bucket.parent) as folder:
        spool = Spool(Path(folder), _PART_BYTES)
        reading = read_file(Stream(pieces_of(lines_of(case, file))), raw_key, spool, load_formats())
        cut = sum(map(_is_cut, file.numbers))
        found = (reading.format, list(reading.shares), reading.records, reading.unparsable)
        if found != (case.format, [DAY], len(file.numbers) - cut, cut):
            raise SystemExit(f"{raw_key} was not read as intended: {found}, {reading.refusal}")
        share = reading.shares[DAY]
        item = DayFile(DAY, raw_key, case.format, file.name, "2024-11-30T00:05:00Z", share, reading.fields)
        for number, key in enumerate(item.objects()):
            target = bucket / key
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(spool.part(DAY, number), target)
    return item.to_item()


def _counts(files: Sequence[_File]) -> dict[str, dict[str, int]]:
    """By format: the records that are published, duplicates, rejected."""
    counts: dict[str, dict[str, int]] = {}
    for file in files:
        told = counts.setdefault(file.format, {"published": 0, "duplicates": 0, "rejected": 0})
        rejected = sum(_is_cut(number) or _is_incomplete(number) for number in file.numbers)
        told["rejected"] += rejected
        told["duplicates" if file.name == "again" else "published"] += len(file.numbers) - rejected
    return counts


def make(records: int, folder: Path) -> None:
    """Fills an empty folder, on two cores."""
    bucket = folder / "bucket"
    bucket.mkdir()
    files = list(files_of_day(records))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        items = list(pool.map(_ingest, files, [bucket] * len(files)))
    description = {
        "records": records,
        "envelope_bytes": sum(item["share"]["bytes"] for item in items),
        "object_bytes": sum(path.stat().st_size for path in bucket.rglob("*.gz")),
        "files": len(items),
        "counts": _counts(files),
        "ledger": items,
    }
    (folder / "day.json").write_text(json.dumps(description))


if __name__ == "__main__":
    make(int(sys.argv[1]), Path(sys.argv[2]))
