"""What jobs share that work on a folder of files without tables: listing, processes, silence."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from typing import Protocol, TypeVar

from cairn.archive.entry import Entry, EntryAddress, address_of
from cairn.archive.listing import Folder, FolderFault, list_folder, open_roots, real_roots
from cairn.archive.opening import Opener
from cairn.dicom.quiet import silence_pydicom
from cairn.settings import Settings

T = TypeVar("T")
_ENTRIES_AT_A_TIME = 64
_PIECE = 1 << 24


class Readable(Protocol):
    """What bytes are read from by offset: an entry of an archive, of the pixel stage, or in memory."""

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes; fewer than asked for only at the end."""


def whole(entry: Readable) -> bytes:
    """Return an entry's bytes."""
    parts, at = [], 0
    while data := entry.read(at, _PIECE):
        parts.append(data)
        at += len(data)
    return b"".join(parts)


def listed(source: str, settings: Settings) -> Iterator[Entry]:
    """Yield every file under a folder, and every member of its archives."""
    limits = settings.inventory
    opened = open_roots([source], os.getcwd(), None, limits.timeout_seconds)
    opener = Opener(limits.archive_depth, limits.tries, limits.timeout_seconds)
    waiting: list[Folder | Entry] = list(opened)
    roots = real_roots(opened)
    while waiting:
        found = waiting.pop()
        if isinstance(found, Folder):
            for item in list_folder(found, roots, None, limits.timeout_seconds, limits.tries):
                waiting.append(item.entry if isinstance(item, FolderFault) else item)
        elif found.code:
            yield found
        else:
            yield from opener.look_into(found)


def in_processes(
    entries: Iterable[Entry], work: Callable[[Sequence[EntryAddress]], list[T]], processes: int
) -> Iterator[T]:
    """Yield what `work` gives for the entries that can be read, made in processes of their own.

    Parameters
    ----------
    entries : iterable of Entry
        From :func:`listed`; archives that were opened, and entries with a fault, are passed over.
    work : callable
        Is given some entries; picklable.
    processes : int
        Worker processes.
    """
    yield from in_processes_each(entries, lambda some: work, processes)


def in_processes_each(
    entries: Iterable[Entry],
    work_of: Callable[[Sequence[EntryAddress]], Callable[[Sequence[EntryAddress]], list[T]]],
    processes: int,
) -> Iterator[T]:
    """Yield what is made of the entries as :func:`in_processes` does, by work of its own for each few of them.

    Parameters
    ----------
    entries : iterable of Entry
        From :func:`listed`.
    work_of : callable
        Called in this process with some entries; what it returns is sent with them, so that it need hold no more than
        what concerns these.
    processes : int
        Worker processes.
    """
    readable = [entry for entry in entries if entry.kind != "container" and not entry.code]
    # A fork would share the parent's threads' locks; keys are read by each process itself.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, silence_pydicom) as pool:
        for some in [pool.submit(work_of(chunk), chunk) for chunk in chunks(readable)]:
            yield from some.result()


def chunks(entries: Iterable[Entry]) -> Iterator[list[EntryAddress]]:
    """Yield entries to be done together: all of one archive, in its order, or some plain files."""
    ordered = sorted(entries, key=lambda entry: (entry.container or "", entry.data_offset or 0, entry.uri))
    for container, group in groupby(ordered, key=lambda entry: entry.container):
        members = [address_of(entry) for entry in group]
        step = len(members) if container else _ENTRIES_AT_A_TIME
        for start in range(0, len(members), step):
            yield members[start : start + step]
