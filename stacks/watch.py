"""What an alarm is made of: what it looks at, when it goes off, and what it tells people."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch

from stacks.base import AtlasStack
from stacks.measures import FIVE_MINUTES, Measures


@dataclass(frozen=True)
class Watch:
    """An alarm that goes off above a threshold."""

    id: str
    metric: cloudwatch.IMetric
    above: float
    told: str
    """What it means and what to do, in a sentence or two."""
    windows: int = 1
    """How many periods are looked at, and in how many of them the threshold has to be passed."""
    breaches: int = 1
    missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING
    tells_of_end: bool = False
    """Whether going back to OK says that all is well again, and not only that nothing more has happened."""
    silent: bool = False


def added_up(*parts: cloudwatch.Metric) -> cloudwatch.MathExpression:
    """Of metrics that are put or not, independently: at most ten, which is what an alarm may have."""
    named: dict[str, cloudwatch.IMetric] = {f"m{number}": part for number, part in enumerate(parts)}
    return cloudwatch.MathExpression(
        expression=" + ".join(f"FILL({name}, 0)" for name in named),
        using_metrics=named,
        period=parts[0].period,
        label="sum",
    )


def dead_letters(stack: AtlasStack) -> cloudwatch.MathExpression:
    """How many messages have been given up, of all queues."""
    names = stack.names
    return added_up(
        *(
            Measures(stack).queue(queue, "ApproximateNumberOfMessagesVisible", FIVE_MINUTES)
            for queue in (names.ingest_dead_letter_queue, names.events_dead_letter_queue)
        )
    )


def share(
    refused: cloudwatch.Metric, of_all: cloudwatch.Metric, fewest: int, label: str
) -> cloudwatch.MathExpression:
    """How many percent were refused, once so many were: one of two is a half, and says nothing.

    Both are put for each of all, so neither is missing where the other is there.
    """
    return cloudwatch.MathExpression(
        expression=f"IF(refused >= {fewest}, 100 * refused / total, 0)",
        using_metrics={"refused": refused, "total": of_all},
        period=of_all.period,
        label=label,
    )
