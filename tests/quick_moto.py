"""moto 5.2.5 without what it reckons anew for every call, which is half of the time of thousands of calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import rsa
from moto import mock_aws
from moto.core.base_backend import BaseBackend
from moto.core.serialize import JSONSerializer
from moto.sns.models import Subscription

_structure = JSONSerializer._serialize_type_structure
_urls = BaseBackend.urls.fget  # type: ignore[attr-defined]
_known: dict[type[BaseBackend], Any] = {}


def _serialize(self: JSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """It looks for each type of DynamoDB's, in each spelling, in each attribute of each item that it answers with.

    But an attribute lies in its store as it goes over the wire.
    """
    if shape.name == "AttributeValue":
        serialized[key] = value
    else:
        _structure(self, serialized, value, shape, key)


def _urls_once(self: BaseBackend) -> Any:
    """It makes the table of a service's addresses for every call; no test changes what that depends on."""
    if type(self) not in _known:
        _known[type(self)] = _urls(self)
    return _known[type(self)]


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@contextmanager
def quick_aws() -> Iterator[None]:
    """As `mock_aws()`. All notices are signed with one key."""
    with (
        mock_aws(),
        patch.object(JSONSerializer, "_serialize_type_structure", _serialize),
        patch.object(BaseBackend, "urls", property(_urls_once)),
        patch.object(Subscription, "private_key", lambda _: _key()),
    ):
        yield
