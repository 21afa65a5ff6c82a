"""One day from its validated records to gold, by one engine in one process."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb

from atlas import day, faults, run_report
from atlas.clients import Clients
from atlas.restore import ValidatedGoneError
from atlas.settings import JobSettings
from lambda_day.damage import naming_files
from lambda_day.duckdb_engine import DuckdbEngine
from lambda_day.limits import Clock, DayTooLargeError, Limits

JOB = "day"


def run(settings: JobSettings, clients: Clients, limits: Limits, scratch: Path) -> dict[str, Any]:
    """`process`, and what people hear of it.

    A failure is written down, announced and raised again. What mends itself is only raised: Spark may do a day that
    is too large, and validated objects that were gone are on their way.
    """
    try:
        summary = process(settings, clients, limits, scratch)
    except (DayTooLargeError, ValidatedGoneError):
        raise
    except BaseException as fault:  # noqa: BLE001 - raised again
        run_report.report_failure(JOB, settings, clients, fault)
        raise faults.tellable(fault) from None  # Lambda writes its text into the log
    run_report.announce(JOB, settings, clients, summary)
    return summary


def process(settings: JobSettings, clients: Clients, limits: Limits, scratch: Path) -> dict[str, Any]:
    """Both jobs' work; the summary of the first with the books of the second.

    `scratch` is a folder on a disk with room for the day's Parquet and what DuckDB spills. Raises BooksError,
    ValidatedGoneError, and DayTooLargeError if the day outgrows memory, scratch or time: gold is then as it was.
    """
    clock = Clock(limits.seconds)
    with tempfile.TemporaryDirectory(dir=scratch) as folder, _outgrown(clock):
        manifest = day.begin(settings, clients)
        with (
            closing(DuckdbEngine(clients.s3, settings.bucket, Path(folder), limits, clock.check)) as engine,
            clock.interrupting(engine.connection.interrupt),
            naming_files(manifest),
        ):
            engine.open(manifest)
            summary = day.normalize(engine, manifest, settings, clients)
            quality = day.aggregate(engine, manifest, settings, clients)
    return {**summary, "books": quality}


@contextmanager
def _outgrown(clock: Clock) -> Iterator[None]:
    """Tells a day that is too large from other faults."""
    try:
        yield
    except duckdb.InterruptException:
        clock.check()
        raise
    except (duckdb.OutOfMemoryException, MemoryError) as fault:
        raise DayTooLargeError(f"the day outgrew the function's memory or scratch disk: {fault}") from fault
    except (duckdb.IOException, OSError) as fault:
        if getattr(fault, "errno", None) == errno.ENOSPC or "No space left on device" in str(fault):
            raise DayTooLargeError(f"the day outgrew the function's scratch disk: {fault}") from fault
        raise
