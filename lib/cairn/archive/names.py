"""Counting the members of one name in an archive, in little memory."""

from __future__ import annotations

import hashlib

import numpy as np

_RECENT = 1 << 16


class NameCounter:
    """Tells which of several members of one name each is.

    Remembers eight bytes a name (a hash), so that an archive of ten million members costs 80 MB and not a gigabyte.
    """

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._old = np.empty(0, np.uint64)
        self._repeated: dict[int, int] = {}

    def ordinal(self, name: bytes) -> int:
        """Return 1 for the first member of this name, 2 for the second …"""
        digest = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")
        if digest in self._recent or self._is_old(digest):
            count = self._repeated.get(digest, 1) + 1
            self._repeated[digest] = count
            return count
        self._recent.add(digest)
        if len(self._recent) >= _RECENT:
            self._old = np.union1d(self._old, np.fromiter(self._recent, np.uint64, len(self._recent)))
            self._recent.clear()
        return 1

    def _is_old(self, digest: int) -> bool:
        if not len(self._old):
            return False
        place = int(np.searchsorted(self._old, np.uint64(digest)))
        return place < len(self._old) and int(self._old[place]) == digest
