"""The books, what was refused, and how far gold is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date as Date  # noqa: N812 - so that a parameter may be called `date`
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from atlas import lake
from atlas.questions import Question
from lambda_query import models
from lambda_query.asking import Asking
from lambda_query.athena import Row
from lambda_query.clocks import Clocks
from lambda_query.days import Day, DaySpan, span
from lambda_query.inquiry import Data, Inquiry
from lambda_query.openapi import problems
from lambda_query.refusals import Position, page
from lambda_query.versions import Version

OneDay = Annotated[Day, Path()]
_BALANCED = "balanced"
_ROWS_WITH_TEXT = 100
"""Of refused records: a record may have 4 MiB, and these are read at once."""


def add(router: APIRouter, asking: Asking, questions: Mapping[str, Question], clocks: Clocks) -> None:
    """Adds the routes."""

    @router.get("/books", response_model=models.BooksOfDays, summary="The books of some days")
    def books(request: Request, days: Annotated[DaySpan, Depends(span)]) -> Response:
        """For each day and format: records in = published + duplicates + rejected."""
        shape = partial(_books_of_days, days)
        return asking.answer(request, Inquiry(questions["books"], days.parameters(), shape, days))

    @router.get("/books/{date}", response_model=models.BooksOfDay, summary="The books of one day")
    def books_of_day(request: Request, date: OneDay) -> Response:
        """For each format: records in = published + duplicates + rejected. None if the day was never processed."""
        days, shape = DaySpan.of(date), partial(_books_of_day, date)
        return asking.answer(request, Inquiry(questions["books"], days.parameters(), shape, days))

    @router.get(
        "/refusals/{date}",
        response_model=models.Refusals,
        responses=problems(409),
        summary="Refused records of one day, in pages",
    )
    def refusals(
        request: Request,
        date: OneDay,
        limit: Annotated[int, Query(ge=1, le=1000, description="How many records, at most")] = 100,
        token: Annotated[str | None, Query(alias="next", description="`next` of the page before")] = None,
    ) -> Response:
        """Each with its reason and the place that it came from.

        A page has fewer than `limit` records where their texts are long. 409 if a run has replaced the day's
        refusals since the first page.
        """
        position = Position.read(token) if token is not None else None
        days = DaySpan.of(date)
        after = position.after if position else 0
        inquiry = Inquiry(
            questions["refusals"],
            {**days.parameters(), "after": str(after), "most": str(limit)},
            partial(page, date, limit),
            days,
            Data.REFUSED,
            expected=position.version if position else None,
            rows_at_once=_ROWS_WITH_TEXT,
        )
        return asking.answer(request, inquiry)

    @router.get("/freshness", response_model=models.Freshness, summary="How far gold is")
    def freshness(request: Request) -> Response:
        """By the days that are published."""
        today = clocks.now().date()
        shape = partial(_freshness, today)
        return asking.answer(request, Inquiry(questions["freshness"], {"today": today.isoformat()}, shape, None))


def _books_of_days(days: DaySpan, rows: Iterable[Row], _: Version) -> models.BooksOfDays:
    return models.BooksOfDays(**days.ends(), items=[_books(row) for row in rows])


def _books_of_day(date: Date, rows: Iterable[Row], _: Version) -> models.BooksOfDay:
    return models.BooksOfDay(date=date, items=[_books(row) for row in rows])


def _books(row: Row) -> models.Books:
    told = {name: value for name, value in row.items() if name != "books"}
    return models.Books(**told, balanced=row["books"] == _BALANCED)


def _freshness(today: Date, rows: Iterable[Row], version: Version) -> models.Freshness:
    [row] = rows
    last = lake.parse_day(row["last_published"]) if row["last_published"] else None
    published_at = version.published.get(last) if last else None
    return models.Freshness(**{**row, "last_published": last}, today=today, published_at=published_at)
