"""What a service does in somebody's name: its calls, with the role's credentials, so that IAM decides as on AWS."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import boto3

from atlas_cli.local import sealed

_SECONDS = 900
"""How long credentials are used: a quarter of what they are good for."""


def acting(endpoint: str, role_arn: str, service: str) -> boto3.Session:
    """A session of the role as `service` has it, renewed in time. PermissionError if the role does not trust it."""
    return _session(endpoint, role_arn, service, _turn())


def client(endpoint: str, role_arn: str, service: str, name: str) -> Any:
    """A client of that session, which takes a while to make."""
    return _client(endpoint, role_arn, service, name, _turn())


def _turn() -> int:
    return int(time.time() // _SECONDS)


@lru_cache(maxsize=16)
def _session(endpoint: str, role_arn: str, service: str, _turn: int) -> boto3.Session:
    return sealed.role_session(endpoint, role_arn, service, service.partition(".")[0])


@lru_cache(maxsize=16)
def _client(endpoint: str, role_arn: str, service: str, name: str, turn: int) -> Any:
    made: Any = _session(endpoint, role_arn, service, turn).client(name)  # type: ignore[call-overload]
    return made
