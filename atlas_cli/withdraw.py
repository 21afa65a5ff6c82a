"""`atlas withdraw`: takes the records of files out of every day again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atlas.ledger import FileState, hash_key
from atlas.orders import OrderKind
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say
from atlas_cli.entries import entries
from atlas_cli.orders import Obeyed, give


@dataclass(frozen=True)
class Withdrawn(Obeyed):
    """A file that was withdrawn; `counts_now` is the raw key of the file of the same bytes that counts instead."""

    counts_now: str | None = None


def withdraw(cloud: Cloud, keys: Sequence[str], say: Say) -> list[Withdrawn]:
    """Withdraws files by their keys, with or without `raw/`.

    Raises CommandError: before anything happens, if the ledger lacks one or one is withdrawn already.
    """
    files = entries(cloud, keys)
    if gone := [entry.raw_key for entry in files if entry.state is FileState.WITHDRAWN]:
        raise CommandError(f"withdrawn already: {', '.join(gone)}")
    done = [
        Withdrawn(told.before, told.after, _successor(cloud, told))
        for told in give(cloud, OrderKind.WITHDRAW, files, say)
    ]
    if others := [told.after for told in done if told.after.state is not FileState.WITHDRAWN]:
        said = ", ".join(f"{entry.raw_key} is {entry.state}" for entry in others)
        raise CommandError(f"another order came first: {said}. The others were withdrawn.")
    return done


def row(told: Withdrawn) -> dict[str, Any]:
    """What became of a file, for people and programs."""
    return {
        "file": told.after.raw_key,
        "was": told.before.state.value,
        "verdict": told.after.state.value,
        "dirty_days": " ".join(day.isoformat() for day in told.days),
        "counts_now": told.counts_now,
    }


def _successor(cloud: Cloud, told: Obeyed) -> str | None:
    """Who counts for the bytes that the file counted for."""
    had = told.before.content
    if had is None or had.duplicate_of:
        return None
    item = cloud.ledger.get_item(Key=hash_key(had.content_hash), ConsistentRead=True).get("Item")
    return str(item["raw_key"]) if item else None
