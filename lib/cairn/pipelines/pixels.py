"""The pixel stage: every entry that is DICOM gets its rows of `pixel_statistics` and `text_search`, one of
`burned_in_text` for each line of text, or one of `quarantine`."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.pipelines.headers import RETRIED
from cairn.pipelines.pixel_task import MEASURED, PARTS, STAGE, STATISTICS, TABLES, TEXT, PixelWork, versions
from cairn.pixels.rows import ALGORITHM_VERSION
from cairn.pixels.text.device_rules import DeviceRule, load_device_rules
from cairn.pixels.text.engines import check_engines
from cairn.pixels.text.finder import TEXT_VERSION
from cairn.pixels.warm import ensure_compiled
from cairn.settings import Pixels
from cairn.spark.ledger import Run
from cairn.spark.stage import Stage, archive_candidates, forget_entries, run_stage
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH
from cairn.tables.instance import INSTANCE
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.quarantine import QUARANTINE

RULES = Path(__file__).resolve().parents[3] / "conf" / "device_rules.yaml"
"""Device rules that come with Cairn."""

PARTS_OF = {STATISTICS: (PIXEL_STATISTICS,), TEXT: (TEXT_SEARCH, BURNED_IN_TEXT)}


def device_rules(settings: Pixels) -> tuple[DeviceRule, ...]:
    """Return the site's device rules, or Cairn's own.

    Raises
    ------
    CairnError
        DEVICE_RULES_WRONG.
    """
    return load_device_rules(Path(settings.device_rules) if settings.device_rules else RULES)


def read_pixels(store: Store, run: Run, scratch: Folder, stream: TextIO) -> Run:
    """Decode every entry that lacks statistics or a search for text: new, changed, or done by an older algorithm.

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
        With the counts ``found``, ``unchanged``, ``entries``, ``measured``, ``gone``, and the rows of every table.

    Raises
    ------
    CairnError
        TABLE_MISSING before the headers stage; DEVICE_RULES_WRONG, TESSERACT_MISSING; otherwise as
        :func:`cairn.spark.stage.run_stage`.
    """
    store.read(INSTANCE)
    rules = device_rules(store.settings.pixels)
    check_engines(store.settings.pixels.text_engines)
    ensure_compiled(stream)
    store.ensure(*TABLES, QUARANTINE)
    run.count({"gone": forget_gone(store)})
    stage = Stage(
        name=STAGE,
        work=PixelWork(store.settings.pixels, rules, run.id),
        targets=(*TABLES, QUARANTINE),
        accounts=(MEASURED, QUARANTINE.name),
        candidates=dicom_candidates,
        settled=settled,
        entries_per_task=store.settings.pixels.entries_per_task,
        forget=forget_parts,
    )
    return run_stage(stage, store, run, scratch, stream)


def dicom_candidates(store: Store) -> DataFrame:
    """Return the entries that are present and were parsed with the content that they have now, with what they lack."""
    parsed = store.read(INSTANCE).select("uri", "content_version")
    entries = archive_candidates(store).join(parsed, ["uri", "content_version"], "left_semi")
    for part, done in _done(store).items():
        marked = done.withColumn(f"_{part}", F.lit(0))
        entries = entries.join(marked, ["uri", "content_version"], "left")
    lacking = [F.coalesce(f"_{part}", F.lit(part)) for part in PARTS_OF]
    return entries.withColumn(PARTS, sum(lacking[1:], lacking[0])).drop(*(f"_{part}" for part in PARTS_OF))


def _done(store: Store) -> dict[int, DataFrame]:
    """Return (``uri``, ``content_version``) of what has each part by the present algorithm."""
    measured = store.read(PIXEL_STATISTICS).where(
        (F.col("frame") == 0) & (F.col("algorithm_version") == ALGORITHM_VERSION)
    )
    searched = store.read(TEXT_SEARCH).where(F.col("algorithm_version") == TEXT_VERSION)
    if not store.settings.pixels.text:
        searched = store.read(INSTANCE)
    return {part: rows.select("uri", "content_version") for part, rows in ((STATISTICS, measured), (TEXT, searched))}


def settled(store: Store) -> DataFrame:
    """Return what has both parts, or was given up, by the present algorithms."""
    done = _done(store)
    both = done[STATISTICS].join(done[TEXT], ["uri", "content_version"], "left_semi")
    tried = (F.col("stage") == STAGE) & (F.col("algorithm_version") == versions()) & ~F.col("code").isin(*RETRIED)
    columns = ("uri", "content_version")
    return both.unionByName(store.read(QUARANTINE).where(tried).select(*columns))


def forget_parts(store: Store, entries: DataFrame) -> None:
    """Delete the rows of what is made again, and only those."""
    for part, tables in PARTS_OF.items():
        some = entries.where(F.col(PARTS).bitwiseAND(part) != 0)
        forget_entries(store, some, STAGE, tables)
    forget_entries(store, entries, STAGE, (QUARANTINE,))


def forget_gone(store: Store) -> int:
    """Delete the rows of entries that have gone from the archive, or are no DICOM any more.

    Returns
    -------
    int
        Entries whose rows were deleted.
    """
    living = store.read(ARCHIVE_ENTRY).where("state <> 'gone'").select("uri")
    living = living.join(store.read(INSTANCE).select("uri"), "uri", "left_semi")
    known = store.read(QUARANTINE).where(F.col("stage") == STAGE).select("uri")
    for contract in TABLES:
        known = known.unionByName(store.read(contract).select("uri"))
    lost = known.join(living, "uri", "left_anti").distinct()
    count = lost.count()
    if count:
        for contract in TABLES:
            store.delete_keys(contract, lost, ("uri",))
        store.delete_keys(QUARANTINE, lost.withColumn("stage", F.lit(STAGE)), ("uri", "stage"))
    return count
