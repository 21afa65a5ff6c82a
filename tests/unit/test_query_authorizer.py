"""What the query API's function is told of a request: whose it is, or with what it is to be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from atlas import metrics as counted
from lambda_events import query_authorizer
from lambda_events.authorizer_decision import Authorizer
from lambda_events.authorizer_token import Reason
from tests.access_under_test import (
    AUTHORIZER,
    EVENTS,
    NAMES,
    QUERIES,
    AccessUnderTest,
    access_under_test,
    context,
    ears,
)

CLIENT = "board"
SETTINGS = replace(AUTHORIZER, audience=QUERIES)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[AccessUnderTest]:
    with access_under_test() as made:
        made.add(CLIENT, "queries")
        one = Authorizer(SETTINGS, made.client, made.clock.clocks)
        monkeypatch.setattr(query_authorizer, "_authorizer", lambda: one)
        yield made


def _token(world: AccessUnderTest, client_id: str, secret: str, audience: str = QUERIES) -> str:
    return str(world.ask(client_id, secret, audience).body["access_token"])


def _asking(authorization: str | None) -> dict[str, Any]:
    """A request as an HTTP API tells its authorizer of it, payload 2.0."""
    headers = {"host": "api.example", **({"authorization": authorization} if authorization else {})}
    return {"version": "2.0", "type": "REQUEST", "routeKey": "$default", "rawPath": "/books", "headers": headers}


def _answer(authorization: str | None) -> dict[str, Any]:
    answer = query_authorizer.handler(_asking(authorization), context(NAMES.query_authorizer_function))
    assert answer["isAuthorized"] is True  # what is to be refused is refused by the function, in its own words
    told: dict[str, Any] = answer["context"]
    return told


def test_a_token_that_holds_tells_its_client(world: AccessUnderTest) -> None:
    token = _token(world, CLIENT, world.value(NAMES.client_secret(CLIENT))["client_secret"])
    assert _answer(f"Bearer {token}") == {"client_id": CLIENT}
    world.clock.now += 20 * 60
    assert _answer(f"Bearer {token}") == {"refused": "401"}


def test_what_does_not_hold_is_401_and_a_client_that_may_not_is_403(world: AccessUnderTest) -> None:
    other = world.add("shop", "events")
    mine = world.value(NAMES.client_secret(CLIENT))["client_secret"]
    both = world.add("both", "events queries")
    for authorization in (None, "Basic eDp5", "Bearer", "Bearer x.y.z", "Bearer a,Bearer b"):
        assert _answer(authorization) == {"refused": "401"}
    assert _answer(f"Bearer {_token(world, 'shop', other, EVENTS)}") == {"refused": "401"}  # of the other API
    assert _answer(f"Bearer {_token(world, 'both', both)}") == {"client_id": "both"}
    token = _token(world, CLIENT, mine)
    world.remove(CLIENT)
    assert _answer(f"Bearer {token}") == {"refused": "401"}
    was = _token(world, "both", both)
    world.client.tag_resource(SecretId=NAMES.client_secret("both"), Tags=[{"Key": "audiences", "Value": "events"}])
    world.clock.now += 10
    assert _answer(f"Bearer {was}") == {"refused": "403"}


def test_a_guess_is_counted_and_a_link_that_somebody_follows_is_not(
    world: AccessUnderTest, capfd: pytest.CaptureFixture[str]
) -> None:
    token = _token(world, CLIENT, world.value(NAMES.client_secret(CLIENT))["client_secret"])
    with ears() as heard:
        for authorization in (None, "Bearer x.y.z", f"Bearer {token}"):
            _answer(authorization)
    printed = "".join(capfd.readouterr())
    put = [line for line in map(json.loads, printed.splitlines()) if "_aws" in line]
    assert [line[counted.AUTHORIZATIONS_FAILED.name] for line in put] == [[0.0], [1.0], [0.0]]
    told = heard.getvalue() + printed
    assert [reason for reason in Reason if f'"reason":"{reason.value}"' in told] == [
        Reason.NO_TOKEN,
        Reason.MALFORMED,
    ]
    assert token not in told


def test_a_fault_of_aws_is_no_refusal(world: AccessUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway answers 500, and whoever asks tries again with the token that they have."""

    def fails(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "too fast"}}, "DescribeSecret")

    token = _token(world, CLIENT, world.value(NAMES.client_secret(CLIENT))["client_secret"])
    monkeypatch.setattr(world.client, "describe_secret", fails)
    with pytest.raises(ClientError, match="too fast"):
        _answer(f"Bearer {token}")
