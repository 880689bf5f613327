"""Tables for others than us: Parquet files that are a Delta table too, the same bytes for the same rows.

What the store writes bears times and names of runs. A table that leaves must be made again bit by bit, so its files are
parts by a hash of the first column, each sorted, and its Delta log is one commit that holds no time (Delta protocol,
"Actions"). Any reader of Parquet or of Delta reads it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from cairn.spark.storage import Folder, disk_faults

ROWS_PER_FILE = 500_000
_LOG = "_delta_log/00000000000000000000.json"
_ADDS = "name string, size bigint, rows bigint"


def write_table(frame: DataFrame, folder: Folder, table_id: str, comments: dict[str, str], comment: str) -> int:
    """Write a frame as a table and return its rows.

    Parameters
    ----------
    frame : DataFrame
        All rows; its first columns make the order: rows that are equal in all columns are the same wherever they stand.
    folder : Folder
        The table's root, local; what is in it goes.
    table_id : str
        UUID for the log.
    comments : dict
        Comment by column.
    comment : str
        The table's.

    Raises
    ------
    CairnError
        NO_DISK.
    """
    folder.remove_folder()
    folder.make()
    kept = frame.persist()
    try:
        rows = kept.count()
        parts = max(1, -(-rows // ROWS_PER_FILE))
        # A hash, unlike ranges that Spark samples, parts equal rows equally.
        order = [name for name, kind in kept.dtypes if not kind.startswith(("map", "variant"))]
        spread = (
            kept.repartition(parts, F.pmod(F.xxhash64(kept.columns[0]), F.lit(parts)))
            if parts > 1
            else kept.coalesce(1)
        )
        adds: list[Any] = spread.sortWithinPartitions(*order).mapInArrow(_writer(folder.uri), _ADDS).collect()
    finally:
        kept.unpersist()
    if not adds:
        adds = [_empty(frame, folder)]  # readers of Parquet want a file to take the columns from
    log = "".join(
        json.dumps(action, sort_keys=True) + "\n" for action in _actions(frame, adds, table_id, comments, comment)
    )
    folder.child("_delta_log").make()
    folder.write(_LOG, log.encode("utf-8"))
    return rows


def _writer(uri: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        folder, name, rows = Folder(uri), f"part-{context.partitionId():05d}.parquet", 0
        partial = f"{name}.{context.taskAttemptId()}.partial"
        writer: pq.ParquetWriter | None = None
        with disk_faults(uri):
            for batch in batches:
                table = pa.Table.from_batches([batch]).replace_schema_metadata(None)
                writer = writer or pq.ParquetWriter(
                    folder.file(partial), table.schema, compression="zstd", store_schema=False
                )
                writer.write_table(table)
                rows += batch.num_rows
            if writer is None:
                return
            writer.close()
            os.replace(folder.file(partial), folder.file(name))
        told = {"name": name, "size": os.path.getsize(folder.file(name)), "rows": rows}
        yield pa.RecordBatch.from_pylist([told])

    return write


def _empty(frame: DataFrame, folder: Folder) -> dict[str, Any]:
    name = "part-00000.parquet"
    with disk_faults(folder.uri):
        pq.write_table(to_arrow_schema(frame.schema).empty_table(), folder.file(name), store_schema=False)
    return {"name": name, "size": os.path.getsize(folder.file(name)), "rows": 0}


def _actions(
    frame: DataFrame, adds: Sequence[Any], table_id: str, comments: dict[str, str], comment: str
) -> Iterator[dict[str, Any]]:
    yield {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
    schema = json.loads(frame.schema.json())
    for field in schema["fields"]:
        field["nullable"] = True
        field["metadata"] = {"comment": comments[field["name"]]} if field["name"] in comments else {}
    yield {
        "metaData": {
            "id": table_id,
            "description": comment,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps(schema, sort_keys=True),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": 0,
        }
    }
    for add in sorted(adds, key=lambda row: row["name"]):
        yield {
            "add": {
                "path": add["name"],
                "partitionValues": {},
                "size": add["size"],
                "modificationTime": 0,
                "dataChange": True,
                "stats": json.dumps({"numRecords": add["rows"]}),
            }
        }
