"""The pixel stage: every entry that is DICOM gets its rows of `pixel_statistics`, or one of `quarantine`."""

from __future__ import annotations

from typing import TextIO

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.pipelines.headers import RETRIED
from cairn.pipelines.pixel_task import MEASURED, STAGE, PixelWork, versions
from cairn.pixels.rows import ALGORITHM_VERSION
from cairn.pixels.warm import ensure_compiled
from cairn.spark.ledger import Run
from cairn.spark.stage import Stage, archive_candidates, run_stage
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.instance import INSTANCE
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.quarantine import QUARANTINE


def read_pixels(store: Store, run: Run, scratch: Folder, stream: TextIO) -> Run:
    """Decode and measure the pixels of every entry that lacks it: new, changed, or measured by an older algorithm.

    Parameters
    ----------
    store : Store
        The tables; `instance` says which entries are DICOM.
    run : Run
        Id, clock and counts.
    scratch : Folder
        The run's shared scratch folder.
    stream : text stream
        For progress lines.

    Returns
    -------
    Run
        With the counts ``found``, ``unchanged``, ``entries``, ``measured``, ``pixel_statistics``, ``quarantine``,
        ``gone``.

    Raises
    ------
    CairnError
        TABLE_MISSING before the headers stage; otherwise as :func:`cairn.spark.stage.run_stage`.
    """
    store.read(INSTANCE)
    ensure_compiled(stream)
    store.ensure(PIXEL_STATISTICS, QUARANTINE)
    run.count({"gone": forget_gone(store)})
    stage = Stage(
        name=STAGE,
        work=PixelWork(store.settings.pixels, run.id),
        targets=(PIXEL_STATISTICS, QUARANTINE),
        accounts=(MEASURED, QUARANTINE.name),
        candidates=dicom_candidates,
        settled=settled,
        entries_per_task=store.settings.pixels.entries_per_task,
    )
    return run_stage(stage, store, run, scratch, stream)


def dicom_candidates(store: Store) -> DataFrame:
    """Return the entries of the archive that are present and were parsed with the content that they have now."""
    parsed = store.read(INSTANCE).select("uri", "content_version")
    return archive_candidates(store).join(parsed, ["uri", "content_version"], "left_semi")


def settled(store: Store) -> DataFrame:
    """Return what was measured, or given up, by the present algorithm."""
    measured = store.read(PIXEL_STATISTICS).where(
        (F.col("frame") == 0) & (F.col("algorithm_version") == ALGORITHM_VERSION)
    )
    tried = (F.col("stage") == STAGE) & (F.col("algorithm_version") == versions()) & ~F.col("code").isin(*RETRIED)
    columns = ("uri", "content_version")
    return measured.select(*columns).unionByName(store.read(QUARANTINE).where(tried).select(*columns))


def forget_gone(store: Store) -> int:
    """Delete the rows of entries that have gone from the archive, or are no DICOM any more.

    Returns
    -------
    int
        Entries whose rows were deleted.
    """
    living = store.read(ARCHIVE_ENTRY).where("state <> 'gone'").select("uri")
    living = living.join(store.read(INSTANCE).select("uri"), "uri", "left_semi")
    known = store.read(PIXEL_STATISTICS).where("frame = 0").select("uri").unionByName(
        store.read(QUARANTINE).where(F.col("stage") == STAGE).select("uri")
    )  # fmt: skip
    lost = known.join(living, "uri", "left_anti").distinct()
    count = lost.count()
    if count:
        # Last the table that `known` looks at last, so that a killed deletion is found and finished by the next run.
        store.delete_keys(PIXEL_STATISTICS, lost, ("uri",))
        store.delete_keys(QUARANTINE, lost.withColumn("stage", F.lit(STAGE)), ("uri", "stage"))
    return count
