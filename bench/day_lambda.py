"""One day by the day function, measured: `python bench/day_lambda.py FOLDER STARTED MEMORY_MB SECONDS`.

See stopwatch.py. The second call in the same process is the warm day.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from day_lake import clients, settings
from stopwatch import Stopwatch, counts

from atlas.lake import parse_day
from lambda_day import handler  # noqa: F401 - what Lambda imports, with all that it imports
from lambda_day.limits import Limits
from lambda_day.process import process


def main() -> None:
    """The day twice."""
    folder, memory_mb, seconds = Path(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])
    day = parse_day(json.loads((folder / "day.json").read_text())["ledger"][0]["day"])
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        watch = Stopwatch()
        for lap in ("day", "warm"):
            limits = Limits.of(memory_mb, seconds * 1000)
            summary = process(settings(day), clients(folder), limits, Path(scratch))
            watch.lap(lap)
            if lap == "day":
                watch.note_processor()
    watch.tell(counts(summary["books"]))


if __name__ == "__main__":
    main()
