"""What one task of the pixel stage does: entries in, rows of `pixel_statistics` and `quarantine` out.

No Spark in here. Statistics and text come out of one decoding; either can be made without the other when only its
algorithm is new.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from cairn.archive.entry import EntryAddress
from cairn.archive.reader import read_entries
from cairn.errors import EntryError
from cairn.pipelines.entry_rows import addresses, failed_rows
from cairn.pixels.reader import PixelEntry, PixelLimits, PixelReader, PixelResult
from cairn.pixels.rows import ALGORITHM_VERSION, Row, table_of
from cairn.settings import Pixels
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.quarantine import QUARANTINE

STAGE = "pixels"
MEASURED = "measured"
"""Name of the count of entries that have rows of their own; the others are in quarantine."""

ROWS_AT_A_TIME = 512
"""Rows, each with its histograms, that a worker holds before it makes a table of them."""

Made = tuple[str, pa.Table] | Mapping[str, int]


def versions() -> str:
    """Return the version of what the stage makes, as quarantine has it: a new one tries failed entries again."""
    return str(ALGORITHM_VERSION)


@dataclass(frozen=True)
class PixelWork:
    """The pixel stage's work, as the stage runner sends it to the workers.

    Parameters
    ----------
    settings : Pixels
        The ``pixels`` section of the settings.
    run : str
        Run that writes the rows.
    """

    settings: Pixels
    run: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[Made]:
        """Turn batches of `archive_entry` rows into rows of the tables, and the count of entries measured."""
        with PixelReader(limits_of(self.settings)) as reader:
            outcomes = itertools.chain.from_iterable(self._read(some, reader) for some in addresses(batches))
            yield from self._rows(outcomes)

    def _read(
        self, entries: list[EntryAddress], reader: PixelReader
    ) -> Iterator[tuple[EntryAddress, PixelResult | EntryError]]:
        # One at a time: the reader keeps one decoder, and decoding takes longer than any storage.
        return read_entries(
            entries,
            guarded(reader),
            overlap=1,
            tries=self.settings.tries,
            timeout_seconds=self.settings.timeout_seconds,
        )

    def _rows(self, outcomes: Iterable[tuple[EntryAddress, PixelResult | EntryError]]) -> Iterator[Made]:
        rows: list[Row] = []
        failed: list[tuple[EntryAddress, str]] = []
        for entry, outcome in outcomes:
            if isinstance(outcome, EntryError):
                failed.append((entry, outcome.code))
            else:
                yield {MEASURED: 1}
                own = {"uri": entry.uri, "content_version": entry.content_version, "run": self.run}
                rows += [{**row, **own} for row in outcome.rows]
            if len(rows) + len(failed) >= ROWS_AT_A_TIME:
                yield from self._tables(rows, failed)
                rows, failed = [], []
        yield from self._tables(rows, failed)

    def _tables(self, rows: list[Row], failed: list[tuple[EntryAddress, str]]) -> Iterator[Made]:
        if rows:
            yield PIXEL_STATISTICS.name, table_of(rows)
        if failed:
            yield QUARANTINE.name, failed_rows(failed, STAGE, self.run, versions())


def guarded(reader: Callable[[PixelEntry], PixelResult]) -> Callable[[PixelEntry], PixelResult]:
    """Return a reader whose unforeseen faults cost one entry, which then has a code, and not the task and the run."""

    def read(entry: PixelEntry) -> PixelResult:
        try:
            return reader(entry)
        except (EntryError, OSError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - of 3e9 files of every origin some find what nobody thought of
            raise EntryError("PIXELS_UNFORESEEN") from None

    return read


def limits_of(settings: Pixels) -> PixelLimits:
    """Return the settings as the reader's limits."""
    return PixelLimits(
        whole_limit_bytes=settings.whole_limit_bytes,
        frame_limit_bytes=settings.frame_limit_bytes,
        inflated_limit_bytes=settings.inflated_limit_bytes,
        decode_timeout_seconds=settings.decode_timeout_seconds,
        decoder_memory_bytes=settings.decoder_memory_bytes,
        slide_frames=settings.slide_frames,
    )
