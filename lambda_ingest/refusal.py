"""A file that is refused whole."""

from __future__ import annotations

from atlas.reasons import FileReason


class FileRefusedError(Exception):
    """The file cannot be taken. `place` says where the fault is: a byte, a line, an element."""

    def __init__(self, reason: FileReason, place: str = "") -> None:
        super().__init__(f"{reason}: {reason.meaning}" + (f" At {place}." if place else ""))
        self.reason = reason
        self.place = place
