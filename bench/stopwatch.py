"""What a process measures of itself, and how it is started for that. Imports hardly anything, because that counts.

A measured script is called as `python SCRIPT FOLDER STARTED [ARGUMENT...]`, the clock's time as it was started. It
makes a Stopwatch once it is ready to work, and prints what that has measured as its last line.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_UNIT = 1 if sys.platform == "darwin" else 1024


class Stopwatch:
    """Wall and processor times in seconds, memory in MiB. Threads count, and child processes that have ended."""

    def __init__(self) -> None:
        self._told: dict[str, Any] = {"start": time.time() - float(sys.argv[2])}
        self._begins = time.perf_counter()

    def lap(self, name: str) -> None:
        """Notes the time since the last lap."""
        now = time.perf_counter()
        self._told[name], self._begins = now - self._begins, now

    def note_processor(self) -> None:
        """Notes the processor's time of all that was so far, the start included."""
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        self._told["cpu"] = sum(some.ru_utime + some.ru_stime for some in used)

    def tell(self, counts: object = None) -> None:
        """Prints it all, with the peak: this process's, and that of its largest child on top."""
        peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        print(json.dumps({**self._told, "peak": sum(peaks) * _UNIT / (1 << 20), "counts": counts}))


def measure(script: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """What a fresh process of a script of this folder has measured.

    The process that calls this should be small: as long as the new one has not become another program, the kernel
    takes its size for the new one's.
    """
    command = [sys.executable, str(Path(__file__).parent / script), str(folder), str(time.time()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"{script} failed with {folder}:\n{done.stdout}{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def counts(books: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """What a run's books say of each format, as day_data.py tells what they must say."""
    kinds = ("published", "duplicates", "rejected")
    return {row["raw_format"]: {kind: int(row[kind]) for kind in kinds} for row in books}
