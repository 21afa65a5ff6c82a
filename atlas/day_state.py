"""A day's items in the ledger, as a run of the day reads and changes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from atlas.ledger import LOCK_OWNER, PK, SK, day_pk, day_state_key, query_all


class LockLostError(Exception):
    """Another run holds the day's lock: this one has nothing more to change."""


class DayState:
    """The state of one day, for one run. `table` is a boto3 DynamoDB Table.

    A day without a lock belongs to whoever comes: a job that somebody started by hand.
    """

    def __init__(self, table: Any, day: date, run_id: str) -> None:
        self._table = table
        self._day = day
        self._run_id = run_id

    def read(self) -> dict[str, Any]:
        """The state, consistently; empty if there is none yet. Raises LockLostError."""
        item = self._table.get_item(Key=day_state_key(self._day), ConsistentRead=True).get("Item", {})
        owner = item.get(LOCK_OWNER, self._run_id)
        if owner != self._run_id:
            raise LockLostError(f"{owner} has taken {self._day} over from {self._run_id}")
        return dict(item)

    def update(
        self, update: str, names: Mapping[str, str], values: Mapping[str, Any], *, only_if: str = ""
    ) -> bool:
        """Changes the state; False if it has not, because `only_if` did not hold. Raises LockLostError.

        In both expressions `:run` is this run.
        """
        mine = "(attribute_not_exists(#owner) OR #owner = :run)"
        try:
            self._table.update_item(
                Key=day_state_key(self._day),
                UpdateExpression=update,
                ConditionExpression=f"{mine} AND ({only_if})" if only_if else mine,
                ExpressionAttributeNames={"#owner": LOCK_OWNER, **names},
                ExpressionAttributeValues={":run": self._run_id, **values},
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException as fault:
            self.read()
            if not only_if:
                raise LockLostError(f"another run has had {self._day} since {self._run_id} began") from fault
            return False
        return True


def day_items(table: Any, day: date, kind: str) -> Iterator[dict[str, Any]]:
    """The day's items whose sort keys begin with `kind`, consistently. `table` is a boto3 DynamoDB Table."""
    return query_all(
        table,
        KeyConditionExpression=f"{PK} = :day AND begins_with({SK}, :kind)",
        ExpressionAttributeValues={":day": day_pk(day), ":kind": kind},
        ConsistentRead=True,
    )
