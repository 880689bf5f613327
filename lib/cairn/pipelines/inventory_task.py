"""What the tasks of an inventory do: list folders, look into files for archive members. No Spark in here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from cairn.archive.entry import Entry
from cairn.archive.listing import Folder, FolderFault, list_folder
from cairn.archive.opening import Opener
from cairn.settings import Inventory

ENTRY, FOLDER, FAULT, COUNT = "entry", "folder", "fault", "count"
_MOMENT = pa.timestamp("us", tz="UTC")
_TEXT, _NUMBER = pa.string(), pa.int64()

FOUND = pa.schema(
    [
        pa.field("what", _TEXT),
        pa.field("uri", _TEXT),
        pa.field("root", _TEXT),
        pa.field("container", _TEXT),
        pa.field("kind", _TEXT),
        pa.field("size", _NUMBER),
        pa.field("modified", _MOMENT),
        pa.field("checksum", _TEXT),
        pa.field("content_version", _TEXT),
        pa.field("compression", _TEXT),
        pa.field("data_offset", _NUMBER),
        pa.field("compressed_size", _NUMBER),
        pa.field("code", _TEXT),
        pa.field("real", _TEXT),
        pa.field("links", pa.list_(_TEXT)),
    ]
)
"""What a task found: an entry, a folder left to list, the fault of a folder; or how many folders it listed (`size`)."""

FOUND_SQL = (
    "what STRING, uri STRING, root STRING, container STRING, kind STRING, size BIGINT, modified TIMESTAMP, "
    "checksum STRING, content_version STRING, compression STRING, data_offset BIGINT, compressed_size BIGINT, "
    "code STRING, real STRING, links ARRAY<STRING>"
)
_ROWS = 4096


def entry_row(entry: Entry, what: str = ENTRY) -> dict[str, object]:
    """Return an entry as a row of :data:`FOUND`."""
    names = [name for name in FOUND.names if name not in ("what", "real", "links")]
    return {"what": what, **{name: getattr(entry, name) for name in names}, "real": None, "links": None}


def folder_row(folder: Folder) -> dict[str, object]:
    """Return a folder that is left to list as a row of :data:`FOUND`."""
    blank = dict.fromkeys(FOUND.names)
    own = {"uri": folder.uri, "root": folder.root, "real": folder.real, "links": list(folder.links)}
    return {**blank, "what": FOLDER, **own}


def batched(rows: Iterable[dict[str, object]]) -> Iterator[pa.RecordBatch]:
    """Yield rows as Arrow batches of bounded size."""
    held: list[dict[str, object]] = []
    for row in rows:
        held.append(row)
        if len(held) == _ROWS:
            yield pa.RecordBatch.from_pylist(held, FOUND)
            held = []
    if held:
        yield pa.RecordBatch.from_pylist(held, FOUND)


@dataclass(frozen=True)
class ListFolders:
    """Lists folders, and what lies below them, until it has found enough; the folders that are left come back as rows.

    Parameters
    ----------
    settings : Inventory
        The ``inventory`` section of the settings.
    roots : tuple of str
        Real local roots (:func:`cairn.archive.listing.real_roots`).
    """

    settings: Inventory
    roots: tuple[str, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Take rows of folders, yield rows of :data:`FOUND`."""
        yield from batched(self._found(batches))

    def _found(self, batches: Iterator[pa.RecordBatch]) -> Iterator[dict[str, object]]:
        count = folders = 0
        for batch in batches:
            open_folders = [
                Folder(row["uri"], row["root"], row["real"] or "", tuple(row["links"] or ()))
                for row in batch.select(["uri", "root", "real", "links"]).to_pylist()
            ]
            while open_folders and count < self.settings.entries_per_task:
                folder = open_folders.pop()
                folders += 1
                limits = self.settings
                for found in list_folder(folder, self.roots, None, limits.timeout_seconds, limits.tries):
                    if isinstance(found, Folder):
                        open_folders.append(found)
                        continue
                    count += 1
                    yield entry_row(found.entry, FAULT) if isinstance(found, FolderFault) else entry_row(found)
            yield from map(folder_row, open_folders)
        yield {**dict.fromkeys(FOUND.names), "what": COUNT, "size": folders}


@dataclass(frozen=True)
class LookInto:
    """Looks into files: an archive becomes the rows of its members and its own, any other file its own row.

    Parameters
    ----------
    settings : Inventory
        The ``inventory`` section of the settings.
    """

    settings: Inventory

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Take rows of :data:`FOUND` (entries), yield rows of it."""
        yield from batched(self._expanded(batches))

    def _expanded(self, batches: Iterator[pa.RecordBatch]) -> Iterator[dict[str, object]]:
        names = [name for name in FOUND.names if name not in ("what", "real", "links")]
        opener = Opener(self.settings.archive_depth, self.settings.tries, self.settings.timeout_seconds)
        for batch in batches:
            place = batch.schema.get_field_index("modified")
            batch = batch.set_column(place, "modified", batch.column(place).cast(pa.int64()))
            for row in batch.select(names).to_pylist():
                yield from map(entry_row, opener.look_into(Entry(**row)))
