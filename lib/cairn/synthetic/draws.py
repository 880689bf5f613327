"""Repeatable draws.

Everything made up comes from a :class:`Draws` that is seeded with the seed, a purpose and an index, so that
any part of the archive can be made alone, in any order, by any process, and is the same on every machine. Only
the raw 64-bit output of PCG64 is used: NumPy guarantees that stream, not those of its distributions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def digest(seed: int, purpose: str, *index: int | str) -> bytes:
    """Return 32 bytes that depend on nothing but the arguments."""
    return hashlib.sha256("/".join([str(seed), purpose, *map(str, index)]).encode()).digest()


def uid(seed: int, purpose: str, *index: int | str) -> str:
    """Return a UID under the root 2.25, which anybody may use (PS3.5 B.2), made from 128 bits of :func:`digest`."""
    return f"2.25.{int.from_bytes(digest(seed, purpose, *index)[:16], 'big')}"


class Draws:
    """A stream of draws for one purpose.

    Parameters
    ----------
    seed : int
        The archive's seed.
    purpose : str
        What is drawn; different purposes give independent streams.
    *index : int or str
        Which one of them.
    """

    def __init__(self, seed: int, purpose: str, *index: int | str) -> None:
        self._bits = np.random.PCG64(int.from_bytes(digest(seed, purpose, *index)[:16], "big"))

    def unit(self) -> float:
        """Return a number in [0, 1)."""
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self.unit() < probability

    def integer(self, low: int, high: int) -> int:
        """Return an integer in [low, high]."""
        return low + (int(self._bits.random_raw()) * (high - low + 1) >> 64)

    def number(self, low: float, high: float, decimals: int = 3) -> float:
        """Return a number in [low, high], rounded."""
        return round(low + (high - low) * self.unit(), decimals)

    def choice(self, items: Sequence[T]) -> T:
        """Return one of the items, each equally likely."""
        return items[self.integer(0, len(items) - 1)]

    def weighted(self, items: Sequence[T], cumulative: Sequence[int]) -> T:
        """Return one of the items.

        Parameters
        ----------
        items : sequence
            What to choose from.
        cumulative : sequence of int
            Running sum of their weights, same length.
        """
        at = self.integer(0, cumulative[-1] - 1)
        return items[int(np.searchsorted(np.asarray(cumulative), at, side="right"))]

    def digits(self, count: int) -> str:
        """Return that many decimal digits."""
        return "".join(str(self.integer(0, 9)) for _ in range(count))

    def raw_bytes(self, count: int) -> bytes:
        """Return that many bytes."""
        return np.asarray(self._bits.random_raw(-(-count // 8)), dtype="<u8").tobytes()[:count]
