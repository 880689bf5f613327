"""Some rows only: of another parser, of some modalities, or of quarantine; changed in place, in atomic batches.

The rows are made beside (:mod:`cairn.pipelines.reprocess_build`) and then merged into the live tables, all entries of a
SOPInstanceUID in one commit, with `is_primary` and findings decided anew. Content that `headers` read meanwhile is
newer and stays. Series, studies and the de-identified zone follow by their own change feeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.errors import CairnError
from cairn.pipelines.deidentify_task import REFUSED
from cairn.pipelines.header_rows import parser_version
from cairn.pipelines.header_task import STAGE
from cairn.pipelines.primary import decisions
from cairn.spark.beside import BesideStore
from cairn.spark.fixed import fixed
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.crossing import CROSSING
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE

ENTRY = ["uri", "content_version"]


@dataclass(frozen=True)
class Selection:
    """Which kept headers are done again; all conditions that are given must hold.

    Parameters
    ----------
    other_parser : bool
        Those whose row another version of the parser made.
    modalities : tuple of str
        Those of these modalities.
    quarantine : bool
        Those that were given up though their bytes are kept, by `headers` or by `deidentify`.
    """

    other_parser: bool = False
    modalities: tuple[str, ...] = ()
    quarantine: bool = False

    def __bool__(self) -> bool:
        return bool(self.other_parser or self.modalities or self.quarantine)

    def __post_init__(self) -> None:
        if self.quarantine and (self.other_parser or self.modalities):
            why = "--quarantine goes with no other selection: what was given up has neither modality nor parser"
            raise CairnError("BAD_ARGUMENTS", job="reprocess", why=why, nearest="")

    def told(self) -> str:
        """Return it in words."""
        parts = ["of another parser"] if self.other_parser else []
        parts += [f"of modality {', '.join(self.modalities)}"] if self.modalities else []
        parts += ["in quarantine"] if self.quarantine else []
        return "rows " + " and ".join(parts) if parts else "all rows"

    def chosen(self, store: Store) -> DataFrame:
        """Return ``uri`` and ``content_version`` of what is done again."""
        if self.quarantine:
            return store.read(QUARANTINE).where(F.col("stage") == STAGE).select(*ENTRY)
        rows = store.read(INSTANCE)
        if self.other_parser:
            rows = rows.where(~F.col("parser_version").eqNullSafe(F.lit(parser_version())))
        if self.modalities:
            rows = rows.where(F.col("modality").isin(list(self.modalities)))
        return rows.select(*ENTRY)


def merge_selected(beside: BesideStore) -> dict[str, int]:
    """Merge the rows that were made beside into the live tables; merging them again changes nothing.

    The caller holds the locks of the stages that write them.

    Returns
    -------
    dict
        ``replaced``, ``recovered`` (were in quarantine), ``given_up`` (are now), ``outdated`` (newer content came).
    """
    live = beside.live
    kept = live.read(HEADER_BLOB).select(*ENTRY)
    made = beside.read(INSTANCE).select(*(column.name for column in INSTANCE.columns))
    refused = beside.read(QUARANTINE).where(F.col("stage") == STAGE)
    current = made.join(kept, ENTRY, "left_semi").persist(StorageLevel.DISK_ONLY)
    given_up = refused.join(kept, ENTRY, "left_semi").persist(StorageLevel.DISK_ONLY)
    try:
        counts = _counts(live, made, current, refused, given_up)
        wanted = decided(live, current, given_up).persist(StorageLevel.DISK_ONLY)
        limit = beside.settings.reprocess.entries_per_batch
        parts = math.ceil((wanted.count() + given_up.count()) / limit)
        for number in range(parts):
            _merge_part(live, wanted.where(_part(parts) == number), given_up.where(_part_of_uri(parts) == number))
        wanted.unpersist()
    finally:
        current.unpersist()
        given_up.unpersist()
    return counts


def _counts(
    live: Store, made: DataFrame, current: DataFrame, refused: DataFrame, given_up: DataFrame
) -> dict[str, int]:
    before = live.read(INSTANCE).select("uri")
    replaced = current.select("uri").join(before, "uri", "left_semi").count()
    done, failed = current.count(), given_up.count()
    outdated = made.count() + refused.count() - done - failed
    return {"replaced": replaced, "recovered": done - replaced, "given_up": failed, "outdated": outdated}


def decided(live: Store, made: DataFrame, given_up: DataFrame) -> DataFrame:
    """Return the rows of `instance` to be written: the new ones, and others whose being primary changes with them."""
    uids = ("sop_instance_uid",)
    replaced = made.select("uri").unionByName(given_up.select("uri"))
    old = live.read(INSTANCE)
    touched = old.join(replaced, "uri", "left_semi").select(*uids).unionByName(made.select(*uids)).distinct()
    names = [column.name for column in INSTANCE.columns]
    others = old.join(replaced, "uri", "left_anti").join(touched, "sop_instance_uid", "left_semi").select(*names)
    world = made.withColumn("_made", F.lit(True)).unionByName(others.withColumn("_made", F.lit(False)))
    entries = live.read(ARCHIVE_ENTRY) if live.exists(ARCHIVE_ENTRY) else None
    told = decisions(world, entries, live.read(HEADER_BLOB))
    rows = world.join(told, "uri").where(F.col("_made") | F.col("is_changed"))
    new = {"is_primary": F.col("new_primary"), "findings": F.col("new_findings")}
    return rows.withColumns(new).select(*names)


def _part(parts: int) -> Column:
    """Return in which commit a row goes: all entries of a SOPInstanceUID in the same."""
    return F.pmod(F.xxhash64(F.coalesce("sop_instance_uid", "uri")), F.lit(parts))


def _part_of_uri(parts: int) -> Column:
    return F.pmod(F.xxhash64("uri"), F.lit(parts))


def _merge_part(live: Store, rows: DataFrame, given_up: DataFrame) -> None:
    """One batch; at no moment is an entry in neither of the two tables."""
    nobody = given_up.limit(0)
    if not given_up.isEmpty():
        live.merge(QUARANTINE, given_up, nobody, ignore=("run",))
    live.merge(INSTANCE, rows, given_up.select("uri"), ignore=("run",))
    mine = live.read(QUARANTINE).where(F.col("stage") == STAGE).join(rows.select("uri"), "uri", "left_semi")
    recovered = fixed(mine.select("uri", "stage"))
    if not recovered.isEmpty():
        live.delete_keys(QUARANTINE, recovered)


def forget_refusals(live: Store) -> int:
    """Have `deidentify` decide anew on what it refused; returns how many entries those are."""
    if not live.exists(CROSSING):
        return 0
    refused = fixed(live.read(CROSSING).where(F.col("outcome") == REFUSED).select("uri"))
    count = refused.count()
    if count:
        live.delete_keys(CROSSING, refused)
    return count
