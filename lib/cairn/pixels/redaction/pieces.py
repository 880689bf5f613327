"""Bytes on their way from a source to a target: ranges are copied in chunks and never held whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np

CHUNK = 8 << 20


class Source(Protocol):
    """Bytes by offset."""

    head: np.ndarray
    size: int

    def read(self, offset: int, length: int) -> np.ndarray:
        """Return bytes; fewer only at the end."""


class BytesSource:
    """Bytes in memory.

    Parameters
    ----------
    data : bytes
        All of them.
    """

    def __init__(self, data: bytes) -> None:
        self.head = np.frombuffer(data, np.uint8)
        self.size = len(data)

    def read(self, offset: int, length: int) -> np.ndarray:
        """Return bytes; fewer only at the end."""
        return self.head[offset : offset + length]


class FileSource:
    """An open file.

    Parameters
    ----------
    file : binary file
        Open for reading, with random access.
    head_bytes : int
        How many of its first bytes are held.
    """

    def __init__(self, file: BinaryIO, head_bytes: int) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        self.head = self.read(0, head_bytes)

    def read(self, offset: int, length: int) -> np.ndarray:
        """Return bytes; fewer only at the end."""
        self._file.seek(offset)
        return np.frombuffer(self._file.read(length), np.uint8)


@dataclass(frozen=True)
class Range:
    """A range of some source.

    Parameters
    ----------
    source : Source
        Where.
    at, length : int
        Which bytes.
    """

    source: Source
    at: int
    length: int

    def copy_to(self, target: BinaryIO) -> None:
        """Write the bytes.

        Raises
        ------
        OSError
            If the source ends early: it was cut meanwhile.
        """
        at, end = self.at, self.at + self.length
        while at < end:
            part = self.source.read(at, min(CHUNK, end - at))
            if part.size == 0:
                raise OSError("the source ended early")
            target.write(part.tobytes())
            at += part.size
