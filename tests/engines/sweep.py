"""What the state machine does to a day's state, with the expressions of its own definition, around any engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from atlas.ledger import DIRTY, day_state_key
from atlas.settings import JobSettings
from tests.lake_under_test import LakeUnderTest

_DEFINITION = json.loads((Path(__file__).parents[2] / "statemachine" / "daily.asl.json").read_text())
_DAY = _DEFINITION["States"]["Process the days"]["ItemProcessor"]["States"]
_NOW = 1_700_000_000


def dirty_days(lake: LakeUnderTest) -> list[date]:
    """What the index of dirty days has, the oldest first."""
    return sorted(date.fromisoformat(item["day"]) for item in lake.ledger_items() if DIRTY in item)


def process(lake: LakeUnderTest, day: date, work: Callable[[JobSettings], None]) -> None:
    """Lock, work, release: as published, and clean if nothing has changed meanwhile."""
    settings = lake.settings(day)
    locked = _update(lake, "Lock the day", settings, 0)
    work(settings)
    try:
        _update(lake, "Release the published day", settings, locked["changes"])
    except lake.ledger.meta.client.exceptions.ConditionalCheckFailedException:
        _update(lake, "Release the day, still dirty", settings, locked["changes"])


def _update(lake: LakeUnderTest, name: str, settings: JobSettings, seen: int) -> dict[str, Any]:
    told = _DAY[name]["Arguments"]
    values = {
        ":me": settings.run_id, ":day": settings.process_date.isoformat(), ":none": 0, ":dirty": "yes",
        ":now": _NOW, ":expires": _NOW + 1, ":at": "2024-12-01T00:00:00Z", ":seen": seen, ":engine": "lambda",
        ":published": "published",
    }  # fmt: skip
    names = told.get("ExpressionAttributeNames", {})
    expressions = {part: told[part] for part in ("UpdateExpression", "ConditionExpression")}
    used = set(re.findall(r":\w+", " ".join(expressions.values())))
    more: Any = {"ExpressionAttributeNames": names} if names else {}
    answer = lake.ledger.update_item(
        Key=day_state_key(settings.process_date),
        **expressions,
        ExpressionAttributeValues={value: values[value] for value in used},
        ReturnValues="ALL_NEW",
        **more,
    )
    return dict(answer["Attributes"])
