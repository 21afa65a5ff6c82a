"""A batch of requests, from the queue to the delivery stream and into the ledger.

In this order: all good events are put to the delivery stream; each request's refused ones are written down; the
ledger is told how many events each request gave to each day. A request of which anything failed goes back whole, to
be delivered again; whoever counts events takes the copies of one as one.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from atlas import event_receipts, lake
from atlas.event_receipts import DayReceipts, Receipt
from atlas.objects import AT_ONCE
from atlas.timestamps import iso_utc
from lambda_events.forwarder_delivery import Delivery, code_of
from lambda_events.forwarder_requests import Judged

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Forwarded:
    """Which requests are done; how often a line was not taken, and what failed how often."""

    done: Sequence[Judged]
    retries: int
    errors: Counter[str]


@dataclass(frozen=True)
class Forwarder:
    """Where events go. `ledger` is a boto3 Table."""

    delivery: Delivery
    s3: S3Client
    bucket: str
    ledger: Any

    def forward(self, requests: Sequence[Judged], seconds_left: Callable[[], float]) -> Forwarded:
        """What becomes of a batch; lines are put while a second is left for them."""
        owners = [number for number, judged in enumerate(requests) for _ in judged.lines]
        outcome = self.delivery.put([line for judged in requests for line in judged.lines], seconds_left)
        errors = outcome.errors.copy()
        undelivered = {owners[place] for place in outcome.failed}
        delivered = [judged for number, judged in enumerate(requests) if number not in undelivered]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            faults = list(pool.map(self._write_refused, delivered))
        done = [judged for judged, fault in zip(delivered, faults, strict=True) if not fault]
        faults.append(self._enter(done))
        errors.update(fault for fault in faults if fault)
        return Forwarded([] if faults[-1] else done, outcome.retries, errors)

    def _write_refused(self, judged: Judged) -> str | None:
        """Writes down what of a request was refused, with the same keys each time; or what that failed with."""
        request = judged.request
        try:
            for day, refused in judged.refused.items():
                key = lake.refused_events_key(day, request.client_id, request.request_id)
                body = "".join(event.to_line() for event in refused).encode()
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/x-ndjson")
        except (ClientError, BotoCoreError) as fault:
            return code_of(fault)
        return None

    def _enter(self, done: Sequence[Judged]) -> str | None:
        """Tells the ledger of requests whose events are all delivered or written down; or what that failed with."""
        receipts: dict[date, list[Receipt]] = defaultdict(list)
        size: Counter[date] = Counter()
        for judged in done:
            request = judged.request
            size.update(judged.sizes)
            for day, accepted in judged.accepted.items():
                at = iso_utc(request.received_at)
                receipts[day].append(Receipt(request.client_id, request.request_id, at, accepted))
        days = {day: DayReceipts(given, size[day]) for day, given in receipts.items()}
        try:
            event_receipts.enter(self.ledger, _batch(done), days, iso_utc(datetime.now(UTC)))
        except (ClientError, BotoCoreError) as fault:
            return code_of(fault)
        return None


def _batch(done: Sequence[Judged]) -> str:
    """A name for these requests: the same ones that come once more are the same item of the ledger."""
    messages = sorted({judged.request.message_id for judged in done})
    return hashlib.sha256("\n".join(messages).encode()).hexdigest()[:32]
