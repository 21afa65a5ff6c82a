"""docs/cost.md: examples, formulas, figures and prices, all from what `atlas cost` reckons with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import resources

from atlas_cli.cost import Bill, bill, load
from atlas_cli.cost.show import services
from stacks.config import StageConfig, read_context
from stacks.prices import DATE, PRICES, REGION

EXAMPLES = (0.1, 1, 10, 30)
"""GB of text a day."""
_SELDOM_MINUTES = 360


def page() -> str:
    """page.md with its tables and numbers."""
    config = StageConfig.load("prod", read_context())
    seldom = replace(config, orchestration=replace(config.orchestration, sweep_minutes=_SELDOM_MINUTES))
    bills = [bill(config, gb) for gb in EXAMPLES]
    model, figures = load("model"), load("figures")
    lines = [*model["lines"], *model["cloudwatch_logs"]]
    filled = {
        "region": REGION,
        "date": DATE,
        "many": f"{EXAMPLES[-1]:g}",
        "even": f"{_even(config):.1f}",
        "often": f"{bills[-1].usd:,.0f}",
        "seldom": f"{bill(seldom, EXAMPLES[-1]).usd:,.0f}",
        "million": f"{bill(config, 0, 0, 1_000_000).usd - bill(config, 0, 0).usd:,.0f}",
        "thousand": f"{bill(config, 0, 0, 0, 1000).usd - bill(config, 0, 0).usd:,.2f}",
        "examples": _examples(bills),
        "lines": _table(
            ("service", "what", "quantity", "price"),
            [(service, what, f"`{quantity}`", f"`{price}`") for service, what, quantity, price in lines],
        ),
        "quantities": _table(
            ("quantity", "formula"), [(f"`{name}`", f"`{text}`") for name, text in model["quantities"].items()]
        ),
        "figures": _table(
            ("figure", "value", "what", "whence"),
            [
                (f"`{name}`", f"{figure['value']:g}", figure["unit"], figure.get("source", kind))
                for kind, told in figures.items()
                for name, figure in told.items()
            ],
        ),
        "prices": _table(
            ("price", "US dollars", "for a", "page"),
            [
                (f"`{name}`", f"{price.usd:.12f}".rstrip("0"), price.unit, price.url)
                for name, price in PRICES.items()
            ],
        ),
    }
    text = (resources.files("atlas_cli.cost") / "page.md").read_text(encoding="utf-8")
    for name, value in filled.items():
        text = text.replace(f"@{name}@", value)
    return text.rstrip("\n")


def _even(config: StageConfig) -> float:
    """From how many GB a day on, in tenths, the stage costs no more than CloudWatch Logs."""
    return next(
        tenths / 10
        for tenths in range(1, 1000)
        if (told := bill(config, tenths / 10)).usd <= sum(line.usd for line in told.cloudwatch_logs)
    )


def _examples(bills: Sequence[Bill]) -> str:
    """A column for each example, a row for each service."""
    columns = [{row["service"]: row["usd"].strip() for row in services(told, told)} for told in bills]
    rows = [(service, *(column[service] for column in columns)) for service in columns[0]]
    rows.append(("CloudWatch Logs", *(f"{sum(line.usd for line in told.cloudwatch_logs):,.2f}" for told in bills)))
    heads = (f"{told.gb_per_day:g} GB in {told.files_per_day:,} files" for told in bills)
    return _table(("US dollars a month", *heads), rows, numbers=True)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> str:
    rules = ["---", *("--:" if numbers else "---" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rules, *rows))
