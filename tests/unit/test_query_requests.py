"""The query API: who is let in, what is refused and how, and what every answer has."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from lambda_query import gate
from lambda_query.observed import HEADERS
from tests.queries_under_test import Answer, QueriesUnderTest, queries_under_test
from tests.unit.test_query_answers import KEPT, OF_GOLD, ROWS, canned, friday

CANARY = "kanarienvogel"


@pytest.fixture(scope="module")
def with_page(tmp_path_factory: pytest.TempPathFactory) -> QueriesUnderTest:
    folder = tmp_path_factory.mktemp("page")
    for name in ("index.html", "docs.html", "v1/page.js", "v1/page.js.gz", "secret.pem"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    return queries_under_test(canned, page=folder)


@pytest.fixture
def api(with_page: QueriesUnderTest) -> QueriesUnderTest:
    return friday(with_page)


def _problem(answer: Answer) -> Any:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert {"type", "title", "status", "detail"} <= answer.body.keys()
    assert answer.body["status"] == answer.status
    return answer.body


# Who is let in
@pytest.mark.parametrize(
    ("authorizer", "status"),
    [
        (None, 401),
        ({}, 401),
        ({"lambda": None}, 401),
        ({"lambda": {}}, 401),
        ({"lambda": {"client_id": ""}}, 401),
        ({"lambda": {"refused": "401"}}, 401),
        ({"lambda": {"refused": "403"}}, 403),
        ({"lambda": {"refused": "403", "client_id": "shop"}}, 403),
        ({"jwt": {"claims": {"client_id": "shop"}}}, 401),
    ],
)
def test_only_a_client_of_whom_the_authorizer_says_so_is_let_in(
    api: QueriesUnderTest, authorizer: Any, status: int
) -> None:
    for url in (*OF_GOLD, "/logins_today", "/answers/1?of=/health", "/nowhere", "/page", "/docs/", "//health"):
        answer = api.get(url, authorizer=authorizer)
        _problem(answer)
        assert (url, answer.status) == (url, status)
        assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert api.athena.started == {}
    bad_token = api.get(KEPT, {"authorization": "Bearer x"}, authorizer=authorizer)
    assert ("www-authenticate" in bad_token.headers) == (status == 401)
    for url in ("/", "/docs", "/health", "/openapi.json", "/page/v1/page.js"):
        assert api.get(url, authorizer=authorizer).status == 200


def test_every_route_is_closed_but_those_of_the_list(api: QueriesUnderTest) -> None:
    needs = {path: found["get"]["security"] for path, found in api.app.openapi()["paths"].items()}
    assert [path for path, security in needs.items() if not security] == ["/health"]
    closed = [path for path, security in needs.items() if security == [{"token": []}]]
    assert len(closed) == len(needs) - 1 == 13
    for path in closed:
        assert api.get(path.replace("{date}", "2024-11-29").replace("{id}", "1"), authorizer=None).status == 401


@pytest.mark.parametrize(
    ("given", "client"),
    [
        ([(b"authorization", b"Bearer right")], "me"),
        ([(b"Authorization", b"bearer  right ")], "me"),
        ([(b"authorization", b"Bearer wrong")], None),
        ([(b"authorization", b"Basic right")], None),
        ([(b"authorization", b"Bearer right"), (b"authorization", b"Bearer right")], None),
        ([], None),
    ],
)
def test_atlas_serve_goes_by_its_one_token(given: list[tuple[bytes, bytes]], client: str | None) -> None:
    assert gate.by_token("right", "me")({"headers": given}).client_id == client


# What is refused
@pytest.mark.parametrize(
    ("url", "parameter"),
    [
        ("/daily_activity?from=2024-11-29", "to"),
        ("/daily_activity?from=29.11.2024&to=2024-11-30", "from"),
        ("/daily_activity?from=1732838400&to=2024-11-30", "from"),
        ("/daily_activity?from=2024-11-30&to=2024-11-31", "to"),
        ("/daily_activity?from=2024-11-30&to=2024-11-29", "from"),
        ("/daily_activity?from=2023-11-29&to=2024-11-29", "to"),
        ("/daily_activity?from=2024-11-29&to=2024-11-30&from=2024-11-28", "from"),
        ("/daily_activity?from=2024-11-29&to=2024-11-30&until=2024-11-30", "until"),
        ("/daily_activity/2024-11-29T00:00:00", "date"),
        ("/daily_activity/%D9%A2024-11-29", "date"),
        ("/daily_activity/2024-11-29?x=", "x"),
        ("/endpoints/2024-11-29?most=1001", "most"),
        ("/endpoints/2024-11-29?most=0", "most"),
        ("/refusals/2024-11-29?limit=1e2", "limit"),
        ("/refusals/2024-11-29?next=", "next"),
        ("/logins_today?zone=Mars/Phobos", "zone"),
        ("/logins_today?zone=../../../etc/passwd", "zone"),
        ("/logins_today?zone=localtime", "zone"),
        ("/logins_today?zone=", "zone"),
        ("/health?x=1", "x"),
        ("/answers/1", "of"),
        ("/answers/..?of=/health", "id"),
    ],
)
def test_a_bad_parameter_is_400_and_named(api: QueriesUnderTest, url: str, parameter: str) -> None:
    problem = _problem(api.get(url))
    assert problem["status"] == 400
    assert [error["parameter"] for error in problem["errors"]] == [parameter]
    assert api.athena.started == {}


def test_a_year_is_the_most(api: QueriesUnderTest) -> None:
    assert api.get("/books?from=2024-01-01&to=2024-12-31").status == 200


def test_unknown_paths_and_methods_are_problems(api: QueriesUnderTest) -> None:
    assert _problem(api.get("/nowhere"))["status"] == 404
    assert _problem(api.get("/daily_activity/2024-11-29/"))["status"] == 404
    posted = api.get(KEPT, method="POST")
    assert (_problem(posted)["status"], posted.headers["allow"]) == (405, "GET")


# What goes wrong behind it
def _refused(code: str) -> Callable[[QueriesUnderTest], None]:
    def prepare(api: QueriesUnderTest) -> None:
        error: Any = {"Error": {"Code": code, "Message": CANARY}}
        api.athena.raises = ClientError(error, "StartQueryExecution")

    return prepare


def _failed(**status: Any) -> Callable[[QueriesUnderTest], None]:
    def prepare(api: QueriesUnderTest) -> None:
        api.athena.fails = {"State": "FAILED", "StateChangeReason": CANARY, **status}

    return prepare


def _unreachable(api: QueriesUnderTest) -> None:
    def fail() -> None:
        raise EndpointConnectionError(endpoint_url=CANARY)

    api.athena.while_running = fail


def _unheard_of(api: QueriesUnderTest) -> None:
    api.athena.answering = lambda *_: [{**ROWS["daily_detail"][0], "total_requests": CANARY}]


@pytest.mark.parametrize(
    ("prepare", "status"),
    [
        (_refused("TooManyRequestsException"), 503),
        (_refused("ThrottlingException"), 503),
        (_refused("AccessDeniedException"), 500),
        (_refused("InvalidRequestException"), 500),
        (_failed(), 502),
        (_failed(State="CANCELLED"), 502),
        (_failed(AthenaError={"Retryable": True}), 503),
        (_failed(StateChangeReason="Bytes scanned limit was exceeded"), 502),
        (_unreachable, 503),
        (_unheard_of, 500),
    ],
)
def test_what_goes_wrong_behind_it_is_a_problem_that_tells_nothing_internal(
    api: QueriesUnderTest,
    prepare: Callable[[QueriesUnderTest], None],
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    prepare(api)
    with caplog.at_level(logging.DEBUG):
        answer = api.get(KEPT)
    assert _problem(answer)["status"] == status
    assert ("retry-after" in answer.headers) == (status == 503)
    assert CANARY not in answer.text
    assert api.told[-1]["status"] == status
    assert "total_requests" not in json.dumps([dict(told) for told in api.told])
    if prepare is _unheard_of:  # AWS's own words name calls and may be told; what a record holds may not
        assert CANARY not in json.dumps([dict(told) for told in api.told]) + caplog.text


def test_a_question_that_reads_too_much_says_what_to_do(api: QueriesUnderTest) -> None:
    _failed(StateChangeReason="Bytes scanned limit was exceeded")(api)
    assert "fewer days" in api.get(KEPT).body["detail"]


def test_an_answer_that_is_too_large_for_a_function_says_so(api: QueriesUnderTest) -> None:
    day = {
        **ROWS["daily_detail"][0],
        "requests_by_app": json.dumps({"x" * 5_000_000: 1}),
    }
    api.athena.answering = lambda *_: [day]
    problem = _problem(api.get(KEPT))
    assert (problem["status"], "fewer days" in problem["detail"]) == (400, True)


# What every answer has
@pytest.mark.parametrize(
    "url", ["/", "/docs", "/health", "/page/v1/page.js", "/page/none", KEPT, "/nowhere", "/x?y=1"]
)
@pytest.mark.parametrize("authorizer", [None, {"lambda": {"client_id": "shop"}}])
def test_every_answer_has_the_headers_that_keep_browsers_safe(
    api: QueriesUnderTest, url: str, authorizer: Any
) -> None:
    headers = api.get(url, authorizer=authorizer).headers
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= headers.items()
    assert "cache-control" in headers
    assert "unsafe" not in headers["content-security-policy"]


def test_the_page_is_served_as_it_was_built_and_nothing_else_of_its_folder(api: QueriesUnderTest) -> None:
    page = api.get("/")
    assert (page.text, page.headers["cache-control"]) == ("content of index.html", "no-cache")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert api.get("/", {"if-none-match": str(page.etag)}).status == 304
    script = api.get("/page/v1/page.js")
    assert (script.text, "immutable" in script.headers["cache-control"]) == ("content of v1/page.js", True)
    packed = api.get("/page/v1/page.js", {"accept-encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    for path in ("secret.pem", "v1/../secret.pem", "../atlas/names.py", "%2e%2e/atlas/names.py", "v1", ""):
        assert _problem(api.get(f"/page/{path}"))["status"] == 404


def test_a_request_is_one_line_of_what_it_was(api: QueriesUnderTest) -> None:
    api.get("/endpoints/2024-11-29?most=7", {"authorization": f"Bearer {CANARY}"})
    [told] = api.told
    assert told["route"] == "/endpoints/{date}"
    assert {name: told[name] for name in ("method", "status", "answered")} == {
        "method": "GET", "status": 200, "answered": "asked",
    }  # fmt: skip
    assert CANARY not in json.dumps(dict(told))
