"""Puts lines to the delivery stream within its limits, and again what it did not take.

PutRecordBatch is no transaction: a call that succeeds may have failed for some of its records, and says so of each.
https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_firehose import FirehoseClient

MOST_RECORDS = 500
MOST_BYTES = 4_000_000
"""Of a call. The documentation has 4 MB in one place and 4 MiB in another."""
RECORD_BYTES = 1000 * 1024
"""Of one record, before it is encoded. The schema's bounds keep every line far below that."""
_ATTEMPTS = 5
_FIRST_WAIT = 0.2
"""Seconds; the longest that is waited before the second attempt. Before each further one twice as long."""
_NOT_TRIED = "no time left"


@dataclass(frozen=True)
class Outcome:
    """`failed` are the places of the lines that were not taken; `errors` counts what each attempt failed with."""

    failed: frozenset[int] = frozenset()
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def retries(self) -> int:
        """How often a line was not taken."""
        return self.errors.total() - self.errors[_NOT_TRIED]


@dataclass(frozen=True)
class Delivery:
    """A delivery stream. Its client should not retry by itself: that would put again what has been taken."""

    firehose: FirehoseClient
    stream: str
    sleep: Callable[[float], None] = time.sleep

    def put(self, lines: Sequence[bytes], seconds_left: Callable[[], float]) -> Outcome:
        """Puts all lines, what fails up to five times, until no second is left.

        A line may arrive more than once: an answer that is lost leaves open what it said.
        """
        errors: Counter[str] = Counter()
        pending = list(range(len(lines)))
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.sleep(random.uniform(0, _FIRST_WAIT * 2 ** (attempt - 1)))  # noqa: S311 - full jitter
            failed: list[int] = []
            for call in _calls(pending, lines):
                failed += self._put_some(call, lines, errors, seconds_left)
            pending = failed
            if not pending or seconds_left() <= 0:
                break
        return Outcome(frozenset(pending), errors)

    def _put_some(
        self, call: list[int], lines: Sequence[bytes], errors: Counter[str], seconds_left: Callable[[], float]
    ) -> Iterable[int]:
        """One call; which of its lines were not taken."""
        if seconds_left() <= 0:
            errors[_NOT_TRIED] += len(call)
            return call
        try:
            answer = self.firehose.put_record_batch(
                DeliveryStreamName=self.stream, Records=[{"Data": lines[place]} for place in call]
            )
        except (ClientError, BotoCoreError) as fault:
            errors[code_of(fault)] += len(call)
            return call
        answers = answer["RequestResponses"]
        failed = []
        for place, told in zip(call, answers, strict=True):
            if "RecordId" not in told:
                errors[f"PutRecordBatch: {told.get('ErrorCode', 'unknown')}"] += 1
                failed.append(place)
        return failed


def _calls(places: Iterable[int], lines: Sequence[bytes]) -> Iterator[list[int]]:
    """The lines of some places, in calls that keep the limits."""
    call: list[int] = []
    size = 0
    for place in places:
        if call and (len(call) == MOST_RECORDS or size + len(lines[place]) > MOST_BYTES):
            yield call
            call, size = [], 0
        call.append(place)
        size += len(lines[place])
    if call:
        yield call


def code_of(fault: ClientError | BotoCoreError) -> str:
    """What an error of AWS is called: the call and its code, or how the call could not be made."""
    if isinstance(fault, ClientError):
        return f"{fault.operation_name}: {fault.response['Error']['Code']}"
    return type(fault).__name__
