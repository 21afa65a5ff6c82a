"""Days, ranges of days and zones as requests name them: strictly, and within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Query
from pydantic import BeforeValidator, Field

from atlas import lake
from lambda_query.problems import ProblemError, bad_parameter

MOST_DAYS = 366
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


def _day(text: object) -> date:
    if isinstance(text, str):
        try:
            return lake.parse_day(text)
        except ValueError:
            pass
    raise ValueError("expected a day, YYYY-MM-DD, such as 2024-11-29")


_SPELLED = Field(json_schema_extra={"examples": ["2024-11-29"]}, description="A UTC day, YYYY-MM-DD")
Day = Annotated[date, BeforeValidator(_day), _SPELLED]
"""`YYYY-MM-DD` and nothing else."""


@dataclass(frozen=True)
class DaySpan:
    """Some days in a row, both ends included."""

    first: date
    last: date

    @classmethod
    def of(cls, day: date) -> DaySpan:
        """One day."""
        return cls(day, day)

    def ends(self) -> dict[str, date]:
        """As an answer says which days it is of."""
        return {"from": self.first, "to": self.last}

    def parameters(self) -> dict[str, str]:
        """As a question asks for it."""
        return {"from": self.first.isoformat(), "to": self.last.isoformat()}


async def span(  # else it would wait for a thread
    since: Annotated[Day, Query(alias="from", description="The first day, UTC, YYYY-MM-DD")],
    until: Annotated[Day, Query(alias="to", description=f"The last day, included: at most {MOST_DAYS} in all")],
) -> DaySpan:
    """The range of a request, for FastAPI. Raises ProblemError."""
    if since > until:
        raise bad_parameter("from", "it is after `to`; expected from <= to")
    if (until - since).days >= MOST_DAYS:
        detail = f"from and to are {(until - since).days + 1} days; expected at most {MOST_DAYS}"
        raise ProblemError(400, detail, errors=[{"parameter": "to", "detail": detail}])
    return DaySpan(since, until)


@cache
def _zones() -> frozenset[str]:
    """Every IANA name, as the package tzdata lists them; ZoneInfo alone would look for any file of the machine."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())


@dataclass(frozen=True)
class LocalDay:
    """A day of a zone, and the instants at which it begins and ends, UTC: 23 to 25 hours."""

    zone: str
    day: date
    begins: datetime
    ends: datetime

    def parameters(self) -> dict[str, str]:
        """As a question asks for it."""
        return {"from": f"{self.begins:{_INSTANT}}", "to": f"{self.ends:{_INSTANT}}"}


def today_in(zone: str, now: datetime) -> LocalDay:
    """The day that it is in a zone of IANA's. Raises ProblemError if there is none of that name."""
    if zone not in _zones():
        raise bad_parameter("zone", "no zone has that name; expected one of IANA's, such as UTC or Europe/Berlin")
    day = now.astimezone(ZoneInfo(zone)).date()
    begins, ends = (
        datetime(some.year, some.month, some.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for some in (day, day + timedelta(days=1))
    )
    return LocalDay(zone, day, begins, ends)
