"""What a stage costs a month: formulas over list prices, measured throughput and the stage's own settings."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any

from atlas import metrics
from atlas_cli.cost.runs import Runs, runs_of_a_day
from stacks.config import DERIVED_VERSIONS_DAYS, EVENT_FUNCTIONS_MB, StageConfig
from stacks.prices import PRICES, Price, lambda_second

_FUNCTIONS = {"min": min, "max": max, "__builtins__": {}}


@dataclass(frozen=True)
class Line:
    """One line of a bill: how much of what, and what that costs a month."""

    service: str
    what: str
    quantity: str
    amount: float
    price: Price

    @property
    def usd(self) -> float:
        """US dollars a month."""
        return self.amount * self.price.usd


@dataclass(frozen=True)
class Bill:
    """What a stage costs a month, and what the same logs cost in CloudWatch Logs. `runs` are those of a day."""

    gb_per_day: float
    files_per_day: int
    events_per_day: int
    questions_per_day: int
    runs: Runs
    lines: tuple[Line, ...]
    cloudwatch_logs: tuple[Line, ...]

    @property
    def usd(self) -> float:
        """All lines."""
        return sum(line.usd for line in self.lines)


@cache
def load(name: str) -> Any:
    """One of the package's TOML files."""
    return tomllib.loads((resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))


def figures() -> dict[str, float]:
    """Every measured, counted and assumed figure by its name."""
    return {name: told["value"] for kind in load("figures").values() for name, told in kind.items()}


def default_files(gb: float) -> int:
    """How many files so many GB of text are, if nobody says."""
    return math.ceil(gb * 2**30 / 1e6 / figures()["text_mb_a_file"])


def bill(config: StageConfig, gb: float, files: int | None = None, events: int = 0, questions: int = 0) -> Bill:
    """The bill of a stage that gets so many GB of text a day, in so many files, and so many events over HTTP.

    And so many requests for data, over HTTP too.
    """
    files = max(default_files(gb) if files is None else files, int(gb > 0))
    known = figures()
    runs = runs_of_a_day(config, gb, files, events, known)
    given = {"gb": gb, "files": files, "events": events, "questions": questions}
    names: dict[str, Any] = {**known, **_settings(config), **asdict(runs), **given}
    model = load("model")
    for name, formula in model["quantities"].items():
        names[name] = float(eval(formula, {**_FUNCTIONS}, names))  # noqa: S307 - our own formulas
    prices = {**PRICES, "lambda": lambda_second(config.architecture)}

    def lines(rows: list[list[str]]) -> tuple[Line, ...]:
        return tuple(
            Line(service, what, quantity, names[quantity], prices[price]) for service, what, quantity, price in rows
        )

    return Bill(gb, files, events, questions, runs, lines(model["lines"]), lines(model["cloudwatch_logs"]))


def _settings(config: StageConfig) -> dict[str, float]:
    """The stage's numbers by their paths in cdk.json, and what else of it the formulas ask for."""
    counted = {service: sum(metric.service == service for metric in metrics.METRICS) for service in _SERVICES}
    return {
        **{name: float(value) for name, value in _flat(asdict(config)).items() if isinstance(value, int | float)},
        **{_SERVICES[service]: count for service, count in counted.items()},
        "customer_key": config.encryption == "customer",
        "dashboards": 1,
        "derived_versions_days": DERIVED_VERSIONS_DAYS,
        "event_functions_mb": EVENT_FUNCTIONS_MB,
    }


_SERVICES = {
    metrics.INGEST: "metrics_of_files",
    metrics.EVENTS: "metrics_of_events",
    metrics.DAY: "metrics_of_days",
    metrics.RUNS: "metrics_of_runs",
    metrics.QUERIES: "metrics_of_queries",
}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{prefix}{name}_") if isinstance(value, Mapping) else {prefix + name: value}
    return found
