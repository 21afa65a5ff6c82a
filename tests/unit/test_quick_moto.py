"""The mock of AWS that the tests share is quicker than moto, and no different."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lake_under_test import LakeUnderTest

A, B, C = ({"pk": "FILE#a", "sk": "META"}, {"pk": "FILE#a", "sk": "DAY"}, {"pk": "FILE#c", "sk": "META"})


def test_a_transaction_that_fails_leaves_every_item_as_it_was(lake: LakeUnderTest) -> None:
    client = lake.ledger.meta.client
    for key in (A, B):
        lake.ledger.put_item(Item={**key, "parts": [{"n": 1}], "deep": {"state": "first"}})
    before = lake.ledger_items()
    add = "SET parts = list_append(parts, :more), deep.#state = :second"
    named: Any = {"ExpressionAttributeNames": {"#state": "state"}}
    more: Any = {"ExpressionAttributeValues": {":more": [2], ":second": "second"}}
    table: Any = {"TableName": lake.ledger.name}
    begun: list[Any] = [
        {"Update": {**table, "Key": A, "UpdateExpression": add, **named, **more}},
        {"Delete": {**table, "Key": B}},
        {"Put": {**table, "Item": C}},
    ]
    impossible = {**table, "Key": {"pk": "FILE#d", "sk": "META"}, "ConditionExpression": "attribute_exists(pk)"}
    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=[*begun, {"ConditionCheck": impossible}])
    assert lake.ledger_items() == before

    client.transact_write_items(TransactItems=begun)
    changed = {**A, "parts": [{"n": 1}, 2], "deep": {"state": "second"}}
    assert lake.ledger_items() == [changed, C]
