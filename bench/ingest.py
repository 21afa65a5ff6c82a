"""How fast ingestion reads files, beside what the parsers under it cost, and how much memory it takes.

    python bench/ingest.py [--megabytes N] [--json]     speed
    python bench/ingest.py --memory [--json]            peak memory for files of 200 MB and of 2 GB

docs/performance.md says what the numbers mean. The exit status is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from xml.parsers import expat

import orjson
from isal import igzip, isal_zlib
from report import Row, Table, Verdict, machine, tell
from samples import CASES, Case, Stream

from atlas.formats import load_formats
from lambda_ingest.container import Readable
from lambda_ingest.read import read_file
from lambda_ingest.spool import Spool

RUNS = 5
SMALL_FILES, SMALL_BYTES = 200, 100_000
MEMORY_MEGABYTES = (200, 2000)
MEMORY_CASES = ("NDJSON, gzip", "NDJSON", "JSON array on one line", "XML errors")
MIN_OF_PARSING, MAX_ARRAY, MIN_MB_PER_S, MAX_PEAK_MB, MAX_GROWTH_MB = 0.5, 1.5, 25, 200, 20

SPEED_COLUMNS = {
    "file": ("file", ""),
    "record_bytes": ("bytes a record", ",.0f"),
    "records_per_s": ("records/s", ",.0f"),
    "mb_per_s": ("MB/s of text", ".0f"),
    "of_splitting": ("of splitting", ".0%"),
    "of_parsing": ("of parsing", ".0%"),
    "scratch": ("scratch/text", ".2f"),
}
MEMORY_COLUMNS = {
    "file": ("file", ""),
    "baseline": ("interpreter and code, MB", ".0f"),
    "small": (f"peak at {MEMORY_MEGABYTES[0]} MB", ".0f"),
    "large": (f"peak at {MEMORY_MEGABYTES[1]:,} MB", ".0f"),
}


def read(case: Case, stream: Readable) -> tuple[int, int]:
    """Records, and bytes of scratch disk, of a file that is read as the Lambda reads it."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), 128 << 20)
        reading = read_file(stream, f"raw/{case.format}/bench", spool, load_formats())
        if reading.refusal or reading.unparsable or reading.format != case.format:
            raise SystemExit(f"{case.name} was not read as intended: {reading}")
        return reading.records, sum(part.stat().st_size for part in Path(folder).iterdir())


def lines(case: Case, file: bytes) -> Iterator[bytes]:
    """The file decompressed and cut into lines, by the plainest tools."""
    return iter(igzip.open(BytesIO(file)) if case.gzip else BytesIO(file))  # type: ignore[no-untyped-call]


def split(case: Case, file: bytes) -> None:
    """The first floor: lines, with which nothing is done."""
    for _ in lines(case, file):
        pass


def parse(case: Case, file: bytes) -> None:
    """The second floor: lines parsed by what the whole path parses them with, and nothing done with that."""
    if case.floor == "lines":
        for line in lines(case, file):
            orjson.loads(line)
    elif case.floor == "document":
        orjson.loads(b"".join(lines(case, file)))
    elif case.floor == "xml":
        expat.ParserCreate().ParseFile(BytesIO(file))
    else:
        log_format = load_formats()[case.format]
        separator = log_format.delimited.separator if log_format.delimited else None
        parser = log_format.pattern.fullmatch if log_format.pattern else partial(str.split, sep=separator)
        for line in lines(case, file):
            parser(line[:-1].decode())


def cpu(work: Callable[[], object]) -> float:
    """The processor's seconds that it takes: other than the clock's, they do not count what others do."""
    gc.collect()
    begins = time.process_time()
    work()
    return time.process_time() - begins


def speed(case: Case, size: int) -> Row:
    """One row of the table, the best of some runs; path and floors take turns, so that noise meets them alike."""
    text = b"".join(case.pieces(size))
    file = case.file(text)
    records, scratch = read(case, BytesIO(file))
    runs = [
        (cpu(lambda: read(case, BytesIO(file))), cpu(partial(split, case, file)), cpu(partial(parse, case, file)))
        for _ in range(RUNS)
    ]
    whole, splitting, parsing = map(min, zip(*runs, strict=True))
    return {
        "file": case.name,
        "record_bytes": len(text) / records,
        "records_per_s": records / whole,
        "mb_per_s": len(text) / whole / 1e6,
        "of_splitting": splitting / whole,
        "of_parsing": parsing / whole,
        "scratch": scratch / len(text),
        "noise": sorted(run[0] for run in runs)[RUNS // 2] / whole - 1,
    }


def small_files(case: Case) -> float:
    """Small files a second."""
    file = case.file(b"".join(case.pieces(SMALL_BYTES)))
    return SMALL_FILES / cpu(lambda: [read(case, BytesIO(file)) for _ in range(SMALL_FILES)])


def stream(case: Case, size: int) -> Stream:
    """The file, made while it is read."""
    pieces = case.pieces(size)
    return Stream(_gzipped(pieces) if case.gzip else pieces)


def _gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
    yield from map(deflate.compress, pieces)
    yield deflate.flush()


def peak(case: Case, megabytes: int) -> float:
    """The peak memory in MB of this process, which is to do nothing else, after reading so large a file."""
    read(case, stream(case, megabytes * 1_000_000))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def memory(case: Case) -> Row:
    """One row of the table of peaks, each that of a fresh interpreter; after hardly a record it is the baseline."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        baseline, small, large = pool.map(partial(peak, case), (0, *MEMORY_MEGABYTES))
    return {"file": case.name, "baseline": baseline, "small": small, "large": large}


def speed_verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Every target of speed, and whether it is met."""
    by_file = {row["file"]: row for row in rows}
    share = by_file["NDJSON, gzip"]["of_parsing"]
    array = by_file["NDJSON"]["records_per_s"] / by_file["JSON array on one line"]["records_per_s"]
    slowest = min(
        (by_file[case.name] for case in CASES if case.floor in ("text", "xml")), key=lambda row: row["mb_per_s"]
    )
    mb_per_s = slowest["mb_per_s"]
    return [
        (
            f"NDJSON, gzip: {share:.0%} of the speed of parsing, at least {MIN_OF_PARSING:.0%}",
            share >= MIN_OF_PARSING,
        ),
        (f"array on one line: {array:.2f} times the time of lines, at most {MAX_ARRAY}", array <= MAX_ARRAY),
        (
            f"slowest text or XML: {slowest['file']}, {mb_per_s:.0f} MB/s, at least {MIN_MB_PER_S}",
            mb_per_s >= MIN_MB_PER_S,
        ),
    ]


def memory_verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Every target of memory, and whether it is met."""
    highest = max(row["large"] for row in rows)
    growth = max(row["large"] - row["small"] for row in rows)
    return [
        (f"highest peak: {highest:.0f} MB, under {MAX_PEAK_MB}", highest < MAX_PEAK_MB),
        (f"largest growth with the file: {growth:.0f} MB, under {MAX_GROWTH_MB}", growth < MAX_GROWTH_MB),
    ]


def main() -> int:
    """Measures what the arguments say; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=20, metavar="N", help="of text a file (20)")
    parser.add_argument("--memory", action="store_true", help="measure peak memory instead of speed")
    parser.add_argument("--json", action="store_true", help="one JSON object a row and verdict")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    run = machine()
    note = "Python {python}, load {load:.1f}."
    if arguments.memory:
        rows = [memory(case) for case in CASES if case.name in MEMORY_CASES]
        verdicts, columns = memory_verdicts(rows), MEMORY_COLUMNS
    else:
        rows = [speed(case, arguments.megabytes * 1_000_000) for case in CASES]
        verdicts, columns = speed_verdicts(rows), SPEED_COLUMNS
        run |= {"small_files_per_s": small_files(CASES[0]), "noise": max(row["noise"] for row in rows)}
        note += " Medians up to {noise:.0%} above the best. {small_files_per_s:.0f} files of 100 kB a second."
    return tell([Table(rows, columns, note.format(**run))], run, verdicts, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
