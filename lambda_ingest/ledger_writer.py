"""The ledger's writes: all conditional, a file's switch-over from one content to the next in transactions."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from atlas.file_entry import Content, FileEntry
from atlas.ledger import (
    HASH_FILE,
    PK,
    SK,
    FileState,
    Obsolete,
    claim_key,
    day_file_key,
    dirtying,
    file_key,
    hash_key,
    hash_pk,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from mypy_boto3_dynamodb.service_resource import Table

_DAYS_A_TRANSACTION = 23
"""DynamoDB takes 100 actions a transaction; a day needs four at most, the files and their hashes five."""

_TRIES = 8
_FIRST_WAIT_SECONDS = 0.05

Action = dict[str, Any]


class LedgerConflictError(Exception):
    """Another invocation changed the file's entry, or claimed its content hash, meanwhile: decide again."""


class Claims(NamedTuple):
    """Who counts for some bytes, how often others have claimed them, and the first of those that still do."""

    owner: str | None
    counter: int
    heir: str | None


class LedgerWriter:
    """Reads and switches file entries. `table` is a boto3 Table, so items are Python values."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._client = table.meta.client

    def entry(self, raw_key: str) -> FileEntry | None:
        """The file's entry, read consistently."""
        item = self._table.get_item(Key=file_key(raw_key), ConsistentRead=True).get("Item")
        return FileEntry.from_item(item) if item else None

    def claims(self, content_hash: str) -> Claims:
        """The files of these bytes. A claim that comes later changes the counter, which a release goes by."""
        found = self._table.query(
            KeyConditionExpression=f"{PK} = :hash AND begins_with({SK}, :file)",
            ExpressionAttributeValues={":hash": hash_pk(content_hash), ":file": HASH_FILE},
            ConsistentRead=True,
            Limit=2,
        )["Items"]
        if not found or found[0][SK] != HASH_FILE:
            return Claims(None, 0, None)
        heir = str(found[1]["raw_key"]) if len(found) > 1 else None
        return Claims(str(found[0]["raw_key"]), int(found[0]["claims"]), heir)  # type: ignore[arg-type]

    def commit(self, entry: FileEntry, before: FileEntry | None, claims: Claims, at: str) -> FileEntry:
        """Puts `entry` in the place of `before` and switches the days over; raises LedgerConflictError.

        `claims` are those of the bytes that the file gives up. A file with more days than one transaction takes is
        marked `committing` until the last one is through; `finish_commit` goes on with it after a crash. Each day
        switches over at once and whole.
        """
        if _same_records(entry.content, before.content if before else None):
            entry = entry.following(before)
            self._transact([self._put_entry(entry, before), *self._hash_actions(entry, before, claims)])
            return entry
        replaces = before.holding() if before else None
        return self._switch(
            replace(entry, replaces=replaces), before, self._hash_actions(entry, before, claims), at
        )

    def hand_over(self, owner: FileEntry, heir: FileEntry, heir_before: FileEntry, at: str) -> FileEntry:
        """Lets `heir` count for the bytes that `owner` counted for; the owner's entry, now a duplicate.

        Both switch in one transaction, so that each day has the records of one of them at any time.
        """
        assert owner.content is not None  # noqa: S101 - for the type checker
        content_hash = owner.content.content_hash
        given_up = replace(owner.content, shares={}, duplicate_of=heir.raw_key)
        state = FileState.DUPLICATE if owner.state is FileState.INGESTED else owner.state
        left = replace(owner, content=given_up, state=state).following(owner)
        actions = [
            self._put_entry(left, owner),
            self._update(
                hash_key(content_hash),
                "SET raw_key = :heir ADD claims :one",
                "raw_key = :owner",
                {":heir": heir.raw_key, ":owner": owner.raw_key, ":one": 1},
            ),
            self._put({**claim_key(content_hash, owner.raw_key), "raw_key": owner.raw_key}),
            self._delete(claim_key(content_hash, heir.raw_key), ConditionExpression=f"attribute_exists({PK})"),
        ]
        self._switch(replace(heir, replaces=owner.holding()), heir_before, actions, at)
        return left

    def finish_commit(self, entry: FileEntry, at: str) -> FileEntry:
        """Does what a crash left undone of a commit. Doing it again is harmless."""
        return self._go_on(entry, self._day_actions(entry, at)) if entry.committing else entry

    def discard(self, objects: Iterable[Obsolete]) -> None:
        """Leaves validated objects that no entry names to the next run of their day."""
        for obsolete in objects:
            with suppress(self._client.exceptions.ConditionalCheckFailedException):
                self._table.put_item(Item=obsolete.to_item(), ConditionExpression=f"attribute_not_exists({PK})")

    def _switch(self, entry: FileEntry, before: FileEntry | None, head: Sequence[Action], at: str) -> FileEntry:
        batches = self._day_actions(entry, at)
        first = _marked(entry.following(before), committing=len(batches) > 1)
        self._transact([self._put_entry(first, before), *head, *(batches[0] if batches else ())])
        return self._go_on(first, batches[1:])

    def _go_on(self, entry: FileEntry, batches: Sequence[Sequence[Action]]) -> FileEntry:
        """Each batch is conditional on the entry, so that a version that was overtaken writes no more days."""
        for left, batch in zip(range(len(batches) - 1, -1, -1), batches, strict=True):
            following = _marked(entry.following(entry), committing=left > 0)
            self._transact([self._put_entry(following, entry), *batch])
            entry = following
        return entry

    def _transact(self, actions: Sequence[Action]) -> None:
        """A failed condition is a conflict of facts; another transaction on the same item only wants patience.

        All files of a day meet at its state, and neither boto3 nor DynamoDB repeats what it cancels for that.
        """
        for attempt in range(_TRIES):
            try:
                self._client.transact_write_items(TransactItems=list(actions))  # type: ignore[arg-type]
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

    def _put(self, item: Mapping[str, Any], **condition: Any) -> Action:
        return {"Put": {"TableName": self._table.name, "Item": item, **condition}}

    def _delete(self, key: Mapping[str, str], **condition: Any) -> Action:
        return {"Delete": {"TableName": self._table.name, "Key": key, **condition}}

    def _update(self, key: Mapping[str, str], update: str, condition: str, values: Mapping[str, Any]) -> Action:
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": key,
                "UpdateExpression": update,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": values,
            }
        }

    def _put_entry(self, entry: FileEntry, before: FileEntry | None) -> Action:
        if before is None:
            return self._put(entry.to_item(), ConditionExpression=f"attribute_not_exists({PK})")
        return self._put(
            entry.to_item(),
            ConditionExpression="revision = :before",
            ExpressionAttributeValues={":before": before.revision},
        )

    def _hash_actions(self, entry: FileEntry, before: FileEntry | None, claims: Claims) -> list[Action]:
        """Giving up the bytes that the file stood for, and claiming those that it stands for now."""
        old, new = before.content if before else None, entry.content
        if (old and old.content_hash) == (new and new.content_hash):
            return []
        actions = []
        if old and old.duplicate_of:
            actions.append(self._delete(claim_key(old.content_hash, entry.raw_key)))
        elif old:
            actions.append(
                self._delete(
                    hash_key(old.content_hash),
                    ConditionExpression="raw_key = :me AND claims = :seen",
                    ExpressionAttributeValues={":me": entry.raw_key, ":seen": claims.counter},
                )
            )
        if new and new.duplicate_of:
            actions.append(self._put({**claim_key(new.content_hash, entry.raw_key), "raw_key": entry.raw_key}))
            values = {":owner": new.duplicate_of, ":one": 1}
            actions.append(self._update(hash_key(new.content_hash), "ADD claims :one", "raw_key = :owner", values))
        elif new:
            item = {**hash_key(new.content_hash), "raw_key": entry.raw_key, "claims": 0}
            actions.append(self._put(item, ConditionExpression=f"attribute_not_exists({PK})"))
        return actions

    def _day_actions(self, entry: FileEntry, at: str) -> list[list[Action]]:
        """What must happen to the days for the entry's content to take the place of what it replaces."""
        changes: dict[date, list[Action]] = {file.day: [self._put(file.to_item())] for file in entry.days()}
        if replaced := entry.replaces:
            for day in replaced.parts:
                actions = changes.setdefault(day, [])
                if day not in entry.shares or replaced.raw_key != entry.raw_key:
                    actions.append(self._delete(day_file_key(day, replaced.raw_key)))
                actions.append(self._put(replaced.obsolete(day).to_item()))
        for day, actions in changes.items():
            actions.append({"Update": {"TableName": self._table.name, **dirtying(day, at)}})
        ordered = [changes[day] for day in sorted(changes)]
        return [
            [action for change in ordered[start : start + _DAYS_A_TRANSACTION] for action in change]
            for start in range(0, len(ordered), _DAYS_A_TRANSACTION)
        ]


def _same_records(content: Content | None, before: Content | None) -> bool:
    """Whether the days have nothing to switch over to."""
    shares, had = content.shares if content else {}, before.shares if before else {}
    if not shares and not had:
        return True
    return bool(content and before and content.objects_version == before.objects_version and shares == had)


def _marked(entry: FileEntry, *, committing: bool) -> FileEntry:
    """What is replaced is remembered as long as it has to be."""
    return replace(entry, committing=committing, replaces=entry.replaces if committing else None)
