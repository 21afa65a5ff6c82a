"""`atlas replay`: has refused files, or any others, judged anew from the archive's copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atlas.ledger import FileState
from atlas.orders import OrderKind
from atlas.reasons import SALVAGEABLE
from atlas_cli import refusals
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say
from atlas_cli.entries import entries
from atlas_cli.orders import Obeyed, give
from atlas_cli.put import verdict_row


def replay(cloud: Cloud, keys: Sequence[str], say: Say, *, salvage: bool = False) -> list[Obeyed]:
    """Judges files anew by their keys, with or without `raw/`; without keys all that are refused now.

    With `salvage` what can be read before a fault is taken. Raises CommandError if the ledger lacks a file, or if
    nothing of a file could be salvaged.
    """
    if salvage and not keys:
        raise CommandError("--salvage is said of a file: atlas replay --salvage KEY")
    files = entries(cloud, keys or [document["raw_key"] for document in refusals.files(cloud)])
    done = give(cloud, OrderKind.SALVAGE if salvage else OrderKind.REPLAY, files, say)
    lost = [
        f"{told.after.raw_key} ({told.after.reason})" for told in done if told.after.state is FileState.REJECTED
    ]
    if salvage and lost:
        say.rows("Verdicts", [row(told) for told in done])
        raise CommandError(
            f"not salvaged: {', '.join(lost)}. A file is taken up to its fault if it is sound up to there and has "
            f"records, which can be with: {', '.join(sorted(SALVAGEABLE))}"
        )
    return done


def row(told: Obeyed) -> dict[str, Any]:
    """What became of a file, for people and programs; of a salvaged one `why` is what is wrong with it."""
    verdict = verdict_row(told.after)
    return {"file": verdict.pop("file"), "was": told.before.state.value, **verdict}
