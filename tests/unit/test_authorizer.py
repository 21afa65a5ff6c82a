"""Who may send events: only whoever shows a token of ours that holds, whatever keys and clients do meanwhile."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas import access
from atlas import metrics as counted
from lambda_events import authorizer as authorizer_function
from lambda_events.authorizer_token import Reason, RefusedError
from lambda_events.rotation_steps import STEPS
from lambda_events.signing_keys import KEPT_SECONDS, KNOWN_EVERYWHERE_SECONDS
from tests.access_under_test import (
    AUTHORIZER,
    EVENTS,
    METHOD,
    NAMES,
    QUERIES,
    STAGE,
    AccessUnderTest,
    access_under_test,
    asking,
    context,
    ears,
    showing,
)

CLIENT = "web-shop"


@pytest.fixture
def world() -> Iterator[AccessUnderTest]:
    with access_under_test() as made:
        made.add(CLIENT)
        yield made


@pytest.fixture
def deployed(world: AccessUnderTest, monkeypatch: pytest.MonkeyPatch) -> AccessUnderTest:
    for name, value in AUTHORIZER.to_env().items():
        monkeypatch.setenv(name, value)
    one = world.authorizer()
    monkeypatch.setattr(authorizer_function, "_authorizer", lambda: one)
    return world


def claims(world: AccessUnderTest, **other: Any) -> dict[str, Any]:
    """Those of a token that was issued now, but for `other`."""
    now = int(world.clock.now)
    said = {"iss": access.issuer(STAGE), "aud": EVENTS, "sub": CLIENT, "jti": "j", "iat": now, "nbf": now}
    said |= {"exp": now + access.TOKEN_SECONDS, **other}
    return {name: value for name, value in said.items() if value is not ...}


def signed(world: AccessUnderTest, algorithm: str = "HS256", **other: Any) -> str:
    """A token by the current key."""
    key = world.key()
    return jwt.encode(claims(world, **other), key.key.encode(), algorithm, headers={"kid": key.kid})


def _refusal(world: AccessUnderTest, event: dict[str, Any]) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        world.authorizer().decide(event)
    return refused.value


def test_a_token_opens_exactly_the_method_that_was_asked_for(world: AccessUnderTest) -> None:
    decision = world.authorizer().decide(showing(signed(world)))
    assert decision.refused is None
    assert decision.answer == {
        "principalId": CLIENT,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": METHOD}],
        },
        "context": {"client_id": CLIENT},
        "usageIdentifierKey": access.usage_key(NAMES.client_key(CLIENT)),
    }


@pytest.mark.parametrize("client_id", ["a", "a" * 48, "0-9"])
def test_the_gateway_takes_the_key_of_every_client(client_id: str) -> None:
    """Letters and digits, 20 to 128 of them."""
    value = access.usage_key(NAMES.client_key(client_id))
    assert value.isalnum()
    assert 20 <= len(value) <= 128
    assert value != access.usage_key(NAMES.client_key(client_id + "b"))


@pytest.mark.parametrize("header", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_header_and_scheme_are_in_any_case(world: AccessUnderTest, header: str, scheme: str) -> None:
    event = {"methodArn": METHOD, "multiValueHeaders": {header: [scheme + signed(world)]}}
    assert world.authorizer().decide(event).client_id == CLIENT
    alone = {"methodArn": METHOD, "headers": {header: scheme + signed(world)}}
    assert world.authorizer().decide(alone).client_id == CLIENT


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": []},
        {"Authorization": [""]},
        {"Authorization": ["Bearer"]},
        {"Authorization": ["Bearer  "]},
        {"Authorization": ["Basic TOKEN"]},
        {"Authorization": ["TOKEN"]},
        {"Authorization": ["Bearer TOKEN", "Bearer TOKEN"]},
        {"Authorization": ["Bearer TOKEN"], "authorization": ["Bearer TOKEN"]},
        {"X-Authorization": ["Bearer TOKEN"]},
    ],
    ids=str,
)
def test_there_is_exactly_one_token(world: AccessUnderTest, headers: dict[str, list[str]]) -> None:
    several = {name: [text.replace("TOKEN", signed(world)) for text in texts] for name, texts in headers.items()}
    event = {"methodArn": METHOD, "headers": {}, "multiValueHeaders": several}
    assert _refusal(world, event).reason is Reason.NO_TOKEN


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(world: AccessUnderTest, algorithm: str) -> str:
    return f"{_part({'alg': algorithm, 'kid': world.key().kid})}.{_part(claims(world))}."


def _with_header(world: AccessUnderTest, **header: Any) -> str:
    return jwt.encode(claims(world), world.key().key.encode(), headers={"kid": world.key().kid, **header})


def _resigned(world: AccessUnderTest, claim: str, value: Any) -> str:
    """What was signed for something else."""
    head, _, signature = signed(world).split(".")
    return f"{head}.{_part(claims(world, **{claim: value}))}.{signature}"


MINUTES_20 = access.TOKEN_SECONDS
FALSE: dict[str, tuple[Callable[[AccessUnderTest], str], Reason]] = {
    "no token": (lambda _: "abc", Reason.MALFORMED),
    "nested": (lambda _: f"{base64.urlsafe_b64encode(b'[' * 6000).decode()}.e30.e30", Reason.MALFORMED),
    "no header": (lambda w: "." + signed(w).split(".", 1)[1], Reason.MALFORMED),
    "alg none": (lambda w: _unsigned(w, "none"), Reason.ALGORITHM),
    "alg None": (lambda w: _unsigned(w, "None"), Reason.ALGORITHM),
    "alg absent": (lambda w: f"{_part({'kid': 'initial'})}.{_part(claims(w))}.", Reason.ALGORITHM),
    "alg HS512 by our key": (lambda w: signed(w, "HS512"), Reason.ALGORITHM),
    "alg RS256": (lambda w: _unsigned(w, "RS256"), Reason.ALGORITHM),
    "alg hs256": (lambda w: _unsigned(w, "hs256"), Reason.ALGORITHM),
    "alg is no text": (lambda w: _unsigned(w, ["HS256"]), Reason.ALGORITHM),  # type: ignore[arg-type]
    "no signature": (lambda w: _unsigned(w, "HS256"), Reason.SIGNATURE),
    "other key, our kid": (
        lambda w: jwt.encode(claims(w), "x" * 64, headers={"kid": "initial"}), Reason.SIGNATURE,
    ),
    "other claims": (lambda w: _resigned(w, "sub", "other"), Reason.SIGNATURE),
    "other kid": (lambda w: _with_header(w, kid="other"), Reason.UNKNOWN_KEY),
    "a kid that is a path": (lambda w: _with_header(w, kid="../../dev/null"), Reason.UNKNOWN_KEY),
    "no kid": (lambda w: jwt.encode(claims(w), w.key().key), Reason.UNKNOWN_KEY),
    "no payload": (lambda w: _with_header(w, b64=False), Reason.MALFORMED),
    "critical": (lambda w: _with_header(w, crit=["exp"], exp=1), Reason.MALFORMED),
    "other audience": (lambda w: signed(w, aud=QUERIES), Reason.AUDIENCE),
    "audience of another stage": (lambda w: signed(w, aud="atlas-prod/events"), Reason.AUDIENCE),
    "audiences": (lambda w: signed(w, aud=[EVENTS, QUERIES]), Reason.AUDIENCE),
    "no audience": (lambda w: signed(w, aud=...), Reason.AUDIENCE),
    "other issuer": (lambda w: signed(w, iss="atlas-prod"), Reason.ISSUER),
    "no issuer": (lambda w: signed(w, iss=...), Reason.ISSUER),
    "no client": (lambda w: signed(w, sub=...), Reason.CLAIMS),
    "a client that cannot be": (lambda w: signed(w, sub="../signing-key"), Reason.CLAIMS),
    "no id": (lambda w: signed(w, jti=...), Reason.CLAIMS),
    "no end": (lambda w: signed(w, exp=...), Reason.CLAIMS),
    "no beginning": (lambda w: signed(w, nbf=...), Reason.CLAIMS),
    "no issue": (lambda w: signed(w, iat=...), Reason.CLAIMS),
    "end is true": (lambda w: signed(w, exp=True), Reason.CLAIMS),
    "end is no whole number": (lambda w: signed(w, exp=w.clock.now + 60), Reason.CLAIMS),
    "end never": (lambda w: signed(w, exp=float("inf")), Reason.CLAIMS),
    "too long": (lambda w: signed(w, exp=int(w.clock.now) + MINUTES_20 + 1), Reason.CLAIMS),
    "expired": (lambda w: signed(w, iat=1, nbf=1, exp=1 + MINUTES_20), Reason.EXPIRED),
    "expired now": (lambda w: signed(w, iat=int(w.clock.now) - 60, exp=int(w.clock.now)), Reason.EXPIRED),
    "issued tomorrow": (
        lambda w: signed(w, iat=int(w.clock.now) + 86400, exp=int(w.clock.now) + 86460), Reason.NOT_YET,
    ),
    "not yet": (lambda w: signed(w, nbf=int(w.clock.now) + 60), Reason.NOT_YET),
    "a client that never was": (lambda w: signed(w, sub="never-was"), Reason.NO_SUCH_CLIENT),
}  # fmt: skip


@pytest.mark.parametrize(("token", "reason"), FALSE.values(), ids=FALSE)
def test_a_token_that_does_not_hold_is_refused(
    world: AccessUnderTest, token: Callable[[AccessUnderTest], str], reason: Reason
) -> None:
    assert _refusal(world, showing(token(world))).reason is reason


def test_a_token_holds_to_the_second(world: AccessUnderTest) -> None:
    token = signed(world)
    world.clock.now = int(world.clock.now) + access.TOKEN_SECONDS - 0.01
    assert world.authorizer().decide(showing(token)).client_id == CLIENT
    world.clock.now += 0.02
    assert _refusal(world, showing(token)).reason is Reason.EXPIRED


def test_clocks_may_differ_a_little(world: AccessUnderTest) -> None:
    token = signed(world)
    world.clock.now -= 4
    assert world.authorizer().decide(showing(token)).client_id == CLIENT
    world.clock.now -= 4
    assert _refusal(world, showing(token)).reason is Reason.NOT_YET


_PARTS = st.text(max_size=20) | st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "b64", "exp"]),
    st.sampled_from(["HS256", "none", "initial", None, 1, [], {}, ["b64"], False]),
).map(_part)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(max_size=60) | st.lists(_PARTS, max_size=4).map(".".join), scheme=st.sampled_from(["Bearer ", ""])
)
def test_nothing_that_anybody_can_send_is_a_fault_of_ours(world: AccessUnderTest, text: str, scheme: str) -> None:
    event = {"methodArn": METHOD, "multiValueHeaders": {"Authorization": [scheme + text]}}
    with pytest.raises(RefusedError):
        world.authorizer().decide(event)


@pytest.mark.parametrize("audiences", [None, "", "queries"])
def test_a_client_that_is_not_for_this_api_is_denied(world: AccessUnderTest, audiences: str | None) -> None:
    world.add("other", audiences)
    decision = world.authorizer().decide(showing(signed(world, sub="other")))
    assert decision.refused is Reason.NOT_FOR_THIS_API
    [statement] = decision.answer["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Deny", METHOD)


def test_a_client_for_several_apis_is_let_in(world: AccessUnderTest) -> None:
    world.add("other", "queries events")
    assert world.authorizer().decide(showing(signed(world, sub="other"))).refused is None


@pytest.mark.parametrize("for_good", [True, False])
def test_a_removed_client_is_refused_within_seconds(world: AccessUnderTest, for_good: bool) -> None:
    authorizer, token = world.authorizer(), signed(world)
    assert authorizer.decide(showing(token)).refused is None
    if for_good:
        world.remove(CLIENT)
    else:
        world.client.delete_secret(SecretId=NAMES.client_secret(CLIENT), RecoveryWindowInDays=7)
    world.clock.now += KEPT_SECONDS
    with pytest.raises(RefusedError) as refused:
        authorizer.decide(showing(token))
    assert (refused.value.reason, refused.value.client_id) == (Reason.NO_SUCH_CLIENT, CLIENT)


def test_a_client_that_comes_back_is_let_in_within_seconds(world: AccessUnderTest) -> None:
    authorizer, token = world.authorizer(), signed(world, sub="late")
    with pytest.raises(RefusedError):
        authorizer.decide(showing(token))
    world.add("late")
    world.clock.now += KEPT_SECONDS
    assert authorizer.decide(showing(token)).client_id == "late"


@pytest.mark.parametrize("apart", [0.25, 20.0], ids=["quick", "with retries"])
def test_a_rotation_refuses_nobody_whichever_containers_a_client_meets(
    world: AccessUnderTest, apart: float
) -> None:
    """Containers that have read the keys at any moment before, as nonsense had them do; steps `apart` seconds."""
    secret = world.value(NAMES.client_secret(CLIENT))["client_secret"]
    request = asking({"client_id": CLIENT, "client_secret": secret, "audience": EVENTS})
    began = world.clock.now
    due = {8 + apart * number: step for number, step in enumerate(STEPS)}
    around = {max(due) + 0.25 * quarter for quarter in range(-10, 10)}
    moments = sorted({*due, *around, *range(0, int(max(due)) + 2 * KNOWN_EVERYWHERE_SECONDS, 4)})
    authorizers, issuers = [world.authorizer() for _ in range(4)], [world.issuer(), world.issuer()]
    tokens, version, kids = list[str](), "", set[str]()
    for tick, moment in enumerate(moments):
        world.clock.now = began + moment
        if moment in due:
            version = version or world.begin(NAMES.signing_key)
            world.step(due[moment], NAMES.signing_key, version)
        tokens.append(str(issuers[tick % 2].answer(request).body["access_token"]))
        kids.add(jwt.get_unverified_header(tokens[-1])["kid"])
        for number, authorizer in enumerate(authorizers):
            if moment >= min(around) + number / 2:  # they read at different moments
                with pytest.raises(RefusedError):
                    authorizer.decide(showing(_with_header(world, kid="nonsense")))
            for token in (tokens[0], *tokens[-2:]):
                assert authorizer.decide(showing(token)).client_id == CLIENT
    assert kids == {"initial", version}


def test_a_key_that_was_rotated_out_is_refused_after_the_overlap(world: AccessUnderTest) -> None:
    authorizer, token = world.authorizer(), signed(world)
    authorizer.decide(showing(token))
    world.rotate(NAMES.signing_key)
    world.clock.now += KEPT_SECONDS
    assert authorizer.decide(showing(token)).client_id == CLIENT
    world.rotate(NAMES.signing_key)
    world.clock.now += KEPT_SECONDS
    with pytest.raises(RefusedError) as refused:
        authorizer.decide(showing(token))
    assert refused.value.reason is Reason.UNKNOWN_KEY


def test_a_key_that_nobody_was_told_of_is_read_when_it_is_met(world: AccessUnderTest) -> None:
    """As after two rotations at once."""
    authorizer = world.authorizer()
    authorizer.decide(showing(signed(world)))
    world.rotate(NAMES.signing_key)
    world.rotate(NAMES.signing_key)
    world.clock.now += 2
    assert authorizer.decide(showing(signed(world))).client_id == CLIENT


def test_a_version_that_is_no_key_disturbs_nobody(world: AccessUnderTest) -> None:
    token = signed(world)
    world.begin(NAMES.signing_key)
    assert world.authorizer().decide(showing(token)).client_id == CLIENT
    world.begin(NAMES.signing_key, value="no key")
    assert world.authorizer().decide(showing(token)).client_id == CLIENT


def test_ten_seconds_of_requests_cost_three_calls(world: AccessUnderTest) -> None:
    authorizer, token = world.authorizer(), signed(world)
    world.calls.clear()
    for _ in range(100):
        authorizer.decide(showing(token))
        world.clock.now += 0.099
    assert world.called == ["DescribeSecret", "GetSecretValue", "DescribeSecret"]
    world.calls.clear()
    world.clock.now += KEPT_SECONDS
    authorizer.decide(showing(token))
    assert world.called == ["DescribeSecret", "DescribeSecret"]  # the key's value is known


def test_nonsense_causes_a_call_in_two_seconds_at_most(world: AccessUnderTest) -> None:
    authorizer = world.authorizer()
    tokens = [_with_header(world, kid=str(number)) for number in range(50)]
    tokens += [_unsigned(world, "none"), "x.y.z", jwt.encode(claims(world, sub="never-was"), "x" * 64)]
    world.calls.clear()
    for _ in range(20):
        for token in tokens:
            with pytest.raises(RefusedError):
                authorizer.decide(showing(token))
        world.clock.now += 0.5
    assert [name for name, asked in world.calls if asked["SecretId"] != NAMES.signing_key] == []
    assert world.called.count("DescribeSecret") <= 5
    assert world.called.count("GetSecretValue") == 1


def test_what_cannot_hold_is_refused_without_a_call(world: AccessUnderTest) -> None:
    tokens = [_unsigned(world, "none"), signed(world, "HS512"), "x.y.z"]
    world.calls.clear()
    for token in tokens:
        _refusal(world, showing(token))
    assert world.called == []


def test_the_gateway_is_told_what_it_goes_by_and_the_log_no_token(
    deployed: AccessUnderTest, capfd: pytest.CaptureFixture[str]
) -> None:
    deployed.add("other", "queries")
    good, denied = signed(deployed), signed(deployed, sub="other")
    false = [make(deployed) for make, _ in FALSE.values()]
    function, lambda_ = authorizer_function.handler, context(NAMES.authorizer_function)
    with ears() as heard:
        assert function(showing(good), lambda_)["policyDocument"]["Statement"][0]["Effect"] == "Allow"
        assert function(showing(denied), lambda_)["policyDocument"]["Statement"][0]["Effect"] == "Deny"
        for token in false:
            with pytest.raises(Exception, match="^Unauthorized$") as refused:
                function(showing(token), lambda_)
            assert refused.value.__suppress_context__
    printed = "".join(capfd.readouterr())
    told = heard.getvalue() + printed
    parts = {part for token in (good, denied, *false) for part in token.split(".") if len(part) > 5}
    assert [part for part in parts if part in told] == []
    assert deployed.key().key not in told
    assert {reason for reason in Reason if f'"reason":"{reason.value}"' in told} == {*Reason} - {Reason.NO_TOKEN}
    assert '"reason":"expired","client_id":"web-shop"' in told
    failed = [
        put[counted.AUTHORIZATIONS_FAILED.name] for put in map(json.loads, printed.splitlines()) if "_aws" in put
    ]
    assert failed == [[0.0], [1.0], *[[1.0]] * len(false)]


def test_a_fault_of_aws_is_no_refusal(deployed: AccessUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway answers 500, and the client tries again with the token that it has."""

    def fails(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "too fast"}}, "DescribeSecret")

    token = signed(deployed)
    monkeypatch.setattr(deployed.client, "describe_secret", fails)
    with pytest.raises(ClientError, match="too fast"):
        authorizer_function.handler(showing(token), context(NAMES.authorizer_function))
