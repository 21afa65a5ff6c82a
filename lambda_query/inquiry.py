"""What a request asks: a question of queries/ with its parameters, the data it is about, how its answer looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel

from atlas.questions import Question
from lambda_query.athena import Row
from lambda_query.days import DaySpan
from lambda_query.versions import Version

ROWS_AT_ONCE = 1000
"""That Athena gives in one answer, at most."""

Shape = Callable[[Iterable[Row], Version], BaseModel]
"""Rows, and of which data they are -> the answer. May raise ProblemError; need not read all rows."""


class Data(StrEnum):
    """What an answer is made of, and so when it is another one."""

    GOLD = "gold"
    """Published days: the same until one of them is published again."""
    REFUSED = "refused"
    """Refused records of one day: a run of the day replaces them before it publishes."""
    LIVE = "live"
    """Events as they arrive: nothing tells that they are the same."""


@dataclass(frozen=True)
class Inquiry:
    """`days` is None for all of them. `expected` is the version's digest that a client goes on with, if it does."""

    question: Question
    given: Mapping[str, str]
    shape: Shape
    days: DaySpan | None
    data: Data = Data.GOLD
    expected: str | None = None
    rows_at_once: int = ROWS_AT_ONCE
