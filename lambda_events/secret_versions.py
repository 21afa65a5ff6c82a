"""What the functions ask Secrets Manager. A secret's name is its id; its value is in no log, and in no error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

_GONE = ("ResourceNotFoundException", "InvalidRequestException")
"""There is no such secret or version, or it waits for its deletion:
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html"""
_HASTY = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
"""Somebody waits for the answer, and asks again if there is none."""


def hasty_client() -> Any:
    """A client of Secrets Manager for functions that answer people."""
    return boto3.client("secretsmanager", config=_HASTY)


def described(client: Any, secret: str) -> Mapping[str, Any] | None:
    """What DescribeSecret says, which is no value; None if there is no such secret, or not for much longer."""
    try:
        found: Mapping[str, Any] = client.describe_secret(SecretId=secret)
    except ClientError as fault:
        if _is_gone(fault):
            return None
        raise
    return None if found.get("DeletedDate") else found


def value_of(client: Any, secret: str, **version: str) -> str | None:
    """The text of one version, by its VersionStage or VersionId; None if there is none."""
    try:
        answer = client.get_secret_value(SecretId=secret, **version)
    except ClientError as fault:
        if _is_gone(fault):
            return None
        raise
    text = answer.get("SecretString")
    return text if isinstance(text, str) else None


def _is_gone(fault: ClientError) -> bool:
    return fault.response["Error"]["Code"] in _GONE
