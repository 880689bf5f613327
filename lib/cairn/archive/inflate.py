"""Inflating in bounded memory: a compressed range of a source as a source of its own."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Protocol

from cairn.archive import steps
from cairn.archive.sources import RangeSource, Source, SparseSource
from cairn.errors import EntryError

_IN, _OUT = 64 << 10, 256 << 10
_LZMA_MEMORY = 256 << 20
_FAULTS = (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError)


class _Inflater(Protocol):
    """What zlib's, bz2's and lzma's objects have in common, once wrapped."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def unused_data(self) -> bytes:
        """What follows the stream's end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` more bytes."""


class _Zlib:
    """zlib's object with the manners of bz2's: it keeps the input it has not used yet."""

    def __init__(self, window: int) -> None:
        self._inner = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        tail = self._inner.unconsumed_tail
        return self._inner.decompress(tail + data if tail else data, max_length)


class _ZipLzma:
    """LZMA as zip holds it (APPNOTE 5.8.8): a version, the properties' size, the properties, the stream."""

    def __init__(self) -> None:
        self._head: bytes = b""
        self._inner: lzma.LZMADecompressor | None = None
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        return self._inner is not None and self._inner.eof

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._inner is None:
            self._head += data
            if len(self._head) < 9:
                return b""
            size = struct.unpack_from("<H", self._head, 2)[0]
            if size != 5:
                raise lzma.LZMAError("properties of another size")
            # The header of a .lzma file, with the size unknown: so the dictionary's size can be limited.
            self._inner = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY)
            data = self._head[4:9] + b"\xff" * 8 + self._head[9:]
            self._head = b""
        return self._inner.decompress(data, max_length)


_MAKERS: dict[str, Callable[[], _Inflater]] = {
    steps.DEFLATE: lambda: _Zlib(-zlib.MAX_WBITS),
    steps.GZIP: lambda: _Zlib(16 + zlib.MAX_WBITS),
    steps.BZIP2: bz2.BZ2Decompressor,
    steps.LZMA: _ZipLzma,
    steps.XZ: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY),
}
# Files of these formats may hold several streams after each other (RFC 1952, 2.2).
_SEVERAL = frozenset({steps.GZIP, steps.BZIP2, steps.XZ})


class InflatedSource:
    """A compressed range as a source of its inflated bytes.

    Reading goes forward and inflates what it skips; reading at an earlier offset than the last begins anew. Memory is a
    few hundred kilobytes whatever the sizes.

    Parameters
    ----------
    outer : Source
        The compressed bytes.
    method : str
        A method of :mod:`cairn.archive.steps`.
    size : int or None
        Inflated bytes, when known.

    Attributes
    ----------
    salvaged : bytes
        What the last read got before it met a fault and raised.
    """

    def __init__(self, outer: Source, method: str, size: int | None = None) -> None:
        if method not in _MAKERS:
            raise EntryError("ARCHIVE_UNSUPPORTED")
        self._outer = outer
        self._method = method
        self.size = size
        self._begin()

        self.salvaged: bytes = b""

    def _begin(self) -> None:
        self._inflater = _MAKERS[self._method]()
        self._taken = 0
        self._position = 0
        self._pending = b""
        self._ended = False
        self._fault: EntryError | None = None

    @property
    def taken(self) -> int:
        """Compressed bytes that were consumed so far; exact once the stream has ended."""
        return self._taken - len(self._inflater.unused_data)

    @property
    def ended(self) -> bool:
        """Whether the stream's own end was met."""
        return self._ended

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; fewer only at the end.

        Raises
        ------
        EntryError
            ARCHIVE_CORRUPT when the bytes do not inflate or end too early; CHECKSUM_MISMATCH when a gzip's own
            does not hold.
        """
        self.salvaged = b""
        if offset < self._position:
            self._begin()
        while self._position < offset:
            skipped = self._next(min(offset - self._position, _OUT))
            if not skipped:
                return b""
        parts: list[bytes] = []
        try:
            while length > 0 and (data := self._next(min(length, _OUT))):
                parts.append(data)
                length -= len(data)
        except EntryError:
            self.salvaged = b"".join(parts)
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _next(self, most: int) -> bytes:
        """Return some of the bytes that follow; none only at the end. A fault stays until it begins anew."""
        if self._fault is not None:
            raise self._fault
        try:
            return self._inflate(most)
        except EntryError as fault:
            self._fault = fault
            raise

    def _inflate(self, most: int) -> bytes:
        while not self._ended:
            if self._inflater.eof:
                self._end_of_stream()
                continue
            try:
                data = self._inflater.decompress(self._pending, most)
            except _FAULTS as fault:
                mismatch = self._method == steps.GZIP and "check" in str(fault)
                raise EntryError("CHECKSUM_MISMATCH" if mismatch else "ARCHIVE_CORRUPT") from fault
            self._pending = b""
            if data:
                self._position += len(data)
                return data
            if not self._inflater.eof:
                self._feed()
        return b""

    def _feed(self) -> None:
        self._pending = self._outer.read(self._taken, _IN)
        self._taken += len(self._pending)
        if not self._pending:
            raise EntryError("ARCHIVE_CORRUPT")

    def _end_of_stream(self) -> None:
        """Go on with the next stream where there may be one; padding and other bytes after it are left alone."""
        rest = self._inflater.unused_data
        if self._method in _SEVERAL:
            if not rest:
                rest = self._outer.read(self._taken, _IN)
                self._taken += len(rest)
            if rest[:2] == {steps.GZIP: b"\x1f\x8b", steps.BZIP2: b"BZ", steps.XZ: b"\xfd7"}[self._method]:
                self._inflater = _MAKERS[self._method]()
                self._pending = rest
                return
        self._ended = True


def open_step(outer: Source, step: steps.Step, size: int | None = None) -> Source:
    """Return the space that a step makes.

    Parameters
    ----------
    outer : Source
        The space it stands in.
    step : Step
        Range and method.
    size : int or None
        Inflated bytes, when known.

    Raises
    ------
    EntryError
        ARCHIVE_UNSUPPORTED for a method that is not read, ARCHIVE_ENCRYPTED for a member with a password.
    """
    if step.method == steps.ENCRYPTED:
        raise EntryError("ARCHIVE_ENCRYPTED")
    within = RangeSource(outer, step.offset, step.length)
    if step.method == steps.STORED:
        return within
    if step.method.startswith(steps.SPARSE):
        return SparseSource(within, steps.sparse_pieces(step.method), size or 0)
    return InflatedSource(within, step.method, size)


def open_chain(outermost: Source, chain: steps.Chain, size: int | None = None) -> Source:
    """Return the space at the end of a chain; `size` is that space's, when known."""
    source = outermost
    for place, step in enumerate(chain, start=1):
        source = open_step(source, step, size if place == len(chain) else None)
    return source
