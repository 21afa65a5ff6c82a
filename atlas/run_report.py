"""What people hear of a run: its summary, or a reason document and a notice that it failed."""

from __future__ import annotations

import json
from typing import Any

from atlas import faults, lake, metrics
from atlas.clients import Clients
from atlas.settings import JobSettings

REPORT = "report"
"""The attribute of these messages, by which a subscription can tell them from what people have to hear: the job."""
_SUBJECT_CHARACTERS = 100
"""SNS's limit: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""


def announce(job: str, settings: JobSettings, clients: Clients, summary: dict[str, Any]) -> None:
    """Publishes what came and what became of it."""
    _publish(job, settings, clients, "done", summary)


def report_failure(job: str, settings: JobSettings, clients: Clients, fault: BaseException) -> None:
    """Counts the failure, keeps the reason beside those of other failed runs, and publishes it."""
    metrics.count_failed(fault, settings, clients)
    document = {
        "job": job,
        "process_date": settings.process_date.isoformat(),
        "run_id": settings.run_id,
        "error": type(fault).__name__,
        "message": _first_lines(faults.told(fault)),
    }
    key = lake.failed_run_key(settings.process_date, settings.run_id)
    body = json.dumps(document, indent=2, ensure_ascii=False).encode()
    clients.s3.put_object(Bucket=settings.bucket, Key=key, Body=body, ContentType="application/json")
    _publish(job, settings, clients, f"FAILED: {document['error']}", document)


def _first_lines(text: str, lines: int = 20) -> str:
    """Spark's messages carry whole stack traces."""
    return "\n".join(text.splitlines()[:lines])


def _publish(job: str, settings: JobSettings, clients: Clients, subject: str, document: dict[str, Any]) -> None:
    clients.sns.publish(
        TopicArn=settings.topic_arn,
        Subject=f"Atlas: {job} {settings.process_date} {subject}"[:_SUBJECT_CHARACTERS],
        Message=json.dumps(document, indent=2, ensure_ascii=False),
        MessageAttributes={REPORT: {"DataType": "String", "StringValue": job}},
    )
