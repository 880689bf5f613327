"""What jobs share that work on a folder of files without tables: listing, processes, silence."""

from __future__ import annotations

import logging
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from typing import TypeVar

from cairn.archive.entry import Entry, EntryAddress, address_of
from cairn.archive.listing import Folder, FolderFault, list_folder, open_roots, real_roots
from cairn.archive.opening import Opener
from cairn.settings import Settings

T = TypeVar("T")
_ENTRIES_AT_A_TIME = 64


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
    readable = [entry for entry in entries if entry.kind != "container" and not entry.code]
    # A fork would share the parent's threads' locks; keys are read by each process itself.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=processes, mp_context=context) as pool:
        for some in [pool.submit(work, chunk) for chunk in chunks(readable)]:
            yield from some.result()


def silence_pydicom() -> None:
    """Keep pydicom from telling of values, in this process."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")


def chunks(entries: Iterable[Entry]) -> Iterator[list[EntryAddress]]:
    """Yield entries to be done together: all of one archive, in its order, or some plain files."""
    ordered = sorted(entries, key=lambda entry: (entry.container or "", entry.data_offset or 0, entry.uri))
    for container, group in groupby(ordered, key=lambda entry: entry.container):
        members = [address_of(entry) for entry in group]
        step = len(members) if container else _ENTRIES_AT_A_TIME
        for start in range(0, len(members), step):
            yield members[start : start + step]
