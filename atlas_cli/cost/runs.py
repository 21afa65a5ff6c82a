"""The runs of one day: how often it is processed, how much of it each time, and on which engine.

While files or events come in, the day is dirty, and each sweep that finds new ones processes all that is there so
far, until that is Glue's for the first time. The daily run processes the whole day once more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from stacks.config import StageConfig

_GLUE_LEAST_SECONDS = 2 * 2 * 60
"""Two jobs of two workers at least are billed for a minute each."""
_MEASURED_DPUS = 2


@dataclass(frozen=True)
class Runs:
    """What one day's runs come to. A share of 1 is all of the day's files."""

    runs: int
    shares: float
    day_runs: int
    """Those that the day function does, the shares of them, and their records."""
    day_shares: float
    day_million_records: float
    glue_runs: int
    glue_dpu_seconds: float


def runs_of_a_day(config: StageConfig, gb: float, files: int, events: int, known: Mapping[str, float]) -> Runs:
    """The runs of a day of so many GB of text in so many files, and of events, that come evenly over the day."""
    when = config.orchestration
    if not when.schedules_enabled:
        return Runs(0, 0.0, 0, 0.0, 0.0, 0, 0.0)
    arrivals = files + math.ceil(events / known["events_a_request"])
    sweeps = min(arrivals, 1440 // when.sweep_minutes)
    swept = [number / sweeps for number in range(1, sweeps + 1)]
    whole = 1.0 if arrivals else 0.0
    records = (gb * 2**30 / known["record_bytes"] + events) / 1e6
    text = gb * 2**30 * known["envelopes_per_text"] + events * known["event_bytes"]
    dpus_a_worker = int(config.jobs.worker_type.removeprefix("G.").removesuffix("X"))

    def on_glue(share: float) -> bool:
        fits = share * text <= config.day.max_megabytes << 20
        return config.engine == "glue" or (config.engine == "auto" and not fits)

    def dpu_seconds(share: float) -> float:
        seconds = known["glue_start_seconds"] + known["glue_seconds_per_million"] * share * records
        return max(_GLUE_LEAST_SECONDS * dpus_a_worker, _MEASURED_DPUS * seconds)

    # The sweep leaves a day that is not over, and has been Glue's, to the daily run.
    swept = [share for number, share in enumerate(swept) if number == 0 or not on_glue(swept[number - 1])]
    shares = [*swept, whole]
    function = [share for share in shares if not on_glue(share)]
    return Runs(
        runs=len(shares),
        shares=sum(shares),
        day_runs=len(function),
        day_shares=sum(function),
        day_million_records=sum(function) * records,
        glue_runs=len(shares) - len(function),
        glue_dpu_seconds=sum(dpu_seconds(share) for share in shares if on_glue(share)),
    )
