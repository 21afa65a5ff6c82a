"""Rotation: each step may come again, late, twice at once or for the wrong version, and nobody is locked out."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.access import (
    CURRENT,
    KEY_CHARACTERS,
    PENDING,
    PREVIOUS,
    SECRET_CHARACTERS,
    ClientSecret,
    SigningKey,
    UnreadableSecretError,
)
from lambda_events import rotation as rotation_function
from lambda_events.rotation_steps import STEPS, RotationError, rotate
from tests.access_under_test import NAMES, ROTATION, AccessUnderTest, access_under_test, context, ears

KEY, CLIENT = NAMES.signing_key, NAMES.client_secret("web-shop")
CREATE, SET, TEST, FINISH = STEPS
CHANGING = {"PutSecretValue", "UpdateSecretVersionStage"}
both = pytest.mark.parametrize("name", [KEY, CLIENT], ids=["key", "client"])


@pytest.fixture
def world() -> Iterator[AccessUnderTest]:
    with access_under_test() as made:
        made.add("web-shop")
        yield made


def _changes(world: AccessUnderTest) -> list[str]:
    return [name for name in world.called if name in CHANGING]


def _read(name: str, value: dict[str, Any]) -> SigningKey | ClientSecret:
    text = json.dumps(value)
    return SigningKey.from_secret(text) if name == KEY else ClientSecret.from_secret(text, "web-shop")


def test_a_new_key_has_an_id_of_its_own_and_says_since_when_it_is_there(world: AccessUnderTest) -> None:
    version = world.rotate(KEY)
    value = world.value(KEY)
    assert (value["kid"], value["made_at"]) == (version, int(world.clock.now))
    assert len(value["key"]) == KEY_CHARACTERS
    assert world.value(KEY, PREVIOUS)["kid"] == "initial"


def test_a_new_client_secret_is_the_same_clients(world: AccessUnderTest) -> None:
    before = world.value(CLIENT)
    world.rotate(CLIENT)
    after = world.value(CLIENT)
    assert set(after) == {"client_id", "client_secret"}
    assert after["client_id"] == "web-shop"
    assert len(after["client_secret"]) == SECRET_CHARACTERS
    assert after["client_secret"] != before["client_secret"]
    assert world.value(CLIENT, PREVIOUS) == before


@both
def test_nothing_changes_until_the_last_step(world: AccessUnderTest, name: str) -> None:
    before = world.value(name)
    token = world.begin(name)
    for step in (CREATE, SET, TEST):
        world.step(step, name, token)
        assert world.value(name) == before
    world.step(FINISH, name, token)
    assert world.value(name) != before


@both
def test_every_step_may_come_again(world: AccessUnderTest, name: str) -> None:
    token = world.begin(name)
    for number, step in enumerate(STEPS):
        world.step(step, name, token)
        found = world.stages(name), world.value(name), world.value(name, PENDING) if number < 3 else None
        world.calls.clear()
        for again in STEPS[: number + 1]:
            assert world.step(again, name, token).changed is False
        assert _changes(world) == []
        assert found == (
            world.stages(name), world.value(name), world.value(name, PENDING) if number < 3 else None,
        )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from([KEY, CLIENT]),
    asked=st.lists(st.tuples(st.sampled_from([*STEPS, "begin"]), st.integers(0, 2)), max_size=10),
)
def test_in_whatever_order_steps_of_several_rotations_come(name: str, asked: list[tuple[str, int]]) -> None:
    """There is always a current value that is one, no value ever changes, none that was cut off comes back, and the
    next rotation goes through."""
    with access_under_test() as world:
        world.add("web-shop")
        tokens, values, gone = [str(uuid.uuid4())], dict[str, str](), set[str]()
        for step, which in asked:
            if step == "begin":
                tokens.append(world.begin(name))
                continue
            with suppress(RotationError):
                world.step(step, name, tokens[which % len(tokens)])
            labelled = world.stages(name)
            _read(name, world.value(name))
            gone |= set(values) - set(labelled)
            for version in labelled:
                text = _text(world, name, version)
                assert values.setdefault(version, text or "") in ("", text)
                values[version] = text or ""
            assert not {version for version, stages in labelled.items() if CURRENT in stages} & gone
        last = world.rotate(name)
        assert CURRENT in world.stages(name)[last]
        _read(name, world.value(name))


def _text(world: AccessUnderTest, name: str, version: str) -> str | None:
    try:
        return str(world.client.get_secret_value(SecretId=name, VersionId=version)["SecretString"])
    except world.client.exceptions.ResourceNotFoundException:
        return None


def _wrong_token(world: AccessUnderTest) -> str:
    world.begin(KEY)
    return str(uuid.uuid4())


def _previous(world: AccessUnderTest) -> str:
    first = world.rotate(KEY)
    world.rotate(KEY)
    return first


def _overtaken(world: AccessUnderTest) -> str:
    first = world.begin(KEY)
    world.step(CREATE, KEY, first)
    world.begin(KEY)
    return first


def _not_enabled(world: AccessUnderTest) -> str:
    token = world.begin(KEY)
    world.disable(KEY)
    return token


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("wrong", [_wrong_token, _previous, _overtaken, _not_enabled])
def test_a_step_that_is_not_due_is_refused_and_changes_nothing(
    world: AccessUnderTest, step: str, wrong: Callable[[AccessUnderTest], str]
) -> None:
    token = wrong(world)
    before = world.stages(KEY), world.value(KEY)
    world.calls.clear()
    with pytest.raises(RotationError):
        world.step(step, KEY, token)
    assert _changes(world) == []
    assert before == (world.stages(KEY), world.value(KEY))


def test_a_step_that_nobody_knows_is_refused(world: AccessUnderTest) -> None:
    with pytest.raises(RotationError, match="unknown"):
        world.step("dropSecret", KEY, world.begin(KEY))


def test_a_secret_that_is_neither_key_nor_client_is_left_alone(world: AccessUnderTest) -> None:
    """Even if somebody names this function as its rotation."""
    world.client.create_secret(Name="database/password", SecretString="hunter2")
    token = world.begin("database/password")
    with pytest.raises(RotationError, match="neither the signing key nor a client's secret"):
        world.step(CREATE, "database/password", token)
    assert _changes(world) == []


@both
def test_a_version_without_a_value_never_becomes_current(world: AccessUnderTest, name: str) -> None:
    token = world.begin(name)
    with pytest.raises(RotationError, match="no value yet"):
        world.step(FINISH, name, token)
    assert _changes(world) == []


@both
@pytest.mark.parametrize("text", ["{}", "[]", "", "no JSON", '{"kid": "a", "key": "short"}', "[" * 9999])
def test_a_value_that_is_none_of_ours_never_becomes_current(world: AccessUnderTest, name: str, text: str) -> None:
    token = world.begin(name, value=text)
    for step in (TEST, FINISH):
        with pytest.raises((UnreadableSecretError, RotationError)) as refused:
            world.step(step, name, token)
        assert not text or text[:20] not in str(refused.value)
    assert _changes(world) == []


def test_a_client_never_gets_the_secret_of_another(world: AccessUnderTest) -> None:
    token = world.begin(CLIENT, value=ClientSecret.fresh("other").to_secret())
    with pytest.raises(UnreadableSecretError):
        world.step(FINISH, CLIENT, token)


@both
@pytest.mark.parametrize("has_value", [False, True])
def test_rotation_can_be_set_up_without_a_rotation(world: AccessUnderTest, name: str, has_value: bool) -> None:
    """Secrets Manager then calls testSecret alone, of a version that it made for that."""
    token = world.begin(name, value=json.dumps(world.value(name)) if has_value else None)
    assert world.step(TEST, name, token).changed is False


@both
def test_of_two_creations_at_once_the_first_value_holds(
    world: AccessUnderTest, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    token = world.begin(name)
    put = world.client.put_secret_value
    first = []

    def overtaken(**call: Any) -> Any:
        put(**call)
        first.append(world.value(name, PENDING))
        raise world.client.exceptions.ResourceExistsException({"Error": {}}, "PutSecretValue")

    monkeypatch.setattr(world.client, "put_secret_value", overtaken)
    assert world.step(CREATE, name, token).changed is False
    assert [world.value(name, PENDING)] == first


def _fault(*_: Any) -> ClientError:
    return ClientError({"Error": {"Code": "InvalidParameterException", "Message": "attached elsewhere"}}, "Any")


@both
def test_of_two_ends_at_once_both_succeed(
    world: AccessUnderTest, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    token = world.begin(name)
    world.step(CREATE, name, token)
    move = world.client.update_secret_version_stage

    def overtaken(**call: Any) -> Any:
        move(**call)
        raise _fault()

    monkeypatch.setattr(world.client, "update_secret_version_stage", overtaken)
    assert world.step(FINISH, name, token).changed is False
    assert CURRENT in world.stages(name)[token]


def test_an_end_that_fails_is_an_error_and_can_be_tried_again(
    world: AccessUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.begin(KEY)
    world.step(CREATE, KEY, token)
    with monkeypatch.context() as patch:
        patch.setattr(world.client, "update_secret_version_stage", lambda **_: (_ for _ in ()).throw(_fault()))
        with pytest.raises(ClientError, match="attached elsewhere"):
            world.step(FINISH, KEY, token)
    world.step(FINISH, KEY, token)
    assert world.key().kid == token


@both
@pytest.mark.parametrize("call", range(9))
@pytest.mark.parametrize("took_effect", [False, True], ids=["before", "after"])
def test_a_rotation_that_dies_at_any_call_goes_through_when_it_is_tried_again(
    world: AccessUnderTest, monkeypatch: pytest.MonkeyPatch, name: str, call: int, took_effect: bool
) -> None:
    before = world.value(name)
    token = world.begin(name)
    left = iter(range(call, -1, -1))
    for operation in ("describe_secret", "get_secret_value", "put_secret_value", "update_secret_version_stage"):
        real = getattr(world.client, operation)

        def dies(_real: Any = real, **said: Any) -> Any:
            if next(left, None) != 0:
                return _real(**said)
            if took_effect:
                with suppress(ClientError):
                    _real(**said)
            raise ConnectionError

        monkeypatch.setattr(world.client, operation, dies)

    def whole() -> None:
        for step in STEPS:
            world.step(step, name, token)

    with pytest.raises(ConnectionError):
        whole()
    monkeypatch.undo()
    whole()
    assert CURRENT in world.stages(name)[token]
    assert world.value(name, PREVIOUS) == before


def test_the_function_does_a_step_and_its_log_holds_no_value(
    world: AccessUnderTest, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for setting, value in ROTATION.to_env().items():
        monkeypatch.setenv(setting, value)
    monkeypatch.setattr(rotation_function, "_client", lambda: world.client)
    hidden = {world.key().key, world.value(CLIENT)["client_secret"]}
    with ears() as heard:
        for name in (KEY, CLIENT):
            arn = world.client.describe_secret(SecretId=name)["ARN"]
            event = {"SecretId": arn, "ClientRequestToken": world.begin(name)}
            for step in STEPS:
                rotation_function.handler({**event, "Step": step}, context(NAMES.rotation_function))
        hidden |= {world.key().key, world.value(CLIENT)["client_secret"]}
        canary = '{"kid": "kanarienvogel"}'
        token = world.begin(KEY, value=canary)
        arn = world.client.describe_secret(SecretId=KEY)["ARN"]
        with pytest.raises(UnreadableSecretError):
            rotation_function.handler(
                {"SecretId": arn, "ClientRequestToken": token, "Step": FINISH}, context(NAMES.rotation_function)
            )
    told = heard.getvalue() + "".join(capfd.readouterr())
    assert [text for text in (*hidden, "kanarienvogel") if text in told] == []
    assert told.count('"step":"finishSecret"') == 3
    assert f'"secret":"{CLIENT}"' in told


def test_the_event_is_what_secrets_manager_sends(world: AccessUnderTest) -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html"""
    token = world.begin(KEY)
    event = {"Step": CREATE, "SecretId": KEY, "ClientRequestToken": token, "RotationToken": "of other accounts"}
    assert rotate(event, ROTATION, world.client, 0.0).changed is True
