"""Validated objects that no manifest will name any more: the day's next run deletes them.

Ingestion does not, because a run may be reading them; whoever holds the day's lock knows that none is.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from atlas.clients import Clients
from atlas.day_state import day_items
from atlas.ledger import OBSOLETE, Obsolete
from atlas.manifest import Manifest
from atlas.objects import AT_ONCE, delete_keys
from atlas.settings import JobSettings


def find(settings: JobSettings, clients: Clients) -> list[Obsolete]:
    """What the ledger says is obsolete. To be read before the manifest: what that names then is not deleted."""
    items = day_items(clients.ledger, settings.process_date, OBSOLETE)
    return [Obsolete.from_item(item) for item in items]


def delete(found: Sequence[Obsolete], manifest: Manifest, settings: JobSettings, clients: Clients) -> None:
    """Deletes the objects, never one that the manifest names, and then their items: after a crash again.

    Some at a time: if a folder of files was withdrawn or corrected, there are as many.
    """
    if not found:
        return
    named = {key for file in manifest.files for key in file.objects()}
    client, table = clients.ledger.meta.client, clients.ledger.name  # unlike the Table, for many threads

    def forget(obsolete: Obsolete) -> None:
        delete_keys(clients.s3, settings.bucket, (key for key in obsolete.objects() if key not in named))
        client.delete_item(TableName=table, Key=obsolete.key())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(forget, found))
