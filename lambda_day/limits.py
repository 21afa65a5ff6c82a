"""What the function may use, from its size: DuckDB's memory and threads, the scratch disk, the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

MB_A_CORE = 1769
"""A function has a vCPU for that much memory:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

_OUTSIDE_MB = 256
"""What Python, boto3 and the readers' buffers take beside DuckDB's own bound."""
_DUCKDB_SHARE = 0.6
"""DuckDB's bound is on its buffers; what it allocates beside them (for parsers, say) comes on top."""
_CHUNK_SHARE = 0.2
_RESERVED_SECONDS = 30
"""For what is under way to be given up, and for the answer."""


class DayTooLargeError(Exception):
    """The day outgrew the function's memory, scratch disk or time: Spark has to run it."""


@dataclass(frozen=True)
class Limits:
    """DuckDB's bound on memory, in bytes, and its threads; the text that is read at once, in bytes; the time."""

    memory: int
    chunk: int
    threads: int
    seconds: float

    @classmethod
    def of(cls, memory_mb: int, milliseconds: int) -> Limits:
        """The limits of a function with this much memory and this much time left."""
        memory = int(max(memory_mb - _OUTSIDE_MB, 128) * _DUCKDB_SHARE) << 20
        threads = max(1, -(-memory_mb // MB_A_CORE))
        return cls(memory, int(memory * _CHUNK_SHARE), threads, milliseconds / 1000 - _RESERVED_SECONDS)


class Clock:
    """Ends what runs when the time is over."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._seconds = seconds

    def check(self) -> None:
        """Raises DayTooLargeError if the time is over."""
        if time.monotonic() >= self._ends:
            raise DayTooLargeError(
                f"the day takes longer than the {self._seconds:.0f} s that the function has for it"
            )

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Calls `interrupt`, from another thread, should the time run out before the block ends."""
        timer = threading.Timer(max(0.0, self._ends - time.monotonic()), interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def memory_mb(environ: Mapping[str, str]) -> int:
    """The function's memory, which Lambda tells it."""
    return int(environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
