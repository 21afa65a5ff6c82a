"""The ledger's writes: all conditional, a file's switch-over from one version to the next in transactions."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from atlas.ledger import (
    DAY,
    DIRTY,
    DIRTY_VALUE,
    PK,
    DayFile,
    FileEntry,
    day_file_key,
    day_state_key,
    file_key,
    hash_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from mypy_boto3_dynamodb.service_resource import Table

_DAYS_A_TRANSACTION = 48
"""DynamoDB takes 100 actions a transaction; a day needs two, the file and its hashes three."""


_TRIES = 8
_FIRST_WAIT_SECONDS = 0.05


class LedgerConflictError(Exception):
    """Another invocation changed the file's entry, or claimed its content hash, meanwhile: decide again."""


class LedgerWriter:
    """Reads and switches file entries. `table` is a boto3 Table, so items are Python values."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._client = table.meta.client

    def entry(self, raw_key: str) -> FileEntry | None:
        """The file's entry, read consistently."""
        item = self._table.get_item(Key=file_key(raw_key), ConsistentRead=True).get("Item")
        return FileEntry.from_item(item) if item else None

    def bringer(self, content_hash: str) -> str | None:
        """The raw key that first brought these bytes, if any file counts for them now."""
        item = self._table.get_item(Key=hash_key(content_hash), ConsistentRead=True).get("Item")
        return str(item["raw_key"]) if item else None

    def commit(self, entry: FileEntry, before: FileEntry | None, at: str) -> FileEntry:
        """Puts `entry` in the place of `before` and switches the days over; raises LedgerConflictError.

        A file with more days than one transaction takes is marked `committing` until the last one is through;
        `finish_commit` goes on with it after a crash. Each day switches over at once and whole.
        """
        batches = self._day_actions(entry, at)
        first = replace(entry, committing=len(batches) > 1)
        head = [self._put_entry(first, before), *self._hash_actions(first, before)]
        self._transact([*head, *(batches[0] if batches else ())])
        return self._go_on(first, batches[1:])

    def finish_commit(self, entry: FileEntry, at: str) -> FileEntry:
        """Does what a crash left undone of a commit. Doing it again is harmless."""
        return self._go_on(entry, self._day_actions(entry, at)) if entry.committing else entry

    def _go_on(self, entry: FileEntry, batches: Sequence[Sequence[Any]]) -> FileEntry:
        """Each batch is conditional on the entry, so that a version that was overtaken writes no more days."""
        for left, batch in zip(range(len(batches) - 1, -1, -1), batches, strict=True):
            following = replace(entry, committing=left > 0)
            self._transact([self._put_entry(following, entry), *batch])
            entry = following
        return entry

    def _transact(self, actions: Sequence[Any]) -> None:
        """A failed condition is a conflict of facts; another transaction on the same item only wants patience.

        All files of a day meet at its state, and neither boto3 nor DynamoDB repeats what it cancels for that.
        """
        for attempt in range(_TRIES):
            try:
                self._client.transact_write_items(TransactItems=list(actions))
            except ClientError as fault:
                if fault.response["Error"]["Code"] != "TransactionCanceledException":
                    raise
                reasons = {reason.get("Code") for reason in fault.response.get("CancellationReasons", ())}
                if "ConditionalCheckFailed" in reasons:
                    raise LedgerConflictError(str(fault)) from fault
                if reasons - {"None", "TransactionConflict"} or attempt == _TRIES - 1:
                    raise
                time.sleep(random.uniform(0, _FIRST_WAIT_SECONDS * 2**attempt))  # noqa: S311 - jitter
            else:
                return

    def _put(self, item: Mapping[str, Any], **condition: Any) -> dict[str, Any]:
        return {"Put": {"TableName": self._table.name, "Item": item, **condition}}

    def _delete(self, key: Mapping[str, str], **condition: Any) -> dict[str, Any]:
        return {"Delete": {"TableName": self._table.name, "Key": key, **condition}}

    def _put_entry(self, entry: FileEntry, before: FileEntry | None) -> dict[str, Any]:
        if before is None:
            return self._put(entry.to_item(), ConditionExpression=f"attribute_not_exists({PK})")
        return self._put(
            entry.to_item(),
            ConditionExpression="#version = :before",
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues={":before": before.version},
        )

    def _hash_actions(self, entry: FileEntry, before: FileEntry | None) -> list[dict[str, Any]]:
        mine = {"ConditionExpression": "raw_key = :me", "ExpressionAttributeValues": {":me": entry.raw_key}}
        actions = []
        if before and before.shares_hash and before.shares_hash != entry.shares_hash:
            actions.append(self._delete(hash_key(before.shares_hash), **mine))
        if entry.shares_hash and (before is None or before.shares_hash != entry.shares_hash):
            mine_or_free = {**mine, "ConditionExpression": f"attribute_not_exists({PK}) OR raw_key = :me"}
            item = {**hash_key(entry.shares_hash), "raw_key": entry.raw_key}
            actions.append(self._put(item, **mine_or_free))
        return actions

    def _day_actions(self, entry: FileEntry, at: str) -> list[list[dict[str, Any]]]:
        """What must happen to the days if the entry's version brought other records than its predecessor's."""
        changes: list[list[dict[str, Any]]] = []
        if entry.shares_version == entry.version and entry.format:
            for day, share in sorted(entry.shares.items()):
                file = DayFile(
                    day, entry.raw_key, entry.format, entry.version, entry.landed_at, share, entry.fields
                )
                changes.append([self._put(file.to_item()), self._dirty(day, at)])
        changes += [
            [self._delete(day_file_key(day, entry.raw_key)), self._dirty(day, at)] for day in entry.withdrawn_days()
        ]
        return [
            [action for change in changes[start : start + _DAYS_A_TRANSACTION] for action in change]
            for start in range(0, len(changes), _DAYS_A_TRANSACTION)
        ]

    def _dirty(self, day: date, at: str) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": day_state_key(day),
                "UpdateExpression": f"SET #day = :day, {DIRTY} = :dirty, "
                "dirty_since = if_not_exists(dirty_since, :at) ADD changes :one",
                "ExpressionAttributeNames": {"#day": DAY},
                "ExpressionAttributeValues": {
                    ":day": day.isoformat(), ":dirty": DIRTY_VALUE, ":at": at, ":one": 1,
                },
            }
        }  # fmt: skip
