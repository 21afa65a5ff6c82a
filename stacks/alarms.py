"""The alarms of a stage: what people are told of, when, and what they are told to do.

Every alarm goes off above its threshold and writes to the stage's topic. Alarms are looked at every minute,
whatever their period, over the window that ends then:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html

What tells of an event has a window of an hour: people hear of it at once, and once of what happens again and again,
and it can still be seen for a while. What tells of a state has windows of five minutes.

Most metrics are put when something happens and not otherwise, so missing data is no breach unless said so. Where
several are added up, FILL has a missing one count for zero: a sum has values only where all its parts have, and
alarms on metrics of DynamoDB alone would keep their state while nothing is put, whatever they are told of that:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns

from atlas import metrics
from stacks.base import AtlasStack
from stacks.config import StageConfig
from stacks.event_alarms import of_events
from stacks.measures import AN_HOUR, FIVE_MINUTES, Measures, event_functions
from stacks.query_alarms import of_queries
from stacks.watch import Watch, added_up, dead_letters, share

_FEWEST_REFUSED = 3
_REFUSALS = Duration.hours(6)
"""Long enough for a few files of a producer that drops one an hour, short enough for today's trouble to be seen."""
_DAILY_RUN_AND_MORE = 25
"""Hours from one daily run to the end of the next."""
_LATE_SWEEP_MINUTES = 15


def alarms(stack: AtlasStack) -> list[cloudwatch.Alarm]:
    """The stage's alarms, in the order of `metrics.ALARMS`."""
    topic = actions.SnsAction(sns.Topic.from_topic_arn(stack, "Notifications", stack.arns.topic))
    made = []
    for watch in (*_of_ingestion(stack), *_of_days(stack), *_of_runs(stack), *of_events(stack), *of_queries(stack)):
        alarm = cloudwatch.Alarm(
            stack,
            watch.id,
            alarm_name=stack.names.alarm(watch.id),
            alarm_description=f"{watch.told} Runbook: {stack.config.runbook_url}#{watch.id}",
            metric=watch.metric,
            threshold=watch.above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=watch.windows,
            datapoints_to_alarm=watch.breaches,
            treat_missing_data=watch.missing,
            actions_enabled=not watch.silent,
        )
        alarm.add_alarm_action(topic)
        if watch.tells_of_end:
            alarm.add_ok_action(topic)
        made.append(alarm)
    return made


def _of_ingestion(stack: AtlasStack) -> Iterator[Watch]:
    measures, names, limits = Measures(stack), stack.names, stack.config.alarms
    # What goes back to the queue comes again after six times the function's timeout, an hour and a half by default.
    # No content of a file is an error, so one is enough to look.
    yield Watch(
        "ingestion-errors",
        added_up(
            measures.function(names.ingest_function, "Errors", AN_HOUR),
            measures.ours(metrics.FILES_FAILED, AN_HOUR),
        ),
        0,
        "Ingestion failed for a file, which comes again. Read the error in the function's log; if files keep "
        "coming back, mend it before they are given up as dead letters.",
    )
    yield Watch(
        "ingestion-queue-age",
        measures.queue(names.ingest_queue, "ApproximateAgeOfOldestMessage", FIVE_MINUTES),
        limits.queue_age_minutes * 60,
        f"A file has waited for more than {limits.queue_age_minutes} minutes to be ingested. See whether ingestion "
        "fails or has too little concurrency (ingestion.max_concurrency).",
        tells_of_end=True,
    )
    # A burst that is being worked off is none: it has to last.
    yield Watch(
        "ingestion-queue-depth",
        measures.queue(names.ingest_queue, "ApproximateNumberOfMessagesVisible", FIVE_MINUTES),
        limits.queue_depth,
        f"More than {limits.queue_depth:,} files wait to be ingested. See whether they become fewer; if not, raise "
        "ingestion.max_concurrency.",
        windows=3,
        breaches=3,
        tells_of_end=True,
    )
    # Not what was sent there: messages that SQS itself moves do not count as sent. A queue that holds messages
    # keeps telling, so missing data means that it is empty.
    yield Watch(
        "dead-letters",
        dead_letters(stack),
        0,
        "Files, orders or requests with events have been given up; they wait for two weeks. Look at them with "
        "atlas dead-letters, mend the cause, then atlas dead-letters --redrive.",
        tells_of_end=True,
    )
    yield Watch(
        "refused-files",
        share(
            measures.ours(metrics.FILES_REJECTED, _REFUSALS),
            measures.ours(metrics.FILES, _REFUSALS),
            _FEWEST_REFUSED,
            "refused files, %",
        ),
        limits.refused_files_percent,
        f"More than {limits.refused_files_percent} % of the files of the last six hours were refused. See why with "
        "atlas refusals, and tell their producer or mend the format.",
    )


def _of_days(stack: AtlasStack) -> Iterator[Watch]:
    measures, limits = Measures(stack), stack.config.alarms
    yield Watch(
        "refused-records",
        measures.ours(metrics.RECORDS_REJECTED_PERCENT, AN_HOUR, "Maximum"),
        limits.refused_records_percent,
        f"More than {limits.refused_records_percent} % of a published day's records were refused. See why with "
        "atlas refusals, and tell their producer or mend the mapping.",
    )
    # The sweep gives a day up after some failures, and the daily run tries it again: until that succeeds, there is
    # no stretch of this length without a breach. So the end of it says that the books balance.
    yield Watch(
        "books-unbalanced",
        measures.ours(metrics.BOOKS_UNBALANCED, AN_HOUR),
        0,
        "The books of a day do not balance; its gold stays as it was. See which file it is with atlas books, and "
        "read it anew with atlas replay FILE.",
        windows=_DAILY_RUN_AND_MORE,
        breaches=1,
        tells_of_end=True,
    )


def _of_runs(stack: AtlasStack) -> Iterator[Watch]:
    measures, names, limits = Measures(stack), stack.names, stack.config.alarms
    yield Watch(
        "runs-failed",
        added_up(*(measures.executions(f"Executions{how}", AN_HOUR) for how in ("Failed", "TimedOut", "Aborted"))),
        0,
        "An execution of the state machine failed, timed out or was stopped. atlas status names it, and the notice "
        "that it sent says for which day and why.",
    )
    # Told when an execution ends. Each of its tasks has a timeout, so each ends; no-gold tells of one that has not.
    yield Watch(
        "run-too-long",
        measures.executions("ExecutionTime", AN_HOUR, "Maximum"),
        limits.execution_hours * 3_600_000,
        f"An execution of the state machine took longer than {limits.execution_hours} hours. See which days it had "
        "and on which engine; more days at once, a larger function or more workers make it shorter.",
    )
    yield _no_gold(stack.config, measures)
    yield Watch(
        "glue-jobs-failed",
        measures.ours(metrics.GLUE_JOBS_FAILED, AN_HOUR),
        0,
        "A Glue job failed, timed out, was stopped or could not be started. Read the reason in the notice and in "
        "the job's log, then atlas replay --date DAY.",
    )
    # Single ones are tried again by whoever was throttled; lasting ones delay files and days.
    yield Watch(
        "throttles",
        added_up(
            *(
                measures.function(name, "Throttles", FIVE_MINUTES)
                for name in (names.ingest_function, names.day_function, *event_functions(names))
            ),
            *measures.ledger("ReadThrottleEvents", FIVE_MINUTES),
            *measures.ledger("WriteThrottleEvents", FIVE_MINUTES),
        ),
        0,
        "Lambda or DynamoDB has refused calls for some time because there were too many. See which on the "
        "dashboard, then lower the concurrency or have the quota raised.",
        windows=3,
        breaches=2,
        tells_of_end=True,
    )


def _no_gold(config: StageConfig, measures: Measures) -> Watch:
    """Each sweep tells for how many hours of today gold has been without yesterday; silence is as bad.

    A stage is asked for no day before its schedules first ran, and the sweep of a new stage runs at once
    (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html), before this stack is deployed: so
    the first news is good. The highest value of an hour's window tells as soon as the set hour has passed. Where
    sweeps are further apart, all hours between two of them have to be bad. A stage without schedules has promised
    nobody an hour: there the alarm says nothing.
    """
    when, limits = config.orchestration, config.alarms
    hours = -(-(when.sweep_minutes + _LATE_SWEEP_MINUTES) // 60)
    return Watch(
        "no-gold",
        measures.ours(metrics.HOURS_WITHOUT_YESTERDAY, AN_HOUR, "Maximum"),
        limits.gold_by_hours,
        f"Yesterday was not published by {limits.gold_by_utc} UTC, or nothing tells whether it was. See the last "
        "runs with atlas status, and run the day with atlas run --date DAY.",
        windows=hours,
        breaches=hours,
        missing=(
            cloudwatch.TreatMissingData.BREACHING
            if when.schedules_enabled
            else cloudwatch.TreatMissingData.NOT_BREACHING
        ),
        tells_of_end=True,
        silent=not when.schedules_enabled,
    )
