"""`POST /token`: who knows a client's secret gets a token, and nobody else learns anything."""

from __future__ import annotations

import base64
import hmac
import json
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas import access, metrics
from lambda_events import token as token_function
from tests.access_under_test import (
    EVENTS,
    NAMES,
    QUERIES,
    STAGE,
    TOKEN,
    AccessUnderTest,
    access_under_test,
    asking,
    context,
    ears,
)

WRONG = "x" * access.SECRET_CHARACTERS


@pytest.fixture
def world() -> Iterator[AccessUnderTest]:
    with access_under_test() as made:
        yield made


@pytest.fixture
def deployed(world: AccessUnderTest, monkeypatch: pytest.MonkeyPatch) -> AccessUnderTest:
    for name, value in TOKEN.to_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(token_function, "_issuer", world.issuer)
    return world


def _forms(client_id: str, secret: str) -> dict[str, dict[str, Any]]:
    said = {"client_id": client_id, "client_secret": secret, "audience": EVENTS}
    form = "application/x-www-form-urlencoded; charset=UTF-8"
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    encoded = {**asking(urlencode(said), form), "isBase64Encoded": True}
    encoded["body"] = base64.b64encode(encoded["body"].encode()).decode()
    return {
        "json": asking({**said, "grant_type": "client_credentials", "scope": "unknown ones are ignored"}),
        "form": asking(urlencode(said), form),
        "base64": encoded,
        "basic": asking({"audience": EVENTS}, authorization=f"bAsIc {basic}"),
    }


def _at(world: AccessUnderTest, request: dict[str, Any]) -> tuple[Any, float]:
    """What the client is answered, and how long after the request."""
    began = world.clock.now
    answer = world.issuer().answer(request)
    return (answer.status, answer.body), round(world.clock.now - began, 6)


@pytest.mark.parametrize("form", ["json", "form", "base64", "basic"])
def test_the_right_secret_gets_a_token_for_the_audience_it_asked_for(world: AccessUnderTest, form: str) -> None:
    secret = world.add("web-shop")
    answer = world.issuer().answer(_forms("web-shop", secret)[form])
    assert answer.status == 200
    assert {**answer.body, "access_token": ""} == {"access_token": "", "token_type": "Bearer", "expires_in": 1200}
    token = str(answer.body["access_token"])
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "initial"}
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    claims = jwt.decode(token, world.key().key.encode(), ["HS256"], options, audience=EVENTS)
    now = int(world.clock.now)
    assert claims.pop("jti") == answer.told["jti"]
    assert claims == {
        "iss": access.issuer(STAGE), "aud": EVENTS, "sub": "web-shop",
        "iat": now, "nbf": now, "exp": now + answer.body["expires_in"],
    }  # fmt: skip


def test_no_two_tokens_are_the_same(world: AccessUnderTest) -> None:
    secret = world.add("web-shop")
    assert world.token("web-shop", secret) != world.token("web-shop", secret)


def test_an_unknown_client_cannot_be_told_from_a_wrong_secret(
    world: AccessUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the answer nor by its time, the calls that are made, or what is compared."""
    for client_id in ("known", "renewed", "leaving", "removed", "damaged"):
        world.add(client_id)
    world.rotate(NAMES.client_secret("renewed"))
    world.client.delete_secret(SecretId=NAMES.client_secret("leaving"), RecoveryWindowInDays=7)
    world.remove("removed")
    world.client.put_secret_value(SecretId=NAMES.client_secret("damaged"), SecretString="not what Atlas writes")
    compared: list[tuple[int, int]] = []
    same = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return same(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    seen = []
    asked = ["known", "renewed", "leaving", "removed", "damaged", "never-there"]
    for number, client_id in enumerate(asked):
        for wrong in (WRONG, "", "x", "ü\ud800" * 99):
            world.calls.clear()
            compared.clear()
            world.latency = lambda _, n=number: 0.03 * (n + 1)  # type: ignore[misc]
            request = asking({"client_id": client_id, "client_secret": wrong, "audience": EVENTS})
            told = _at(world, request)
            calls = [(name, params["VersionStage"]) for name, params in world.calls]
            seen.append((told, calls, list(compared)))
    assert all(one == seen[0] for one in seen)
    (answer, after), calls, lengths = seen[0]
    assert answer == (401, {"error": "invalid_client", "error_description": "the client id or secret is wrong"})
    assert after == 0.5
    assert calls == [("GetSecretValue", "AWSCURRENT"), ("GetSecretValue", "AWSPREVIOUS")]
    assert lengths == [(32, 32), (32, 32)]


def test_a_slow_refusal_comes_at_a_whole_multiple_too(world: AccessUnderTest) -> None:
    world.add("known")
    world.latency = lambda _: 0.7
    assert _at(world, asking({"client_id": "known", "client_secret": WRONG, "audience": EVENTS}))[1] == 1.5


def test_whoever_is_right_need_not_wait(world: AccessUnderTest) -> None:
    secret = world.add("known")
    assert world.ask("known", secret).status == 200
    assert world.clock.slept == []


def test_a_name_that_no_client_can_have_is_not_looked_up(world: AccessUnderTest) -> None:
    for name in ("../signing-key", "Known", "a/b", "", "-a", "a" * 49, "a\n"):
        (status, _), after = _at(world, asking({"client_id": name, "client_secret": WRONG, "audience": EVENTS}))
        assert (status, after) == (401, 0.5)
    assert world.called == []


def test_the_previous_secret_holds_until_the_next_rotation(world: AccessUnderTest) -> None:
    first = world.add("known")
    name = NAMES.client_secret("known")
    world.rotate(name)
    second = world.value(name)["client_secret"]
    assert second != first
    assert [world.ask("known", secret).status for secret in (first, second)] == [200, 200]
    world.rotate(name)
    third = world.value(name)["client_secret"]
    assert [world.ask("known", secret).status for secret in (first, second, third)] == [401, 200, 200]


def test_a_secret_that_is_only_pending_is_none(world: AccessUnderTest) -> None:
    world.add("known")
    name = NAMES.client_secret("known")
    token = world.begin(name)
    world.step("createSecret", name, token)
    assert world.ask("known", world.value(name, access.PENDING)["client_secret"]).status == 401


def test_one_client_cannot_get_tokens_with_the_secret_of_another(world: AccessUnderTest) -> None:
    mine = world.add("mine")
    world.add("other")
    assert world.ask("other", mine).status == 401


@pytest.mark.parametrize("audiences", [None, "", "queries"])
def test_an_audience_that_the_client_may_not_use_is_403(world: AccessUnderTest, audiences: str | None) -> None:
    secret = world.add("known", audiences)
    answer = world.ask("known", secret)
    assert (answer.status, answer.body["error"]) == (403, "invalid_target")


@pytest.mark.parametrize("audience", ["", "events", "atlas-prod/events", QUERIES])
def test_only_the_audiences_of_this_stage_are_known(world: AccessUnderTest, audience: str) -> None:
    secret = world.add("known")
    assert world.ask("known", secret, audience).status == (403 if audience else 400)
    assert world.ask("known", WRONG, audience).status == (401 if audience else 400)


JSON, FORM = "application/json", "application/x-www-form-urlencoded"
GOOD = {"client_id": "known", "client_secret": WRONG, "audience": EVENTS}
UNREADABLE = {
    "no body": (asking("", JSON), "the body is not JSON"),
    "no JSON": (asking(f"{{{WRONG}", JSON), "the body is not JSON"),
    "deep JSON": (asking("[" * 8000, JSON), "the body is not JSON"),
    "no object": (asking("[]", JSON), "the body is not a JSON object"),
    "long": (asking({**GOOD, "more": "x" * 9000}), "the body has more than 8192 characters"),
    "no text": (asking({**GOOD, "client_secret": [WRONG]}), "client_secret has to be text"),
    "no audience": (asking({**GOOD, "audience": ""}), "audience is missing"),
    "twice in JSON": (asking('{"audience": "a", "audience": "b"}', JSON), "audience is there twice"),
    "twice in a form": (asking("audience=a&audience=b", FORM), "audience is there twice"),
    "many fields": (asking("&" .join(f"a{n}=b" for n in range(200)), FORM), "the body is not a form"),
    "no type": (asking(GOOD, ""), "Content-Type has to be application/json or application/x-www-form-urlencoded"),
    "two ways": (
        asking(GOOD, authorization="Basic a25vd246eA=="),
        "give the client id and secret either in the Authorization header or in the body",
    ),
    "no UTF-8": ({**asking("/w==", JSON), "isBase64Encoded": True}, "the body is not UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "why"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_told_without_a_look_at_any_secret(
    world: AccessUnderTest, request_: dict[str, Any], why: str
) -> None:
    answer = world.issuer().answer(request_)
    assert (answer.status, answer.body) == (400, {"error": "invalid_request", "error_description": why})
    assert world.called == []


def test_there_is_one_kind_of_grant(world: AccessUnderTest) -> None:
    answer = world.issuer().answer(asking({**GOOD, "grant_type": "password"}))
    assert (answer.status, answer.body["error"]) == (400, "unsupported_grant_type")


_TEXT = st.text(max_size=60)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | _TEXT,
    lambda of: st.lists(of) | st.dictionaries(_TEXT, of),
    max_leaves=5,
)
_FIELDS = st.dictionaries(st.sampled_from(["client_id", "client_secret", "audience", "grant_type", "x"]), _ANYTHING)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=_TEXT | _FIELDS.map(json.dumps) | _FIELDS.map(urlencode) | st.none(),
    content_type=st.sampled_from([JSON, FORM]) | _TEXT,
    authorization=st.none() | _TEXT | _TEXT.map(lambda t: "Basic " + base64.b64encode(t.encode()).decode()),
    encoded=st.booleans(),
)
def test_nothing_that_anybody_can_send_is_a_fault_of_ours(
    world: AccessUnderTest, body: Any, content_type: str, authorization: str | None, encoded: bool
) -> None:
    headers = {"content-type": content_type, **({"authorization": authorization} if authorization else {})}
    answer = world.issuer().answer({"headers": headers, "body": body, "isBase64Encoded": encoded})
    assert answer.status in (400, 401)
    assert set(answer.body) == {"error", "error_description"}
    assert not set(answer.body["error_description"]) & set('"\\')  # RFC 6749, section 5.2


def test_a_token_takes_no_more_calls_than_it_needs(world: AccessUnderTest) -> None:
    secret = world.add("known")
    issuer = world.issuer()
    request = asking({"client_id": "known", "client_secret": secret, "audience": EVENTS})
    world.calls.clear()
    issuer.answer(request)
    assert world.called == ["GetSecretValue", "DescribeSecret", "DescribeSecret", "GetSecretValue"]
    world.calls.clear()
    issuer.answer(request)
    assert world.called == ["GetSecretValue", "DescribeSecret"]


def test_a_key_that_is_gone_signs_no_token(world: AccessUnderTest) -> None:
    """After two rotations at once, which is how a key that leaked is cut off."""
    secret = world.add("known")
    issuer = world.issuer()
    request = asking({"client_id": "known", "client_secret": secret, "audience": EVENTS})
    issuer.answer(request)
    world.rotate(NAMES.signing_key)
    world.rotate(NAMES.signing_key)
    kid = jwt.get_unverified_header(str(issuer.answer(request).body["access_token"]))["kid"]
    assert kid in {world.key(access.CURRENT).kid, world.key(access.PREVIOUS).kid}


def test_the_answer_is_as_the_gateway_wants_it_and_counted(
    deployed: AccessUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = deployed.add("known")
    answers = {}
    for status, given_secret in ((200, secret), (401, WRONG)):
        request = asking({"client_id": "known", "client_secret": given_secret, "audience": EVENTS})
        answers[status] = token_function.handler(request, context(NAMES.token_function))
        counted = _put(capsys.readouterr().out)
        assert counted[metrics.TOKENS_ISSUED.name] == [float(status == 200)]
        assert counted[metrics.AUTHORIZATIONS_FAILED.name] == [float(status == 401)]
        assert answers[status]["statusCode"] == status
        assert answers[status]["headers"]["Cache-Control"] == "no-store"
        json.loads(answers[status]["body"])
    assert answers[401]["headers"]["WWW-Authenticate"].startswith("Basic")


def test_no_secret_and_no_token_gets_into_the_log(
    deployed: AccessUnderTest, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not even one that was put where the name belongs, or that stands in Secrets Manager in another form."""
    secret = deployed.add("known")
    deployed.add("damaged")
    deployed.client.put_secret_value(SecretId=NAMES.client_secret("damaged"), SecretString=f'"{WRONG}"')
    basic = base64.b64encode(f"known:{secret}".encode()).decode()
    hidden = {secret, secret.lower(), WRONG, basic, deployed.key().key}
    with ears() as heard:
        for request in (
            asking({"client_id": "known", "client_secret": secret, "audience": EVENTS}),
            asking({"client_id": secret.lower(), "client_secret": "known", "audience": EVENTS}),
            asking({"client_id": "damaged", "client_secret": WRONG, "audience": EVENTS}),
            asking({"audience": secret, "client_id": "known", "client_secret": secret}),
            asking({"audience": EVENTS}, authorization=f"Basic {basic}"),
            asking(f'{{"client_secret": "{secret}"', JSON),
        ):
            answer = json.loads(token_function.handler(request, context(NAMES.token_function))["body"])
            hidden |= {answer["access_token"]} if "access_token" in answer else set()
    said = heard.getvalue() + "".join(capfd.readouterr())
    assert [text for text in hidden if text in said] == []
    assert '"client_id":"known"' in said
    assert "damaged is no client" in said


def test_a_fault_is_raised_and_told_without_the_words_of_others(
    deployed: AccessUnderTest, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = deployed.add("known")
    request = asking({"client_id": "known", "client_secret": secret, "audience": EVENTS})
    with monkeypatch.context() as patch, ears() as heard:
        patch.setattr(deployed.client, "get_secret_value", _throttled)
        with pytest.raises(ClientError, match="too fast"):
            token_function.handler(request, context(NAMES.token_function))
    assert "too fast" in heard.getvalue()
    with monkeypatch.context() as patch, ears() as heard:
        patch.setattr(jwt, "encode", lambda *_, **__: int(secret))
        with pytest.raises(Exception, match="ValueError at lambda_events") as raised:
            token_function.handler(request, context(NAMES.token_function))
    told = "".join(traceback.format_exception(raised.value)) + heard.getvalue() + "".join(capfd.readouterr())
    assert "ValueError at lambda_events.token_issue" in told
    assert secret not in told


def _throttled(**_: Any) -> Any:
    raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "too fast"}}, "GetSecretValue")


def _put(printed: str) -> dict[str, Any]:
    """The metrics among what was printed."""
    [found] = [line for line in map(json.loads, printed.splitlines()) if "_aws" in line]
    put: dict[str, Any] = found
    return put
