"""`atlas status`: what runs where, alarms, freshness, queues, delivery, dirty and failed days, last runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from atlas import lake
from atlas.ledger import DAY, DIRTY, DIRTY_INDEX, DIRTY_VALUE, FAILURES, LOCK_OWNER, query_all
from atlas.schema import DATA_QUALITY
from atlas.timestamps import iso_utc
from atlas_cli.alarms import in_alarm, oldest_minutes, undelivered_minutes
from atlas_cli.cloud import LOCAL, Cloud
from atlas_cli.console import Say
from atlas_cli.dead_letters import ways
from atlas_cli.local import emulator
from atlas_cli.project import ROOT
from atlas_cli.run import outcomes, why

_RUNS = 5
_DAYS = 3


def status(cloud: Cloud, say: Say) -> None:
    """Prints the state of a stage."""
    say.rows("Where", [{"what": what, "is": value} for what, value in _where(cloud).items()])
    say.rows("Alarms", in_alarm(cloud))
    say.rows("Freshness", [freshness(cloud, datetime.now(UTC).date() - timedelta(days=1))])
    there = ways(cloud.names)
    queues = [_queue(cloud, name) for way in there for name in (way.queue, way.dead_letters)]
    say.rows("Queues", queues)
    if any(row["messages"] for row in queues if row["queue"] in [way.dead_letters for way in there]):
        say.note("Some could not be delivered. Look at them: atlas dead-letters")
        say.note()
    stream = cloud.names.delivery_stream
    say.rows("Delivery of events", [{"stream": stream, "oldest_minutes": undelivered_minutes(cloud, stream)}])
    items = _dirty_items(cloud)
    say.rows("Dirty days", [_dirty_row(item) for item in items])
    if failed := failed_days(cloud, items):
        say.rows("Failed days", failed)
        say.note("After a few failures only the daily run tries a day again. When it is mended, at once:")
        say.note("  atlas replay --date DAY")
        say.note()
    say.rows("Last runs", last_runs(cloud))


def dirty_days(cloud: Cloud) -> list[dict[str, Any]]:
    """Every day whose gold does not speak of all its files, the oldest first."""
    return [_dirty_row(item) for item in _dirty_items(cloud)]


def _dirty_items(cloud: Cloud) -> list[dict[str, Any]]:
    found = query_all(
        cloud.ledger,
        IndexName=DIRTY_INDEX,
        KeyConditionExpression=f"{DIRTY} = :dirty",
        ExpressionAttributeValues={":dirty": DIRTY_VALUE},
    )
    return list(found)


def _dirty_row(item: Mapping[str, Any]) -> dict[str, Any]:
    expires = item.get("lock_expires")
    return {
        "day": item[DAY],
        "dirty_since": item.get("dirty_since"),
        "locked_by": item.get(LOCK_OWNER),
        "locked_until": iso_utc(datetime.fromtimestamp(int(expires), UTC)) if expires else None,
        "failures": int(item.get(FAILURES, 0)),
        "last_result": item.get("last_result"),
        "last_engine": item.get("last_engine"),
    }


def failed_days(cloud: Cloud, dirty: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The dirty days whose last run failed, and why, as its execution says; AWS keeps that for 90 days.

    A run is called after its execution and its day.
    """
    rows = []
    for item in dirty:
        if item.get(FAILURES):
            execution = str(item.get("last_run", "")).removesuffix(f"-{item[DAY]}")
            told = next((day for day in _told(cloud, execution) if day["process_date"] == item[DAY]), {})
            rows.append({"day": item[DAY], "error": told.get("error"), "cause": told.get("cause")})
    return rows


def _told(cloud: Cloud, execution: str) -> list[dict[str, Any]]:
    """What became of the days of an execution by its name; nothing if it is not known any more, or not over yet."""
    arn = cloud.state_machine.replace(":stateMachine:", ":execution:") + f":{execution}"
    try:
        return outcomes(cloud.stepfunctions.describe_execution(executionArn=arn))
    except (cloud.stepfunctions.exceptions.ExecutionDoesNotExist, cloud.stepfunctions.exceptions.InvalidArn):
        return []


def freshness(cloud: Cloud, yesterday: date) -> dict[str, Any]:
    """The last day that was published, and whether yesterday was: by the receipts, which are put in place last."""
    pages = cloud.s3.get_paginator("list_objects_v2").paginate(Bucket=cloud.bucket, Prefix=DATA_QUALITY.location)
    published = {entry["Key"]: entry["LastModified"] for page in pages for entry in page.get("Contents", [])}
    days = [day for day in map(_receipt_of, published) if day]
    last = max(days, default=None)
    return {
        "yesterday": yesterday.isoformat(),
        "published": yesterday in days,
        "last_published": last.isoformat() if last else None,
        "at": iso_utc(published[lake.gold_key(DATA_QUALITY.name, last)].replace(microsecond=0)) if last else None,
    }


def _receipt_of(key: str) -> date | None:
    try:
        return lake.parse_gold_key(key)[1]
    except lake.KeyMismatchError:  # a failed attempt
        return None


def _queue(cloud: Cloud, name: str) -> dict[str, Any]:
    depth = cloud.depth(name)
    return {"queue": name, "messages": depth, "oldest_minutes": oldest_minutes(cloud, name) if depth else None}


def _where(cloud: Cloud) -> dict[str, str]:
    place = {"stage": cloud.stage, "account": cloud.account, "region": cloud.region, "bucket": cloud.bucket}
    running = emulator.running(ROOT) if cloud.stage == LOCAL else None
    if running:
        place |= {"endpoint": running.endpoint, "process": str(running.pid), "log": str(running.log)}
    return place


def last_runs(cloud: Cloud) -> list[dict[str, Any]]:
    """The last executions, the newest first, with their days and engines."""
    answer = cloud.stepfunctions.list_executions(stateMachineArn=cloud.state_machine, maxResults=_RUNS)
    rows = []
    for run in answer["executions"][:_RUNS]:
        described = cloud.stepfunctions.describe_execution(executionArn=run["executionArn"])
        rows.append(
            {
                "execution": run["name"],
                "status": run["status"],
                "started": f"{run['startDate']:%Y-%m-%d %H:%M:%S %Z}",
                "days": _days(described),
                "why": why(described),
            }
        )
    return rows


def _days(execution: Mapping[str, Any]) -> str:
    """The days of a run with their engines; of many days, how many each engine had."""
    days = outcomes(execution)
    if len(days) > _DAYS:
        counted = Counter(day.get("engine", "no engine") for day in days)
        return ", ".join(f"{count} days {engine}" for engine, count in counted.items())
    return ", ".join(f"{day['process_date']} {day.get('engine', '')}".rstrip() for day in days)
