"""The dashboard of a stage: what came in, what was refused, what was published, how fresh, how much it cost."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from atlas import metrics
from stacks.base import AtlasStack
from stacks.costs import daily_costs
from stacks.measures import A_DAY, AN_HOUR, FIVE_MINUTES, Measures, event_functions, query_functions
from stacks.watch import dead_letters

_SHOWN = Duration.days(14)
_WIDTH = 24
_FRESH = metrics.HOURS_WITHOUT_YESTERDAY
_Widget = cloudwatch.ConcreteWidget


def dashboard(stack: AtlasStack, alarms: Sequence[cloudwatch.Alarm]) -> cloudwatch.Dashboard:
    """The dashboard `atlas-<stage>`, from the alarms at the top to the cost at the bottom."""
    costs: list[cloudwatch.IMetric] = [*daily_costs(stack)]
    return cloudwatch.Dashboard(
        stack,
        "Dashboard",
        dashboard_name=stack.names.dashboard,
        default_interval=_SHOWN,
        widgets=[
            [_guide(stack), cloudwatch.AlarmStatusWidget(title="Alarms", alarms=alarms, width=16, height=6)],
            _now(stack, costs),
            _came_in(stack),
            _refused(stack),
            _published(stack),
            _runs(stack),
            _events(stack),
            _queries(stack),
            [_graph("How much it cost: estimated US dollars a day", _WIDTH, costs, stacked=True)],
        ],
    )


def _guide(stack: AtlasStack) -> cloudwatch.TextWidget:
    runbook, stage = stack.config.runbook_url, stack.config.stage
    sections = " · ".join(f"[{alarm}]({runbook}#{alarm})" for alarm in metrics.ALARMS)
    return cloudwatch.TextWidget(
        markdown=f"# Atlas, {stage}\n"
        f"What to do about an alarm is in the [runbook]({runbook}): {sections}\n\n"
        f"`atlas status --stage {stage}` says what runs, what waits and which alarms are on; "
        f"`atlas books --stage {stage}` has the books of each day.",
        width=8,
        height=6,
    )


def _now(stack: AtlasStack, costs: list[cloudwatch.IMetric]) -> list[_Widget]:
    """The latest values."""
    measures = Measures(stack)
    return [
        _value("How fresh: hours without yesterday", measures.ours(_FRESH, AN_HOUR, "Maximum"), "hours"),
        _value("Days published today", measures.ours(metrics.DAYS_PUBLISHED, A_DAY), "days"),
        _value("Dead letters", dead_letters(stack), "messages"),
        cloudwatch.SingleValueWidget(
            title="How much it cost today: estimated US dollars", metrics=costs, width=_WIDTH // 4, height=4
        ),
    ]


def _came_in(stack: AtlasStack) -> list[_Widget]:
    measures = Measures(stack)
    came = (metrics.FILES, metrics.RECORDS, metrics.BYTES)
    return [
        _graph(f"What came in: {metric.name.lower()} an hour", _WIDTH // 3, [measures.ours(metric, AN_HOUR)])
        for metric in came
    ]


def _refused(stack: AtlasStack) -> list[_Widget]:
    measures, limits = Measures(stack), stack.config.alarms
    share = cloudwatch.MathExpression(
        expression="100 * refused / files",
        using_metrics={
            "refused": measures.ours(metrics.FILES_REJECTED, AN_HOUR),
            "files": measures.ours(metrics.FILES, AN_HOUR),
        },
        label="% of the files",
        period=AN_HOUR,
    )
    return [
        _graph("What was refused: % of the files", 8, [share], above=limits.refused_files_percent),
        _graph(
            "What was refused: % of the records of a published day",
            8,
            [measures.ours(metrics.RECORDS_REJECTED_PERCENT, AN_HOUR, "Maximum")],
            above=limits.refused_records_percent,
        ),
        _graph(
            "Files refused and failed, records that are none",
            8,
            [
                measures.ours(metric, AN_HOUR)
                for metric in (metrics.FILES_REJECTED, metrics.FILES_FAILED, metrics.RECORDS_UNPARSABLE)
            ],
        ),
    ]


def _published(stack: AtlasStack) -> list[_Widget]:
    """A day that is published again counts again."""
    measures = Measures(stack)
    books = (metrics.RECORDS_PUBLISHED, metrics.RECORDS_DUPLICATE, metrics.RECORDS_REJECTED)
    days = (metrics.DAYS_PUBLISHED, metrics.DAYS_FAILED, metrics.BOOKS_UNBALANCED)
    return [
        _graph(
            "What was published: records in, and what became of them",
            8,
            [measures.ours(metric, A_DAY) for metric in books],
            stacked=True,
        ),
        _graph("What was published: days, and those that failed", 8, [measures.ours(each, A_DAY) for each in days]),
        _graph(
            "How fresh: hours without yesterday",
            8,
            [measures.ours(_FRESH, AN_HOUR, "Maximum")],
            above=stack.config.alarms.gold_by_hours,
        ),
    ]


def _runs(stack: AtlasStack) -> list[_Widget]:
    measures, names = Measures(stack), stack.names
    queue = names.ingest_queue
    functions = (names.ingest_function, names.day_function)
    return [
        _graph(
            "Executions, and their longest in ms",
            6,
            [measures.executions(f"Executions{how}", AN_HOUR) for how in ("Started", "Failed")],
            right=[measures.executions("ExecutionTime", AN_HOUR, "Maximum")],
        ),
        _graph(
            "Waiting to be ingested, and for how many seconds",
            6,
            [measures.queue(queue, "ApproximateNumberOfMessagesVisible", FIVE_MINUTES)],
            right=[measures.queue(queue, "ApproximateAgeOfOldestMessage", FIVE_MINUTES)],
        ),
        _graph(
            "Glue: jobs that failed, days that outgrew the function",
            6,
            [measures.ours(metric, AN_HOUR) for metric in (metrics.GLUE_JOBS_FAILED, metrics.FAILOVERS)],
        ),
        _graph(
            "Errors and throttles",
            6,
            [
                *(
                    measures.function(name, metric, AN_HOUR).with_(label=f"{name} {metric}")
                    for name in functions
                    for metric in ("Errors", "Throttles")
                ),
                *measures.ledger("ReadThrottleEvents", AN_HOUR),
                *measures.ledger("WriteThrottleEvents", AN_HOUR),
            ],
        ),
    ]


def _events(stack: AtlasStack) -> list[_Widget]:
    """The events API: what it took and what it refused, what waits, what failed."""
    measures, names = Measures(stack), stack.names
    waiting = measures.queue(names.events_queue, "ApproximateAgeOfOldestMessage", FIVE_MINUTES)
    undelivered = measures.delivery("DeliveryToS3.DataFreshness", FIVE_MINUTES, "Maximum")
    failed = ("ThrottledRecords", "PartitionCountExceeded", "FailedConversion.Records")
    return [
        _graph(
            "Events: accepted and refused an hour",
            6,
            [measures.ours(metric, AN_HOUR) for metric in (metrics.EVENTS_ACCEPTED, metrics.EVENTS_REFUSED)],
        ),
        _graph(
            "Events: requests an hour, those refused, tokens",
            6,
            [
                measures.request_count(AN_HOUR).with_(label="requests"),
                *(measures.requests(metric, AN_HOUR) for metric in ("4XXError", "5XXError")),
                measures.ours(metrics.TOKENS_ISSUED, AN_HOUR),
                measures.ours(metrics.AUTHORIZATIONS_FAILED, AN_HOUR),
            ],
        ),
        _graph(
            "Events: seconds that the oldest waits to be forwarded, to be written",
            6,
            [waiting.with_(label="forwarded"), undelivered.with_(label="written")],
        ),
        _graph(
            "Events: errors, throttles, and what was not converted",
            6,
            [
                *(
                    measures.function(name, metric, AN_HOUR).with_(label=f"{name} {metric}")
                    for name in event_functions(names)
                    for metric in ("Errors", "Throttles")
                    if (name, metric) != (names.authorizer_function, "Errors")  # by which it refuses
                ),
                *(measures.ours(metric, AN_HOUR) for metric in (metrics.REQUESTS_FAILED, metrics.DELIVERY_RETRIES)),
                *(measures.delivery(metric, AN_HOUR) for metric in failed),
            ],
        ),
    ]


def _queries(stack: AtlasStack) -> list[_Widget]:
    """The query API: what was asked, how long it took, how much was read for it, what failed."""
    measures, names = Measures(stack), stack.names
    asked = (metrics.ANSWERS, metrics.ANSWERS_KEPT, metrics.ANSWERS_FAILED)
    return [
        _graph(
            "Queries: answers an hour, those kept ready, those failed",
            6,
            [measures.ours(metric, AN_HOUR) for metric in asked],
        ),
        _graph(
            "Queries: how long an answer takes, in ms",
            6,
            [measures.function(names.query_function, "Duration", AN_HOUR, share) for share in ("p50", "p95")],
        ),
        _graph(
            "Queries: bytes read an hour",
            6,
            [
                cloudwatch.MathExpression(
                    expression=measures.scanned(workgroup, AN_HOUR), label=workgroup, period=AN_HOUR
                )
                for workgroup in (names.workgroup, names.api_workgroup)
            ],
            stacked=True,
        ),
        _graph(
            "Queries: errors and throttles",
            6,
            [
                measures.function(name, metric, AN_HOUR).with_(label=f"{name} {metric}")
                for name in query_functions(names)
                for metric in ("Errors", "Throttles")
            ],
        ),
    ]


def _value(
    title: str, metric: cloudwatch.Metric | cloudwatch.MathExpression, label: str
) -> cloudwatch.SingleValueWidget:
    return cloudwatch.SingleValueWidget(
        title=title, metrics=[metric.with_(label=label)], width=_WIDTH // 4, height=4, sparkline=True
    )


def _graph(
    title: str,
    width: int,
    left: Sequence[cloudwatch.IMetric],
    *,
    right: Sequence[cloudwatch.IMetric] = (),
    stacked: bool = False,
    above: float | None = None,
) -> cloudwatch.GraphWidget:
    """A time series; `above` is where the alarm goes off."""
    limits = [] if above is None else [cloudwatch.HorizontalAnnotation(value=above, label="alarm")]
    return cloudwatch.GraphWidget(
        title=title,
        width=width,
        height=6,
        left=list(left),
        right=list(right),
        stacked=stacked,
        left_annotations=limits,
        left_y_axis=cloudwatch.YAxisProps(min=0),
    )
