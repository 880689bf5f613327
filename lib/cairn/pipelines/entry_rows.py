"""What the stages that read entries share: addresses out of the plan's rows, rows of quarantine. No Spark in here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from cairn.archive.entry import EntryAddress
from cairn.errors import CONDITIONS
from cairn.tables.contract import Contract
from cairn.tables.quarantine import QUARANTINE


class Entry(Protocol):
    """What a row of quarantine says of an entry."""

    @property
    def uri(self) -> str:
        """Its address."""

    @property
    def content_version(self) -> str:
        """Version of its content."""

    @property
    def size(self) -> int | None:
        """Its size, bytes."""


def addresses(batches: Iterable[pa.RecordBatch]) -> Iterator[list[EntryAddress]]:
    """Yield the entries of each batch of `archive_entry` rows."""
    names = list(EntryAddress.__slots__)
    for batch in batches:
        modified = batch.column(batch.schema.get_field_index("modified")).cast(pa.int64())
        columns = {name: batch.column(batch.schema.get_field_index(name)) for name in names}
        columns["modified"] = modified
        yield [EntryAddress(*row) for row in zip(*(columns[name].to_pylist() for name in names), strict=True)]


def table_of(contract: Contract, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Return `columns` in a contract's order and schema."""
    return pa.Table.from_arrays([columns[column.name] for column in contract.columns], schema=contract.arrow_schema)


def failed_rows(
    failed: Sequence[tuple[Entry, str]], stage: str, run: str, algorithm_version: str | None = None
) -> pa.Table:
    """Return one row of `quarantine` per entry that failed; its detail is what to do about it.

    Parameters
    ----------
    failed : sequence of (Entry, str)
        Entries and their codes.
    stage : str
        The stage that gave up.
    run : str
        Run that writes the rows.
    algorithm_version : str, optional
        Versions of what was tried, where a new one tries again.
    """
    codes = [code for _, code in failed]
    columns = {
        "uri": pa.array([entry.uri for entry, _ in failed], pa.string()),
        "stage": pa.array([stage] * len(failed), pa.string()),
        "content_version": pa.array([entry.content_version for entry, _ in failed], pa.string()),
        "code": pa.array(codes, pa.string()),
        "message": pa.array([CONDITIONS[code].message for code in codes], pa.string()),
        "detail": pa.array([CONDITIONS[code].remedy for code in codes], pa.string()),
        "file_size": pa.array([entry.size for entry, _ in failed], pa.int64()),
        "algorithm_version": pa.array([algorithm_version] * len(failed), pa.string()),
        "run": pa.array([run] * len(failed), pa.string()),
    }
    return table_of(QUARANTINE, columns)
