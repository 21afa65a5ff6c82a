"""Bytes as a stream of pieces."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain


def peek(chunks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, at least `size` of them if there are so many, and the whole stream with these before it."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= size:
            break
    return head, chain([head], chunks) if head else iter(())
