"""What was asked of the applications: by day, by hour, by endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date as Date  # noqa: N812 - so that a parameter may be called `date`
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from atlas.questions import Question
from lambda_query import models
from lambda_query.asking import Asking
from lambda_query.athena import Row
from lambda_query.days import Day, DaySpan, span
from lambda_query.inquiry import Inquiry
from lambda_query.problems import ProblemError, busy
from lambda_query.versions import Version

Span = Annotated[DaySpan, Depends(span)]
OneDay = Annotated[Day, Path()]
Most = Annotated[int, Query(ge=1, le=1000, description="How many, at most")]
_ALL_ERRORS = "10000"
"""More rows than a day of `endpoint_activity` has."""
_MAPS = ("requests_by_device", "requests_by_type", "requests_by_status", "requests_by_app")


def add(router: APIRouter, asking: Asking, questions: Mapping[str, Question]) -> None:
    """Adds the routes."""

    @router.get("/daily_activity", response_model=models.DailyActivities, summary="Activity of some days")
    def daily_activity(request: Request, days: Span) -> Response:
        """A day that was never processed is not among the items."""
        shape = partial(_daily_activities, days)
        return asking.answer(request, Inquiry(questions["daily_detail"], days.parameters(), shape, days))

    @router.get(
        "/daily_activity/{date}",
        response_model=models.DailyActivity,
        summary="Activity of one day",
    )
    def daily_activity_of_day(request: Request, date: OneDay) -> Response:
        """404 if the day was never processed; zeros if it was, and nothing came."""
        days, shape = DaySpan.of(date), partial(_daily_activity, date)
        return asking.answer(request, Inquiry(questions["daily_detail"], days.parameters(), shape, days))

    @router.get(
        "/hourly_activity/{date}", response_model=models.HourlyActivity, summary="Activity of one day by the hour"
    )
    def hourly_activity(request: Request, date: OneDay) -> Response:
        """The hours that had records, by application and log type."""
        days, shape = DaySpan.of(date), partial(_hourly_activity, date)
        return asking.answer(request, Inquiry(questions["hourly_activity"], days.parameters(), shape, days))

    @router.get("/endpoints", response_model=models.Endpoints, summary="Endpoints of some days")
    def endpoints(request: Request, days: Span, most: Most = 100) -> Response:
        """Those with the most requests first."""
        given = {**days.parameters(), "most": str(most)}
        return asking.answer(request, Inquiry(questions["endpoints"], given, partial(_endpoints, days), days))

    @router.get("/endpoints/{date}", response_model=models.DayEndpoints, summary="Endpoints of one day")
    def endpoints_of_day(request: Request, date: OneDay, most: Most = 100) -> Response:
        """Those with the most requests first."""
        days = DaySpan.of(date)
        given = {**days.parameters(), "most": str(most)}
        return asking.answer(request, Inquiry(questions["endpoints"], given, partial(_day_endpoints, date), days))

    @router.get("/errors/{date}", response_model=models.Errors, summary="Where the errors of one day are")
    def errors(request: Request, date: OneDay) -> Response:
        """All of them by endpoint and class of status, the most first."""
        given = {"date": date.isoformat(), "most": _ALL_ERRORS}
        return asking.answer(request, Inquiry(questions["errors"], given, partial(_errors, date), DaySpan.of(date)))


def _daily_activities(days: DaySpan, rows: Iterable[Row], _: Version) -> models.DailyActivities:
    return models.DailyActivities(**days.ends(), items=[_day(row) for row in rows])


def _daily_activity(date: Date, rows: Iterable[Row], version: Version) -> models.DailyActivity:
    row = next(iter(rows), None)
    if row is not None:
        return _day(row)
    if date in version.published:
        raise busy("The day has just been published, and Athena does not see it yet. Ask again in some minutes.")
    raise ProblemError(404, f"{date} was never processed.")


def _day(row: Row) -> models.DailyActivity:
    return models.DailyActivity(**{**row, **{name: json.loads(row[name]) for name in _MAPS}})


def _hourly_activity(date: Date, rows: Iterable[Row], _: Version) -> models.HourlyActivity:
    hours = [{name: value for name, value in row.items() if name != "date"} for row in rows]
    return models.HourlyActivity(date=date, items=[models.Hour(**hour) for hour in hours])


def _endpoints(days: DaySpan, rows: Iterable[Row], _: Version) -> models.Endpoints:
    return models.Endpoints(**days.ends(), items=[models.Endpoint(**row) for row in rows])


def _day_endpoints(date: Date, rows: Iterable[Row], _: Version) -> models.DayEndpoints:
    return models.DayEndpoints(date=date, items=[models.Endpoint(**row) for row in rows])


def _errors(date: Date, rows: Iterable[Row], _: Version) -> models.Errors:
    items = [models.EndpointErrors(**row) for row in rows]
    return models.Errors(date=date, total_errors=sum(item.errors for item in items), items=items)
