"""What one task of the headers stage does: entries in, rows of `header_blob`, `instance` and `quarantine` out.

No Spark in here: a task is a function over Arrow batches, so that it is tested from a plain Python prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from cairn.archive.entry import EntryAddress
from cairn.archive.reader import read_entries
from cairn.dicom.reading import HeaderBytes, HeaderReader, ReadLimits
from cairn.errors import EntryError
from cairn.pipelines.entry_rows import addresses, failed_rows, table_of
from cairn.pipelines.header_rows import KeptHeader, entry_columns, header_kernel, parse_headers
from cairn.settings import Headers
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE

STAGE = "headers"


@dataclass
class _Chunk:
    """Headers on their way to the kernel, and entries that failed before it."""

    entries: list[EntryAddress] = field(default_factory=list)
    headers: list[HeaderBytes] = field(default_factory=list)
    failed: list[tuple[EntryAddress, str]] = field(default_factory=list)
    size: int = 0

    def add(self, entry: EntryAddress, outcome: HeaderBytes | EntryError) -> None:
        if isinstance(outcome, EntryError):
            self.failed.append((entry, outcome.code))
        else:
            self.entries.append(entry)
            self.headers.append(outcome)
            self.size += len(outcome.data)


class HeaderTask:
    """Reads and parses the headers of one task's entries.

    Parameters
    ----------
    settings : Headers
        The ``headers`` section of the settings.
    run : str
        Run that writes the rows.
    """

    def __init__(self, settings: Headers, run: str) -> None:
        self.settings = settings
        self.run = run
        header_kernel(settings)  # made before the first entry is read
        self._reader = HeaderReader(
            ReadLimits(settings.first_read_bytes, settings.blob_value_limit_bytes, settings.header_limit_bytes)
        )
        # pydicom warns about values; a value must not reach a log.

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, pa.Table]]:
        """Turn batches of `archive_entry` rows into rows of three tables.

        Parameters
        ----------
        batches : iterable of pyarrow.RecordBatch
            Columns of ``archive_entry``; entries of one container stand together.

        Yields
        ------
        tuple of str and pyarrow.Table
            Table name and rows. Every entry is in exactly one of ``instance`` (with its ``header_blob``) and
            ``quarantine``.
        """
        for chunk in self._chunks(addresses(batches)):
            yield from self._parse(chunk)

    def _chunks(self, entries: Iterable[list[EntryAddress]]) -> Iterator[_Chunk]:
        """Read entries, and cut the stream where the kernel has enough."""
        chunk = _Chunk()
        for some in entries:
            outcomes = read_entries(
                some,
                self._reader,
                overlap=self.settings.overlap,
                tries=self.settings.tries,
                timeout_seconds=self.settings.timeout_seconds,
            )
            for entry, outcome in outcomes:
                chunk.add(entry, outcome)
                if len(chunk.headers) >= self.settings.kernel_rows or chunk.size >= self.settings.kernel_bytes:
                    yield chunk
                    chunk = _Chunk()
        if chunk.entries or chunk.failed:
            yield chunk

    def _parse(self, chunk: _Chunk) -> Iterator[tuple[str, pa.Table]]:
        failed = list(chunk.failed)
        if chunk.headers:
            kept = [_kept(entry, header) for entry, header in zip(chunk.entries, chunk.headers, strict=True)]
            parsed = parse_headers(self.settings, kept, self.run)
            failed += [(chunk.entries[i], code) for i, code in parsed.failures]
            if parsed.instances is not None:
                common = entry_columns([kept[i] for i in parsed.rows], self.run)
                headers = [chunk.headers[i] for i in parsed.rows]
                yield HEADER_BLOB.name, self._blobs(headers, parsed.transfer_syntax_uids, common)
                yield INSTANCE.name, parsed.instances
        if failed:
            yield QUARANTINE.name, failed_rows(failed, STAGE, self.run)

    def _blobs(self, headers: list[HeaderBytes], syntaxes: list[str | None], common: dict[str, pa.Array]) -> pa.Table:
        holes = [
            [{"offset": at, "length": hole.length, "sha256": hole.sha256.hex()} for at, hole in header.holes_in_entry()]
            for header in headers
        ]
        columns = {
            **common,
            "header": pa.array([header.data for header in headers], pa.binary()),
            "transfer_syntax_uid": pa.array(syntaxes, pa.string()),
            "header_sha256": pa.array([header.sha256() for header in headers], pa.string()),
            "holes": pa.array(holes, HEADER_BLOB.column("holes").type),
        }
        return table_of(HEADER_BLOB, columns)


def _kept(entry: EntryAddress, header: HeaderBytes) -> KeptHeader:
    return KeptHeader(
        entry.uri, entry.content_version, entry.size, header.extent, header.pixel_offset, header.data, header.holes
    )


@dataclass(frozen=True)
class HeaderWork:
    """The headers stage's work, as the stage runner sends it to the workers.

    Parameters
    ----------
    settings : Headers
        The ``headers`` section of the settings.
    run : str
        Run that writes the rows.
    """

    settings: Headers
    run: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.Table]]:
        """Do one task's work; see :class:`HeaderTask`."""
        return HeaderTask(self.settings, self.run)(batches)
