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
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.archive.listing import Folder, open_roots, real_roots
from cairn.errors import CONDITIONS
from cairn.pipelines.inventory_task import (
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
from cairn.spark.liveness import StageLock
from cairn.spark.schema import schema_sql
from cairn.spark.stage import as_cairn_error
from cairn.spark.storage import Folder as Scratch
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.quarantine import QUARANTINE

STAGE = "inventory"
RUN_COLUMNS = ("first_seen_run", "last_seen_run")
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
        With the counts ``roots``, ``files``, ``containers``, ``members``, ``new``, ``changed``, ``unchanged``, ``gone``,
        ``folder_faults`` and ``faulty``.

    Raises
    ------
    CairnError
        SOURCE_MISSING (nothing is changed), STAGE_BUSY, STAGE_FAILED, NO_DISK.
    """
    opened = open_roots(roots, os.getcwd(), None, store.settings.inventory.timeout_seconds)
    settings = store.settings.scratch
    locks = Scratch(store.settings.zone_root("identifiable")).child("_locks")
    store.ensure(ARCHIVE_ENTRY, QUARANTINE)
    with (
        StageLock(locks, STAGE, run.id, run.clock, settings.heartbeat_seconds, settings.dead_after_seconds) as lock,
        recorded(store, run),
    ):
        try:
            inventory = _Inventory(store, run, scratch, stream)
            listed = inventory.listed(opened)
            changes = inventory.changes(listed, [root.root for root in opened])
            lock.check()
            inventory.write(changes)
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
        return every.where(F.col("what") != FOLDER)

    def changes(self, listed: DataFrame, roots: Sequence[str]) -> DataFrame:
        """Return rows of `archive_entry` that are new, changed or gone."""
        known = self._store.read(ARCHIVE_ENTRY).where(_under(roots))
        here = known.where("state = 'present'")
        own = ["uri", "content_version"]
        fresh = listed.where(F.col("what") == ENTRY).join(here.where("container IS NULL").select(own), own, "left_anti")
        fresh_count = fresh.count()
        self._tell(f"{fresh_count:,} files are new or changed")
        tasks = max(self._spark.sparkContext.defaultParallelism, fresh_count // FILES_PER_TASK)
        work = LookInto(self._store.settings.inventory)
        looked = self._kept(fresh.repartition(tasks).mapInArrow(_runner(work), FOUND_SQL), "looked-into")
        faults = listed.where(F.col("what") == FAULT)
        seen = looked.unionByName(faults.join(here.select(own), own, "left_anti"))
        columns = [c.name for c in ARCHIVE_ENTRY.columns if c.name not in (*RUN_COLUMNS, "state")]
        first = known.select("uri", "first_seen_run", F.lit(True).alias("was_known"))
        present = (
            seen.select(*columns)
            .join(first, "uri", "left")
            .withColumns(
                {
                    "first_seen_run": F.coalesce("first_seen_run", F.lit(self._run.id)),
                    "last_seen_run": F.lit(self._run.id),
                    "state": F.lit("present"),
                }
            )
        )
        gone = self._gone(listed, looked, here, faults).withColumns(
            {"state": F.lit("gone"), "was_known": F.lit(True), "last_seen_run": F.lit(self._run.id)}
        )
        every = [c.name for c in ARCHIVE_ENTRY.columns]
        return self._kept(
            present.select(*every, "was_known").unionByName(gone.select(*every, "was_known")), "changes"
        )

    def _gone(self, listed: DataFrame, looked: DataFrame, here: DataFrame, faults: DataFrame) -> DataFrame:
        """Return the present rows that are there no more, outside folders that could not be listed."""
        files = here.where("container IS NULL")
        lost_files = files.join(listed.select("uri"), "uri", "left_anti")
        # Members go with their container, or when their container changed and no longer has them.
        members = here.where("container IS NOT NULL")
        of_lost = members.join(lost_files.select(F.col("uri").alias("container")), "container", "left_semi")
        looked_into = looked.where("container IS NULL").select(F.col("uri").alias("container"))
        of_changed = members.join(looked_into, "container", "left_semi").join(looked.select("uri"), "uri", "left_anti")
        names = here.columns
        gone = lost_files.select(names).unionByName(of_lost.select(names)).unionByName(of_changed.select(names))
        blind = [row["uri"] for row in faults.select("uri").limit(1000).collect()]
        for uri in blind:
            gone = gone.where(~F.col("uri").startswith(uri.rstrip("/") + "/"))
        return gone

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
        state = self._store.read(ARCHIVE_ENTRY).where("state = 'present'")
        totals = state.agg(
            F.count("*").alias("present"),
            F.count_if(F.col("kind") == "file").alias("files"),
            F.count_if(F.col("kind") == "container").alias("containers"),
            F.count_if(F.col("kind") == "member").alias("members"),
            F.count_if(F.col("code").isNotNull()).alias("faulty"),
        ).first()
        assert totals is not None
        self._run.count(totals.asDict())
        self._run.count({"unchanged": totals["present"] - kinds["new"] - kinds["changed"]})

    def _quarantine(self) -> None:
        """Make the inventory's rows of `quarantine` those of the present entries with a fault."""
        faulty = self._store.read(ARCHIVE_ENTRY).where("state = 'present' AND code IS NOT NULL")
        own = ["uri", "content_version", "code"]
        there = self._store.read(QUARANTINE).where(F.col("stage") == STAGE)
        wanted = faulty.select(*own, F.col("size").alias("file_size")).join(there.select(*own), own, "left_anti")
        stale = there.join(faulty.select("uri"), "uri", "left_anti")
        if not stale.isEmpty():
            self._store.delete_keys(QUARANTINE, stale.select("uri", "stage"))
        if wanted.isEmpty():
            return
        told = self._spark.createDataFrame(
            [(code, condition.message, condition.remedy) for code, condition in CONDITIONS.items()],
            "code STRING, message STRING, detail STRING",
        )
        rows = wanted.join(F.broadcast(told), "code").withColumns({"stage": F.lit(STAGE), "run": F.lit(self._run.id)})
        self._store.upsert(QUARANTINE, rows.select(*[c.name for c in QUARANTINE.columns]), unique=True)

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


def _under(roots: Sequence[str]) -> object:
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
