"""Nobody gets an answer of data that has been replaced: not from a browser, the function, or Athena's results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pydantic import BaseModel
from starlette.requests import Request

from lambda_query.asking import Asking
from lambda_query.athena import Athena
from lambda_query.catalog import Catalog as Glue
from lambda_query.days import DaySpan
from lambda_query.inquiry import Inquiry
from lambda_query.kept import Kept
from lambda_query.versions import Versions
from tests.queries_under_test import (
    FRIDAY,
    NOW,
    QUESTIONS,
    SATURDAY,
    AthenaStandIn,
    Catalog,
    Clock,
    Lake,
    QueriesUnderTest,
    Rows,
)
from tests.unit.test_query_answers import KEPT, canned_api, friday


@pytest.fixture
def api() -> QueriesUnderTest:
    return friday(canned_api())


class Reuse(RuleBasedStateMachine):
    """Whatever happens in which order, nobody gets an answer of data that has been replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[date, int] = {}
        self.clock = Clock()
        self.athena, self.lake, self.catalog = (
            AthenaStandIn(self.clock, self.rows),
            Lake(self.clock),
            Catalog(self.clock),
        )
        self.known: dict[str, bytes] = {}
        self.restart()

    def rows(self, _: str, __: Sequence[str] = ()) -> Rows:
        """What Athena sees now."""
        seen = [day for day in sorted(self.counts) if ("daily_activity", day.isoformat()) in self.catalog.entered]
        return [{"date": day.isoformat(), "count": self.counts[day]} for day in seen]

    @rule(day=st.sampled_from([FRIDAY, SATURDAY]), watched=st.booleans())
    def publish(self, day: date, watched: bool) -> None:
        self.counts[day] = self.counts.get(day, 0) + 1
        if watched:
            self.read({})  # gold is there before its receipt
        self.lake.publish(day)

    @rule(day=st.sampled_from([FRIDAY, SATURDAY]))
    def crawl(self, day: date) -> None:
        if day in self.counts:
            self.catalog.enter(day)

    @rule(minutes=st.sampled_from([1, 29, 31, 60, 8 * 24 * 60]), seconds=st.sampled_from([0, 20]))
    def wait(self, minutes: int, seconds: float) -> None:
        self.clock.pass_by(60 * minutes)
        self.athena.seconds = seconds

    @rule()
    def restart(self) -> None:
        """Another instance of the function has kept nothing."""
        athena, catalog = (
            Athena(self.athena, "logs", "atlas-api-local", self.clock.clocks),
            Glue(self.catalog, "logs"),
        )
        self.asking = Asking(athena, Versions(self.lake, "lake"), catalog, Kept(9999), self.clock.clocks, 25)

    @invariant()
    def nothing_is_stale(self) -> None:
        for known in ({}, self.known):
            assert self.read(known) == self.rows("")

    def read(self, known: Mapping[str, bytes]) -> Any:
        """By a client that knows answers, by their ETags."""
        tags = [(b"if-none-match", ", ".join(known).encode())] if known else []
        request = Request({"type": "http", "path": "/", "query_string": b"", "headers": tags, "atlas.told": {}})
        days = DaySpan(FRIDAY, SATURDAY)
        inquiry = Inquiry(
            QUESTIONS["daily_detail"],
            days.parameters(),
            lambda rows, _: Listed(items=[dict(row) for row in rows]),
            days,
        )
        answer = self.asking.answer(request, inquiry)
        if answer.status_code == 304:
            return json.loads(self.known[answer.headers["etag"]])["items"]
        if "etag" in answer.headers:
            self.known[answer.headers["etag"]] = bytes(answer.body)
        return json.loads(bytes(answer.body))["items"]


class Listed(BaseModel):
    items: list[dict[str, Any]]


Reuse.TestCase.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
test_nobody_gets_an_answer_of_data_that_has_been_replaced = Reuse.TestCase


@given(st.integers(0, 20 * 24 * 60), st.integers(0, 20 * 24 * 60))
@settings(max_examples=40, deadline=None)
def test_results_of_athena_serve_again_only_if_their_queries_began_after_all_that_they_are_of(
    receipt: int, partition: int
) -> None:
    made = friday(canned_api())
    made.catalog.entered.clear()
    for entry in made.lake.objects.values():
        entry["LastModified"] = NOW - timedelta(minutes=receipt)
    made.clock.now = NOW - timedelta(minutes=partition)
    made.catalog.enter(FRIDAY)
    made.clock.now = NOW
    assert made.get(KEPT).status == 200
    [started] = made.athena.started.values()
    assert started.reuse_minutes == max(0, min(min(receipt, partition) - 30, 7 * 24 * 60))


def test_live_data_and_refused_records_are_never_results_of_before(api: QueriesUnderTest) -> None:
    api.get("/logins_today")
    api.get("/refusals/2024-11-29")
    assert [started.reuse_minutes for started in api.athena.started.values()] == [0, 0]
