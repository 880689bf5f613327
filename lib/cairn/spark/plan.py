"""The work list of a run: what the source has and the targets lack, computed once, kept as files, taken batch by batch.

The list never passes through the driver: it is a folder of Parquet files, one a task, and the driver holds their names.
Entries of one container lie together and in the order of their offsets, so that a task opens a container once and reads
it forward.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.archive.steps import BZIP2, DEFLATE, LZMA, STORED
from cairn.spark.storage import Folder

PIECE_BYTES = 1 << 30
"""Bytes of a container within which addressable members stay together; a streamed container stays whole."""

ADDRESSED = (STORED, DEFLATE, BZIP2, LZMA)
"""Compressions whose members are reached without inflating what lies before them (:mod:`cairn.archive.steps`)."""

SMALLEST_TASK = 500
"""Entries below which a task costs more to start than it saves."""


@dataclass(frozen=True)
class Plan:
    """A run's work list.

    Parameters
    ----------
    folder : Folder
        Where its files lie.
    files : tuple of str
        File names, one a task, in order.
    entries : int
        Rows in all of them.
    found : int
        Entries that the source has.
    """

    folder: Folder
    files: tuple[str, ...]
    entries: int
    found: int

    def batches(self, entries_per_batch: int) -> Iterator[tuple[str, ...]]:
        """Yield the files of one batch after the other; a batch holds about `entries_per_batch` entries."""
        if not self.files:
            return
        size = max(1, round(entries_per_batch * len(self.files) / self.entries))
        for start in range(0, len(self.files), size):
            yield self.files[start : start + size]


def pending(candidates: DataFrame, settled: DataFrame) -> DataFrame:
    """Return the candidates whose (uri, content_version) is not among the settled ones."""
    return candidates.join(settled.select("uri", "content_version"), ["uri", "content_version"], "left_anti")


def write(todo: DataFrame, found: int, folder: Folder, entries_per_task: int, on_entries) -> Plan:  # type: ignore[no-untyped-def]
    """Write the work list.

    Parameters
    ----------
    todo : DataFrame
        Entries to do: ``uri``, ``content_version``, and what the work needs; ``container`` and ``data_offset`` are used
        for the order when they are there.
    found : int
        Entries of the source.
    folder : Folder
        An empty folder that all workers reach, in the identifiable zone's scratch: the rows hold addresses.
    entries_per_task : int
        Entries of one file, about.
    on_entries : callable
        Called with the entries, still cached, when there are any: the runner deletes stale rows of theirs.

    Returns
    -------
    Plan
        Where it lies.
    """
    kept = todo.persist(StorageLevel.DISK_ONLY)
    try:
        entries = kept.count()
        if not entries:
            return Plan(folder, (), 0, found)
        on_entries(kept)
        tasks = number_of_tasks(entries, entries_per_task, todo.sparkSession.sparkContext.defaultParallelism)
        _ordered(kept, tasks).write.parquet(folder.hadoop_uri, compression="zstd")
    finally:
        kept.unpersist()
    files = tuple(name for name in folder.names() if name.endswith(".parquet"))
    return Plan(folder, files, entries, found)


def number_of_tasks(entries: int, entries_per_task: int, parallelism: int) -> int:
    """Return how many tasks share the entries: enough for every core when there is enough for each to do."""
    needed = math.ceil(entries / entries_per_task)
    useful = math.ceil(entries / SMALLEST_TASK)
    return max(1, needed, min(parallelism, useful))


def _ordered(entries: DataFrame, tasks: int) -> DataFrame:
    has = set(entries.columns)
    whole = F.col("uri")
    piece = F.lit(0)
    inner = [F.col("uri")]
    if "container" in has:
        whole = F.coalesce(F.col("container"), F.col("uri"))
    if {"container", "data_offset"} <= has:
        addressed = F.col("container").isNotNull() & F.col("data_offset").isNotNull()
        if "compression" in has:
            # In a .tar.gz or a nested archive it counts inflated bytes: each piece would inflate from the start.
            addressed &= F.col("compression").isin(*ADDRESSED)
        piece = F.when(addressed, F.floor(F.col("data_offset") / PIECE_BYTES)).otherwise(0)
        inner = [F.col("data_offset"), F.col("uri")]
    columns = entries.columns
    keyed = entries.withColumn("_whole", whole).withColumn("_piece", piece)
    spread = keyed.repartitionByRange(tasks, "_whole", "_piece") if tasks > 1 else keyed.coalesce(1)
    return spread.sortWithinPartitions("_whole", "_piece", *inner).select(*columns)
