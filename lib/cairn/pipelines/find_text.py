"""`find-text`: burnt-in text in a folder of files, without tables: the finder of `pixels`, in processes.

One line of the result is one line of text. Every entry is accounted for in the counts and, when asked for, in a second
file. Both files appear when they are complete.
"""

from __future__ import annotations

import contextlib
import csv
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote

from cairn.archive.entry import Entry, EntryAddress
from cairn.archive.listing import open_roots
from cairn.archive.reader import read_entries
from cairn.errors import CairnError, EntryError
from cairn.pipelines.folder import in_processes, listed
from cairn.pipelines.pixel_task import TEXT, Found, entry_worker, guarded
from cairn.pixels.text.device_rules import DeviceRule
from cairn.settings import Pixels, Settings
from cairn.spark.progress import Progress
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH

COLUMNS = (
    "path", "frame", "x", "y", "width", "height", "text", "confidence", "last_frame", "category", "plane", "engine",
)  # fmt: skip
ENTRIES = (
    "path",
    "outcome",
    "code",
    "searched",
    "evidence",
    "device_rule",
    "frames_looked",
    "frames_searched",
    "boxes",
)
WITH_TEXT, WITHOUT_TEXT, WITHOUT_PIXELS, UNREADABLE, CONTAINER = (
    "with text", "without text", "without pixels", "unreadable", "container",
)  # fmt: skip


@dataclass(frozen=True)
class Looked:
    """What one entry gave: its row of ``entries``, and its boxes."""

    entry: dict[str, Any]
    boxes: list[dict[str, Any]]

    @property
    def outcome(self) -> str:
        """Return the entry's outcome."""
        return str(self.entry["outcome"])


@dataclass(frozen=True)
class FindTextWork:
    """What every worker process gets.

    Parameters
    ----------
    settings : Pixels
        Bounds.
    rules : tuple of DeviceRule
        Device rules.
    """

    settings: Pixels
    rules: tuple[DeviceRule, ...]

    def __call__(self, entries: Sequence[EntryAddress]) -> list[Looked]:
        """Look at some entries."""
        read = read_entries(
            entries,
            guarded(entry_worker(self.settings, self.rules).reading(TEXT)),
            overlap=1,
            tries=self.settings.tries,
            timeout_seconds=self.settings.timeout_seconds,
        )
        return [looked(entry.uri, found) for entry, found in read]


def looked(uri: str, found: Found | EntryError) -> Looked:
    """Return what is reported of one entry."""
    if isinstance(found, EntryError):
        return Looked({"path": uri, "outcome": UNREADABLE, "code": found.code}, [])
    (row,) = found.rows[TEXT_SEARCH.name]
    boxes = found.rows[BURNED_IN_TEXT.name]
    outcome = (WITH_TEXT if boxes else WITHOUT_TEXT) if row["pixels"] else WITHOUT_PIXELS
    told = {**row, "path": uri, "outcome": outcome, "code": "", "evidence": " ".join(row["evidence"])}
    return Looked(told, [{**box, "path": uri} for box in boxes])


def find_text(
    source: str,
    output: Path,
    entries_file: Path | None,
    work: FindTextWork,
    settings: Settings,
    processes: int,
    stream: TextIO,
    clock: Callable[[], float],
) -> Counter[str]:
    """Look for text in every file of a folder and every member of its archives.

    Parameters
    ----------
    source : str
        Folder, or URI.
    output : pathlib.Path
        CSV of the boxes; columns :data:`COLUMNS`, paths relative to the folder.
    entries_file : pathlib.Path or None
        CSV with one line an entry; columns :data:`ENTRIES`.
    work : FindTextWork
        What worker processes do.
    settings : Settings
        Limits of listing.
    processes : int
        Worker processes.
    stream : text stream
        For progress lines.
    clock : callable
        Seconds since the epoch.

    Returns
    -------
    Counter
        Entries by outcome; ``entries``, ``boxes``, ``searched``.

    Raises
    ------
    CairnError
        SOURCE_MISSING, NO_DISK.
    """
    (root,) = (folder.uri.rstrip("/") + "/" for folder in open_roots([source], os.getcwd(), None, 60))
    entries = list(listed(source, settings))
    progress = Progress("find-text", len(entries), stream, clock, settings.stage.progress_seconds)
    counts: Counter[str] = Counter(entries=len(entries))
    done = 0
    with _appearing(output, COLUMNS) as boxes, _appearing(entries_file, ENTRIES) as told:
        for found in _all_looked(entries, work, processes):
            found.entry["path"] = shown(found.entry["path"], root)
            told(found.entry)
            for box in found.boxes:
                boxes({**box, "path": found.entry["path"]})
            counts.update({found.outcome: 1, "boxes": len(found.boxes), "searched": bool(found.entry.get("searched"))})
            done += 1
            progress.at(done)
    return counts


def shown(uri: str, root: str) -> str:
    """Return an entry's path under the folder, as people write paths."""
    return unquote(uri.removeprefix(root)) if uri.startswith("file:") else uri.removeprefix(root)


def _all_looked(entries: Sequence[Entry], work: FindTextWork, processes: int) -> Iterator[Looked]:
    for entry in entries:
        if entry.code:
            yield Looked({"path": entry.uri, "outcome": UNREADABLE, "code": entry.code}, [])
        elif entry.kind == "container":
            yield Looked({"path": entry.uri, "outcome": CONTAINER}, [])
    yield from in_processes(entries, work, processes)


@contextlib.contextmanager
def _appearing(path: Path | None, columns: Sequence[str]) -> Iterator[Callable[[dict[str, Any]], object]]:
    """Give a function that writes one row; the file gets its name when all went well, and is not there otherwise."""
    if path is None:
        yield lambda row: None
        return
    try:
        handle, partial = tempfile.mkstemp(dir=path.resolve().parent, prefix=".partial-")
    except FileNotFoundError:
        raise CairnError("SOURCE_MISSING", path=path.resolve().parent) from None
    try:
        with open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore", restval="")
            writer.writeheader()
            yield writer.writerow
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
