"""Looking into files for archive members: the file opened once, with tries, and held against what was listed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cairn.archive.address import locate
from cairn.archive.containers import expand
from cairn.archive.entry import CONTAINER, Entry, Stamp
from cairn.archive.faults import retried
from cairn.archive.sources import LocalSource, Source
from cairn.archive.stores import Options, RemoteSource, open_store
from cairn.errors import EntryError

_GAP = 64 << 10
_LONGEST = 4 << 20


@dataclass(frozen=True)
class Opener:
    """Turns listed files into rows: an archive into its members and itself, any other file into itself.

    Parameters
    ----------
    depth : int
        How many archives deep to go.
    tries : int
        How often a range is read before it is a fault.
    timeout_seconds : float
        How long one request to an object store may take.
    overlap : int
        How many requests of one archive are under way at a time.
    options : mapping or None
        fsspec's options by store.
    sleep : callable
        Waits.
    """

    depth: int
    tries: int
    timeout_seconds: float
    overlap: int = 16
    options: Options | None = None
    sleep: Callable[[float], None] = time.sleep

    def look_into(self, entry: Entry) -> Iterator[Entry]:
        """Yield the rows that one listed file makes; see :func:`cairn.archive.containers.expand`.

        A file that is no longer as it was listed carries ENTRY_CHANGED, one that cannot be read READ_FAILED,
        READ_FORBIDDEN or ENTRY_GONE; members that were found nevertheless are yielded before it.
        """
        if entry.code is not None:
            yield entry
            return
        location = locate(entry.uri)
        try:
            if location.is_local:
                local = retried(lambda: LocalSource(location.path), self.tries, self.sleep)
                try:
                    yield from self._checked(entry, local, local)
                finally:
                    local.close()
                return
            remote = RemoteSource(open_store(location, self.options, self.timeout_seconds), location, entry.size)
            yield from self._checked(entry, remote, _Prefetched(self._tried(remote), self.overlap))
        except EntryError as fault:
            yield entry.faulty(fault.code)

    def _tried(self, source: Source) -> Source:
        return _Tried(source, self.tries, self.sleep)

    def _checked(self, entry: Entry, opened: LocalSource | RemoteSource, source: Source) -> Iterator[Entry]:
        reading = source if opened is not source else self._tried(source)
        for row in expand(entry, reading, self.depth):
            if row.uri != entry.uri:
                yield row
                continue
            # Its own row comes last. A plain file needs no second look: reading it will tell.
            changed = row.kind == CONTAINER and self._stamp(opened) != Stamp(
                entry.size or 0, entry.modified, entry.checksum
            )
            yield row.faulty("ENTRY_CHANGED") if changed else row

    def _stamp(self, opened: LocalSource | RemoteSource) -> Stamp:
        return retried(opened.current_stamp, self.tries, self.sleep)


class _Tried:
    """A source whose reads are tried several times; a fault that stays is an EntryError."""

    def __init__(self, outer: Source, tries: int, sleep: Callable[[float], None]) -> None:
        self._outer = outer
        self._tries = tries
        self._sleep = sleep
        self.size = outer.size

    def read(self, offset: int, length: int) -> bytes:
        return retried(lambda: self._outer.read(offset, length), self._tries, self._sleep)


class _Prefetched:
    """A source that gets ranges at hand before they are asked for: near ones in one request, requests overlapped."""

    def __init__(self, outer: Source, overlap: int) -> None:
        self._outer = outer
        self._overlap = overlap
        self._pieces: list[tuple[int, bytes]] = []
        self.size = outer.size

    def prefetch(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Get (offset, length) ranges at hand; forget earlier ones."""
        merged = _merged(ranges)
        with ThreadPoolExecutor(max_workers=self._overlap, thread_name_prefix="look-into") as pool:
            data = pool.map(lambda piece: self._outer.read(*piece), merged)
            self._pieces = [(offset, got) for (offset, _), got in zip(merged, data, strict=True)]

    def read(self, offset: int, length: int) -> bytes:
        for start, data in self._pieces:
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        return self._outer.read(offset, length)


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges in order, those with small gaps joined."""
    merged: list[tuple[int, int]] = []
    for offset, length in sorted(ranges):
        if merged:
            start, so_far = merged[-1]
            end = max(start + so_far, offset + length)
            if offset - (start + so_far) <= _GAP and end - start <= _LONGEST:
                merged[-1] = (start, end - start)
                continue
        merged.append((offset, length))
    return merged
