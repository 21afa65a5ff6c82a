"""`atlas cost`: what a stage costs a month, and what the same logs cost in CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atlas_cli.cloud import LOCAL
from atlas_cli.console import CommandError, Say
from atlas_cli.cost import Bill, Line, bill
from stacks.config import StageConfig, read_context
from stacks.prices import DATE, PRICES, REGION

_NAMED = 3
"""So many of a service's lines are named."""
_CENT = 0.005


def show(stage: str, gb: float, files: int | None, *, events: int, questions: int, say: Say) -> None:
    """Says the bill of a stage of cdk.json. Raises ConfigError, and CommandError for the local one."""
    if stage == LOCAL:
        raise CommandError("the stage local runs on this machine and costs nothing: name another with --stage")
    if min(gb, files or 0, events, questions) < 0:
        raise CommandError("GB, files, events and questions a day are no less than 0")
    config = StageConfig.load(stage, read_context())
    told = bill(config, gb, files, events, questions)
    if say.as_json:
        say.rows("", [row(line) for line in (*told.lines, *told.cloudwatch_logs)])
        return
    idle = bill(config, 0, 0)
    say.note(
        f"Stage {stage} with {gb:,g} GB of text in {told.files_per_day:,} files"
        f"{f', {events:,} events' if events else ''}{f', {questions:,} questions' if questions else ''} a day, "
        "at the end of month 12.\n"
        f"List prices of {REGION}, {DATE}, without free tiers and taxes.\n"
    )
    say.rows("US dollars a month, by service", services(told, idle))
    say.rows("The same logs in CloudWatch Logs", compared(told))
    say.note(_about(told, config))


def row(line: Line) -> dict[str, Any]:
    """A line as a program reads it."""
    return {
        "service": line.service,
        "what": line.what,
        "quantity": line.quantity,
        "amount": round(line.amount, 6),
        "unit": line.price.unit,
        "usd_per_unit": line.price.usd,
        "usd": round(line.usd, 6),
    }


def services(told: Bill, idle: Bill) -> list[dict[str, Any]]:
    """A row for each service, in the order of the bill, and one for all of it."""
    rows = []
    for service in dict.fromkeys(line.service for line in told.lines):
        lines = [line for line in told.lines if line.service == service]
        dear = sorted((line for line in lines if line.usd >= _CENT), key=lambda line: -line.usd)
        rows.append(
            {
                "service": service,
                "usd": _dollars(lines),
                "without_logs": _dollars([line for line in idle.lines if line.service == service]),
                "most_of_it": ", ".join(f"{line.what} {line.usd:,.2f}" for line in dear[:_NAMED]),
            }
        )
    total = {
        "service": "total",
        "usd": _dollars(told.lines),
        "without_logs": _dollars(idle.lines),
        "most_of_it": "",
    }
    return [*rows, total]


def compared(told: Bill) -> list[dict[str, Any]]:
    """CloudWatch Logs' lines, and what they come to."""
    lines = told.cloudwatch_logs
    rows = [{"what": line.what, "usd": _dollars([line])} for line in lines]
    return [*rows, {"what": "total", "usd": _dollars(lines)}]


def _dollars(lines: Sequence[Line]) -> str:
    return f"{sum(line.usd for line in lines):9,.2f}"


def _about(told: Bill, config: StageConfig) -> str:
    runs, cutoff = told.runs, config.queries.scan_cutoff_gb
    every = config.orchestration.sweep_minutes
    price = PRICES["athena"].usd
    return (
        f"A day is processed {runs.runs} times, {runs.glue_runs} of them by Glue: by each sweep that finds new "
        f"files (every {every} minutes), and once it is over.\n"
        f"Not counted: analysts' queries (${price * 1024:.2f} a TB that they read; one is cancelled after "
        f"{cutoff:,} GB, which is ${cutoff * price:.2f}), refused files, and what leaves the region.\n"
        "docs/cost.md has each formula, what is measured and what is assumed, and what CloudWatch Logs gives that "
        "Atlas does not."
    )
