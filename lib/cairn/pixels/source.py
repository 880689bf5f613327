"""The bytes of one entry, read once from beginning to end: hashed on the way, never more in memory than a window.

An entry up to :attr:`EntryBytes.whole_limit` is held as one buffer, of which everything else is a view. A larger one
is read in chunks.
"""

from __future__ import annotations

import hashlib

import numpy as np

from cairn.dicom.reading import Readable

CHUNK = 8 << 20


class EntryBytes:
    """Random access to an entry's bytes that reads forward and hashes what it reads.

    Parameters
    ----------
    entry : Readable
        The entry (see :class:`cairn.archive.reader.EntryHandle`).
    size : int or None
        Its length when known.
    whole_limit : int
        Entries up to this length are held in memory whole; of longer ones this much is read at first.
    """

    def __init__(self, entry: Readable, size: int | None, whole_limit: int = 64 << 20) -> None:
        self._entry = entry
        first = entry.read(0, whole_limit + 1 if size is None else min(size, whole_limit))
        self.head = np.frombuffer(first, np.uint8)
        """The entry's first bytes: all of them when :attr:`whole`."""
        self.whole = len(first) <= whole_limit if size is None else size <= whole_limit
        self.size = len(first) if self.whole else size
        self._digest = hashlib.sha256(first)
        self._hashed = len(first)
        self._chunk: bytes = b""
        self._chunk_at = 0

    def read(self, offset: int, length: int) -> np.ndarray:
        """Return bytes of the entry as an array; fewer only at its end.

        Parameters
        ----------
        offset, length : int
            Which bytes. Reading on from where the last read ended costs each byte once.
        """
        if offset + length <= self.head.size or self.whole:
            return self.head[offset : offset + length]
        parts = [self.head[offset : offset + length]] if offset < self.head.size else []
        at = offset + (parts[0].size if parts else 0)
        end = offset + length
        while at < end:
            part = self._piece(at, end - at)
            if part.size == 0:
                break
            parts.append(part)
            at += part.size
        return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.empty(0, np.uint8)

    def _piece(self, at: int, wanted: int) -> np.ndarray:
        """Return some bytes at `at`: of the chunk at hand, of the next one, or (going back) read anew."""
        while at >= self._hashed and self._advance():
            pass
        inside = at - self._chunk_at
        if 0 <= inside < len(self._chunk):
            return np.frombuffer(self._chunk, np.uint8)[inside : inside + wanted]
        if at >= self._hashed:
            return np.empty(0, np.uint8)
        return np.frombuffer(self._entry.read(at, min(wanted, CHUNK)), np.uint8)

    def _advance(self) -> bool:
        """Read and hash the next chunk; False at the end."""
        more = self._entry.read(self._hashed, CHUNK)
        if not more:
            return False
        self._digest.update(more)
        self._chunk, self._chunk_at = more, self._hashed
        self._hashed += len(more)
        return True

    def finish(self) -> tuple[str, int]:
        """Read what is left; return the SHA-256 (hex) of the whole entry and its length."""
        if not self.whole:
            while self._advance():
                pass
        return self._digest.hexdigest(), self._hashed


class BytesEntry:
    """An entry whose bytes are at hand.

    Parameters
    ----------
    data : bytes
        All of it.
    """

    def __init__(self, data: bytes) -> None:
        self.size: int | None = len(data)
        self._data = data

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; fewer only at the end."""
        return self._data[offset : offset + length]


class PlainBytes:
    """Bytes in memory with the same way of reading: an inflated dataset.

    Parameters
    ----------
    data : numpy.ndarray of uint8
        The bytes.
    """

    def __init__(self, data: np.ndarray) -> None:
        self.head = data
        self.size: int | None = data.size

    def read(self, offset: int, length: int) -> np.ndarray:
        """Return bytes as an array; fewer only at the end."""
        return self.head[offset : offset + length]
