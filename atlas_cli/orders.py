"""An operator's orders: sent to the ingestion queue, and waited for until the ledger says that they were obeyed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from atlas.file_entry import FileEntry
from atlas.orders import Order, OrderKind
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say
from atlas_cli.entries import await_entries

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Obeyed:
    """A file as the ledger knew it before and after an order."""

    before: FileEntry
    after: FileEntry

    @property
    def days(self) -> list[date]:
        """The days whose records the order changed, so that they are dirty now."""
        had, has = self.before.content, self.after.content
        same = had and has and had.objects_version == has.objects_version and had.shares == has.shares
        return [] if same else sorted({*self.before.shares, *self.after.shares})


def give(cloud: Cloud, kind: OrderKind, files: Sequence[FileEntry], say: Say) -> list[Obeyed]:
    """Orders the same of each file and waits.

    Raises CommandError if no verdict comes, or, when all others have come, if a newer version of a file has
    overtaken its order.
    """
    if not files:
        return []
    queue = cloud.queue_url(cloud.names.ingest_queue)
    waiting = {}
    for entry in files:
        order = Order(kind, entry.raw_key, entry.version, _time_after(entry.ordered_at), cloud.caller)
        cloud.sqs.send_message(QueueUrl=queue, MessageBody=order.to_message())
        waiting[entry.raw_key] = _obeyed(order)
    say.step(f"ordered to {kind.value} {len(files):,} file{'' if len(files) == 1 else 's'}")
    after = await_entries(cloud, waiting, say)
    if overtaken := [entry.raw_key for entry in files if after[entry.raw_key].version != entry.version]:
        raise CommandError(
            f"a newer version landed meanwhile, which the order did not mean: {', '.join(overtaken)}. "
            "Look at it: atlas books --file KEY. The orders on other files were obeyed."
        )
    return [Obeyed(entry, after[entry.raw_key]) for entry in files]


def _time_after(ordered_at: str) -> str:
    """Now, but later than the last order that was obeyed: an earlier one would do nothing."""
    now = datetime.now(UTC)
    if ordered_at:
        last = datetime.strptime(ordered_at, _TIME).replace(tzinfo=UTC)
        now = max(now, last + timedelta(microseconds=1))
    return now.strftime(_TIME)


def _obeyed(order: Order) -> Callable[[FileEntry], bool]:
    return lambda entry: entry.ordered_at >= order.at or entry.version != order.version
