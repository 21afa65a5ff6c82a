"""`atlas status`: what runs where, queues, dirty days, last runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from atlas.ledger import DAY, DIRTY, DIRTY_INDEX, DIRTY_VALUE, FAILURES, LOCK_OWNER, query_all
from atlas_cli.cloud import LOCAL, Cloud
from atlas_cli.console import Say
from atlas_cli.local import emulator
from atlas_cli.project import ROOT
from atlas_cli.run import outcomes

_RUNS = 5
_DAYS = 3


def status(cloud: Cloud, say: Say) -> None:
    """Prints the state of a stage."""
    say.rows("Where", [{"what": what, "is": value} for what, value in _where(cloud).items()])
    queues = (cloud.names.ingest_queue, cloud.names.ingest_dead_letter_queue)
    depths = {name: cloud.depth(name) for name in queues}
    say.rows("Queues", [{"queue": name, "messages": depth} for name, depth in depths.items()])
    if depths[cloud.names.ingest_dead_letter_queue]:
        say.note("Some could not be delivered. Look at them: atlas dead-letters")
        say.note()
    dirty = dirty_days(cloud)
    say.rows("Dirty days", dirty)
    if failed := [row["day"] for row in dirty if row["failures"]]:
        say.note(f"Runs failed: {', '.join(failed)}. After a few failures only the daily run tries a day again.")
        say.note("Why: the notice, and the log of the state machine. When it is mended: atlas replay --date DAY")
        say.note()
    say.rows("Last runs", last_runs(cloud))


def dirty_days(cloud: Cloud) -> list[dict[str, Any]]:
    """Every day whose gold does not speak of all its files, the oldest first."""
    found = query_all(
        cloud.ledger,
        IndexName=DIRTY_INDEX,
        KeyConditionExpression=f"{DIRTY} = :dirty",
        ExpressionAttributeValues={":dirty": DIRTY_VALUE},
    )
    return [
        {
            "day": item[DAY],
            "dirty_since": item.get("dirty_since"),
            "locked_by": item.get(LOCK_OWNER),
            "failures": int(item.get(FAILURES, 0)),
            "last_result": item.get("last_result"),
            "last_engine": item.get("last_engine"),
        }
        for item in found
    ]


def _where(cloud: Cloud) -> dict[str, str]:
    place = {"stage": cloud.stage, "account": cloud.account, "region": cloud.region, "bucket": cloud.bucket}
    running = emulator.running(ROOT) if cloud.stage == LOCAL else None
    if running:
        place |= {"endpoint": running.endpoint, "process": str(running.pid), "log": str(running.log)}
    return place


def last_runs(cloud: Cloud) -> list[dict[str, Any]]:
    """The last executions, the newest first, with their days and engines."""
    answer = cloud.stepfunctions.list_executions(stateMachineArn=cloud.state_machine, maxResults=_RUNS)
    return [
        {
            "execution": run["name"],
            "status": run["status"],
            "started": f"{run['startDate']:%Y-%m-%d %H:%M:%S %Z}",
            "days": _days(cloud.stepfunctions.describe_execution(executionArn=run["executionArn"])),
        }
        for run in answer["executions"][:_RUNS]
    ]


def _days(execution: Mapping[str, Any]) -> str:
    """The days of a run with their engines; of many days, how many each engine had."""
    days = outcomes(execution)
    if len(days) > _DAYS:
        counted = Counter(day.get("engine", "no engine") for day in days)
        return ", ".join(f"{count} days {engine}" for engine, count in counted.items())
    return ", ".join(f"{day['process_date']} {day.get('engine', '')}".rstrip() for day in days)
