"""The inventory: every file and archive member under some roots, found by tasks that share the work.

Listing goes in rounds: each task lists folders until it has found enough and gives the folders that are left back, the
next round's work. What was found lies in scratch files; the driver sees counts only. Files that are new or changed are
looked into for archive members, again in tasks. Last, one MERGE brings `archive_entry` up to date, and `quarantine`
follows it. Killed anywhere and run again, it comes to the same tables; a second run changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.archive.listing import Folder, open_roots, real_roots
from cairn.errors import CONDITIONS
from cairn.pipelines.inventory_task import (
    COUNT,
    ENTRY,
    FAULT,
    FOLDER,
    FOUND_SQL,
    ListFolders,
    LookInto,
    entry_row,
    folder_row,
)
from cairn.spark.ledger import Run, recorded
from cairn.spark.locks import stage_lock
from cairn.spark.stage import as_cairn_error
from cairn.spark.storage import Folder as Scratch
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.quarantine import QUARANTINE

STAGE = "inventory"
RUN_COLUMNS = ("first_seen_run", "last_seen_run")
RETRIED = ("READ_FAILED", "READ_FORBIDDEN", "ENTRY_GONE", "ENTRY_CHANGED")
"""Faults of the moment: the next inventory looks again, and takes nothing for gone where one stood in its way."""

AGAIN = (*RETRIED, "ARCHIVE_TOO_DEEP")
"""Faults for which an unchanged archive is opened again: the depth is a setting."""

FOLDERS_PER_TASK = 64
FILES_PER_TASK = 20_000


def take_inventory(store: Store, run: Run, scratch: Scratch, stream: TextIO, roots: Sequence[str]) -> Run:
    """Bring `archive_entry` up to date with what lies under some roots.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        Id, clock and counts.
    scratch : Folder
        The run's shared scratch folder.
    stream : text stream
        For progress lines.
    roots : sequence of str
        Folders, files or URIs.

    Returns
    -------
    Run
        With the counts ``roots``, ``folders``, ``folder_faults`` (of this listing); ``new``, ``changed``, ``gone``; and
        ``present``, ``unchanged``, ``files``, ``containers``, ``members``, ``faulty``, ``code_…`` (under these roots).

    Raises
    ------
    CairnError
        SOURCE_MISSING (nothing is changed), STAGE_BUSY, STAGE_FAILED, NO_DISK.
    """
    opened = open_roots(roots, os.getcwd(), None, store.settings.inventory.timeout_seconds)
    store.ensure(ARCHIVE_ENTRY, QUARANTINE)
    with stage_lock(store.settings, STAGE, run) as lock, recorded(store, run):
        try:
            inventory = _Inventory(store, run, scratch, stream)
            listed = inventory.listed(opened)
            under = [root.root for root in opened]
            changes = inventory.changes(listed, under)
            lock.check()
            inventory.write(changes)
            inventory.count(under)
        except (Py4JJavaError, PySparkException) as fault:
            raise as_cairn_error(str(fault), STAGE) from None
        for contract in (ARCHIVE_ENTRY, QUARANTINE):
            run.writes(contract.full_name, store.version(contract))
    return run


class _Inventory:
    """The steps of one run."""

    def __init__(self, store: Store, run: Run, scratch: Scratch, stream: TextIO) -> None:
        self._store, self._run, self._scratch, self._stream = store, run, scratch, stream
        self._spark = store.spark

    def listed(self, roots: Sequence[object]) -> DataFrame:
        """List everything under the roots; return rows of FOUND: entries and faults of folders."""
        work = ListFolders(self._store.settings.inventory, real_roots(roots))  # type: ignore[arg-type]
        rows = [folder_row(root) if isinstance(root, Folder) else entry_row(root) for root in roots]  # type: ignore[arg-type]
        found = self._spark.createDataFrame(pa.Table.from_pylist(rows, _found_schema()))
        self._run.count({"roots": len(rows)})
        rounds = [self._kept(found, "round-0000")]
        while left := (folders := rounds[-1].where(F.col("what") == FOLDER)).count():
            tasks = max(self._spark.sparkContext.defaultParallelism, left // FOLDERS_PER_TASK)
            spread = folders.repartition(min(tasks, left))
            rounds.append(self._kept(spread.mapInArrow(_runner(work), FOUND_SQL), f"round-{len(rounds):04d}"))
            self._tell(f"{left:,} folders listed in round {len(rounds) - 1}")
        every = rounds[0]
        for one in rounds[1:]:
            every = every.unionByName(one)
        listed = every.where(F.col("what") == COUNT).agg(F.sum("size").alias("folders")).first()
        self._run.count({"folders": int(listed["folders"] or 0) if listed else 0})
        return every.where(F.col("what").isin(ENTRY, FAULT))

    def changes(self, listed: DataFrame, roots: Sequence[str]) -> DataFrame:
        """Return rows of `archive_entry` that are new, changed or gone."""
        known = self._store.read(ARCHIVE_ENTRY).where(_under(roots))
        here = known.where("state = 'present'")
        faults = listed.where(F.col("what") == FAULT)
        self._run.count({"folder_faults": faults.count()})
        looked = self._looked_into(listed.where(F.col("what") == ENTRY), here)
        seen = looked.unionByName(faults.join(looked.select("uri"), "uri", "left_anti"))
        gone = self._gone(listed, looked, here, faults)
        every = [c.name for c in ARCHIVE_ENTRY.columns]
        present = self._new_or_changed(seen, known)
        went = gone.withColumns({"state": F.lit("gone"), "was_known": F.lit(True)})
        changes = present.select(*every, "was_known").unionByName(went.select(*every, "was_known"))
        return self._kept(changes.withColumn("last_seen_run", F.lit(self._run.id)), "changes")

    def _looked_into(self, files: DataFrame, here: DataFrame) -> DataFrame:
        """Open the files that are new or changed, and return their rows with those of their members."""
        again = here.where(F.col("code").isin(*AGAIN)).select(F.coalesce("container", "uri").alias("uri"))
        settled = here.where("container IS NULL").join(again, "uri", "left_anti").select("uri", "content_version")
        fresh = files.join(settled, ["uri", "content_version"], "left_anti").select(*files.columns)
        count = fresh.count()
        self._tell(f"{count:,} files are new or changed")
        tasks = max(self._spark.sparkContext.defaultParallelism, count // FILES_PER_TASK)
        work = LookInto(self._store.settings.inventory)
        return self._kept(fresh.repartition(tasks).mapInArrow(_runner(work), FOUND_SQL), "looked-into")

    def _new_or_changed(self, seen: DataFrame, known: DataFrame) -> DataFrame:
        """Return the rows that are not in the table, or not as they are there; `was_known` tells which."""
        own = [c.name for c in ARCHIVE_ENTRY.columns if c.name not in (*RUN_COLUMNS, "state")]
        old = known.select(
            F.col("uri"), F.lit(True).alias("was_known"), F.struct(*own, "state").alias("old"), "first_seen_run"
        )
        new = seen.select(*own).withColumn("state", F.lit("present"))
        differs = ~F.struct(*own, "state").eqNullSafe(F.col("old"))
        joined = new.join(old, "uri", "left").where(F.col("was_known").isNull() | differs)
        return joined.withColumns(
            {
                "first_seen_run": F.coalesce("first_seen_run", F.lit(self._run.id)),
                "last_seen_run": F.lit(self._run.id),
            }
        )

    def _gone(self, listed: DataFrame, looked: DataFrame, here: DataFrame, faults: DataFrame) -> DataFrame:
        """Return the present rows that are there no more, where folder and archive were really read."""
        lost_files = here.where("container IS NULL").join(listed.select("uri"), "uri", "left_anti")
        # Members go with their container, or when it was opened again and no longer has them.
        members = here.where("container IS NOT NULL")
        of_lost = members.join(lost_files.select(F.col("uri").alias("container")), "container", "left_semi")
        container = F.coalesce("container", "uri").alias("container")
        opened = looked.where("container IS NULL").select(container)
        unsure = looked.where(F.col("code").isin(*RETRIED)).select(container)
        read = opened.join(unsure, "container", "left_anti")
        of_changed = members.join(read, "container", "left_semi").join(looked.select("uri"), "uri", "left_anti")
        names = here.columns
        gone = lost_files.select(names).unionByName(of_lost.select(names)).unionByName(of_changed.select(names))
        if faults.isEmpty():
            return gone
        blind = F.broadcast(faults.select(F.concat(F.col("uri"), F.lit("/")).alias("blind")))
        return gone.join(blind, F.col("uri").startswith(F.col("blind")), "left_anti")

    def write(self, changes: DataFrame) -> None:
        """Merge the changes into `archive_entry`, and let `quarantine` follow."""
        kinds = changes.agg(
            F.count_if((F.col("state") == "present") & F.col("was_known").isNull()).alias("new"),
            F.count_if((F.col("state") == "present") & F.col("was_known")).alias("changed"),
            F.count_if(F.col("state") == "gone").alias("gone"),
        ).first()
        assert kinds is not None
        if sum(kinds):
            self._store.upsert(ARCHIVE_ENTRY, changes.drop("was_known"), unique=True)
        self._quarantine()
        self._run.count(kinds.asDict())

    def count(self, roots: Sequence[str]) -> None:
        """Count what the table holds under the roots."""
        state = self._store.read(ARCHIVE_ENTRY).where(_under(roots)).where("state = 'present'")
        totals = state.agg(
            F.count("*").alias("present"),
            F.count_if(F.col("kind") == "file").alias("files"),
            F.count_if(F.col("kind") == "container").alias("containers"),
            F.count_if(F.col("kind") == "member").alias("members"),
            F.count_if(F.col("code").isNotNull()).alias("faulty"),
        ).first()
        assert totals is not None
        self._run.count(totals.asDict())
        done = self._run.counts
        self._run.count({"unchanged": done["present"] - done["new"] - done["changed"]})
        for row in state.where("code IS NOT NULL").groupBy("code").count().orderBy("code").collect():
            self._run.count({f"code_{row['code']}": row["count"]})

    def _quarantine(self) -> None:
        """Make the inventory's rows of `quarantine` those of the present entries with a fault."""
        faulty = self._store.read(ARCHIVE_ENTRY).where("state = 'present' AND code IS NOT NULL")
        own = ["uri", "content_version", "code"]
        there = self._store.read(QUARANTINE).where(F.col("stage") == STAGE)
        wanted = faulty.select(*own, F.col("size").alias("file_size")).join(there.select(*own), own, "left_anti")
        stale = there.join(faulty.select("uri"), "uri", "left_anti")
        if wanted.isEmpty() and stale.isEmpty():
            return
        told = self._spark.createDataFrame(
            [(code, condition.message, condition.remedy) for code, condition in CONDITIONS.items()],
            "code STRING, message STRING, detail STRING",
        )
        constant = {"stage": STAGE, "run": self._run.id, "algorithm_version": None}
        rows = wanted.join(F.broadcast(told), "code")
        rows = rows.withColumns({name: F.lit(value).cast("string") for name, value in constant.items()})
        self._store.merge(QUARANTINE, rows, stale.select("uri", "stage"))

    def _kept(self, frame: DataFrame, name: str) -> DataFrame:
        """Write a frame to scratch and read it back: it is made once, and never passes through the driver."""
        place = self._scratch.child(name).hadoop_uri
        frame.write.parquet(place, compression="zstd")
        return self._spark.read.schema(frame.schema).parquet(place)

    def _tell(self, text: str) -> None:
        print(f"{STAGE}: {text}", file=self._stream, flush=True)


def _found_schema() -> pa.Schema:
    from cairn.pipelines.inventory_task import FOUND

    return FOUND


def _under(roots: Sequence[str]) -> Column:
    """Whether an entry lies under one of the roots."""
    condition = F.lit(False)
    for root in roots:
        condition = condition | (F.col("uri") == root) | F.col("uri").startswith(root.rstrip("/") + "/")
        condition = condition | F.col("uri").startswith(root + "!/")
    return condition


def _runner(work: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]):  # type: ignore[no-untyped-def]
    """Return the work as a function that Spark can send."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return work(batches)

    return run
