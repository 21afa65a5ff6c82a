"""Who may send events: the signing key, what issues and checks tokens, and what renews secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager

from atlas import access
from atlas.settings import AuthorizerSettings, RotationSettings, TokenSettings
from stacks.arns import Arns
from stacks.base import AtlasStack
from stacks.events_functions import events_function
from stacks.roles import Statement, allow

_TOKEN_SECONDS = 10
_AUTHORIZER_SECONDS = 5
_ROTATION_SECONDS = 60
_READING = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
_CLIENTS = (
    "One secret a client, by the name that it was registered under, all of them with the stage's own prefix: no "
    "narrower resource can be named before a client exists."
)


@dataclass(frozen=True)
class Identity:
    """What the gateway calls."""

    token: lambda_.IFunction
    authorizer: lambda_.IFunction


def identity(stack: AtlasStack) -> Identity:
    """The signing key, its rotation, and the functions."""
    key = _signing_key(stack)
    _rotation(stack, key)
    names, stage = stack.names, stack.config.stage
    token = events_function(
        stack,
        "token",
        name=names.token_function,
        description="Gives a client that knows its secret a token for twenty minutes",
        log_group=names.token_logs,
        role=names.token_role,
        purpose="The token function: clients' secrets and the signing key, to read",
        statements=token_statements(stack.arns, key.ref),
        environment=TokenSettings(stage, names.signing_key, names.client_secrets).to_env(),
        timeout_seconds=_TOKEN_SECONDS,
    )
    authorizer = events_function(
        stack,
        "authorizer",
        name=names.authorizer_function,
        description="Checks a token, and whether its client is still there",
        log_group=names.authorizer_logs,
        role=names.authorizer_role,
        purpose="The authorizer: the signing key, to read, and which clients there are",
        statements=authorizer_statements(stack.arns, key.ref),
        environment=AuthorizerSettings(
            stage, access.audience(stage, access.EVENTS_API), names.signing_key, names.client_secrets
        ).to_env(),
        timeout_seconds=_AUTHORIZER_SECONDS,
    )
    return Identity(token, authorizer)


def _signing_key(stack: AtlasStack) -> secretsmanager.CfnSecret:
    """The first key is made by Secrets Manager, so that nobody has seen it; later ones by the rotation function."""
    return secretsmanager.CfnSecret(
        stack,
        "SigningKey",
        name=stack.names.signing_key,
        description="What tokens are signed with: the current key, and the one before it",
        kms_key_id=stack.key_arn,
        generate_secret_string=secretsmanager.CfnSecret.GenerateSecretStringProperty(
            secret_string_template=json.dumps({"kid": "initial"}),
            generate_string_key="key",
            password_length=access.KEY_CHARACTERS,
            exclude_punctuation=True,
        ),
    )


def _rotation(stack: AtlasStack, key: secretsmanager.CfnSecret) -> None:
    """Renews the key on a schedule; clients' secrets are given theirs when they are made."""
    names = stack.names
    function = events_function(
        stack,
        "rotation",
        name=names.rotation_function,
        description="Renews the signing key and clients' secrets; what was before goes on being accepted",
        log_group=names.rotation_logs,
        role=names.rotation_role,
        purpose="The rotation function: new versions of the signing key and of clients' secrets",
        statements=rotation_statements(stack.arns, key.ref),
        environment=RotationSettings(names.signing_key, names.client_secrets).to_env(),
        timeout_seconds=_ROTATION_SECONDS,
    )
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets-required-permissions-function.html
    called = lambda_.CfnPermission(
        stack,
        "RotationBySecretsManager",
        action="lambda:InvokeFunction",
        function_name=function.function_arn,
        principal="secretsmanager.amazonaws.com",
        source_account=stack.account,
    )
    schedule = secretsmanager.CfnRotationSchedule(
        stack,
        "SigningKeyRotation",
        secret_id=key.ref,
        rotation_lambda_arn=function.function_arn,
        rotation_rules=secretsmanager.CfnRotationSchedule.RotationRulesProperty(
            automatically_after_days=stack.config.events.rotation_days
        ),
        # The key is new: the first renewal can wait for its day.
        rotate_immediately_on_update=False,
    )
    schedule.add_resource_dependency(called)


def token_statements(arns: Arns, signing_key: str) -> list[Statement]:
    """What the token function may do."""
    return [
        allow("ReadTheSigningKey", _READING, [signing_key]),
        # Their values, and by their tags which APIs they may use.
        allow("KnowClients", _READING, [arns.client_secrets], because=_CLIENTS),
    ]


def authorizer_statements(arns: Arns, signing_key: str) -> list[Statement]:
    """What the authorizer may do: it never sees a client's secret."""
    return [
        allow("ReadTheSigningKey", _READING, [signing_key]),
        allow("KnowClients", ["secretsmanager:DescribeSecret"], [arns.client_secrets], because=_CLIENTS),
    ]


def rotation_statements(arns: Arns, signing_key: str) -> list[Statement]:
    """What the rotation function may do."""
    renewing = [*_READING, "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]
    return [
        allow("RenewTheSigningKey", renewing, [signing_key]),
        allow("RenewClientSecrets", renewing, [arns.client_secrets], because=_CLIENTS),
    ]
