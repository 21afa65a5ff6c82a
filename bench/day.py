"""What a whole day costs on each engine, from validated envelopes to gold: time, processor, memory, money.

    python bench/day.py [--records N ...] [--engines bare,lambda,glue] [--runs K] [--json]

    lambda   the day function in a fresh process, and once more in the same process: the warm day
    glue     the two Glue jobs, each in a fresh process with a Spark session of its own; their times are added
    bare     DuckDB alone, straight SQL with the same memory and threads: the floor (day_bare.py)

Start is what passes until a process is ready to work: interpreter, imports, for Spark the JVM and its session. The
processor's time is that of start and day, of all threads and of the JVM. The peak is that of a process; for Spark
that of the JVM and that of its driver in Python, added, in the larger job; for the function that of both its days.

S3 is a folder (day_lake.py), so its latency and bandwidth are in none of the numbers. Nor are those of the ledger,
nor the making of boto3's clients, a few tenths of a second at a function's first call. Envelopes are made before
(day_data.py) and kept between runs in the system's folder for temporary files. Every engine must find the very
counts of published, duplicate and rejected records that the day was made with, or the tool ends with an error.

docs/performance.md says what the numbers mean. The exit status is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from report import Row, Table, Verdict, machine, tell
from stopwatch import measure

from stacks.prices import DATE, PRICES, REGION

RECORDS = (5_000, 50_000, 500_000, 3_500_000, 7_000_000)
ENGINES = ("bare", "lambda", "glue")
RUNS = 3
MEMORY_MB, SECONDS, STORAGE_MB = 3008, 900, 10_240
"""The function's default size: the defaults of `day` in cdk.json."""
SOURCES = (
    "bench/day_data.py", "bench/samples.py", "atlas_cli/generate/*.py", "lambda_ingest/*.py", "atlas/envelope.py",
    "atlas/lake.py", "atlas/ledger.py",
)  # fmt: skip
"""What a day's envelopes follow from."""
MAX_OF_BARE, OF_BARE_AT = 1.5, 3_500_000
MAX_WARM_SECONDS, WARM_AT = 1.5, 5_000

LAMBDA_GB_SECOND, LAMBDA_REQUEST = PRICES["lambda_arm64"].usd, PRICES["lambda_call"].usd
STORAGE_GB_SECOND, FREE_STORAGE_MB = PRICES["lambda_storage"].usd, 512
GLUE_DPU_HOUR, GLUE_DPUS, GLUE_MIN_SECONDS = PRICES["glue_dpu"].usd, 2, 60
GLUE_START_SECONDS = 30
"""Assumed: how long a job waits for its workers on AWS before it begins to run. It is not billed."""
PAID = (
    f"List prices of {REGION}, {DATE}. Lambda, arm64, {MEMORY_MB:,} MB: ${LAMBDA_GB_SECOND:.10f} a GB-second, "
    f"start included, $0.20 a million requests, and ${STORAGE_GB_SECOND:.10f} a GB-second for {STORAGE_MB:,} MB of "
    f"scratch beyond the first {FREE_STORAGE_MB}. Glue, {GLUE_DPUS} workers G.1X: ${GLUE_DPU_HOUR} a DPU-hour, "
    f"each of the two jobs by the second and for {GLUE_MIN_SECONDS} s at least. Assumed: a second here is a second "
    f"there, and a job waits {GLUE_START_SECONDS} s for its workers, which Glue does not bill. Requests to S3 and "
    "the ledger are in neither."
)

TIME_COLUMNS = {
    "records": ("records", ",d"),
    "text_mb": ("envelopes, MB", ",.1f"),
    "objects_mb": ("in S3, MB", ",.1f"),
    "engine": ("engine", ""),
    "start": ("start, s", ".2f"),
    "day": ("day, s", ".2f"),
    "total": ("total, s", ".2f"),
    "warm": ("warm day, s", ".2f"),
    "cpu": ("processor, s", ".2f"),
    "peak": ("peak, MiB", ",.0f"),
    "of_bare": ("day/bare", ".2f"),
}
COST_COLUMNS = {
    "records": ("records", ",d"),
    "lambda_seconds": ("Lambda, s", ",.1f"),
    "lambda_dollars": ("Lambda, $", ".6f"),
    "glue_seconds": ("Glue, s", ",.0f"),
    "glue_billed": ("billed, s", ",d"),
    "glue_dollars": ("Glue, $", ".4f"),
    "ratio": ("Glue/Lambda, $", ",.0f"),
}


def made_day(records: int) -> Path:
    """The folder of a day of so many records; made if there is none yet of what makes it as it is now."""
    project = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for file in sorted(path for source in SOURCES for path in project.glob(source)):
        digest.update(file.read_bytes())
    parent, prefix = Path(tempfile.gettempdir()), f"atlas-bench-day-{records}-"
    folder = parent / f"{prefix}{digest.hexdigest()[:12]}"
    if not folder.is_dir():
        for other in parent.glob(f"{prefix}*"):
            shutil.rmtree(other)
        fresh = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        script = str(Path(__file__).with_name("day_data.py"))
        subprocess.run([sys.executable, script, str(records), str(fresh)], check=True)  # noqa: S603
        fresh.rename(folder)
    return folder


@contextmanager
def lake(day: Path) -> Iterator[Path]:
    """A lake that holds the day and nothing else, whose objects are links to those of `day`."""
    with tempfile.TemporaryDirectory(prefix="atlas-bench-lake-", dir=day.parent) as folder:
        shutil.copytree(day, folder, copy_function=os.link, dirs_exist_ok=True)
        yield Path(folder)


def run(engine: str, day: Path) -> Row:
    """One day on one engine, in processes and a lake of its own."""
    size = (str(MEMORY_MB), str(SECONDS))
    with lake(day) as folder:
        if engine == "glue":
            jobs = [measure("day_glue.py", folder, job) for job in ("normalize", "aggregate")]
            told = {part: sum(job[part] for job in jobs) for part in ("start", "day", "cpu")}
            told |= {"peak": max(job["peak"] for job in jobs), "counts": jobs[-1]["counts"]}
            told["jobs"] = [job["start"] + job["day"] for job in jobs]
        else:
            told = measure(f"day_{engine}.py", folder, *size)
    return {**told, "engine": engine, "total": told["start"] + told["day"]}


def measured(records: int, engines: Sequence[str], runs: int) -> list[Row]:
    """The rows of one day, of each engine its best run; they take turns, so that noise meets them alike."""
    day = made_day(records)
    described = json.loads((day / "day.json").read_text())
    found: dict[str, list[Row]] = {engine: [] for engine in engines}
    for _ in range(runs):
        for engine in engines:
            row = run(engine, day)
            progress = "{records:,} {engine}: start {start:.2f} s, day {day:.2f} s, {peak:,.0f} MiB"
            print(progress.format(records=records, **row), file=sys.stderr)
            if row.pop("counts") != described["counts"]:
                raise SystemExit(f"{engine} counts other records than {described['counts']} in {records:,}")
            found[engine].append(row)
    sizes = {
        "records": records,
        "text_mb": described["envelope_bytes"] / 1e6,
        "objects_mb": described["object_bytes"] / 1e6,
    }
    rows = [{**sizes, **best(some)} for some in found.values()]
    bare = next((row["day"] for row in rows if row["engine"] == "bare"), None)
    return [{**row, "of_bare": row["day"] / bare} if bare else row for row in rows]


def best(rows: Sequence[Row]) -> Row:
    """The run whose day was shortest, with the shortest warm day and the highest peak of all of them.

    `noise` is by how much the median of the days was longer.
    """
    row = min(rows, key=lambda row: row["day"])
    days = sorted(row["day"] for row in rows)
    told = {**row, "peak": max(row["peak"] for row in rows), "noise": days[len(days) // 2] / row["day"] - 1}
    return {**told, "warm": min(row["warm"] for row in rows)} if "warm" in row else told


def costs(rows: Sequence[Row]) -> list[Row]:
    """A row for each day that both engines ran: seconds from the start to the end, and dollars."""
    by_day: dict[int, dict[str, Row]] = {}
    for row in rows:
        by_day.setdefault(row["records"], {})[row["engine"]] = row
    told = []
    for records, engines in by_day.items():
        if "lambda" in engines and "glue" in engines:
            seconds, jobs = engines["lambda"]["total"], engines["glue"]["jobs"]
            lambda_dollars = seconds * MEMORY_MB / 1024 * LAMBDA_GB_SECOND + LAMBDA_REQUEST
            lambda_dollars += seconds * (STORAGE_MB - FREE_STORAGE_MB) / 1024 * STORAGE_GB_SECOND
            billed = sum(max(GLUE_MIN_SECONDS, math.ceil(job)) for job in jobs)
            glue_dollars = billed * GLUE_DPUS * GLUE_DPU_HOUR / 3600
            told.append(
                {
                    "records": records,
                    "lambda_seconds": seconds,
                    "lambda_dollars": lambda_dollars,
                    "glue_seconds": sum(jobs) + len(jobs) * GLUE_START_SECONDS,
                    "glue_billed": billed,
                    "glue_dollars": glue_dollars,
                    "ratio": glue_dollars / lambda_dollars,
                }
            )
    return told


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Every target of what was measured, and whether it is met."""
    told: list[Verdict] = []
    function = [row for row in rows if row["engine"] == "lambda"]
    for row in function:
        if row["records"] == OF_BARE_AT and "of_bare" in row:
            text = f"the function's day of {OF_BARE_AT:,} records: {row['of_bare']:.2f} times bare DuckDB's"
            told.append((f"{text}, at most {MAX_OF_BARE}", row["of_bare"] <= MAX_OF_BARE))
        if row["records"] == WARM_AT:
            text = f"{WARM_AT:,} records in a warm process: {row['warm']:.2f} s, under {MAX_WARM_SECONDS}"
            told.append((text, row["warm"] < MAX_WARM_SECONDS))
    if function:
        highest = max(function, key=lambda row: row["peak"])
        text = f"the function's highest peak: {highest['peak']:,.0f} MiB, at {highest['records']:,} records"
        told.append((f"{text}, under {MEMORY_MB:,}", highest["peak"] < MEMORY_MB))
    return told


def _engines(text: str) -> tuple[str, ...]:
    chosen = text.split(",")
    if not set(chosen) <= set(ENGINES):
        raise argparse.ArgumentTypeError(f"{text}: of {','.join(ENGINES)}")
    return tuple(engine for engine in ENGINES if engine in chosen)


def main() -> int:
    """Measures what the arguments say; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=RECORDS, metavar="N", help="of a day (all five)")
    parser.add_argument("--engines", type=_engines, default=ENGINES, metavar="E,E", help=f"of {','.join(ENGINES)}")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="K", help=f"of which the best counts ({RUNS})")
    parser.add_argument("--json", action="store_true", help="one JSON object a row and verdict")
    arguments = parser.parse_args()
    about = machine()
    rows = [row for records in arguments.records for row in measured(records, arguments.engines, arguments.runs)]
    about["noise"] = max(row["noise"] for row in rows)
    note = "Python {python}, load {load:.1f}. Medians up to {noise:.0%} above the best."
    tables = [Table(rows, TIME_COLUMNS, note.format(**about))]
    paid = costs(rows)
    if paid:
        tables.append(Table(paid, COST_COLUMNS, PAID))
    return tell(tables, about, verdicts(rows), as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
