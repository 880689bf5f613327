"""What lies in a staging folder, read back: size, hash and header of every image, whatever the run says it wrote."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.dicom.quiet import silence_pydicom
from cairn.dicom.reading import HeaderBytes, HeaderReader, ReadLimits
from cairn.errors import CairnError, EntryError
from cairn.extract.layout import IMAGES
from cairn.pipelines.extract_task import DELIVERED
from cairn.pipelines.header_rows import header_kernel
from cairn.pixels.source import BytesEntry
from cairn.settings import Headers
from cairn.spark.fixed import fixed
from cairn.spark.storage import Folder
from cairn.spark.store import Store, spark_schema
from cairn.tables.contract import Column, Contract
from cairn.tables.deidentified import DEIDENTIFIED_INSTANCE
from cairn.tables.extract import EXTRACT_ITEM

PARTIAL = ".partial"
FILE = ("path", "size", "sha256")
_AT_A_TIME = 256

# fmt: off
COLLECTED = Contract(
    zone="identifiable",
    name="_collected",
    grain="one file of a staging folder",
    key=("path",),
    comment="Files and what their headers say.",
    columns=(
        Column("path", pa.string(), "Below the extract."),
        Column("size", pa.int64(), "Bytes."),
        Column("sha256", pa.string(), "Hexadecimal."),
        *(Column(c.name, c.type, c.comment) for c in DEIDENTIFIED_INSTANCE.columns),
    ),
)
# fmt: on


def collected(store: Store, staging: Folder) -> DataFrame:
    """Return one row a file in the staging folder: ``path``, ``size``, ``sha256``, and the columns of `instance`.

    Files that a killed task left unfinished are removed.
    """
    root = staging.path
    people = staging.child(IMAGES).names(folders=True)
    spread = max(1, min(len(people), store.spark.sparkContext.defaultParallelism * 4))
    names = store.spark.createDataFrame([(name,) for name in people], "name string").repartition(spread)
    return names.mapInArrow(_collector(root, store.settings.headers), spark_schema(COLLECTED))


def _collector(root: str, settings: Headers) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def collect(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        silence_pydicom()
        read = _Reading(root, settings)
        for batch in batches:
            for name in batch.column(0).to_pylist():
                yield from read.person(name)

    return collect


@dataclass
class _Reading:
    root: str
    settings: Headers

    def person(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one person's files."""
        files = sorted(path for path in Path(self.root, IMAGES, name).rglob("*") if path.is_file())
        for path in files:
            if path.name.endswith(PARTIAL):
                path.unlink()
        whole = [path for path in files if not path.name.endswith(PARTIAL)]
        for start in range(0, len(whole), _AT_A_TIME):
            yield from self._rows(name, whole[start : start + _AT_A_TIME]).to_batches()

    def _rows(self, person: str, files: list[Path]) -> pa.Table:
        limits = self.settings
        reader = HeaderReader(
            ReadLimits(limits.first_read_bytes, limits.blob_value_limit_bytes, limits.header_limit_bytes)
        )
        rows, headers = [], []
        for path in files:
            data = path.read_bytes()
            rows.append((os.path.relpath(path, self.root), len(data), hashlib.sha256(data).hexdigest(), path.stem))
            headers.append(_header(reader, data))
        parsed = header_kernel(limits).parse([one.data for one in headers], [one.holes for one in headers])
        if len(parsed.rows) != len(files):
            raise CairnError("EXTRACT_SHORT", extract=Path(self.root).name, told="headers that do not parse")
        columns = {name: parsed.table.column(name) for name in parsed.table.column_names}
        for at, name in enumerate(FILE):
            columns[name] = pa.array([row[at] for row in rows], COLLECTED.column(name).type)
        columns["sop_instance_uid"] = pa.array([row[3] for row in rows], pa.string())
        columns["person_id"] = pa.array([person] * len(rows), pa.string())
        columns["file_size"] = columns["size"]
        columns["parser"] = pa.array(parsed.parsers, pa.string())
        columns["header"] = _variants(columns["header"])
        return pa.table({column.name: columns[column.name] for column in COLLECTED.columns})


def _variants(column: pa.ChunkedArray) -> pa.Array:
    """Return VARIANTs marked as Spark wants them from a worker."""
    values = column.combine_chunks()
    fields = [
        pa.field("value", pa.binary(), nullable=False),
        pa.field("metadata", pa.binary(), nullable=False, metadata={b"variant": b"true"}),
    ]
    return pa.StructArray.from_arrays([values.field(0), values.field(1)], fields=fields)


def _header(reader: HeaderReader, data: bytes) -> HeaderBytes:
    try:
        return reader(BytesEntry(data))
    except EntryError as fault:
        raise CairnError("EXTRACT_SHORT", extract="the staging folder", told=fault.code) from None


def pruned(store: Store, extract: str, items: DataFrame, files: DataFrame, staging: Folder) -> DataFrame:
    """Return the files that the run wrote for entries still wanted; remove others; refuse if one of those is not there.

    Parameters
    ----------
    store : Store
        The tables.
    extract : str
        Name of the extract, for messages.
    items : DataFrame
        Rows of `extract_item` that are to be delivered now.
    files : DataFrame
        From :func:`collected`, kept.
    staging : Folder
        The folder.

    Raises
    ------
    CairnError
        EXTRACT_SHORT.
    """
    wanted = items.where(F.col("outcome") == DELIVERED).select("sha256", F.col("size").alias("_size"))
    strange = files.join(wanted, "sha256", "left_anti").select("path").toLocalIterator()
    for row in strange:
        staging.remove(row["path"])
    lost = wanted.join(files, "sha256", "left_anti").count()
    if lost:
        raise CairnError("EXTRACT_SHORT", extract=extract, told=f"{lost:,} files are missing or changed")
    return files.join(wanted, "sha256", "left_semi")


def items_of(store: Store, project: str, extract: str) -> DataFrame:
    """Return the rows of `extract_item` of one extract."""
    own = (F.col("project") == project) & (F.col("extract") == extract)
    return store.read(EXTRACT_ITEM).where(own)


def forget_items(store: Store, items: DataFrame) -> None:
    """Delete some rows of `extract_item`."""
    if not items.isEmpty():
        store.delete_keys(EXTRACT_ITEM, fixed(items.select(*EXTRACT_ITEM.key)))
