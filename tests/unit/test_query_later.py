"""Answers that take longer than a request may, and pages of refused records."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import date
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambda_query.problems import ProblemError
from lambda_query.refusals import Position
from tests.queries_under_test import FRIDAY, QueriesUnderTest, Rows
from tests.unit.test_query_answers import REFUSED, canned_api, friday

ASKED = "/endpoints?from=2024-11-29&to=2024-11-29&most=3"
PREFIX = "/some/prefix"


@pytest.fixture
def api() -> QueriesUnderTest:
    return friday(canned_api())


def _followed(api: QueriesUnderTest, url: str, location: str) -> Any:
    """What the client gets that goes where the answer to `url` points to, wherever the API lives."""
    target = urlsplit(urljoin(f"https://api.example{PREFIX}{url}", location))
    assert target.path.startswith(PREFIX + "/answers/")
    return api.get(f"{target.path.removeprefix(PREFIX)}?{target.query}")


@pytest.mark.parametrize("url", [ASKED, "/endpoints/2024-11-29", "/refusals/2024-11-29?limit=5", "/freshness"])
def test_an_answer_that_takes_long_is_where_the_202_points_to_and_is_kept(api: QueriesUnderTest, url: str) -> None:
    api.athena.seconds = 70
    began = api.clock.now
    first = api.get(url)
    assert (api.clock.now - began).total_seconds() == pytest.approx(25)
    assert (first.status, first.body["status"], first.headers["retry-after"]) == (202, "running", "2")
    assert urljoin(f"https://api.example{PREFIX}/", first.body["answer"]) == urljoin(
        f"https://api.example{PREFIX}{url}", first.headers["location"]
    )
    second = _followed(api, url, first.headers["location"])
    assert second.status == 202
    third = _followed(api, f"/answers/{next(iter(api.athena.started))}", second.headers["location"])
    assert third.status == 200
    assert len(api.athena.started) == 1
    assert third.etag is not None
    at_once = api.get(url)
    assert (at_once.text, at_once.etag, api.told[-1]["answered"]) == (third.text, third.etag, "kept")


def test_an_answer_of_a_day_that_has_been_published_since_is_not_kept(api: QueriesUnderTest) -> None:
    api.athena.seconds = 30
    first = api.get(ASKED)
    api.lake.publish(FRIDAY)
    second = _followed(api, ASKED, first.headers["location"])
    assert (second.status, second.etag, second.headers["cache-control"]) == (200, None, "no-store")


@pytest.mark.parametrize(
    "of",
    [
        "/endpoints%3Ffrom=2024-11-29%26to=2024-11-29%26most=4",  # other parameters
        "/books/2024-11-29",  # another question
        "/health",
        "/answers/1%3Fof=/books/2024-11-29",
        "//other.example/books/2024-11-29",
    ],
)
def test_nobody_gets_the_answer_to_another_question_than_he_names(api: QueriesUnderTest, of: str) -> None:
    api.get(ASKED)
    [execution] = api.athena.started
    answer = api.get(f"/answers/{execution}?of={of}")
    assert (answer.status, answer.body["title"]) == (404, "Not Found")


@pytest.mark.parametrize("theirs", ["workgroup", "text"])
def test_nobody_gets_what_somebody_else_asked_of_athena(api: QueriesUnderTest, theirs: str) -> None:
    api.get(ASKED)
    [(execution, started)] = api.athena.started.items()
    of = "%2Fendpoints%3Ffrom%3D2024-11-29%26to%3D2024-11-29%26most%3D3"
    api.lake.publish(FRIDAY)  # so that it is not kept
    assert api.get(f"/answers/{execution}?of={of}").status == 200
    if theirs == "workgroup":
        started.workgroup = "analysts"
    else:
        started.text = started.text.partition("\n")[0] + "\nSELECT 1"
    assert api.get(f"/answers/{execution}?of={of}", {}).status == 404
    assert api.get(f"/answers/unknown?of={of}", {}).status == 404


def _refusals(texts: Sequence[str]) -> Any:
    def rows(_: str, literals: Sequence[str]) -> Rows:
        after, most = int(literals[-2].strip("'")), int(literals[-1].strip("'"))
        numbered = [
            {**REFUSED, "place": place, "in_all": len(texts), "raw": text} for place, text in enumerate(texts, 1)
        ]
        return [row for row in numbered if after < int(str(row["place"])) <= after + most]

    return rows


@pytest.mark.parametrize(
    ("texts", "limit"), [(["x"] * 250, 100), (["x" * 60_000] * 45, 1000), (["y" * 5_000_000], 1)]
)
def test_pages_have_every_refused_record_once_and_fit_an_answer(
    api: QueriesUnderTest, texts: list[str], limit: int
) -> None:
    api.athena.answering = _refusals(texts)
    seen: list[int] = []
    url: str | None = f"/refusals/2024-11-29?limit={limit}"
    while url:
        answer = api.get(url)
        assert len(answer.text) < 4_500_000
        seen += [item["place"] for item in answer.body["items"]]
        assert {item["raw_cut"] for item in answer.body["items"]} == {len(texts[0]) > 65536}
        following = answer.body["next"]
        url = f"/refusals/2024-11-29?limit={limit}&next={following}" if following else None
    assert seen == list(range(1, len(texts) + 1))


def test_pages_of_a_day_that_has_been_processed_anew_start_again(api: QueriesUnderTest) -> None:
    api.athena.answering = _refusals(["x"] * 3)
    token = api.get("/refusals/2024-11-29?limit=1").body["next"]
    api.lake.put("rejected/data_quality/year=2024/month=11/day=29/part-00000.parquet")
    answer = api.get(f"/refusals/2024-11-29?limit=1&next={token}")
    assert answer.status == 409
    assert "start again" in answer.body["detail"]


@given(st.text(max_size=300) | st.binary(max_size=150).map(lambda some: base64.urlsafe_b64encode(some).decode()))
@settings(max_examples=100, deadline=None)
def test_a_token_that_is_none_is_a_problem(token: str) -> None:
    with pytest.raises(ProblemError) as caught:
        Position.read(token)
    assert caught.value.status == 400


@pytest.mark.parametrize("told", [[], 1, {"v": 1, "after": 1}, {"v": "x", "after": 0}, {"v": "x", "after": True}])
def test_a_token_that_says_something_else_is_a_problem(told: Any) -> None:
    with pytest.raises(ProblemError):
        Position.read(base64.urlsafe_b64encode(json.dumps(told).encode()).decode())


def test_a_token_is_read_as_it_was_written() -> None:
    position = Position(date(2024, 11, 29).isoformat(), 2**40)
    assert Position.read(position.token()) == position
