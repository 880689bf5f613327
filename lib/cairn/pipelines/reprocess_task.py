"""What one task of `reprocess` does: kept headers in, rows of `instance` and `quarantine` out.

The work list names the rows of `header_blob` by file and place, and the worker reads them there: the bytes of headers
pass neither through the JVM nor through scratch. The archive is not touched. No Spark in here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cairn.pipelines.entry_rows import failed_rows
from cairn.pipelines.header_rows import KeptHeader, holes_in_header, parse_headers
from cairn.pipelines.header_task import STAGE
from cairn.settings import Headers
from cairn.spark.storage import Folder
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE

COLUMNS = ("uri", "content_version", "header", "header_bytes", "pixel_offset", "holes", "file_size")
Row = dict[str, Any]


class MovedError(LookupError):
    """A file of `header_blob` does not hold what the work list says of it."""


@dataclass
class BlobReader:
    """Reads rows of `header_blob` by file and place, forward.

    Parameters
    ----------
    folder : Folder
        Root of `header_blob`.
    """

    folder: Folder
    _name: str = ""
    _file: pq.ParquetFile | None = None
    _starts: list[int] = field(default_factory=list)
    _group: int = -1
    _rows: pa.Table | None = None

    def rows(self, name: str, places: list[int]) -> Iterator[Row]:
        """Yield the rows of one file at ascending places."""
        self._open(name)
        for group, some in itertools.groupby(places, self._group_of):
            table = self._read(group)
            taken = table.take(pa.array([place - self._starts[group] for place in some], pa.int64()))
            yield from taken.to_pylist()

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close(force=True)
        self._name, self._file, self._rows, self._group = "", None, None, -1

    def _open(self, name: str) -> None:
        if name == self._name:
            return
        self.close()
        source = self.folder.filesystem.open_input_file(self.folder.file(name))
        self._file, self._name = pq.ParquetFile(source), name
        metadata = self._file.metadata
        sizes = (metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
        self._starts = list(itertools.accumulate(sizes, initial=0))

    def _group_of(self, place: int) -> int:
        return next(number for number, end in enumerate(self._starts[1:]) if place < end)

    def _read(self, group: int) -> pa.Table:
        if group != self._group or self._rows is None:
            assert self._file is not None
            self._rows, self._group = self._file.read_row_group(group, columns=list(COLUMNS)), group
        return self._rows


@dataclass(frozen=True)
class BlobWork:
    """The work, as the stage runner sends it to the workers.

    Parameters
    ----------
    settings : Headers
        The ``headers`` section of the settings.
    folder : Folder
        Root of `header_blob`.
    run : str
        Run that writes the rows.
    """

    settings: Headers
    folder: Folder
    run: str

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, pa.Table]]:
        """Turn places in `header_blob` into rows of `instance` and `quarantine`: one for each.

        Parameters
        ----------
        batches : iterable of pyarrow.RecordBatch
            Columns ``uri``, ``content_version``, ``file``, ``place``; by file, in ascending places.
        """
        reader = BlobReader(self.folder)
        try:
            for chunk in self._chunks(kept_headers(batches, reader)):
                yield from self._parse(chunk)
        finally:
            reader.close()

    def _chunks(self, headers: Iterable[KeptHeader]) -> Iterator[list[KeptHeader]]:
        """Cut the stream where the kernel has enough."""
        chunk: list[KeptHeader] = []
        size = 0
        for one in headers:
            chunk.append(one)
            size += len(one.data)
            if len(chunk) >= self.settings.kernel_rows or size >= self.settings.kernel_bytes:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

    def _parse(self, chunk: list[KeptHeader]) -> Iterator[tuple[str, pa.Table]]:
        parsed = parse_headers(self.settings, chunk, self.run)
        if parsed.instances is not None:
            yield INSTANCE.name, parsed.instances
        if parsed.failures:
            failed = [(chunk[number], code) for number, code in parsed.failures]
            yield QUARANTINE.name, failed_rows(failed, STAGE, self.run)


def kept_headers(batches: Iterable[pa.RecordBatch], reader: BlobReader) -> Iterator[KeptHeader]:
    """Yield the headers that the work list names.

    Raises
    ------
    MovedError
        When a place holds another entry: the list is of another state of the table.
    """
    for batch in batches:
        wanted = [batch.column(name).to_pylist() for name in ("file", "place", "uri", "content_version")]
        for name, rows in itertools.groupby(zip(*wanted, strict=True), lambda row: row[0]):
            some = list(rows)
            for row, (_, _, uri, version) in zip(reader.rows(name, [one[1] for one in some]), some, strict=True):
                if (row["uri"], row["content_version"]) != (uri, version):
                    raise MovedError
                yield KeptHeader(
                    uri,
                    version,
                    row["file_size"],
                    row["header_bytes"],
                    row["pixel_offset"],
                    row["header"],
                    holes_in_header(row["holes"] or ()),
                )
