"""What a day's work talks to beside its engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Clients:
    """boto3's clients of S3, SNS, SQS and CloudWatch, and the ledger's Table."""

    s3: Any
    sns: Any
    sqs: Any
    cloudwatch: Any
    ledger: Any
