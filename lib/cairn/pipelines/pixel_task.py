"""What one task of the pixel stage does: entries in; rows of its four tables out.

No Spark in here. Statistics and text come out of one decoding; either is made without the other when only its
algorithm is new.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeVar

import pyarrow as pa

from cairn.archive.entry import EntryAddress
from cairn.archive.reader import read_entries
from cairn.errors import CairnError, EntryError
from cairn.pipelines.entry_rows import addresses, failed_rows
from cairn.pixels.reader import PixelEntry, PixelLimits, PixelReader, PixelResult
from cairn.pixels.rows import ALGORITHM_VERSION, Row, table_of
from cairn.pixels.text.device_rules import DeviceRule
from cairn.pixels.text.engines import engine_of
from cairn.pixels.text.finder import TEXT_VERSION, TextFinder, TextLimits, TextResult
from cairn.pixels.text.rows import box_rows, search_row
from cairn.settings import Pixels
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH
from cairn.tables.contract import Contract
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.quarantine import QUARANTINE

STAGE = "pixels"
MEASURED = "measured"
"""Name of the count of entries that have rows of their own; the others are in quarantine."""

STATISTICS, TEXT = 1, 2
PARTS = "parts"
"""Column of the plan: what an entry lacks, :data:`STATISTICS` and :data:`TEXT` added up."""

ROWS_AT_A_TIME = 512
"""Rows, each with its histograms, that a worker holds before it makes a table of them."""

Made = tuple[str, pa.Table] | Mapping[str, int]
Given = TypeVar("Given")


def versions() -> str:
    """Return the version of what the stage makes, as quarantine has it: a new one tries failed entries again."""
    return f"{ALGORITHM_VERSION}.{TEXT_VERSION}"


@dataclass
class Found:
    """What one entry gave: rows by table, without ``uri``, ``content_version`` and ``run``."""

    rows: dict[str, list[Row]]


class EntryWorker:
    """Decodes an entry once, for the statistics, the text, or both.

    Parameters
    ----------
    settings : Pixels
        Bounds.
    rules : tuple of DeviceRule
        Device rules.
    """

    def __init__(self, settings: Pixels, rules: tuple[DeviceRule, ...]) -> None:
        limits = limits_of(settings)
        self._finder = TextFinder(
            rules, TextLimits(settings.text_searched_frames), partial(engine_of, settings.text_engines)
        )
        self._readers = {
            STATISTICS: PixelReader(limits),
            TEXT: PixelReader(limits, self._finder, statistics=False),
            STATISTICS | TEXT: PixelReader(limits, self._finder),
        }

    def reading(self, parts: int) -> Callable[[PixelEntry], Found]:
        """Return the function that reads an entry for some parts."""

        def read(entry: PixelEntry) -> Found:
            self._finder.reset()
            result: PixelResult = self._readers[parts](entry)
            made: dict[str, list[Row]] = {}
            if parts & STATISTICS:
                made[PIXEL_STATISTICS.name] = result.rows
            if parts & TEXT:
                described = self._finder.begun
                text = self._finder.finish() if described is not None else TextResult()
                made[TEXT_SEARCH.name] = [search_row(described, text)]
                made[BURNED_IN_TEXT.name] = box_rows(described, text)
            return Found(made)

        return read

    def __enter__(self) -> EntryWorker:
        return self

    def __exit__(self, *fault: object) -> None:
        for reader in self._readers.values():
            reader.close()


@cache
def entry_worker(settings: Pixels, rules: tuple[DeviceRule, ...]) -> EntryWorker:
    """Return this process's worker: made once, for it loads models and keeps decoders; it ends with the process."""
    return EntryWorker(settings, rules)


@dataclass(frozen=True)
class PixelWork:
    """The pixel stage's work, as the stage runner sends it to the workers.

    Parameters
    ----------
    settings : Pixels
        The ``pixels`` section of the settings.
    rules : tuple of DeviceRule
        Device rules.
    run : str
        Run that writes the rows.
    """

    settings: Pixels
    rules: tuple[DeviceRule, ...]
    run: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[Made]:
        """Turn batches of `archive_entry` rows into rows of the tables, and the count of entries measured."""
        with EntryWorker(self.settings, self.rules) as worker:
            outcomes = itertools.chain.from_iterable(self._read(batch, worker) for batch in batches)
            yield from self._rows(outcomes)

    def _read(self, batch: pa.RecordBatch, worker: EntryWorker) -> Iterator[tuple[EntryAddress, Found | EntryError]]:
        (entries,) = addresses([batch])
        wanted = batch.column(batch.schema.get_field_index(PARTS)).to_pylist()
        for parts in sorted(set(wanted)):
            some = [entry for entry, own in zip(entries, wanted, strict=True) if own == parts]
            # One at a time: the reader keeps one decoder, and decoding takes longer than any storage.
            yield from read_entries(
                some,
                guarded(worker.reading(parts)),
                overlap=1,
                tries=self.settings.tries,
                timeout_seconds=self.settings.timeout_seconds,
            )

    def _rows(self, outcomes: Iterable[tuple[EntryAddress, Found | EntryError]]) -> Iterator[Made]:
        rows: dict[str, list[Row]] = {contract.name: [] for contract in TABLES}
        failed: list[tuple[EntryAddress, str]] = []
        for entry, outcome in outcomes:
            if isinstance(outcome, EntryError):
                failed.append((entry, outcome.code))
            else:
                yield {MEASURED: 1}
                own = {"uri": entry.uri, "content_version": entry.content_version, "run": self.run}
                for name, made in outcome.rows.items():
                    rows[name] += [{**row, **own} for row in made]
            if sum(map(len, rows.values())) + len(failed) >= ROWS_AT_A_TIME:
                yield from self._tables(rows, failed)
                rows, failed = {name: [] for name in rows}, []
        yield from self._tables(rows, failed)

    def _tables(self, rows: Mapping[str, list[Row]], failed: list[tuple[EntryAddress, str]]) -> Iterator[Made]:
        for contract in TABLES:
            if rows[contract.name]:
                yield contract.name, as_table(contract, rows[contract.name])
        if failed:
            yield QUARANTINE.name, failed_rows(failed, STAGE, self.run, versions())


TABLES = (PIXEL_STATISTICS, TEXT_SEARCH, BURNED_IN_TEXT)


def as_table(contract: Contract, rows: list[Row]) -> pa.Table:
    """Return rows as a table of the contract's schema."""
    if contract is PIXEL_STATISTICS:
        return table_of(rows)
    return pa.Table.from_pylist(rows, schema=contract.arrow_schema)


def guarded(reader: Callable[[PixelEntry], Given]) -> Callable[[PixelEntry], Given]:
    """Return a reader whose unforeseen faults cost one entry, which then has a code, and not the task and the run."""

    def read(entry: PixelEntry) -> Given:
        try:
            return reader(entry)
        except (CairnError, OSError, MemoryError):
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
