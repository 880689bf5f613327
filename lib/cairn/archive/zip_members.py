"""Members of a zip (PKWARE APPNOTE 6.3.10), from its central directory read piece by piece.

Python's zipfile holds the whole directory as objects and wants a file that seeks; this reads any source, keeps one
piece of the directory in memory, and goes on with what can be found when the directory is missing.
"""

from __future__ import annotations

import calendar
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cairn.archive import steps
from cairn.archive.member import Member
from cairn.archive.sources import Source, measure
from cairn.errors import EntryError

LOCAL, CENTRAL, END, END64, LOCATOR64 = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7"
METHODS = {0: steps.STORED, 8: steps.DEFLATE, 12: steps.BZIP2, 14: steps.LZMA}
_RECORD = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT = 65_535
_TAIL = 22 + _LONGEST_COMMENT + 20 + 56
_PIECE = 1 << 20
_NOT_HERE = 0xFFFFFFFF
ENCRYPTED_FLAG, DIRECTORY_ENCRYPTED_FLAG = 0x1, 0x2000


@dataclass(slots=True, frozen=True)
class Record:
    """One record of the central directory.

    Attributes
    ----------
    header_offset : int
        Where the member's local header lies, in the archive.
    """

    name: bytes
    flags: int
    method: int
    modified: int | None
    crc: int
    compressed_size: int
    size: int
    header_offset: int

    @property
    def is_folder(self) -> bool:
        """Whether it only names a folder."""
        return self.name.endswith(b"/") and self.size == 0

    def member(self, data_offset: int | None, code: str | None = None) -> Member:
        """Return the member whose data begins at an offset; without one it is damaged."""
        method = METHODS.get(self.method, steps.UNSUPPORTED)
        if self.flags & (ENCRYPTED_FLAG | DIRECTORY_ENCRYPTED_FLAG):
            method, code = steps.ENCRYPTED, code or "ARCHIVE_ENCRYPTED"
        elif method == steps.UNSUPPORTED:
            code = code or "ARCHIVE_UNSUPPORTED"
        elif self.size == 0:
            code = code or "EMPTY_FILE"
        step = None if data_offset is None else steps.Step(method, data_offset, self.compressed_size)
        return Member(self.name, step, self.size, self.modified, f"crc32:{self.crc:08x}", code)


@dataclass(slots=True, frozen=True)
class Directory:
    """Where the central directory lies; `shift` is how far the archive begins after the file's beginning."""

    offset: int
    size: int
    count: int
    shift: int


def dos_time(date: int, time: int) -> int | None:
    """Return a zip's date and time (APPNOTE 4.4.6) in microseconds since 1970-01-01; None when there is no such day."""
    year, month, day = (date >> 9) + 1980, date >> 5 & 15, date & 31
    hour, minute, second = time >> 11, time >> 5 & 63, 2 * (time & 31)
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    return calendar.timegm((year, month, day, hour, minute, second)) * 1_000_000


def find_directory(source: Source) -> Directory | None:
    """Return where a zip's central directory lies, from its last bytes; None when the end is missing.

    Raises
    ------
    EntryError
        ARCHIVE_UNSUPPORTED for a zip in several volumes.
    """
    size = measure(source)
    start = max(size - _TAIL, 0)
    tail = source.read(start, size - start)
    at = tail.rfind(END)
    while at >= 0:
        if at + 22 <= len(tail):
            found = _directory_at(source, tail, start, at)
            if found is not None:
                return found
        at = tail.rfind(END, 0, at)
    return None


def _directory_at(source: Source, tail: bytes, start: int, at: int) -> Directory | None:
    _, disk, first_disk, _, count, size, offset, _ = struct.unpack_from("<4s4H2LH", tail, at)
    end = start + at
    if tail[max(at - 20, 0) : at].startswith(LOCATOR64):
        where = struct.unpack_from("<Q", tail, at - 12)[0]
        record, end = _end64(source, where, end - 20)
        if record is None:
            return None
        disk, first_disk, _, count, size, offset = struct.unpack_from("<2L4Q", record, 16)
    if disk != first_disk or disk not in (0, 0xFFFF):
        raise EntryError("ARCHIVE_UNSUPPORTED")
    shift = end - size - offset  # not 0 when something was put before the archive
    if shift < 0 or (count and source.read(offset + shift, 4) != CENTRAL):
        return None
    return Directory(offset + shift, size, count, shift)


def _end64(source: Source, where: int, locator: int) -> tuple[bytes | None, int]:
    """Return the zip64 end record and its offset: where the locator says, or just before the locator."""
    for offset in (where, locator - 56):
        record = source.read(offset, 56) if 0 <= offset < locator else b""
        if len(record) == 56 and record.startswith(END64):
            return record, offset
    return None, locator


def read_directory(source: Source, directory: Directory) -> Iterator[Record]:
    """Yield the records of a central directory.

    Raises
    ------
    EntryError
        ARCHIVE_CORRUPT where a record breaks off; those before it were yielded.
    """
    data, at, taken = b"", 0, 0
    for _ in range(directory.count):
        if len(data) - at < _RECORD.size + 3 * 0xFFFF and taken < directory.size:
            piece = source.read(directory.offset + taken, min(_PIECE, directory.size - taken))
            taken = taken + len(piece) if piece else directory.size
            data, at = data[at:] + piece, 0
        record, at = _record(data, at, directory.shift)
        yield record


def _record(data: bytes, at: int, shift: int) -> tuple[Record, int]:
    if len(data) - at < _RECORD.size or data[at : at + 4] != CENTRAL:
        raise EntryError("ARCHIVE_CORRUPT")
    fields = _RECORD.unpack_from(data, at)
    flags, method, time, date, crc, packed, size, name_size, extra_size, comment_size = fields[3:13]
    begin = at + _RECORD.size
    end = begin + name_size + extra_size + comment_size
    if end > len(data):
        raise EntryError("ARCHIVE_CORRUPT")
    name = data[begin : begin + name_size]
    extra = data[begin + name_size : begin + name_size + extra_size]
    size, packed, offset = _zip64(extra, size, packed, fields[16])
    return Record(name, flags, method, dos_time(date, time), crc, packed, size, offset + shift), end


def _zip64(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Return the sizes and the offset with those that do not fit 32 bits taken from the extra field (APPNOTE 4.5.3)."""
    if _NOT_HERE not in (size, packed, offset):
        return size, packed, offset
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            values = iter(struct.unpack_from(f"<{min(length, len(extra) - at - 4) // 8}Q", extra, at + 4))
            size, packed, offset = (next(values, v) if v == _NOT_HERE else v for v in (size, packed, offset))
            break
        at += 4 + length
    return size, packed, offset
