"""Sources of bytes: a file, a range of another source, bytes at hand; all read by offset."""

from __future__ import annotations

import io
import os
from typing import Protocol

from cairn.archive.entry import Stamp
from cairn.errors import EntryError

_CHUNK = 1 << 20


class Source(Protocol):
    """A space of bytes, read by offset.

    Attributes
    ----------
    size : int or None
        Bytes; None when only reading to the end would tell.
    """

    size: int | None

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; fewer only at the end."""


def stamp_of(status: os.stat_result) -> Stamp:
    """Return a local file's stamp."""
    return Stamp(status.st_size, status.st_mtime_ns // 1000)


class LocalSource:
    """A local file, open.

    Parameters
    ----------
    path : str
        Opened for reading, never written. Pipes and devices do not block the opening.
    """

    __slots__ = ("_descriptor", "size", "stamp")

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self.stamp = stamp_of(os.fstat(self._descriptor))
        self.size: int | None = self.stamp.size

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; fewer only at the end."""
        return read_fully(self._descriptor, offset, length)

    def current_stamp(self) -> Stamp:
        """Return the stamp that the file has now."""
        return stamp_of(os.fstat(self._descriptor))

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read_fully(descriptor: int, offset: int, length: int) -> bytes:
    """Return `length` bytes at `offset` of an open file; fewer only at its end."""
    data = os.pread(descriptor, length, offset)
    if len(data) == length or not data:
        return data
    parts = [data]
    got = len(data)
    # A short read is the end, or a limit of the system's (2 GiB) or of the network's file system.
    while got < length and (data := os.pread(descriptor, length - got, offset + got)):
        parts.append(data)
        got += len(data)
    return b"".join(parts)


class BytesSource:
    """Bytes at hand."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size: int | None = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; fewer only at the end."""
        return self._data[offset : offset + length]


class RangeSource:
    """A range of another source; `length` None: to its end."""

    def __init__(self, outer: Source, offset: int, length: int | None) -> None:
        self._outer = outer
        self._offset = offset
        if length is None and outer.size is not None:
            length = max(outer.size - offset, 0)
        self.size = length

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; fewer only at the end."""
        if self.size is not None:
            length = min(length, self.size - offset)
        return self._outer.read(self._offset + offset, length) if length > 0 else b""


class SparseSource:
    """The content of a sparse tar member: pieces with zeros between them.

    Parameters
    ----------
    pieces : list of (int, int)
        Offset in the content and length of each piece, ascending.
    outer : Source
        The pieces, one after the other.
    size : int
        Bytes of the content.
    """

    def __init__(self, outer: Source, pieces: list[tuple[int, int]], size: int) -> None:
        self._outer = outer
        self._pieces = pieces
        self.size: int | None = size

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; fewer only at the end."""
        end = min(offset + length, self.size or 0)
        content = bytearray(max(end - offset, 0))
        stored = 0
        for start, count in self._pieces:
            first, last = max(start, offset), min(start + count, end)
            if first < last:
                data = self._outer.read(stored + first - start, last - first)
                if len(data) < last - first:
                    raise EntryError("ARCHIVE_CORRUPT")
                content[first - offset : last - offset] = data
            stored += count
        return bytes(content)


class WindowSource:
    """A source read in blocks, for walking over a directory with many small steps.

    Parameters
    ----------
    outer : Source
        Where reads are dear (a request each) or go forward only.
    block : int
        Bytes that one read takes at least; the last block is kept.
    """

    def __init__(self, outer: Source, block: int) -> None:
        self._outer = outer
        self._block = block
        self._start = 0
        self._data = b""
        self.size = outer.size

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; fewer only at the end."""
        at = offset - self._start
        if at < 0 or at + length > len(self._data):
            # What is still at hand is not read again: a stream would have to begin anew for it.
            kept = self._data[at:] if 0 <= at < len(self._data) else b""
            wanted = max(length, self._block) - len(kept)
            self._data = kept + self._block_at(offset + len(kept), wanted, length - len(kept))
            self._start, at = offset, 0
        return self._data[at : at + length]

    def _block_at(self, offset: int, wanted: int, needed: int) -> bytes:
        """Read ahead; a fault beyond what is needed is none yet."""
        try:
            return self._outer.read(offset, wanted)
        except EntryError:
            salvaged: bytes = getattr(self._outer, "salvaged", b"")
            if len(salvaged) < needed:
                raise
            return salvaged


class SourceFile(io.RawIOBase):
    """A source as Python's file object, for parsers that want one.

    Parameters
    ----------
    source : Source
        What to read.
    longest_read : int
        A single longer read is refused: a header that claims gigabytes is a damaged one.
    """

    def __init__(self, source: Source, longest_read: int = 64 << 20) -> None:
        self._source = source
        self._longest = longest_read
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the offset of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset from the start or from here."""
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the end may be unknown")
        self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises
        ------
        EntryError
            ARCHIVE_CORRUPT for a read without or beyond the limit.
        """
        if size < 0 or size > self._longest:
            raise EntryError("ARCHIVE_CORRUPT")
        data = self._source.read(self._position, size)
        self._position += len(data)
        return data


def measure(source: Source) -> int:
    """Return a source's size, reading it to its end in bounded memory when it does not say."""
    if source.size is not None:
        return source.size
    position = 0
    while data := source.read(position, _CHUNK):
        position += len(data)
    return position
