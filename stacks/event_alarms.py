"""The alarms of the events API: who is refused, what fails, what waits, what could not be written."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import aws_cloudwatch as cloudwatch

from atlas import metrics
from stacks.base import AtlasStack
from stacks.measures import AN_HOUR, FIVE_MINUTES, Measures, event_functions
from stacks.watch import Watch, added_up, share

_MOST_FAILED_AUTHORIZATIONS = 50
"""In an hour. Whoever mistypes a secret is refused a few times; a program that renews its token only when it has
been refused, three times. Somebody who guesses, and a program with a wrong secret, come to more within minutes."""
_REFUSED_REQUESTS_PERCENT = 10
_FEWEST_REFUSED = 20
_FAULTS_IN = 1000
"""One of so many requests may fail for a fault of the server: clients try again."""
_WAITING_MINUTES = 15
"""Twice handed out and not forwarded, and some more: events are to be found within minutes."""
_LATE_SECONDS = 15 * 60
"""AWS advises an alarm for what is older than the longest buffer:
https://docs.aws.amazon.com/firehose/latest/dev/firehose-cloudwatch-metrics-best-practices.html"""


def of_events(stack: AtlasStack) -> Iterator[Watch]:
    """What there is to say of tokens, requests, the queue and the delivery stream."""
    measures, names = Measures(stack), stack.names
    yield Watch(
        "authorizations-failed",
        measures.ours(metrics.AUTHORIZATIONS_FAILED, AN_HOUR),
        _MOST_FAILED_AUTHORIZATIONS,
        f"More than {_MOST_FAILED_AUTHORIZATIONS} tokens or client secrets were refused in an hour: a client has a "
        "wrong secret, was removed, or somebody guesses. See who and why in the functions' logs.",
    )
    yield Watch(
        "requests-refused",
        share(
            measures.requests("4XXError", AN_HOUR), measures.request_count(AN_HOUR), _FEWEST_REFUSED, "refused, %"
        ),
        _REFUSED_REQUESTS_PERCENT,
        f"More than {_REFUSED_REQUESTS_PERCENT} % of the requests of an hour were refused. See which status and "
        "which client in the log of the events API, and tell the client what to mend.",
    )
    yield Watch(
        "events-errors",
        _faults(stack, measures),
        0,
        "A function of the events API failed, or requests were answered with an error of the server. Nothing that "
        "was accepted is lost. Read the error in the functions' logs.",
    )
    yield Watch(
        "events-queue-age",
        measures.queue(names.events_queue, "ApproximateAgeOfOldestMessage", FIVE_MINUTES),
        _WAITING_MINUTES * 60,
        f"Accepted events have waited for more than {_WAITING_MINUTES} minutes to be forwarded. See whether the "
        "forwarder fails or has too little concurrency (events.max_concurrency).",
        tells_of_end=True,
    )
    yield _delivery(stack, measures)
    # Of each record that it could not write, the stream puts a document there. It counts those that it could not
    # convert, and tells in its log of all others, and of writing that it tries again: that is told for nothing.
    yield Watch(
        "events-unconverted",
        added_up(
            measures.delivery("FailedConversion.Records", AN_HOUR),
            measures.delivery("PartitionCountExceeded", AN_HOUR),
            measures.logged(names.delivery_logs, AN_HOUR),
        ),
        0,
        "The delivery stream could not write accepted events as Parquet; they lie under rejected/events/failed/ "
        "and count as refused. See the error there, and whether the table's schema has changed.",
    )


def _faults(stack: AtlasStack, measures: Measures) -> cloudwatch.MathExpression:
    """Errors of functions, requests that go back to the queue, and more answers of 5xx than happen by chance.

    The authorizer refuses by an error, so its errors say nothing; where it really fails, the answer is 500.
    """
    certain = [
        *(
            measures.function(name, "Errors", AN_HOUR)
            for name in event_functions(stack.names)
            if name != stack.names.authorizer_function
        ),
        measures.ours(metrics.REQUESTS_FAILED, AN_HOUR),
    ]
    of_all = added_up(*certain)
    return cloudwatch.MathExpression(
        expression=f"{of_all.expression} + IF({_FAULTS_IN} * FILL(faults, 0) > FILL(requests, 0), faults, 0)",
        using_metrics={
            **of_all.using_metrics,
            "faults": measures.requests("5XXError", AN_HOUR),
            "requests": measures.request_count(AN_HOUR),
        },
        period=AN_HOUR,
        label="errors",
    )


def _delivery(stack: AtlasStack, measures: Measures) -> Watch:
    """Signs that events wait in the delivery stream or on the way into it, counted.

    It tries for 24 hours, and then drops what it has: https://docs.aws.amazon.com/firehose/latest/dev/retry.html
    With dynamic partitions the buffer may take half as long again as was set:
    https://docs.aws.amazon.com/firehose/latest/dev/buffering.html
    """
    late = round(1.5 * stack.config.events.buffer_seconds) + _LATE_SECONDS
    signs = {
        f"FILL(age, 0) > {late}": ("age", measures.delivery("DeliveryToS3.DataFreshness", FIVE_MINUTES, "Maximum")),
        # Of each attempt to write: 1 or 0
        "FILL(written, 1) < 1": ("written", measures.delivery("DeliveryToS3.Success", FIVE_MINUTES, "Average")),
        "FILL(throttled, 0) > 0": ("throttled", measures.delivery("ThrottledRecords", FIVE_MINUTES)),
    }
    return Watch(
        "events-delivery",
        cloudwatch.MathExpression(
            expression=" + ".join(f"IF({sign}, 1, 0)" for sign in signs),
            using_metrics=dict(signs.values()),
            period=FIVE_MINUTES,
            label="signs",
        ),
        0,
        f"The delivery stream does not write events, or takes no more: some are older than {late // 60} minutes, "
        "writing fails, or it throttles. It gives up after 24 hours, and what it has then is lost. Read its log.",
        windows=3,
        breaches=2,  # a single failure is tried again
        tells_of_end=True,
    )
