"""The headers stage: every entry of the archive becomes a row of `instance` and `header_blob`, or of `quarantine`."""

from __future__ import annotations

from typing import TextIO

from pyspark.sql import functions as F

from cairn.dicom.warm import ensure_compiled
from cairn.pipelines.header_task import STAGE, HeaderWork
from cairn.spark.ledger import Run
from cairn.spark.stage import Stage, archive_candidates, run_stage, settled_in
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE

RETRIED = ("READ_FAILED", "READ_FORBIDDEN")
"""Faults of the storage, not of the entry: the next run tries again."""


def read_headers(store: Store, run: Run, scratch: Folder, stream: TextIO) -> Run:
    """Read and parse every header that is new or changed since the last run.

    Parameters
    ----------
    store : Store
        The tables; `archive_entry` says what there is.
    run : Run
        Id, clock and counts.
    scratch : Folder
        The run's shared scratch folder.
    stream : text stream
        For progress lines.

    Returns
    -------
    Run
        With the counts ``found``, ``unchanged``, ``entries``, ``instance``, ``header_blob``, ``quarantine``, ``gone``.

    Raises
    ------
    CairnError
        TABLE_MISSING before the inventory; otherwise as :func:`cairn.spark.stage.run_stage`.
    """
    store.read(ARCHIVE_ENTRY)
    ensure_compiled(stream)
    store.ensure(HEADER_BLOB, INSTANCE, QUARANTINE)
    run.count({"gone": forget_gone(store)})
    stage = Stage(
        name=STAGE,
        work=HeaderWork(store.settings.headers, run.id),
        targets=(HEADER_BLOB, INSTANCE, QUARANTINE),
        accounts=(INSTANCE.name, QUARANTINE.name),
        candidates=archive_candidates,
        settled=settled_in(STAGE, INSTANCE, RETRIED),
    )
    return run_stage(stage, store, run, scratch, stream)


def forget_gone(store: Store) -> int:
    """Delete the rows of entries that have gone from the archive; earlier versions of the tables keep them.

    Returns
    -------
    int
        Entries whose rows were deleted. Running it again deletes nothing more.
    """
    gone = store.read(ARCHIVE_ENTRY).where("state = 'gone'").select("uri")
    known = store.read(INSTANCE).select("uri").unionByName(
        store.read(QUARANTINE).where(F.col("stage") == STAGE).select("uri")
    )  # fmt: skip
    lost = known.join(gone, "uri", "left_semi").distinct()
    count = lost.count()
    if count:
        # Last the tables that `known` looks at, so that a killed deletion is found and finished by the next run.
        store.delete_keys(HEADER_BLOB, lost)
        store.delete_keys(INSTANCE, lost)
        store.delete_keys(QUARANTINE, lost.withColumn("stage", F.lit(STAGE)), ("uri", "stage"))
    return count
