"""The tables beside: `instance` from the kept headers, and by the ordinary pipelines all that follows from it.

Building and catching up are one thing: what the kept headers have and the tables beside lack is parsed, what changed
since is done again. Killed at any moment and called again, it goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.dicom.warm import ensure_compiled
from cairn.pipelines.deidentify import TWINS, deidentify
from cairn.pipelines.deidentify_records import JOB as RECORDS_JOB
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.deidentify_twins import JOB as TWINS_JOB
from cairn.pipelines.header_task import STAGE
from cairn.pipelines.job import Job
from cairn.pipelines.reprocess_task import BlobWork
from cairn.pipelines.series import run_series
from cairn.spark.beside import BesideStore
from cairn.spark.changes import changed_keys
from cairn.spark.fixed import fixed
from cairn.spark.ledger import Run, recorded, versions_read
from cairn.spark.stage import Stage, forget_entries, run_stage, settled_in
from cairn.spark.store import Store
from cairn.spark.swap import unchanged_since
from cairn.tables.contract import Contract
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import RECORD_TWINS, VOCABULARY_TWINS
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.series import SERIES
from cairn.tables.study import STUDY_TABLE

CATCH_UP = "catch-up"
LIVE_INSTANCE = "live instance"
INCREMENTAL = ("series", TWINS_JOB, RECORDS_JOB)
"""Jobs that go on where the ledger says that they ended."""

FOLLOWING = (INSTANCE, SERIES, STUDY_TABLE)
BEYOND = (CROSSING, *TWINS, *RECORD_TWINS.values(), *VOCABULARY_TWINS.values())
ENTRY = ["uri", "content_version"]
BLOCK_ROWS = 5_000
"""Rows of one file of `header_blob` that stay in one task."""

Select = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Building:
    """A job that builds tables beside.

    Attributes
    ----------
    beside : BesideStore
        The set of tables.
    job : Job
        The job, on the live tables.
    """

    beside: BesideStore
    job: Job

    @property
    def live(self) -> Store:
        """The live tables."""
        return self.job.store

    def run(self, name: str) -> Run:
        """Return a new run in the ledger of the set."""
        return self.job.run(name)


def swapped(beside: BesideStore) -> list[Contract]:
    """Return the tables of a set that take the place of live ones as a whole, `instance` first."""
    every = (*FOLLOWING, *BEYOND)
    return [table for table in every if table.full_name in beside.made and beside.exists(table)]


def build(building: Building, terms: Terms | None) -> None:
    """Bring the tables beside up to date with the kept headers and the live tables of now.

    Parameters
    ----------
    building : Building
        The set and the job.
    terms : Terms, optional
        With them the de-identified twins are made too.

    Raises
    ------
    CairnError
        As the stages; what was done stays.
    """
    beside, job = building.beside, building.job
    catch_up(building)
    run_series(beside, building.run("series"))
    if terms is not None:
        scratch = job.folder(f"deidentify-{os.urandom(3).hex()}")
        deidentify(beside, building.run("deidentify"), scratch, job.stream, terms)


def catch_up(building: Building) -> None:
    """Parse what the kept headers have and `instance` beside lacks, and drop what is there no more.

    What changed since the last time is found in the change feeds of `header_blob` and `instance`.
    """
    beside, live = building.beside, building.live
    before = versions_read(beside, CATCH_UP)
    now = {HEADER_BLOB.full_name: live.version(HEADER_BLOB), LIVE_INSTANCE: live.version(INSTANCE)}
    if before == now:
        return
    own = building.run(CATCH_UP)
    with recorded(beside, own):
        for name, version in now.items():
            own.reads(name, version)
        changed = changed_entries(live, before)
        beside.ensure(INSTANCE, QUARANTINE)
        forget_outdated(beside, changed)
        parse(building, lambda rows: rows if changed is None else rows.join(changed, "uri", "left_semi"))
        carry(beside, changed)


def changed_entries(live: Store, since: dict[str, int]) -> DataFrame | None:
    """Return the ``uri`` of entries whose header or row changed since; None for all of them."""
    names = ((HEADER_BLOB, HEADER_BLOB.full_name), (INSTANCE, LIVE_INSTANCE))
    changed = [changed_keys(live, contract, since.get(name), "uri") for contract, name in names]
    known = [frame for frame in changed if frame is not None]
    return reduce(DataFrame.unionByName, known).distinct() if len(known) == len(changed) else None


def is_caught_up(building: Building) -> bool:
    """Whether no row of `header_blob` or `instance` changed since the last time."""
    since = versions_read(building.beside, CATCH_UP)
    names = ((HEADER_BLOB, HEADER_BLOB.full_name), (INSTANCE, LIVE_INSTANCE))
    return all(name in since and unchanged_since(building.live, contract, since[name]) for contract, name in names)


def forget_outdated(beside: BesideStore, changed: DataFrame | None) -> None:
    """Delete rows beside that belong to no kept header of now; rows that were carried over are carried over anew."""
    if beside.version(INSTANCE) == 0 and beside.version(QUARANTINE) == 0:
        return
    kept = beside.read(HEADER_BLOB).select(*ENTRY)
    for contract in (INSTANCE, QUARANTINE):
        rows = beside.read(contract).select(*ENTRY)
        mine = rows if changed is None else rows.join(changed, "uri", "left_semi")
        lost = fixed(mine.join(kept, ENTRY, "left_anti").select("uri"))
        if not lost.isEmpty():
            forget_entries(beside, lost, STAGE, (contract,))


def parse(building: Building, select: Select) -> Run:
    """Parse kept headers into `instance` and `quarantine` beside, in batches.

    Parameters
    ----------
    building : Building
        The set and the job.
    select : callable
        Chooses rows of `header_blob`.
    """
    beside, job = building.beside, building.job
    ensure_compiled(job.stream)
    run = building.run(STAGE)
    stage = Stage(
        name=STAGE,
        work=BlobWork(beside.settings.headers, beside.folder(HEADER_BLOB), run.id),
        targets=(INSTANCE, QUARANTINE),
        accounts=(INSTANCE.name, QUARANTINE.name),
        candidates=lambda store: places(select(with_places(store.read(HEADER_BLOB)))),
        settled=settled_in(STAGE, INSTANCE),
        source=HEADER_BLOB,
    )
    return run_stage(stage, beside, run, job.folder(f"parse-{os.urandom(3).hex()}"), job.stream)


def with_places(blobs: DataFrame) -> DataFrame:
    """Return rows of `header_blob` with the file and the place in it where each stands."""
    return blobs.select("*", F.col("_metadata.file_name").alias("file"), F.col("_metadata.row_index").alias("place"))


def places(blobs: DataFrame) -> DataFrame:
    """Return what the work needs, and by which the plan keeps neighbours together."""
    block = F.floor(F.col("place") / BLOCK_ROWS)
    return blobs.select(
        "uri",
        "content_version",
        "file",
        "place",
        F.concat_ws("#", "file", F.format_string("%09d", block)).alias("container"),
        F.col("place").alias("data_offset"),
    )


def carry(beside: BesideStore, changed: DataFrame | None) -> None:
    """Take over live rows of `instance` that no kept header stands behind, such as those of a catalogue."""
    live = beside.live.read(INSTANCE)
    kept = beside.read(HEADER_BLOB).select(*ENTRY)
    known = beside.read(INSTANCE).select(*ENTRY)
    rows = live if changed is None else live.join(changed, "uri", "left_semi")
    alone = rows.join(kept, ENTRY, "left_anti").join(known, ENTRY, "left_anti")
    columns = [column.name for column in INSTANCE.columns]
    if not alone.isEmpty():
        beside.append(INSTANCE, alone.select(*columns), unique=True)


def going_on(beside: BesideStore) -> dict[str, dict[str, int]]:
    """Return for each incremental job the versions that its last run on the set read."""
    return {job: versions for job in INCREMENTAL if (versions := versions_read(beside, job))}
