"""The four steps by which Secrets Manager has a secret renewed; each may come again, late, or at the same time.

    createSecret   a new value for the version that Secrets Manager has labelled AWSPENDING
    setSecret      nothing: whoever goes by the secret reads it there
    testSecret     that value is what it should be
    finishSecret   AWSCURRENT moves to that version, and AWSPREVIOUS to the one that had it

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from botocore.exceptions import ClientError

from atlas.access import ALGORITHM, CURRENT, PENDING, ClientSecret, SigningKey
from atlas.settings import RotationSettings
from lambda_events.secret_versions import value_of

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

_log = logging.getLogger(__name__)


class RotationError(Exception):
    """The step cannot be done; nothing was changed. The message names the secret, and nothing of what it holds."""


@dataclass(frozen=True)
class Done:
    """Which secret was asked of, and whether there was anything left to do."""

    secret: str
    changed: bool


@dataclass(frozen=True)
class _Version:
    """The version that is to become current: `token` is its id, `arn` its secret's, `name` its secret's name."""

    arn: str
    name: str
    token: str
    stages: Mapping[str, list[str]]

    @property
    def current(self) -> str | None:
        """The id of the version that is current."""
        return next((version for version, stages in self.stages.items() if CURRENT in stages), None)


def rotate(event: Mapping[str, Any], settings: RotationSettings, client: Any, now: float) -> Done:
    """One step, of `{"Step", "SecretId", "ClientRequestToken"}`; `now` is in seconds since 1970.

    Raises RotationError, UnreadableSecretError, and what AWS says.
    """
    step, arn, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    if step not in STEPS:
        raise RotationError(f"step {step} is unknown")
    found = client.describe_secret(SecretId=arn)
    version = _Version(arn, found["Name"], token, found.get("VersionIdsToStages") or {})
    if not found.get("RotationEnabled"):
        raise RotationError(f"rotation of {version.name} is not enabled")
    labels = version.stages.get(token)
    if labels is not None and CURRENT in labels:
        return Done(version.name, changed=False)
    if labels is None or PENDING not in labels:
        raise RotationError(f"version {token} of {version.name} is not to become current")
    match step:
        case "createSecret":
            changed = _create(version, settings, client, now)
        case "testSecret":
            changed = _test(version, settings, client)
        case "finishSecret":
            changed = _finish(version, settings, client)
        case _:
            changed = False
    return Done(version.name, changed)


def _create(version: _Version, settings: RotationSettings, client: Any, now: float) -> bool:
    if value_of(client, version.arn, VersionId=version.token) is not None:
        return False
    if _is_key(version, settings):
        value = SigningKey.fresh(version.token, int(now)).to_secret()  # the version's id is a fresh UUID
    else:
        value = ClientSecret.fresh(_client_id(version, settings)).to_secret()
    try:
        client.put_secret_value(
            SecretId=version.arn, ClientRequestToken=version.token, SecretString=value, VersionStages=[PENDING]
        )
    except client.exceptions.ResourceExistsException:  # the same step, at the same time, was first: its value holds
        return False
    return True


def _test(version: _Version, settings: RotationSettings, client: Any) -> bool:
    """Raises UnreadableSecretError and RotationError.

    A version without a value is none to be tested: Secrets Manager tries this step when rotation is set up, with a
    version that it removes again. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
    """
    text = value_of(client, version.arn, VersionId=version.token)
    if text is not None:
        _check(text, version, settings)
    return False


def _finish(version: _Version, settings: RotationSettings, client: Any) -> bool:
    text = value_of(client, version.arn, VersionId=version.token)
    if text is None:
        raise RotationError(f"version {version.token} of {version.name} has no value yet")
    _check(text, version, settings)
    moved = {"RemoveFromVersionId": version.current} if version.current else {}
    try:
        client.update_secret_version_stage(
            SecretId=version.arn, VersionStage=CURRENT, MoveToVersionId=version.token, **moved
        )
    except ClientError:
        # Somebody moved it meanwhile. If it was the same step, at the same time, all is well.
        stages = client.describe_secret(SecretId=version.arn).get("VersionIdsToStages") or {}
        if CURRENT not in stages.get(version.token, []):
            raise
        return False
    return True


def _check(text: str, version: _Version, settings: RotationSettings) -> None:
    if not _is_key(version, settings):
        ClientSecret.from_secret(text, _client_id(version, settings))
        return
    key = SigningKey.from_secret(text).key.encode()
    if jwt.decode(jwt.encode({"sub": "test"}, key, ALGORITHM), key, algorithms=[ALGORITHM]) != {"sub": "test"}:
        raise RotationError(f"version {version.token} of {version.name} does not sign")


def _is_key(version: _Version, settings: RotationSettings) -> bool:
    return version.name == settings.signing_key


def _client_id(version: _Version, settings: RotationSettings) -> str:
    if not version.name.startswith(settings.client_secrets):
        raise RotationError(f"{version.name} is neither the signing key nor a client's secret")
    return version.name.removeprefix(settings.client_secrets)
