"""Members of a zip without its central directory: cut in transfer, or its end damaged.

Goes from local header to local header. Whole members can be read; the one that is cut carries ARCHIVE_CORRUPT.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from cairn.archive import steps
from cairn.archive.inflate import InflatedSource
from cairn.archive.member import Member
from cairn.archive.sources import RangeSource, Source
from cairn.archive.zip_members import (
    CENTRAL,
    ENCRYPTED_FLAG,
    LOCAL,
    METHODS,
    Record,
    _zip64,
    dos_time,
)
from cairn.errors import EntryError

_LOCAL = struct.Struct("<4s5H3L2H")
_DESCRIPTOR = b"PK\7\10"
_DESCRIPTOR_FLAG = 0x8
_PIECE = 1 << 20


def salvage(source: Source, size: int) -> Iterator[Member]:
    """Yield what the local headers tell.

    Parameters
    ----------
    source : Source
        The damaged archive.
    size : int
        Its bytes.
    """
    at: int | None = 0
    while at is not None and at < size:
        head = source.read(at, _LOCAL.size)
        if head.startswith(CENTRAL):
            return
        if len(head) < _LOCAL.size or not head.startswith(LOCAL):
            at = _find(source, LOCAL, at + 1, size)
            continue
        record, data_offset = _local_record(source, head, at)
        if record.flags & _DESCRIPTOR_FLAG and record.compressed_size == 0:
            record = _with_descriptor(source, record, data_offset, size)
        end = data_offset + record.compressed_size
        if not record.is_folder:
            yield record.member(data_offset, "ARCHIVE_CORRUPT" if end > size else None)
        at = end


def _local_record(source: Source, head: bytes, at: int) -> tuple[Record, int]:
    _, _, flags, method, time, date, crc, packed, size, name_size, extra_size = _LOCAL.unpack(head)
    rest = source.read(at + _LOCAL.size, name_size + extra_size)
    size, packed, _ = _zip64(rest[name_size:], size, packed, 0)
    record = Record(rest[:name_size], flags, method, dos_time(date, time), crc, packed, size, at)
    return record, at + _LOCAL.size + name_size + extra_size


def _with_descriptor(source: Source, record: Record, data_offset: int, end: int) -> Record:
    """Return a record whose sizes follow the data (APPNOTE 4.3.9): inflated to its end, or by the descriptor's mark."""
    method = METHODS.get(record.method, steps.UNSUPPORTED)
    if method == steps.DEFLATE and not record.flags & ENCRYPTED_FLAG:
        packed, size = _inflated_sizes(RangeSource(source, data_offset, end - data_offset), method, end)
    else:
        mark = _find_descriptor(source, data_offset, end)
        packed = size = end if mark is None else mark - data_offset
    descriptor = source.read(data_offset + packed, 24)
    crc, full = record.crc, record.size
    if descriptor.startswith(_DESCRIPTOR) and len(descriptor) >= 16:
        crc = struct.unpack_from("<L", descriptor, 4)[0]
        full = struct.unpack_from("<L", descriptor, 12)[0] if method != steps.DEFLATE else size
    elif method == steps.DEFLATE and len(descriptor) >= 4:
        crc, full = struct.unpack_from("<L", descriptor)[0], size
    return Record(record.name, record.flags, record.method, record.modified, crc, packed, full, record.header_offset)


def _inflated_sizes(source: Source, method: str, cut: int) -> tuple[int, int]:
    """Return compressed and inflated size of a stream; (cut, 0) when it does not end."""
    stream = InflatedSource(source, method)
    size = 0
    try:
        while data := stream.read(size, _PIECE):
            size += len(data)
    except EntryError:
        return cut, 0
    return stream.taken, size


def _find_descriptor(source: Source, start: int, end: int) -> int | None:
    """Return where a descriptor lies whose compressed size is the distance from `start`."""
    at = _find(source, _DESCRIPTOR, start, end)
    while at is not None:
        fields = source.read(at, 16)
        if len(fields) == 16 and struct.unpack_from("<L", fields, 8)[0] == (at - start) & 0xFFFFFFFF:
            return at
        at = _find(source, _DESCRIPTOR, at + 1, end)
    return None


def _find(source: Source, mark: bytes, start: int, end: int) -> int | None:
    while start < end:
        data = source.read(start, _PIECE)
        at = data.find(mark)
        if at >= 0:
            return start + at
        if len(data) < _PIECE:
            return None
        start += len(data) - len(mark) + 1
    return None
