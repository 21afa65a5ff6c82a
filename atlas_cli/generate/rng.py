"""Chance that is the same on every platform and every Python from 3.11 on.

Only `random.Random.random()` keeps its sequence by promise, and only + - * / of floats give the same bits
everywhere: so no `choice`, no `gauss`, no `math.exp`, and no `sum` of floats (Python 3.12 changed it).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Rng:
    """A stream of chance for one place, such as `Rng(seed, day, "visit", 7)`, undisturbed by the others."""

    def __init__(self, *place: object) -> None:
        digest = hashlib.sha256("/".join(str(part) for part in place).encode()).digest()
        self._next = random.Random(int.from_bytes(digest[:16], "big")).random  # noqa: S311 - no secret

    def below(self, limit: int) -> int:
        """Draw a whole number from 0 to `limit` - 1; `limit` is at most 2**32."""
        return int(self._next() * limit)

    def chance(self, per_mille: int) -> bool:
        """Say yes so many times in a thousand."""
        return self.below(1000) < per_mille

    def pick(self, items: Sequence[T]) -> T:
        """Draw one of the items, each as likely as the others."""
        return items[self.below(len(items))]

    def weighted(self, items: Sequence[tuple[T, int]]) -> T:
        """Draw one of the items, by its weight."""
        left = self.below(sum(weight for _, weight in items))
        for item, weight in items:
            left -= weight
            if left < 0:
                return item
        raise AssertionError("the weights are positive")

    def skewed(self, limit: int) -> int:
        """Draw a whole number from 0 to `limit` - 1, the small ones far more often."""
        return min(self.below(limit), self.below(limit), self.below(limit))

    def lognormal(self, median: int, spread: float) -> int:
        """Draw a whole number of at least 1 with a long tail upwards, such as a latency."""
        deviation = -6.0
        for _ in range(12):  # twelve uniform numbers make a normal one, near enough
            deviation += self._next()
        return max(1, int(median * _exp(spread * deviation)))

    def hex(self, digits: int) -> str:
        """Draw so many hexadecimal digits."""
        return "".join("0123456789abcdef"[self.below(16)] for _ in range(digits))


def zipf(items: Sequence[T]) -> tuple[tuple[T, int], ...]:
    """Weight the items by rank: the second half as often as the first, the third a third."""
    return tuple((item, 10_000 // rank) for rank, item in enumerate(items, start=1))


def _exp(power: float) -> float:
    result = 1.0 + power / 1024
    for _ in range(10):
        result *= result
    return result
