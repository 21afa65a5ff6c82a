"""Clients, keys and the functions that know them, on moto's Secrets Manager and a clock that stands still."""

from __future__ import annotations

import io
import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
from moto import mock_aws
from moto.secretsmanager.models import secretsmanager_backends

from atlas import access
from atlas.access import ClientSecret, SigningKey
from atlas.names import Names
from atlas.settings import AuthorizerSettings, RotationSettings, TokenSettings
from lambda_events import token
from lambda_events.authorizer_decision import Authorizer
from lambda_events.clocks import Clocks
from lambda_events.rotation_steps import STEPS, Done, rotate
from lambda_events.token_issue import Answer, TokenIssuer

STAGE = "local"
NAMES = Names(STAGE)
EVENTS = access.audience(STAGE, access.EVENTS_API)
QUERIES = access.audience(STAGE, access.QUERIES_API)
METHOD = "arn:aws:execute-api:us-east-1:123456789012:api/v1/POST/events"

TOKEN = TokenSettings(STAGE, NAMES.signing_key, NAMES.client_secrets)
AUTHORIZER = AuthorizerSettings(STAGE, EVENTS, NAMES.signing_key, NAMES.client_secrets)
ROTATION = RotationSettings(NAMES.signing_key, NAMES.client_secrets)


@dataclass
class Clock:
    """Moves when somebody sleeps, or is told to."""

    now: float = 1_790_000_000.25
    slept: list[float] = field(default_factory=list)

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class AccessUnderTest:
    """A stage with its first signing key. `calls` are those of `client`, each with what it was asked."""

    client: Any
    clock: Clock = field(default_factory=Clock)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    latency: Callable[[str], float] = lambda _: 0.0
    """How many seconds a call of that name takes."""

    @property
    def called(self) -> list[str]:
        return [name for name, _ in self.calls]

    def add(self, client_id: str, audiences: str | None = access.EVENTS_API) -> str:
        """A client; its secret."""
        made = ClientSecret.fresh(client_id)
        tags = [{"Key": access.AUDIENCES_TAG, "Value": audiences}] if audiences is not None else []
        self.client.create_secret(Name=NAMES.client_secret(client_id), SecretString=made.to_secret(), Tags=tags)
        return made.client_secret

    def remove(self, client_id: str) -> None:
        self.client.delete_secret(SecretId=NAMES.client_secret(client_id), ForceDeleteWithoutRecovery=True)

    def stages(self, name: str) -> dict[str, set[str]]:
        described = self.client.describe_secret(SecretId=name)["VersionIdsToStages"]
        return {version: set(labels) for version, labels in described.items() if labels}

    def value(self, name: str, stage: str = access.CURRENT) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(
            self.client.get_secret_value(SecretId=name, VersionStage=stage)["SecretString"]
        )
        return read

    def begin(self, name: str, *, value: str | None = None, version: str | None = None) -> str:
        """As Secrets Manager begins a rotation: a version that is pending and has no value. Its id."""
        secret = _stored(name)
        for other in secret.versions.values():
            other["version_stages"] = [label for label in other["version_stages"] if label != access.PENDING]
        token = version or str(uuid.uuid4())
        secret.versions[token] = {"createdate": 0, "version_id": token, "version_stages": [access.PENDING]}
        if value is not None:
            secret.versions[token]["secret_string"] = value
        secret.rotation_enabled = secret.rotation_requested = True
        return token

    def disable(self, name: str) -> None:
        """Rotation is none of this secret's any more."""
        _stored(name).rotation_enabled = False

    def step(self, step: str, name: str, token: str) -> Done:
        arn = _stored(name).arn
        event = {"Step": step, "SecretId": arn, "ClientRequestToken": token}
        return rotate(event, ROTATION, self.client, self.clock.now)

    def rotate(self, name: str) -> str:
        """A whole rotation; the new version."""
        token = self.begin(name)
        for step in STEPS:
            self.step(step, name, token)
        return token

    def issuer(self) -> TokenIssuer:
        """A container of the token function that has just begun."""
        return TokenIssuer(TOKEN, self.client, self.clock.clocks)

    def authorizer(self) -> Authorizer:
        """A container of the authorizer that has just begun."""
        return Authorizer(AUTHORIZER, self.client, self.clock.clocks)

    def ask(self, client_id: str, client_secret: str, audience: str = EVENTS) -> Answer:
        body = {"client_id": client_id, "client_secret": client_secret, "audience": audience}
        return self.issuer().answer(asking(body))

    def token(self, client_id: str, client_secret: str) -> str:
        return str(self.ask(client_id, client_secret).body["access_token"])

    def key(self, stage: str = access.CURRENT) -> SigningKey:
        return SigningKey.from_secret(json.dumps(self.value(NAMES.signing_key, stage)))


def asking(body: Mapping[str, Any] | str, content_type: str = "application/json", **headers: str) -> dict[str, Any]:
    """A request for a token, as the gateway hands it on."""
    text = body if isinstance(body, str) else json.dumps(body)
    return {"headers": {"Content-Type": content_type, **headers}, "body": text, "isBase64Encoded": False}


def showing(token: str, header: str = "Authorization") -> dict[str, Any]:
    """A request with a token, as the authorizer gets it."""
    text = f"Bearer {token}"
    return {
        "type": "REQUEST",
        "methodArn": METHOD,
        "headers": {header: text},
        "multiValueHeaders": {header: [text], "Host": ["a"]},
    }


def context(function: str) -> Any:
    """What Lambda tells a function of itself."""
    return SimpleNamespace(
        function_name=function,
        memory_limit_in_mb=256,
        invoked_function_arn=f"arn:aws:lambda:us-east-1:123456789012:function:{function}",
        aws_request_id="request",
    )


@contextmanager
def ears() -> Iterator[io.StringIO]:
    """What the functions of the events API log, with all that they say beside it."""
    heard = io.StringIO()
    ear = logging.StreamHandler(heard)
    ear.setFormatter(token.logger.registered_formatter)
    logging.getLogger().addHandler(ear)
    try:
        yield heard
    finally:
        logging.getLogger().removeHandler(ear)


def _stored(name: str) -> Any:
    return secretsmanager_backends["123456789012"]["us-east-1"].secrets[name]


@cache
def _client() -> Any:
    """Made once: that takes longer than most tests."""
    return boto3.client("secretsmanager")


@contextmanager
def access_under_test() -> Iterator[AccessUnderTest]:
    with mock_aws():
        client = _client()
        made = AccessUnderTest(client)
        first = {"kid": "initial", "key": "k" * access.KEY_CHARACTERS}
        client.create_secret(Name=NAMES.signing_key, SecretString=json.dumps(first))

        def note(params: dict[str, Any], model: Any, **_: Any) -> None:
            made.calls.append((model.name, params))
            made.clock.now += made.latency(model.name)

        client.meta.events.register("provide-client-params.secretsmanager", note, unique_id="note")
        try:
            yield made
        finally:
            client.meta.events.unregister("provide-client-params.secretsmanager", unique_id="note")
