"""What both job scripts do around their work: settings, clients, session; a summary, or a reason for failing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import boto3
from pyspark.sql import SparkSession

from atlas import faults, run_report
from atlas.clients import Clients
from atlas.settings import JobSettings
from glue_jobs.session import spark_session

Work = Callable[[SparkSession, JobSettings, Clients], dict[str, Any]]


def run(job: str, work: Work, *, announce: bool) -> None:
    """Runs a job with the arguments of this process. Announces its summary if asked, and a failure always."""
    settings = JobSettings.from_args(sys.argv[1:])
    ledger = boto3.resource("dynamodb").Table(settings.ledger_table)
    others = {name: boto3.client(name) for name in ("s3", "sns", "sqs", "cloudwatch")}
    clients = Clients(ledger=ledger, **others)
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
    except BaseException as fault:  # noqa: BLE001 - raised again
        run_report.report_failure(job, settings, clients, fault)
        raise faults.tellable(fault) from None  # Glue writes its text into the log
    print(json.dumps({"job": job, **summary}))  # Glue keeps it in the run's log
    if announce:
        run_report.announce(job, settings, clients, summary)
