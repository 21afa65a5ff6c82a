"""`atlas client`: the applications that may use the APIs of a stage, one secret each.

A client is its secret in Secrets Manager, with a tag for what it may use. One that may send events also has an API
key, by which the usage plan throttles it. Each step may be done again; a client is there from the moment its secret
is, and until it is not.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from atlas import access
from atlas.access import ClientSecret
from atlas.timestamps import iso_utc
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say
from lambda_events.secret_versions import described
from stacks.config import StageConfig, read_context

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

ACTIONS = ("add", "rotate", "remove", "list")
_ROTATION_SECONDS = 120
"""Four calls of the rotation function; a failed one Secrets Manager tries again, minutes later."""
_LOOK_SECONDS = 1


def run(cloud: Cloud, action: str, name: str | None, say: Say, apis: Sequence[str] = ()) -> None:
    """One of ACTIONS. `apis`, of access.APIS, are what a client that is added may use: events if there are none.

    Raises CommandError.
    """
    clients = _Clients(cloud)
    if apis and action != "add":
        raise CommandError("--api goes with add")
    if action == "list":
        if name is not None:
            raise CommandError("atlas client list takes no name")
        say.rows("Clients", clients.rows())
        return
    if name is None:
        raise CommandError(f"atlas client {action} takes the client's name")
    if not access.is_client_id(name):
        raise CommandError(
            f"{name!r} cannot be a client's name: 1 to 48 lower-case letters, digits and hyphens, "
            "with no hyphen at either end"
        )
    if action == "remove":
        clients.remove(name)
        say.step(f"removed client {name}; a token that it still has is refused within seconds")
        return
    wanted = _ordered(apis or (access.EVENTS_API,)) if action == "add" else clients.apis(name)
    urls = {api: cloud.api_url(api) for api in wanted}  # before there is a secret that is shown once
    _tell(cloud.stage, urls, clients.add(name, wanted) if action == "add" else clients.rotate(name, say), say)


def add(cloud: Cloud, name: str, *apis: str) -> ClientSecret:
    """Makes a client for some of access.APIS, and says nothing. Raises CommandError if the name is taken."""
    return _Clients(cloud).add(name, _ordered(apis))


def _ordered(apis: Sequence[str]) -> list[str]:
    return [api for api in access.APIS if api in apis]


def _tell(stage: str, urls: Mapping[str, str], made: ClientSecret, say: Say) -> None:
    """The one time that the secret is shown; unbroken, so that it can be copied."""
    audiences = {f"{api}_audience" if len(urls) > 1 else "audience": access.audience(stage, api) for api in urls}
    told = {
        **{f"{api}_url": url for api, url in urls.items()},
        "client_id": made.client_id,
        "client_secret": made.client_secret,
        **audiences,
    }
    if say.as_json:
        say.rows("Client", [told])
        return
    width = max(map(len, told)) + 1
    for name, value in told.items():
        say.note(f"{name:<{width}} {value}")
    say.note("The secret is not shown again. If it is lost: atlas client rotate " + made.client_id)
    if access.QUERIES_API in urls:
        say.note(f"The page is at {urls[access.QUERIES_API]}/, where the id and the secret sign in.")


@dataclass(frozen=True)
class _Clients:
    """The clients of one stage."""

    cloud: Cloud

    @cached_property
    def _secrets(self) -> SecretsManagerClient:
        return self.cloud.session.client("secretsmanager")

    @cached_property
    def _gateway(self) -> APIGatewayClient:
        return self.cloud.session.client("apigateway")

    @cached_property
    def _config(self) -> StageConfig:
        return StageConfig.load(self.cloud.stage, read_context())

    def add(self, name: str, apis: Sequence[str]) -> ClientSecret:
        """Makes a client. What opens nothing comes first, and its secret last but for the secret's rotation."""
        rotation = self._rotation()
        if access.EVENTS_API in apis:
            self._enter_in_plan(name)
        made = ClientSecret.fresh(name)
        tags = {"project": "atlas", "stage": self.cloud.stage, access.AUDIENCES_TAG: " ".join(apis)}
        key: Any = {"KmsKeyId": self.cloud.names.key_alias} if self._config.encryption == "customer" else {}
        try:
            self._secrets.create_secret(
                Name=self.cloud.names.client_secret(name),
                Description=f"What {name} gets tokens with",
                SecretString=made.to_secret(),
                Tags=[{"Key": tag, "Value": value} for tag, value in tags.items()],
                **key,
            )
        except self._secrets.exceptions.ResourceExistsException:
            raise CommandError(
                f"client {name} is there already. For another secret: atlas client rotate {name}"
            ) from None
        except self._secrets.exceptions.InvalidRequestException as fault:
            # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
            raise CommandError(
                f"client {name} was removed a moment ago, try again in a minute. AWS said: {fault}"
            ) from None
        try:
            self._secrets.rotate_secret(
                SecretId=self.cloud.names.client_secret(name), RotateImmediately=False, **rotation
            )
        except ClientError as fault:
            self._forget(name)
            raise CommandError(f"client {name} was not added, its secret cannot be rotated: {fault}") from fault
        return made

    def apis(self, name: str) -> list[str]:
        """What a client may use, of access.APIS."""
        return _ordered((_tags(self._described(name)).get(access.AUDIENCES_TAG) or "").split())

    def rotate(self, name: str, say: Say) -> ClientSecret:
        """Renews a client's secret, and waits for it. The one it had holds until the next rotation."""
        rotation = self._rotation()
        self._described(name)
        version = str(uuid.uuid4())
        secret = self.cloud.names.client_secret(name)
        self._secrets.rotate_secret(SecretId=secret, ClientRequestToken=version, **rotation)
        say.step(f"renewing the secret of {name}")
        until = time.monotonic() + _ROTATION_SECONDS
        while access.CURRENT not in self._described(name).get("VersionIdsToStages", {}).get(version, []):
            if time.monotonic() >= until:
                raise CommandError(
                    f"the secret of {name} has not been renewed within {_ROTATION_SECONDS} seconds; the one it has "
                    f"still holds. The log of {self.cloud.names.rotation_function} says why"
                )
            time.sleep(_LOOK_SECONDS)
        text = self._secrets.get_secret_value(SecretId=secret, VersionId=version)["SecretString"]
        say.step("the secret that it had until now holds as well, until the next rotation")
        return ClientSecret.from_secret(text, name)

    def remove(self, name: str) -> None:
        """Removes a client. The usage plan knows it no more at once, the authorizer within seconds."""
        self._described(name)
        for key in self._keys(name):
            self._gateway.delete_api_key(apiKey=key)
        self._forget(name)  # last: until then this can be done again

    def rows(self) -> list[dict[str, Any]]:
        """A row a client, by name."""
        prefix = self.cloud.names.client_secrets
        pages = self._secrets.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [prefix]}])
        found = [secret for page in pages for secret in page["SecretList"]]
        return [_row(secret, prefix) for secret in sorted(found, key=lambda secret: secret["Name"])]

    def _rotation(self) -> dict[str, Any]:
        """How often secrets are renewed, and by which function."""
        functions: LambdaClient = self.cloud.session.client("lambda")
        found = functions.get_function_configuration(FunctionName=self.cloud.names.rotation_function)
        return {
            "RotationLambdaARN": found["FunctionArn"],
            "RotationRules": {"AutomaticallyAfterDays": self._config.events.rotation_days},
        }

    def _enter_in_plan(self, name: str) -> None:
        """Has the usage plan know the client; nothing changes if it does."""
        plans = self._gateway.get_paginator("get_usage_plans").paginate()
        wanted = self.cloud.names.usage_plan
        plan = next((plan["id"] for page in plans for plan in page["items"] if plan["name"] == wanted), None)
        if plan is None:
            raise CommandError(f"stage {self.cloud.stage} has no usage plan {wanted}: deploy it")
        key_name = self.cloud.names.client_key(name)
        keys = self._keys(name) or [
            self._gateway.create_api_key(name=key_name, value=access.usage_key(key_name), enabled=True)["id"]
        ]
        with suppress(self._gateway.exceptions.ConflictException):  # it is in the plan
            self._gateway.create_usage_plan_key(usagePlanId=plan, keyId=keys[0], keyType="API_KEY")

    def _keys(self, name: str) -> list[str]:
        """The ids of the client's API keys."""
        key_name = self.cloud.names.client_key(name)
        # It asks for what names begin with.
        pages = self._gateway.get_paginator("get_api_keys").paginate(nameQuery=key_name)
        return [key["id"] for page in pages for key in page["items"] if key["name"] == key_name]

    def _described(self, name: str) -> Mapping[str, Any]:
        found = described(self._secrets, self.cloud.names.client_secret(name))
        if found is None:
            others = ", ".join(row["client_id"] for row in self.rows()) or "none"
            raise CommandError(f"there is no client {name} on stage {self.cloud.stage}. There are: {others}")
        return found

    def _forget(self, name: str) -> None:
        """At once and for good."""
        self._secrets.delete_secret(SecretId=self.cloud.names.client_secret(name), ForceDeleteWithoutRecovery=True)


def _row(secret: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        "client_id": secret["Name"].removeprefix(prefix),
        "apis": _tags(secret).get(access.AUDIENCES_TAG),
        "added": _moment(secret.get("CreatedDate")),
        "renewed": _moment(secret.get("LastRotatedDate")),
        "renewed_next": _moment(secret.get("NextRotationDate")),
    }


def _tags(secret: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in secret.get("Tags", [])}


def _moment(when: datetime | None) -> str | None:
    return iso_utc(when) if when else None
