"""Reading a header from an entry: no more bytes than it needs, and never the pixels."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cairn.dicom import scan as sc
from cairn.dicom import tokenise as tk
from cairn.dicom.dictionary import dictionary
from cairn.dicom.kernel import Hole
from cairn.errors import EntryError

_CHUNK = 1 << 20
_SMALLEST_READ, _LARGEST_READ = 4096, 65_536
_ENOUGH_TO_TELL = 512


class Readable(Protocol):
    """What an entry offers: its bytes by offset, forward."""

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; fewer only at the entry's end."""


@dataclass(frozen=True)
class HeaderBytes:
    """One header as it was read.

    Attributes
    ----------
    data : bytes
        From the entry's beginning to its pixel data, long values left out. Of a deflated entry: file meta, and the
        header's part of the dataset deflated anew.
    holes : tuple of Hole
        The values that were left out, ascending.
    pixel_offset : int or None
        Where the pixel data element begins in the entry (of a deflated one: in its inflated bytes); None: it has none.
    """

    data: bytes
    holes: tuple[Hole, ...]
    pixel_offset: int | None

    @property
    def extent(self) -> int:
        """Bytes of the header in its entry, the ones left out included."""
        return len(self.data) + sum(hole.length for hole in self.holes)

    def sha256(self) -> str:
        """Return the hash (hex) of the kept bytes followed by the hashes of the values left out."""
        digest = hashlib.sha256(self.data)
        for hole in self.holes:
            digest.update(hole.sha256)
        return digest.hexdigest()

    def holes_in_entry(self) -> list[tuple[int, Hole]]:
        """Return each hole with its offset in the entry instead of in `data`."""
        shift, out = 0, []
        for hole in self.holes:
            out.append((hole.offset + shift, hole))
            shift += hole.length
        return out


@dataclass(frozen=True)
class ReadLimits:
    """Bounds on what is read and kept of one header.

    Parameters
    ----------
    first_read_bytes : int
        How much is read at first; adapts to the headers that follow.
    blob_value_limit_bytes : int
        Longer values at the top level are hashed and left out of the kept bytes.
    header_limit_bytes : int
        Most bytes that a header may have without those values.
    broken_limit_bytes : int
        How much of a header with a broken structure is read for pydicom to try.
    """

    first_read_bytes: int = 16_384
    blob_value_limit_bytes: int = 1 << 20
    header_limit_bytes: int = 64 << 20
    broken_limit_bytes: int = 4 << 20


class HeaderReader:
    """Reads one header after the other, learning how long they are.

    Parameters
    ----------
    limits : ReadLimits
        Bounds.
    """

    def __init__(self, limits: ReadLimits | None = None) -> None:
        self.limits = limits or ReadLimits()
        self._first = self.limits.first_read_bytes
        tables = dictionary()
        self._tables = (tk.UIDS, tables.vr_of_bytes, tables.vr_is_long)

    def __call__(self, entry: Readable) -> HeaderBytes:
        """Read one entry's header.

        Raises
        ------
        EntryError
            HEADER_TOO_LARGE, DEFLATE_CORRUPT; and whatever reading the entry raises.
        """
        walk = _Walk(entry, self.limits, self._tables)
        header = walk.run(self._first)
        self._learn(len(header.data))
        return header

    def _learn(self, size: int) -> None:
        """Let the next first read cover a header like this one; forget a long one within a few."""
        wanted = size + 256
        if wanted > self._first:
            self._first = min(_LARGEST_READ, -(-wanted // _SMALLEST_READ) * _SMALLEST_READ)
        else:
            self._first = max(_SMALLEST_READ, self._first - (self._first - wanted) // 8)


class _Walk:
    """The reading of one header."""

    def __init__(self, entry: Readable, limits: ReadLimits, tables: tuple) -> None:
        self._entry = entry
        self._limits = limits
        self._tables = tables
        self._data = bytearray()
        self._holes: list[Hole] = []
        self._left_out = 0
        self._ended = False

    def run(self, first: int) -> HeaderBytes:
        self._extend(first)
        while True:
            status, place, length, located = self._scan(self._data, tk.AS_STORED)
            if status == sc.FOUND:
                return self._done(place, place + self._left_out)
            if status == sc.HOLE:
                self._leave_out(place, length)
            elif status == sc.REFUSED and located == tk.DEFLATED:
                return self._inflated(place)
            elif self._ended:
                return self._done(len(self._data), None)
            elif status == sc.BROKEN or (status == sc.REFUSED and located == tk.ODD):
                self._extend(max(self._limits.broken_limit_bytes - len(self._data), 0))
                return self._done(len(self._data), None)
            elif status == sc.REFUSED and located == tk.NOT_DICOM and len(self._data) >= _ENOUGH_TO_TELL:
                return self._done(len(self._data), None)
            else:
                self._grow(place)

    def _scan(self, data: bytearray, form: int) -> tuple[int, int, int, int]:
        buf = np.frombuffer(data, np.uint8)
        holes = np.array([hole.offset for hole in self._holes], np.int64)
        return sc.scan(buf, form, holes, self._limits.blob_value_limit_bytes, *self._tables)

    def _done(self, end: int, pixel_offset: int | None) -> HeaderBytes:
        return HeaderBytes(bytes(memoryview(self._data)[:end]), tuple(self._holes), pixel_offset)

    def _grow(self, wanted: int) -> None:
        """Read on: as far as wanted, but at most twice what is there, so that a lying length costs little."""
        have = len(self._data)
        if have > self._limits.header_limit_bytes:
            raise EntryError("HEADER_TOO_LARGE")
        self._extend(min(max(wanted - have, 0) + _SMALLEST_READ, max(have, 65_536)))

    def _extend(self, length: int) -> None:
        if length == 0:
            return
        more = self._entry.read(len(self._data) + self._left_out, length)
        self._ended = len(more) < length
        self._data += more

    def _leave_out(self, place: int, length: int) -> None:
        """Hash a long value instead of keeping it."""
        digest = hashlib.sha256(memoryview(self._data)[place : place + length])
        seen = min(len(self._data) - place, length)
        offset = place + self._left_out
        del self._data[place:]
        while seen < length:
            chunk = self._entry.read(offset + seen, min(_CHUNK, length - seen))
            digest.update(chunk)
            seen += len(chunk)
            if not chunk:
                break
        self._holes.append(Hole(place, seen, digest.digest()))
        self._left_out += seen
        self._ended = seen < length
        if not self._ended:
            self._extend(_SMALLEST_READ)

    def _inflated(self, start: int) -> HeaderBytes:
        """Inflate a deflated dataset (PS3.5 A.5) as far as its header goes, and keep that part, deflated."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        plain = bytearray(self._data[:start])
        raw, at = bytes(memoryview(self._data)[start:]), len(self._data)
        wanted = 0
        while True:
            try:
                plain += inflater.decompress(raw, _CHUNK)
            except zlib.error as error:
                raise EntryError("DEFLATE_CORRUPT") from error
            ended = inflater.eof or (not inflater.unconsumed_tail and self._ended)
            if len(plain) >= wanted or ended:
                status, place, _, _ = self._scan(plain, tk.INFLATED)
                if status == sc.FOUND:
                    return self._deflated(plain, start, place, place)
                if ended or status in (sc.BROKEN, sc.REFUSED):
                    return self._deflated(plain, start, len(plain), None)
                wanted = min(place, 2 * len(plain))
            if len(plain) > self._limits.header_limit_bytes:
                raise EntryError("HEADER_TOO_LARGE")
            raw = inflater.unconsumed_tail
            if not raw:
                raw = self._entry.read(at, _CHUNK)
                self._ended = len(raw) < _CHUNK
                at += len(raw)

    def _deflated(self, plain: bytearray, start: int, end: int, pixel_offset: int | None) -> HeaderBytes:
        deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        body = deflater.compress(bytes(memoryview(plain)[start:end])) + deflater.flush()
        return HeaderBytes(bytes(memoryview(plain)[:start]) + body, (), pixel_offset)
