"""What Atlas counts: the name, unit and dimensions of each of its metrics, in the namespace of the stage.

    ingest   each file, put by the ingestion function in its log (CloudWatch's embedded metric format)
    events   each token, authorization and batch of events, put by their functions in their logs
    day      each run of a day, put by `count_published` and `count_failed`, whichever engine ran it
    runs     each execution, put by statemachine/daily.asl.json
    queries  each answer of the query API, put by its function in its log

A metric is told apart by its name and its one dimension `service`, which is what Powertools adds too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atlas.books import BooksError
from atlas.clients import Clients
from atlas.settings import JobSettings

SERVICE = "service"
INGEST, EVENTS, DAY, RUNS, QUERIES = "ingest", "events", "day", "runs", "queries"
FEWEST_RECORDS = 100
"""A share of fewer records than these says nothing."""

ALARMS = (
    "ingestion-errors",
    "ingestion-queue-age",
    "ingestion-queue-depth",
    "dead-letters",
    "refused-files",
    "refused-records",
    "books-unbalanced",
    "runs-failed",
    "run-too-long",
    "no-gold",
    "glue-jobs-failed",
    "throttles",
    "authorizations-failed",
    "requests-refused",
    "events-errors",
    "events-queue-age",
    "events-delivery",
    "events-unconverted",
    "query-api",
)
"""What people are told of: an alarm of the stage and a heading of docs/runbook.md each. See stacks/alarms.py."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metric:
    """`unit` is CloudWatch's word for it, `service` who puts the metric."""

    name: str
    unit: str
    service: str

    @property
    def dimensions(self) -> dict[str, str]:
        """By which it is found, beside its name."""
        return {SERVICE: self.service}

    def datum(self, value: float) -> dict[str, Any]:
        """A value as PutMetricData takes it; the time is that of the call."""
        dimensions = [{"Name": name, "Value": text} for name, text in self.dimensions.items()]
        return {"MetricName": self.name, "Dimensions": dimensions, "Unit": self.unit, "Value": value}


# Of each file that came in and was read; one that was already known was not
FILES = Metric("Files", "Count", INGEST)
FILES_REJECTED = Metric("FilesRejected", "Count", INGEST)
RECORDS = Metric("Records", "Count", INGEST)
RECORDS_UNPARSABLE = Metric("RecordsUnparsable", "Count", INGEST)
BYTES = Metric("Bytes", "Bytes", INGEST)
# Of each message
INGEST_DURATION = Metric("IngestDuration", "Milliseconds", INGEST)
# Of each batch: what goes back to the queue
FILES_FAILED = Metric("FilesFailed", "Count", INGEST)

# Of each request for a token, and of each request with one, to either API
TOKENS_ISSUED = Metric("TokensIssued", "Count", EVENTS)
AUTHORIZATIONS_FAILED = Metric("AuthorizationsFailed", "Count", EVENTS)
# Of each batch of requests: events, requests that go back to the queue, and what the delivery stream did not take
# at once
EVENTS_ACCEPTED = Metric("EventsAccepted", "Count", EVENTS)
EVENTS_REFUSED = Metric("EventsRefused", "Count", EVENTS)
REQUESTS_FAILED = Metric("RequestsFailed", "Count", EVENTS)
DELIVERY_RETRIES = Metric("DeliveryRetries", "Count", EVENTS)

# Of each publication of a day: a day that is published again counts again
DAYS_PUBLISHED = Metric("DaysPublished", "Count", DAY)
RECORDS_IN = Metric("RecordsIn", "Count", DAY)
RECORDS_PUBLISHED = Metric("RecordsPublished", "Count", DAY)
RECORDS_DUPLICATE = Metric("RecordsDuplicate", "Count", DAY)
RECORDS_REJECTED = Metric("RecordsRejected", "Count", DAY)
RECORDS_REJECTED_PERCENT = Metric("RecordsRejectedPercent", "Percent", DAY)
"""Only of days of FEWEST_RECORDS and more. Of the day itself: sums of several would hide a bad one."""
# Of each run that ended in an error
DAYS_FAILED = Metric("DaysFailed", "Count", DAY)
BOOKS_UNBALANCED = Metric("BooksUnbalanced", "Count", DAY)

HOURS_WITHOUT_YESTERDAY = Metric("HoursWithoutYesterday", "None", RUNS)
"""Of each scheduled execution: hours since yesterday's end if it is not published, and 0 if it is."""
FAILOVERS = Metric("Failovers", "Count", RUNS)
GLUE_JOBS_FAILED = Metric("GlueJobsFailed", "Count", RUNS)
GLUE_DPU_SECONDS = Metric("GlueDpuSeconds", "Seconds", RUNS)

# Of each request to the query API for data: that it was answered, whether from what the function had kept, without
# a question to Athena, and whether with an error of the server (5xx)
ANSWERS = Metric("Answers", "Count", QUERIES)
ANSWERS_KEPT = Metric("AnswersKept", "Count", QUERIES)
ANSWERS_FAILED = Metric("AnswersFailed", "Count", QUERIES)

METRICS = tuple(found for found in vars().values() if isinstance(found, Metric))


def count_published(books: Sequence[Mapping[str, Any]], settings: JobSettings, clients: Clients) -> None:
    """Puts what a publication was made of. `books` are the day's rows of `data_quality`."""
    came, published, duplicates, rejected = (
        sum(int(row[column]) for row in books) for column in ("records_in", "published", "duplicates", "rejected")
    )
    data = [
        DAYS_PUBLISHED.datum(1),
        RECORDS_IN.datum(came),
        RECORDS_PUBLISHED.datum(published),
        RECORDS_DUPLICATE.datum(duplicates),
        RECORDS_REJECTED.datum(rejected),
    ]
    if came >= FEWEST_RECORDS:
        data.append(RECORDS_REJECTED_PERCENT.datum(100 * rejected / came))
    _put(data, settings, clients)


def count_failed(fault: BaseException, settings: JobSettings, clients: Clients) -> None:
    """Puts that a run of a day ended in an error, and whether the books were the reason."""
    _put([DAYS_FAILED.datum(1), BOOKS_UNBALANCED.datum(int(isinstance(fault, BooksError)))], settings, clients)


def _put(data: list[dict[str, Any]], settings: JobSettings, clients: Clients) -> None:
    """Never raises: a day that is published is published, and a failure has to be told, counted or not.

    What is missing in the metrics then stands in the log, and in the books.
    """
    try:
        clients.cloudwatch.put_metric_data(Namespace=settings.metrics_namespace, MetricData=data)
    except Exception as fault:  # noqa: BLE001 - whatever it is, the run's own outcome is what counts
        names = ", ".join(datum["MetricName"] for datum in data)
        _log.warning("not counted: %s of %s: %s", names, settings.process_date, fault)
