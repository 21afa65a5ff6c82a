"""What may be ordered of a file: a message in the ingestion's queue, obeyed by the ingestion function.

So an order is delivered, repeated and kept like a landed file, and nothing but ingestion changes a file's entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

ORDER = "order"
"""The message's only member."""


class OrderKind(StrEnum):
    """What is to be done with a file."""

    WITHDRAW = "withdraw"
    """Take its records out again."""
    REPLAY = "replay"
    """Judge its bytes anew, from the archive: a format was added or mended, say."""
    SALVAGE = "salvage"
    """The same, and take what can be read before the fault of a damaged file."""
    RESTORE = "restore"
    """Write its validated objects again, from the archive: a run of a day found them gone, not an operator."""


@dataclass(frozen=True)
class Order:
    """One order for one version of a file.

    `at` is ISO 8601 in UTC with microseconds, so that orders compare as text: an order that is not later than the
    entry's last one, or speaks of a version that was overtaken, does nothing. `by` is who gave it.

    A restoration names the version by which the validated objects are called, when the file landed, and the run.
    """

    kind: OrderKind
    raw_key: str
    version: str
    at: str
    by: str

    def to_message(self) -> str:
        """The queue message's body."""
        return json.dumps({ORDER: asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Order:
        """From the parsed body of a message that has `order`. Raises KeyError, TypeError or ValueError."""
        told = document[ORDER]
        texts = {name: told[name] for name in ("raw_key", "version", "at", "by")}
        if not all(isinstance(text, str) and text for text in texts.values()):
            raise ValueError(f"an order names its file, version, time and giver: {told!r}")
        return cls(kind=OrderKind(told["kind"]), **texts)
