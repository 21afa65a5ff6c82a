"""Sign-ins: today's as they come, and those of days that are published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from atlas.questions import Question
from lambda_query import models
from lambda_query.asking import Asking
from lambda_query.athena import Row
from lambda_query.clocks import Clocks
from lambda_query.days import DaySpan, LocalDay, span, today_in
from lambda_query.inquiry import Data, Inquiry
from lambda_query.versions import Version

_ALL = "all"
_NOTE = "Events count some minutes after they were sent; records of log files once their day has been published."


def add(router: APIRouter, asking: Asking, questions: Mapping[str, Question], clocks: Clocks) -> None:
    """Adds the routes."""

    @router.get("/logins_today", response_model=models.LoginsToday, summary="Sign-ins since midnight")
    def logins_today(
        request: Request,
        zone: Annotated[str, Query(max_length=64, description="Whose midnight: a name of IANA's")] = "UTC",
    ) -> Response:
        """As they stand now: each answer is of its moment, and never kept."""
        today = today_in(zone, clocks.now())
        shape = partial(_logins_today, today)
        return asking.answer(
            request, Inquiry(questions["logins_today"], today.parameters(), shape, None, Data.LIVE)
        )

    @router.get("/logins", response_model=models.Logins, summary="Sign-ins of some days")
    def logins(request: Request, days: Annotated[DaySpan, Depends(span)]) -> Response:
        """Of published days, by source."""
        shape = partial(_logins, days)
        return asking.answer(request, Inquiry(questions["logins_by_day"], days.parameters(), shape, days))


def _logins_today(today: LocalDay, rows: Iterable[Row], _: Version) -> models.LoginsToday:
    sources = {row["source"]: models.SourceLogins(**row) for row in rows}
    every = sources.pop(_ALL)
    return models.LoginsToday(
        **{"from": today.begins, "to": today.ends},
        zone=today.zone,
        date=today.day,
        logins=every.logins,
        users=every.users,
        sources=list(sources.values()),
        note=_NOTE,
    )


def _logins(days: DaySpan, rows: Iterable[Row], _: Version) -> models.Logins:
    return models.Logins(**days.ends(), items=[models.DayLogins(**row) for row in rows])
