"""moto 5.2.5 without what it reckons anew for every call, which is half of the time of thousands of calls."""

from __future__ import annotations

import copy
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

from botocore import useragent
from botocore.auth import SigV4Auth
from cryptography.hazmat.primitives.asymmetric import rsa
from moto import mock_aws
from moto.core import models, responses, utils
from moto.core.base_backend import BaseBackend
from moto.core.serialize import JSONSerializer
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.expressions import UpdateExpressionParser  # type: ignore[attr-defined]
from moto.sns.models import Subscription

_structure = JSONSerializer._serialize_type_structure
_urls = BaseBackend.urls.fget  # type: ignore[attr-defined]
_sanitized = cache(useragent.sanitize_user_agent_string_component)
_method_names = cache(utils.method_names_from_class)
_parsed = cache(UpdateExpressionParser.make)  # whoever changes what it comes to, changes a copy
_known: dict[type[BaseBackend], Any] = {}
_update = DynamoDBBackend.update_item
_turn = threading.RLock()


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


def _table_with_these_items(self: Table, _: dict[int, Any]) -> Table:
    """It copies all items of a table before a transaction, in case that it fails.

    But no call changes an item: it puts another one in its place, as of now updates do too.
    """
    made = copy.copy(self)
    made.items = defaultdict(dict, {key: copy.copy(below) for key, below in self.items.items()})
    return made


def _update_a_copy(self: DynamoDBBackend, table_name: str, key: dict[str, Any], *rest: Any, **more: Any) -> Any:
    table = self.get_table(table_name)
    hash_key = DynamoType(key[table.hash_key_attr])
    range_key = DynamoType(key[table.range_key_attr]) if table.range_key_attr else None
    with _turn:  # else another thread's update of the item could be lost
        if there := table.get_item(hash_key, range_key):
            below: Any = table.items[hash_key] if range_key else table.items
            below[range_key or hash_key] = copy.deepcopy(there)
        return _update(self, table_name, key, *rest, **more)


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@contextmanager
def quick_aws() -> Iterator[None]:
    """As `mock_aws()`. All notices are signed with one key; calls are not, as nobody looks at their signatures."""
    with (
        # It would catch calls of `requests` too, each method to each service; nobody makes any.
        patch.object(models, "RESPONSES_METHODS", []),
        mock_aws(),
        patch.object(JSONSerializer, "_serialize_type_structure", _serialize),
        patch.object(BaseBackend, "urls", property(_urls_once)),
        patch.object(Table, "__deepcopy__", _table_with_these_items, create=True),
        patch.object(DynamoDBBackend, "update_item", _update_a_copy),
        patch.object(UpdateExpressionParser, "make", _parsed),
        patch.object(responses, "method_names_from_class", _method_names),
        patch.object(useragent, "sanitize_user_agent_string_component", _sanitized),
        patch.object(SigV4Auth, "canonical_request", lambda *_: ""),
        patch.object(SigV4Auth, "signature", lambda *_: ""),
        patch.object(Subscription, "private_key", lambda _: _key()),
    ):
        yield
