"""Puts a day's gold in place: one object write a table, so of each table a reader sees the old day or the new one.

`data_quality` goes last: it is the receipt, and what it says holds for all that was put before it. The ledger names
what is staged before the first table goes, so that whoever has the day next completes what a crash interrupted.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from atlas import lake
from atlas.clients import Clients
from atlas.day_state import DayState, LockLostError
from atlas.ledger import PUBLISHING
from atlas.objects import delete_keys, list_keys
from atlas.schema import DATA_QUALITY, GOLD_TABLES, Table
from atlas.settings import JobSettings


class PublishError(Exception):
    """The staged tables are not what a publication needs."""


@dataclass(frozen=True)
class Publication:
    """What one attempt of a run publishes: its tables are staged under `prefix`, a folder each."""

    run_id: str
    prefix: str

    @classmethod
    def of(cls, run_id: str) -> Publication:
        """A new attempt of a run. Two of them may be under way: a call that seemed lost is repeated."""
        return cls(run_id, lake.staging_prefix(run_id, uuid.uuid4().hex))

    def folder(self, table: Table) -> str:
        """Where the table's one object is staged."""
        return lake.staged_table_prefix(self.prefix, table.name)


def publish(staged: Publication, settings: JobSettings, clients: Clients) -> None:
    """Copies each table's one staged object over the day's, in the order of GOLD_TABLES.

    Raises PublishError if a table has not exactly one object, and LockLostError if another run has the day: nothing
    has been put then. A run publishes once: if another attempt of it has begun to, that one's tables are put.
    """
    with cleared_if_it_fails(staged, settings, clients):
        objects = _objects(staged, GOLD_TABLES, settings, clients)
    try:
        begun = _begin(staged, settings, clients)
    except LockLostError:
        clear(staged, settings, clients)
        raise
    if begun != staged:
        clear(staged, settings, clients)
        objects = _objects(begun, GOLD_TABLES, settings, clients)
    _put(begun, objects, settings, clients)


def complete(settings: JobSettings, clients: Clients) -> None:
    """Goes on with a publication of the day that has begun and not ended. Raises LockLostError.

    Should what was staged be gone, nothing is put: the run that asks is about to publish the day anew.
    """
    begun = _under_way(DayState(clients.ledger, settings.process_date, settings.run_id).read())
    if begun is None:
        return
    try:
        objects = _objects(begun, GOLD_TABLES, settings, clients)
    except PublishError:
        return
    _put(begun, objects, settings, clients)


def enter_failure(staged: Publication, settings: JobSettings, clients: Clients) -> None:
    """Puts the staged `data_quality` beside the day's as that of a failed attempt. Raises PublishError."""
    objects = _objects(staged, (DATA_QUALITY,), settings, clients)
    _copy(objects[DATA_QUALITY.name], lake.failed_attempt_key(settings.process_date), settings, clients)


@contextmanager
def cleared_if_it_fails(staged: Publication, settings: JobSettings, clients: Clients) -> Iterator[None]:
    """Deletes what was staged if the block raises."""
    try:
        yield
    except BaseException:
        clear(staged, settings, clients)
        raise


def clear(staged: Publication, settings: JobSettings, clients: Clients) -> None:
    """Deletes what was staged."""
    delete_keys(clients.s3, settings.bucket, list_keys(clients.s3, settings.bucket, staged.prefix))


def _objects(
    staged: Publication, tables: tuple[Table, ...], settings: JobSettings, clients: Clients
) -> dict[str, str]:
    """Table -> the key of its one staged Parquet object. Raises PublishError."""
    there = [key for key in list_keys(clients.s3, settings.bucket, staged.prefix) if key.endswith(".parquet")]
    objects = {}
    for table in tables:
        found = [key for key in there if key.startswith(staged.folder(table))]
        if len(found) != 1:
            raise PublishError(
                f"{staged.folder(table)} holds {len(found)} Parquet objects; a gold table's day is one object"
            )
        objects[table.name] = found[0]
    return objects


def _begin(staged: Publication, settings: JobSettings, clients: Clients) -> Publication:
    """Says in the ledger that the day is being published; what is: this, or what another attempt of the run staged.

    Raises LockLostError. After any other error the ledger may name what is staged: it must stay.
    """
    state = DayState(clients.ledger, settings.process_date, settings.run_id)
    if state.update(
        "SET #publishing = :staged",
        {"#publishing": PUBLISHING, "#run_id": "run_id", "#prefix": "prefix"},
        {":staged": {"run_id": staged.run_id, "prefix": staged.prefix}, ":prefix": staged.prefix},
        only_if="attribute_not_exists(#publishing) OR #publishing.#run_id <> :run OR #publishing.#prefix = :prefix",
    ):
        return staged
    begun = _under_way(state.read())
    if begun is None or begun.run_id != settings.run_id:
        raise LockLostError(f"another run has had {settings.process_date} since {settings.run_id} began")
    return begun


def _put(begun: Publication, objects: dict[str, str], settings: JobSettings, clients: Clients) -> None:
    """All of it may be done again, by whoever has the day, until the ledger no longer says that it has begun."""
    for table in GOLD_TABLES:
        _copy(objects[table.name], lake.gold_key(table.name, settings.process_date), settings, clients)
    delete_keys(clients.s3, settings.bucket, [lake.failed_attempt_key(settings.process_date)])
    DayState(clients.ledger, settings.process_date, settings.run_id).update(
        "REMOVE #publishing",
        {"#publishing": PUBLISHING, "#prefix": "prefix"},
        {":prefix": begun.prefix},
        only_if="#publishing.#prefix = :prefix",
    )
    clear(begun, settings, clients)


def _under_way(state: dict[str, Any]) -> Publication | None:
    told = state.get(PUBLISHING)
    return Publication(told["run_id"], told["prefix"]) if told else None


def _copy(source: str, target: str, settings: JobSettings, clients: Clients) -> None:
    clients.s3.copy_object(
        Bucket=settings.bucket, Key=target, CopySource={"Bucket": settings.bucket, "Key": source}
    )
