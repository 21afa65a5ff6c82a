"""What both job scripts do around their work: settings, clients, session; a summary, or a reason for failing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import boto3
from pyspark.sql import SparkSession

from atlas import lake
from atlas.settings import JobSettings
from glue_jobs.clients import Clients
from glue_jobs.session import spark_session

Work = Callable[[SparkSession, JobSettings, Clients], dict[str, Any]]

_SUBJECT_CHARACTERS = 100
"""SNS's limit: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""


def run(job: str, work: Work, *, announce: bool) -> None:
    """Runs a job with the arguments of this process. Announces its summary if asked, and a failure always."""
    settings = JobSettings.from_args(sys.argv[1:])
    ledger = boto3.resource("dynamodb").Table(settings.ledger_table)
    clients = Clients(s3=boto3.client("s3"), sns=boto3.client("sns"), ledger=ledger)
    execute(job, work, settings, clients, spark_session, announce=announce)


def execute(
    job: str,
    work: Work,
    settings: JobSettings,
    clients: Clients,
    session: Callable[[str], SparkSession],
    *,
    announce: bool,
) -> None:
    """`run` with everything given. An error is written down, announced, and raised again."""
    try:
        summary = work(session(f"atlas-{job}"), settings, clients)
    except BaseException as fault:
        _report_failure(job, settings, clients, fault)
        raise
    print(json.dumps({"job": job, **summary}))  # Glue keeps it in the run's log
    if announce:
        _publish(settings, clients, f"{job} {settings.process_date} done", summary)


def _report_failure(job: str, settings: JobSettings, clients: Clients, fault: BaseException) -> None:
    document = {
        "job": job,
        "process_date": settings.process_date.isoformat(),
        "run_id": settings.run_id,
        "error": type(fault).__name__,
        "message": _first_lines(str(fault)),
    }
    key = lake.failed_run_key(settings.process_date, settings.run_id)
    body = json.dumps(document, indent=2, ensure_ascii=False).encode()
    clients.s3.put_object(Bucket=settings.bucket, Key=key, Body=body, ContentType="application/json")
    _publish(settings, clients, f"{job} {settings.process_date} FAILED: {document['error']}", document)


def _first_lines(text: str, lines: int = 20) -> str:
    """Spark's messages carry whole stack traces."""
    return "\n".join(text.splitlines()[:lines])


def _publish(settings: JobSettings, clients: Clients, subject: str, document: dict[str, Any]) -> None:
    message = json.dumps(document, indent=2, ensure_ascii=False)
    clients.sns.publish(
        TopicArn=settings.topic_arn, Subject=f"Atlas: {subject}"[:_SUBJECT_CHARACTERS], Message=message
    )
