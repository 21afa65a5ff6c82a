"""What the ledger says of files: looked up, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from atlas import lake
from atlas.file_entry import FileEntry
from atlas.ledger import file_key
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say

POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 180
"""Without any file getting a verdict; a big file may take as long as the function's timeout."""
_TELL_SECONDS = 10


def raw_key(word: str) -> str:
    """What an operator calls a file, as its raw key: with or without `raw/`."""
    return word if word.startswith(lake.RAW) else lake.RAW + word


def find(cloud: Cloud, raw: str) -> FileEntry | None:
    """A file's entry, read consistently; None if the ledger does not know the file."""
    table = cloud.ledger  # its client may be used by several threads at once, unlike the table
    item = table.meta.client.get_item(TableName=table.name, Key=file_key(raw), ConsistentRead=True).get("Item")
    return FileEntry.from_item(item) if item else None


def entries(cloud: Cloud, keys: Iterable[str]) -> list[FileEntry]:
    """The entries of files, each once, in order. Raises CommandError that names those that the ledger lacks."""
    found = {raw: find(cloud, raw) for raw in map(raw_key, keys)}
    if unknown := [raw for raw, entry in found.items() if entry is None]:
        raise CommandError(f"no such file in the ledger: {', '.join(unknown)}")
    return [entry for entry in found.values() if entry is not None]


def await_entries(
    cloud: Cloud, waiting: Mapping[str, Callable[[FileEntry], bool]], say: Say
) -> dict[str, FileEntry]:
    """The entry of each raw key as soon as its condition holds. Raises CommandError if nothing comes for long."""
    left = dict(waiting)
    there: dict[str, FileEntry] = {}
    patience, next_word = time.monotonic() + _PATIENCE_SECONDS, time.monotonic() + _TELL_SECONDS
    while True:
        for raw, holds in list(left.items()):
            entry = find(cloud, raw)
            if entry and not entry.committing and holds(entry):
                there[raw] = entry
                del left[raw]
                patience = time.monotonic() + _PATIENCE_SECONDS
        if not left:
            return there
        if time.monotonic() > patience:
            raise CommandError(
                f"no verdict after {_PATIENCE_SECONDS} s on {', '.join(sorted(left))}. See the log of "
                f"{cloud.names.ingest_function}; what could not be delivered is shown by: atlas dead-letters"
            )
        if time.monotonic() > next_word:
            say.step(f"  {len(there):,} of {len(waiting):,} files have a verdict")
            next_word = time.monotonic() + _TELL_SECONDS
        time.sleep(POLL_SECONDS)
