"""The alarm of the query API: people get no answers."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import aws_cloudwatch as cloudwatch

from atlas import metrics
from stacks.base import AtlasStack
from stacks.measures import AN_HOUR, Measures, query_functions
from stacks.watch import Watch, added_up

_FAILED_PERCENT = 1
"""More answers of 5xx than that are none of chance: Athena is throttled now and then, and clients try again."""
_FEWEST_FAILED = 3


def of_queries(stack: AtlasStack) -> Iterator[Watch]:
    """Functions that fail or have no room, and answers with an error of the server.

    Of the gateway's own metrics nothing is asked: it tells them by its id, which nobody knows by name, and its own
    errors are functions that failed, took too long or had no room.
    """
    measures = Measures(stack)
    certain = added_up(
        *(
            measures.function(name, metric, AN_HOUR)
            for name in query_functions(stack.names)
            for metric in ("Errors", "Throttles")
        )
    )
    many = f"IF(100 * FILL(failed, 0) > {_FAILED_PERCENT} * FILL(answers, 0), failed, 0)"
    yield Watch(
        "query-api",
        cloudwatch.MathExpression(
            expression=f"{certain.expression} + IF(FILL(failed, 0) >= {_FEWEST_FAILED}, {many}, 0)",
            using_metrics={
                **certain.using_metrics,
                "failed": measures.ours(metrics.ANSWERS_FAILED, AN_HOUR),
                "answers": measures.ours(metrics.ANSWERS, AN_HOUR),
            },
            period=AN_HOUR,
            label="errors",
        ),
        0,
        "The query API fails, or has no room for calls: people see no answers, or see them late. Nothing is lost. "
        "Read the error in the functions' logs, and what Athena says of the query.",
    )
