"""A lake as it is at one moment, to be had again: a history is made once, and each test goes on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas.ledger import LOCK_OWNER, day_state_key
from atlas.settings import JobSettings
from lambda_day.limits import Limits
from lambda_day.process import run
from tests.engines.delivered_events import some_of_everything
from tests.lake_under_test import FRIDAY, LakeUnderTest, lake_under_test

LIMITS = Limits.of(1769, 900_000)


@dataclass(frozen=True)
class Remembered:
    """The objects of a bucket and the items of its ledger."""

    objects: Mapping[str, bytes]
    items: list[dict[str, Any]]

    @classmethod
    def of(cls, lake: LakeUnderTest) -> Remembered:
        """What is there now."""
        return cls(lake.objects(), lake.ledger_items())

    def restore(self, lake: LakeUnderTest) -> None:
        """Puts it into an empty lake."""
        for key, body in self.objects.items():
            lake.s3.put_object(Bucket=lake.bucket, Key=key, Body=body)
        for item in self.items:
            lake.ledger.put_item(Item=item)


def locked(lake: LakeUnderTest, run_id: str) -> JobSettings:
    """The settings of a run of Friday that has the day's lock, as the state machine gives it."""
    lock(lake, run_id)
    return lake.run_settings(FRIDAY, run_id)


def lock(lake: LakeUnderTest, run_id: str) -> None:
    """Gives the day's lock to a run."""
    lake.ledger.update_item(
        Key=day_state_key(FRIDAY),
        UpdateExpression="SET #owner = :run",
        ExpressionAttributeNames={"#owner": LOCK_OWNER},
        ExpressionAttributeValues={":run": run_id},
    )


def access(second: int) -> str:
    """A record of Friday."""
    time = f"2024-11-29T10:00:{second:02d}Z"
    return json.dumps({"timestamp": time, "ip": "192.0.2.1", "status": 200, "endpoint": "/"})


def body(*lines: str) -> bytes:
    """A file."""
    return "\n".join(lines).encode()


EVENT = '{"timestamp": "2024-11-29T10:00:00Z", "user_id": "u1", "action": "login"}'


def changed_day(scratch: Path, *, events: bool) -> Remembered:
    """Friday was published and has changed: a file was corrected, one emptied, one has a copy."""
    with lake_under_test() as lake:
        lake.drop("raw/a.ndjson", body(access(1), access(2), "{"))
        lake.drop("raw/app_log/b.log", body(EVENT))
        run(locked(lake, "first"), lake.clients, LIMITS, scratch)
        lake.drop("raw/a.ndjson", body(access(2), access(3)))
        lake.drop("raw/app_log/b.log", b"")
        lake.drop("raw/c.ndjson", body(access(2), access(4), "{"))
        if events:
            some_of_everything(lake, FRIDAY)
        return Remembered.of(lake)
