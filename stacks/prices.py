"""What AWS charges: list prices of one region at one date, and where AWS says so. Standard library only.

Without free tiers, discounts and taxes. A GB is 2^30 bytes, as on AWS's bills. `atlas cost` and the dashboard
reckon with these; docs/cost.md shows them.
"""

from __future__ import annotations

from dataclasses import dataclass

REGION, DATE = "us-east-1", "2026-11"


@dataclass(frozen=True)
class Price:
    """US dollars for one unit; `page` is below https://aws.amazon.com/."""

    usd: float
    unit: str
    page: str

    @property
    def url(self) -> str:
        """Where AWS says it."""
        return f"https://aws.amazon.com/{self.page}/pricing/"


_MILLION = 1e6


def lambda_second(architecture: str) -> Price:
    """What a GB-second of a function costs on a stage's `architecture`."""
    return PRICES["lambda_arm64" if architecture == "arm64" else "lambda_x86_64"]


PRICES = {
    "s3_standard": Price(0.023, "GB-month", "s3"),
    "s3_glacier_ir": Price(0.004, "GB-month", "s3"),
    "s3_put": Price(0.005 / 1000, "PUT, COPY, POST or LIST request", "s3"),
    "s3_get": Price(0.0004 / 1000, "GET or other request", "s3"),
    "s3_to_glacier_ir": Price(0.02 / 1000, "object moved by a lifecycle rule", "s3"),
    "event": Price(1.00 / _MILLION, "event that a bucket sends", "eventbridge"),
    "scheduled": Price(1.00 / _MILLION, "start by a schedule", "eventbridge"),
    "api_request": Price(3.50 / _MILLION, "request to the events API", "api-gateway"),
    "http_api_request": Price(1.00 / _MILLION, "request to the query API", "api-gateway"),
    "sqs_request": Price(0.40 / _MILLION, "request", "sqs"),
    "lambda_arm64": Price(0.0000133334, "GB-second", "lambda"),
    "lambda_x86_64": Price(0.0000166667, "GB-second", "lambda"),
    "lambda_storage": Price(0.0000000309, "GB-second of scratch disk beyond 512 MB", "lambda"),
    "lambda_call": Price(0.20 / _MILLION, "call", "lambda"),
    "glue_dpu": Price(0.44, "DPU-hour of a job or a crawler", "glue"),
    "state": Price(0.025 / 1000, "state that is entered", "step-functions"),
    "ledger_write": Price(0.625 / _MILLION, "write request unit", "dynamodb"),
    "ledger_read": Price(0.125 / _MILLION, "read request unit", "dynamodb"),
    "ledger_storage": Price(0.25, "GB-month", "dynamodb"),
    "ledger_recovery": Price(0.20, "GB-month of point-in-time recovery", "dynamodb"),
    "alarm_metric": Price(0.10, "metric that an alarm looks at, a month", "cloudwatch"),
    "dashboard": Price(3.00, "dashboard, a month", "cloudwatch"),
    "metric": Price(0.30, "custom metric, a month", "cloudwatch"),
    "metric_put": Price(0.01 / 1000, "PutMetricData request", "cloudwatch"),
    "log_ingestion": Price(0.50, "GB of logs taken in", "cloudwatch"),
    "log_storage": Price(0.03, "GB-month of compressed logs", "cloudwatch"),
    "delivery": Price(0.029, "GB into the delivery stream, each record counted as 5 KB at least", "firehose"),
    "delivery_conversion": Price(0.018, "GB made Parquet, counted alike", "firehose"),
    "delivery_partitions": Price(0.020, "GB written to partitions", "firehose"),
    "delivery_object": Price(0.005 / 1000, "object written to partitions", "firehose"),
    "secret": Price(0.40, "secret, a month", "secrets-manager"),
    "secret_call": Price(0.05 / 10_000, "call", "secrets-manager"),
    "notice": Price(0.50 / _MILLION, "publication", "sns"),
    "key": Price(1.00, "key, a month", "kms"),
    "key_request": Price(0.03 / 10_000, "request", "kms"),
    "athena": Price(5.00 / 1024, "GB that queries read", "athena"),
}
