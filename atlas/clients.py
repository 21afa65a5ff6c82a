"""What a day's work talks to beside its engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Clients:
    """boto3's S3 client, SNS client and the ledger's Table."""

    s3: Any
    sns: Any
    ledger: Any
