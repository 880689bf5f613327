"""`catalogue pull`: an existing catalogue becomes `instance` and `header_blob`; its archive need not be read again.

The documents are listed first, on the workers: which entry is each of. What `archive_entry` knows of the entry decides:
a document counts for the entry that it was made of, as far as its size (or, in Cairn's own layout, the content's
version) can tell. Then a resumable stage as any other fetches and converts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TextIO

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from cairn.catalogue.connection import Connection
from cairn.catalogue.reading import Reader, Share
from cairn.dicom.warm import ensure_compiled
from cairn.pipelines.catalogue_task import LISTED_SQL, STAGE, ListWork, PullWork
from cairn.pipelines.header_task import STAGE as HEADERS
from cairn.spark.ledger import Run
from cairn.spark.partitions import map_partitions, told_failures
from cairn.spark.stage import Stage, forget_entries, run_stage, settled_in
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE

JOB = STAGE
RETRIED = ("CATALOGUE_NOT_IN_ARCHIVE", "CATALOGUE_ENTRY_CHANGED", "CATALOGUE_GONE", "CATALOGUE_DUPLICATE",
           "CATALOGUE_DOCUMENT", "CATALOGUE_LAYOUT", "CATALOGUE_PARTS_MISSING")  # fmt: skip
"""Faults that a change of the catalogue or an inventory mends, without which the entry's version stays the same."""


def pull(store: Store, run: Run, scratch: Folder, stream: TextIO) -> Run:
    """Make rows of every document whose entry has none yet.

    Parameters
    ----------
    store : Store
        The tables. With `archive_entry` only entries that it has are taken; without, all of them.
    run : Run
        Id, clock and counts.
    scratch : Folder
        The run's shared scratch folder.
    stream : text stream
        For progress lines.

    Returns
    -------
    Run
        With the counts of :func:`cairn.spark.stage.run_stage`.

    Raises
    ------
    CairnError
        CATALOGUE_UNREACHABLE and the like; CATALOGUE_ROOT_UNSET; as :func:`cairn.spark.stage.run_stage`.
    """
    connection = Connection(store.settings.catalogue)
    connection.limit_bytes()  # answers, or ends the job before it begins
    ensure_compiled(stream)
    store.ensure(HEADER_BLOB, INSTANCE, QUARANTINE)
    folder = scratch.child("documents")
    with told_failures(JOB):
        listed(store, connection).write.parquet(folder.hadoop_uri, compression="zstd")
    stage = Stage(
        name=STAGE,
        work=PullWork(connection, store.settings.headers, run.id),
        targets=(HEADER_BLOB, INSTANCE, QUARANTINE),
        accounts=(INSTANCE.name, QUARANTINE.name),
        candidates=lambda store: candidates(store, store.spark.read.parquet(folder.hadoop_uri), connection),
        settled=settled_in(STAGE, INSTANCE, RETRIED),
        source=ARCHIVE_ENTRY,
        forget=forget,
    )
    return run_stage(stage, store, run, scratch, stream)


def shares_of(connection: Connection, series: bool = False) -> tuple[Share, ...]:
    """Return the catalogue in parts, of all its collections of images."""
    reader = Reader(connection)
    return tuple(share for name in reader.collections(series) for share in reader.shares(name))


def listed(store: Store, connection: Connection) -> DataFrame:
    """Return which entry each document is of."""
    shares = shares_of(connection)
    numbers = store.spark.range(0, len(shares), 1, max(1, len(shares)))
    return map_partitions(numbers, ListWork(connection, shares), LISTED_SQL)


def candidates(store: Store, documents: DataFrame, connection: Connection) -> DataFrame:
    """Return the documents with the version of the content that they stand for, and why one is not taken.

    Parameters
    ----------
    store : Store
        The tables.
    documents : DataFrame
        From :func:`listed`.
    connection : Connection
        Names documents that are not taken for their entry.
    """
    latest = Window.partitionBy("uri").orderBy(F.col("stated_version").isNotNull().desc(), F.col("document").desc())
    ranked = documents.withColumn("_rank", F.row_number().over(latest))
    repeated = F.col("_rank") > 1
    name = F.concat(
        F.lit(f"mongodb:{connection.settings.database}/"), "collection", F.lit("/"), F.hex("document")
    )  # fmt: skip
    distinct = ranked.withColumns(
        {
            "code": F.when(repeated, "CATALOGUE_DUPLICATE").otherwise(F.col("code")),
            "uri": F.when(repeated, name).otherwise(F.col("uri")),
        }
    ).drop("_rank")
    unknown = F.concat(F.lit("catalogue-"), F.coalesce(F.col("size").cast("string"), F.lit("")))
    if not store.exists(ARCHIVE_ENTRY):
        return distinct.withColumn("content_version", F.coalesce("stated_version", unknown)).drop("stated_version")
    entries = store.read(ARCHIVE_ENTRY).where("state = 'present'").select("uri", "content_version", _size())
    known = distinct.join(entries, "uri", "left")
    stated, here = F.col("stated_version"), F.col("content_version")
    changed = F.when(stated.isNotNull(), stated != here).otherwise(F.col("size") != F.col("_size"))
    code = (
        F.when(F.col("code").isNotNull(), F.col("code"))
        .when(here.isNull(), "CATALOGUE_NOT_IN_ARCHIVE")
        .when(F.coalesce(changed, F.lit(False)), "CATALOGUE_ENTRY_CHANGED")
    )
    version = F.coalesce(here, stated, unknown)
    return known.withColumns({"code": code, "content_version": version}).drop("stated_version", "_size")


def _size():  # type: ignore[no-untyped-def]
    return F.col("size").alias("_size")


def forget(store: Store, entries: DataFrame) -> None:
    """Delete what entries still have; a row that is there stays when the document is not taken."""
    taken = entries.where("code IS NULL")
    forget_entries(store, taken, STAGE, (HEADER_BLOB, INSTANCE))
    forget_entries(store, entries, STAGE, (QUARANTINE,))
    forget_entries(store, taken, HEADERS, (QUARANTINE,))


def pulled_lines(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield what a pull did, in words."""
    yield (
        f"{counts['found']:,} documents found = {counts['unchanged']:,} unchanged + "
        f"{counts.get('instance', 0):,} pulled + {counts.get('quarantine', 0):,} quarantined"
    )
