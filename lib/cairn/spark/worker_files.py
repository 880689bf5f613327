"""The Parquet files that workers write by themselves, with the promise that Delta's log needs.

Spark's own row path costs several times the CPU. What Spark would have checked is checked here:
the schema equals the contract's, required columns hold no NULL, statistics are true, names are unique. A file becomes
part of a table only when :meth:`cairn.spark.store.Store.commit_files` commits its ``add`` action; a file without one is
an orphan that VACUUM removes. No pyspark here.

Source: Delta protocol, "Add File and Remove File", "Per-file Statistics"; Parquet, "Variant Binary Encoding".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from cairn.errors import CairnError
from cairn.spark.statistics import FileStatistics
from cairn.spark.storage import Folder, disk_faults
from cairn.tables.contract import Contract

ZSTD_LEVEL = 1  # level 3: files 12 % smaller, the same CPU for headers' columns, a quarter more for their bytes
SPARK_VERSION = "4.2.0"  # Spark reads dates before 1582 of a file without it as if they were in the hybrid calendar


@dataclass
class FileWriter:
    """One Parquet file of a table, written row group by row group.

    Parameters
    ----------
    contract : Contract
        The table.
    folder : Folder
        The table's root.
    name : str
        File name, unique for ever in the table (run, batch, task attempt, number).
    modified : int
        Milliseconds since the epoch, for the log's ``modificationTime``.
    row_group_bytes : int
        A row group is written when so many (uncompressed) bytes are at hand.
    """

    contract: Contract
    folder: Folder
    name: str
    modified: int
    row_group_bytes: int = 32 * 1024 * 1024
    rows: int = 0
    nbytes: int = 0
    _held: list[pa.RecordBatch] = field(default_factory=list)
    _held_bytes: int = 0
    _writer: pq.ParquetWriter | None = None
    _stream: Any = None

    def __post_init__(self) -> None:
        self._statistics = FileStatistics(self.contract)

    def write(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Take rows; they reach the file when a row group is full.

        Raises
        ------
        CairnError
            CONTRACT_BROKEN when the schema differs or a required column holds NULL; NO_DISK.
        """
        check_rows(self.contract, rows)
        batches = rows.to_batches() if isinstance(rows, pa.Table) else [rows]
        for batch in batches:
            self._held.append(batch)
            self._held_bytes += batch.nbytes
            self.rows += batch.num_rows
        self.nbytes += sum(batch.nbytes for batch in batches)
        if self._held_bytes >= self.row_group_bytes:
            self._flush()

    def close(self) -> str:
        """Finish the file and return its ``add`` action as JSON for the Delta log."""
        with disk_faults(self.folder.uri):
            self._flush()
            if self._writer is None:
                self._open()
            assert self._writer is not None
            self._writer.close()
            self._writer = None
            self._stream.close()
            size = self.folder.size(self.name)
        add = {
            "path": quote(self.name),
            "partitionValues": {},
            "size": size,
            "modificationTime": self.modified,
            "dataChange": True,
            "stats": self._statistics.as_json(),
        }
        return json.dumps({"add": add}, ensure_ascii=False)

    def discard(self) -> None:
        """Remove what there is of an unfinished or unwanted file."""
        self._held.clear()
        if self._writer is not None:
            try:
                self._writer.close()
                self._stream.close()
            except OSError:  # the disk may be full; the file goes anyway
                pass
            self._writer = None
        self.folder.remove(self.name)

    def _open(self) -> None:
        if self.folder.exists(self.name):
            raise FileExistsError("a data file of this name exists already")
        self._stream = self.folder.filesystem.open_output_stream(self.folder.file(self.name))
        self._writer = pq.ParquetWriter(
            self._stream,
            self.contract.arrow_schema,
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            use_dictionary=list(_leaves_with_dictionary(self.contract)),
            write_statistics=list(self.contract.statistics_columns),
            store_schema=False,
        )
        self._writer.add_key_value_metadata({"org.apache.spark.version": SPARK_VERSION})

    def _flush(self) -> None:
        if not self._held:
            return
        table = pa.Table.from_batches(self._held, self.contract.arrow_schema)  # in chunks: one piece costs a copy
        self._held, self._held_bytes = [], 0
        self._statistics.add(table)
        with disk_faults(self.folder.uri):
            if self._writer is None:
                self._open()
            assert self._writer is not None
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))


def write_file(
    contract: Contract,
    table: pa.Table,
    folder: Folder,
    name: str,
    modified: int,
    row_group_bytes: int = 32 * 1024 * 1024,
) -> str:
    """Write one table as one data file and return its ``add`` action as JSON.

    Parameters
    ----------
    contract : Contract
        The table's contract.
    table : pyarrow.Table
        Rows with exactly the contract's Arrow schema.
    folder : Folder
        The Delta table's root.
    name : str
        Unique file name ending in ``.parquet``.
    modified : int
        Milliseconds since the epoch.
    row_group_bytes : int
        Uncompressed bytes of one row group, about.

    Raises
    ------
    CairnError
        CONTRACT_BROKEN, NO_DISK; nothing half-written is left.
    """
    writer = FileWriter(contract, folder, name, modified, row_group_bytes)
    done = False
    try:
        rows_per_group = max(1, int(row_group_bytes / max(1.0, table.nbytes / max(1, table.num_rows))))
        for batch in table.to_batches(max_chunksize=rows_per_group):
            writer.write(batch)
        action = writer.close()
        done = True
        return action
    finally:
        if not done:
            writer.discard()


def file_name(run: str, batch: int, task: int, attempt: int, number: int) -> str:
    """Return the name of a data file: unique, because no attempt of a task ever runs again under the same number."""
    return f"part-{run}-{batch:06d}-{task:05d}-{attempt}-{number:04d}.zstd.parquet"


def check_rows(contract: Contract, rows: pa.RecordBatch | pa.Table) -> None:
    """Refuse rows that break the contract (CONTRACT_BROKEN): schema, order of columns, NULL where none may be."""
    if not rows.schema.equals(contract.arrow_schema):
        raise CairnError("CONTRACT_BROKEN", table=contract.full_name, why=_difference(contract, rows.schema))
    for place, declared in enumerate(contract.arrow_schema):
        if not declared.nullable and rows.column(place).null_count:
            raise CairnError("CONTRACT_BROKEN", table=contract.full_name, why=f"NULL in column {declared.name}")


def _difference(contract: Contract, schema: pa.Schema) -> str:
    wanted, given = contract.arrow_schema.names, schema.names
    if missing := [name for name in wanted if name not in given]:
        return f"columns {', '.join(missing[:5])} are missing"
    if extra := [name for name in given if name not in wanted]:
        return f"columns {', '.join(extra)} are not in it"
    if wanted != given:
        return "the columns are in another order"
    for declared, field_given in zip(contract.arrow_schema, schema, strict=True):
        if not declared.equals(field_given):
            return (
                f"column {declared.name} is {field_given.type} (nullable {field_given.nullable}), not {declared.type}"
            )
    return "the schema differs"


def _leaves_with_dictionary(contract: Contract) -> Sequence[str]:
    """Return the Parquet columns for which a dictionary pays: strings that repeat.

    Parquet falls back by itself when a dictionary grows too large; leaving out what is surely unique saves the try.
    """
    unique = {*contract.key, "uri", "sop_instance_uid", "header_sha256"}
    scalar = [c.name for c in contract.columns if pa.types.is_string(c.type) and c.name not in unique]
    lists = [c for c in contract.columns if pa.types.is_list(c.type) and pa.types.is_string(c.type.value_type)]
    return scalar + [f"{c.name}.list.element" for c in lists]
