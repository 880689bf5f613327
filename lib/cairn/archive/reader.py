"""Reading entries: plain files, objects and archive members through one function.

The header and pixel stages hand over a batch of addresses and what to do with one entry; they get the results in the
same order. Faults are values: an :class:`~cairn.errors.EntryError` in the place of the result.
"""

from __future__ import annotations

import os
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from cairn.archive import steps
from cairn.archive.address import Location, local_path, locate, split_uri
from cairn.archive.entry import EntryAddress, Stamp, content_version
from cairn.archive.faults import STORAGE_FAULTS, code_of, is_transient, retried
from cairn.archive.inflate import open_chain, open_step
from cairn.archive.sources import LocalSource, Source, read_fully
from cairn.archive.stores import Options, RemoteSource, open_store
from cairn.errors import EntryError

T = TypeVar("T")
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class EntryHandle:
    """One entry, open for reading.

    Attributes
    ----------
    size : int or None
        Bytes of the entry; None when its archive does not say (a single .gz).
    """

    __slots__ = ("size",)

    size: int | None

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the entry.

        Parameters
        ----------
        offset : int
            First byte. An offset before the last read's end works, but inflates a compressed member from its beginning.
        length : int
            How many bytes.

        Returns
        -------
        bytes
            `length` bytes; fewer only at the entry's end.

        Raises
        ------
        EntryError
            ARCHIVE_CORRUPT, CHECKSUM_MISMATCH, ENTRY_CHANGED.
        OSError
            A fault of storage, which :func:`read_entries` retries or turns into a code.
        """
        raise NotImplementedError


class _FileHandle(EntryHandle):
    """A plain local file."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._descriptor, length, offset)
        if len(data) < length and offset + len(data) < self.size:  # type: ignore[operator]
            data += read_fully(self._descriptor, offset + len(data), length - len(data))
        return data


class SourceHandle(EntryHandle):
    """An entry in some source: an object, or an archive's member.

    Parameters
    ----------
    source : Source
        The entry's bytes.
    size : int or None
        How many there are.
    checksum : str or None
        ``crc32:…`` is checked when the entry has been read from its beginning to its end; others are not.
    """

    __slots__ = ("_checked", "_crc", "_expected", "_source")

    def __init__(self, source: Source, size: int | None, checksum: str | None = None) -> None:
        self._source = source
        self.size = size
        self._expected = int(checksum[6:], 16) if checksum and checksum.startswith("crc32:") else None
        self._crc = 0
        self._checked = 0

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; see :meth:`EntryHandle.read`."""
        if self.size is not None:
            length = min(length, self.size - offset)
        if length <= 0:
            return b""
        data = self._source.read(offset, length)
        if self.size is not None and len(data) < length:
            raise EntryError("ARCHIVE_CORRUPT")
        if self._expected is not None and offset <= self._checked < offset + len(data):
            self._check(memoryview(data)[self._checked - offset :])
        return data

    def _check(self, data: memoryview) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._checked += len(data)
        if self._checked == self.size and self._crc != self._expected:
            raise EntryError("CHECKSUM_MISMATCH")


@dataclass(frozen=True)
class _Way:
    """How to read: the arguments of :func:`read_entries` that its parts share."""

    tries: int
    timeout_seconds: float
    options: Options | None
    sleep: Callable[[float], None]


def read_entries(
    entries: Sequence[EntryAddress],
    process: Callable[[EntryHandle], T],
    *,
    overlap: int,
    tries: int,
    timeout_seconds: float,
    options: Options | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[EntryAddress, T | EntryError]]:
    """Read entries one after the other, or overlapped where they lie in an object store.

    Parameters
    ----------
    entries : sequence of EntryAddress
        Sorted by `container` and `data_offset` an archive is opened once, and a compressed stream inflated once.
    process : callable
        Gets an entry's handle, valid during the call only. It may be called again for the same entry when storage
        falters, and from several threads for entries of object stores.
    overlap : int
        How many entries of object stores are read at a time.
    tries : int
        How often an entry is tried when storage falters, waiting 0.1, 0.2, 0.4 … 10 seconds in between.
    timeout_seconds : float
        How long one request to an object store may take. Reads of mounted file systems end when the mount lets them.
    options : mapping or None
        fsspec's options by store.
    sleep : callable
        Waits.

    Yields
    ------
    (EntryAddress, result or EntryError)
        In the order of `entries`. Codes: READ_FAILED, READ_FORBIDDEN, ENTRY_GONE, ENTRY_CHANGED, ARCHIVE_ENCRYPTED,
        ARCHIVE_UNSUPPORTED, ARCHIVE_CORRUPT, CHECKSUM_MISMATCH, and whichever `process` raises as EntryError.
    """
    way = _Way(tries, timeout_seconds, options, sleep)
    for local, group in groupby(entries, key=_is_local):
        if local:
            yield from _read_local(group, process, way)
        else:
            yield from _read_remote(group, process, way, overlap)


def _is_local(entry: EntryAddress) -> bool:
    return (entry.container or entry.uri).startswith("file:///")


def _read_local(
    entries: Iterable[EntryAddress], process: Callable[[EntryHandle], T], way: _Way
) -> Iterator[tuple[EntryAddress, T | EntryError]]:
    archive: _Archive | None = None
    try:
        for entry in entries:
            if entry.container is None:
                yield entry, _read_file(entry, process, way)
                continue
            if archive is None or archive.uri != entry.container:
                if archive is not None:
                    archive.close()
                archive = _Archive(entry.container, way)
            yield entry, archive.read(entry, process)
    finally:
        if archive is not None:
            archive.close()


def _read_file(entry: EntryAddress, process: Callable[[EntryHandle], T], way: _Way) -> T | EntryError:
    """Read a plain local file: the way that a national archive takes a billion times, so with nothing to spare."""
    path = local_path(entry.uri)
    try:
        return _once(path, entry, process)  # type: ignore[arg-type]
    except EntryError as fault:
        return fault
    except OSError as fault:
        if way.tries <= 1 or not is_transient(fault):
            return EntryError(code_of(fault))
    way.sleep(0.1)
    try:
        return retried(lambda: _once(path, entry, process), way.tries - 1, way.sleep)  # type: ignore[arg-type]
    except EntryError as fault:
        return fault


def _once(path: str, entry: EntryAddress, process: Callable[[EntryHandle], T]) -> T:
    descriptor = os.open(path, _FLAGS)
    try:
        before = os.fstat(descriptor)
        size, moment = before.st_size, before.st_mtime_ns
        if size != entry.size or moment // 1000 != entry.modified:
            raise EntryError("ENTRY_CHANGED")
        result = process(_FileHandle(descriptor, size))
        after = os.fstat(descriptor)
        if after.st_mtime_ns != moment or after.st_size != size:
            raise EntryError("ENTRY_CHANGED")
        return result
    finally:
        os.close(descriptor)


class _Archive:
    """An outermost archive, opened once for the entries that follow each other in it.

    Parameters
    ----------
    uri : str
        Its URI.
    way : _Way
        How to read.
    """

    def __init__(self, uri: str, way: _Way) -> None:
        self.uri = uri
        self._way = way
        self._location = locate(uri)
        self._source: LocalSource | RemoteSource | None = None
        self._prefix: steps.Chain = ()
        self._space: Source | None = None

    def read(self, entry: EntryAddress, process: Callable[[EntryHandle], T]) -> T | EntryError:
        """Return what `process` makes of a member."""
        try:
            return retried(lambda: self._once(entry, process), self._way.tries, self._way.sleep)
        except EntryError as fault:
            return fault

    def _once(self, entry: EntryAddress, process: Callable[[EntryHandle], T]) -> T:
        *prefix, last = steps.from_columns(entry.compression, entry.data_offset, entry.compressed_size)
        try:
            space = self._open(tuple(prefix))
            self._check(entry, opened=True)
            handle = SourceHandle(open_step(space, last, entry.size), entry.size, entry.checksum)
            result = process(handle)
        except EntryError:
            self._check(entry, opened=False)
            raise
        except STORAGE_FAULTS:
            self.close()
            raise
        self._check(entry, opened=False)
        return result

    def _open(self, prefix: steps.Chain) -> Source:
        """Return the space after a chain; the last one stays open, so that a stream goes on where it was."""
        if self._source is None:
            self._source = _open_source(self._location, None, self._way)
        if self._space is None or prefix != self._prefix:
            self._space, self._prefix = open_chain(self._source, prefix), prefix
        return self._space

    def _check(self, entry: EntryAddress, opened: bool) -> None:
        """Raise ENTRY_CHANGED when the archive is no longer the one that was listed."""
        source = self._source
        if source is None or (opened and isinstance(source, RemoteSource)):
            return  # a store's stamp comes with the range that is read
        stamp = source.current_stamp()
        if content_version(entry.size, entry.modified, entry.checksum, stamp) != entry.content_version:
            raise EntryError("ENTRY_CHANGED")

    def close(self) -> None:
        """Close what is open; reading opens it again."""
        if isinstance(self._source, LocalSource):
            self._source.close()
        self._source = self._space = None


def _open_source(location: Location, size: int | None, way: _Way) -> LocalSource | RemoteSource:
    if location.is_local:
        return LocalSource(location.path)
    return RemoteSource(open_store(location, way.options, way.timeout_seconds), location, size)


def _read_remote(
    entries: Iterable[EntryAddress], process: Callable[[EntryHandle], T], way: _Way, overlap: int
) -> Iterator[tuple[EntryAddress, T | EntryError]]:
    """Read entries of object stores in a sliding window of threads."""
    waiting: deque[tuple[list[EntryAddress], Future[list[T | EntryError]]]] = deque()
    pool = ThreadPoolExecutor(max_workers=max(overlap, 1), thread_name_prefix="read-entries")
    try:
        for unit in _units(entries):
            waiting.append((unit, pool.submit(_read_unit, unit, process, way)))
            if len(waiting) >= 2 * overlap:
                yield from zip(*_finished(waiting.popleft()), strict=True)
        while waiting:
            yield from zip(*_finished(waiting.popleft()), strict=True)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _finished(
    unit: tuple[list[EntryAddress], Future[list[T | EntryError]]],
) -> tuple[list[EntryAddress], list[T | EntryError]]:
    return unit[0], unit[1].result()


def _units(entries: Iterable[EntryAddress]) -> Iterator[list[EntryAddress]]:
    """Group entries that share a compressed stream; all others stand alone."""
    for stream, group in groupby(entries, key=_stream_of):
        if stream is None:
            yield from ([entry] for entry in group)
        else:
            yield list(group)


def _stream_of(entry: EntryAddress) -> tuple[str, str] | None:
    if entry.container is None or entry.compression is None or entry.data_offset is None:
        return None
    if entry.compression == steps.GZIP or ">" in entry.compression:
        return entry.container, entry.compression.rpartition(">")[0]
    return None


def _read_unit(unit: list[EntryAddress], process: Callable[[EntryHandle], T], way: _Way) -> list[T | EntryError]:
    first = unit[0]
    if first.container is None:
        return [_read_object(first, process, way)]
    archive = _Archive(first.container, way)
    return [archive.read(entry, process) for entry in unit]


def _read_object(entry: EntryAddress, process: Callable[[EntryHandle], T], way: _Way) -> T | EntryError:
    try:
        return retried(lambda: _once_remote(entry, process, way), way.tries, way.sleep)
    except EntryError as fault:
        return fault


def _once_remote(entry: EntryAddress, process: Callable[[EntryHandle], T], way: _Way) -> T:
    location = locate(split_uri(entry.uri)[0])
    source = RemoteSource(open_store(location, way.options, way.timeout_seconds), location, entry.size)
    try:
        result = process(SourceHandle(source, entry.size))
    except EntryError as fault:
        if source.seen is not None and _differs(entry, source.seen):
            raise EntryError("ENTRY_CHANGED") from fault
        raise
    if _differs(entry, source.current_stamp()):
        raise EntryError("ENTRY_CHANGED")
    return result


def _differs(entry: EntryAddress, stamp: Stamp) -> bool:
    return (entry.size, entry.modified, entry.checksum) != (stamp.size, stamp.modified, stamp.tag)
