"""What every syntax yields: one record of the source, or a piece of it that is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Record(NamedTuple):
    """One line, element or array item of a source, counted from 1.

    `fields` is None if it could not be parsed; `text` is then its raw text. Otherwise `text` is one JSON object
    without line breaks, the producer's own bytes where the source is JSON.
    """

    line: int
    text: bytes
    fields: Mapping[str, Any] | None
