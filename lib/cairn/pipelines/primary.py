"""Which of several entries stands for its SOPInstanceUID, and whether they hold the same.

Among the entries that are present, the primary is the one that comes first by: pixel data there, fewest findings,
longest header, largest entry, smallest address. An entry without SOPInstanceUID stands for itself. An entry that is
gone from the archive is never primary. Entries of one SOPInstanceUID whose headers or sizes differ carry the finding
DUPLICATE_SOP_INSTANCE_UID_DIFFERS; copies do not.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.contract import Contract
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE

DIFFERS = "DUPLICATE_SOP_INSTANCE_UID_DIFFERS"
PLACE = "(0008,0018)"


def refresh_primary(store: Store, since: dict[str, int]) -> int:
    """Bring `is_primary` and the finding up to date in `instance`.

    Parameters
    ----------
    store : Store
        The tables.
    since : dict of str to int
        Versions of `instance` and `archive_entry` that the last run had seen, by full name; entries whose
        SOPInstanceUID neither changed nor disappeared since are not looked at. Empty: look at all.

    Returns
    -------
    int
        Rows changed; 0 makes no new version of the table.
    """
    instances = store.read(INSTANCE)
    entries = store.read(ARCHIVE_ENTRY) if store.exists(ARCHIVE_ENTRY) else None
    hashes = store.read(HEADER_BLOB) if store.exists(HEADER_BLOB) else None
    candidates = instances.join(_touched(store, instances, since), "sop_instance_uid", "left_semi")
    changed = decisions(candidates, entries, hashes).where("is_changed")
    rows = changed.select("uri", F.col("new_primary").alias("is_primary"), F.col("new_findings").alias("findings"))
    count = rows.count()
    if count:
        store.update(INSTANCE, rows)
    return count


def _touched(store: Store, instances: DataFrame, since: dict[str, int]) -> DataFrame:
    """SOPInstanceUIDs whose entries have to be looked at."""
    gone_or_back = _changed_uris(store, ARCHIVE_ENTRY, since)
    if INSTANCE.full_name not in since or gone_or_back is None:
        return _in_question(store, instances)
    uids = [instances.join(gone_or_back, "uri", "left_semi").select("sop_instance_uid")]
    if store.version(INSTANCE) != since[INSTANCE.full_name]:
        uids.append(store.changes(INSTANCE, since[INSTANCE.full_name] + 1).select("sop_instance_uid"))
    every = uids[0] if len(uids) == 1 else uids[0].unionByName(uids[1])
    return every.where("sop_instance_uid IS NOT NULL").distinct()


def _in_question(store: Store, instances: DataFrame) -> DataFrame:
    """SOPInstanceUIDs that several entries carry, or whose only entry is gone or not what an only entry should be.

    Narrow on purpose: all but a few entries of an archive are the only one of their SOPInstanceUID and drop out here.
    """
    told = F.exists(F.coalesce("findings", F.array().cast(_FINDINGS)), lambda finding: finding["code"] == DIFFERS)
    odd = (F.count("*") > 1) | ~F.bool_and("is_primary") | F.bool_or(told)
    with_uid = instances.where("sop_instance_uid IS NOT NULL")
    repeated = with_uid.groupBy("sop_instance_uid").agg(odd.alias("odd")).where("odd").select("sop_instance_uid")
    if not store.exists(ARCHIVE_ENTRY):
        return repeated
    gone = store.read(ARCHIVE_ENTRY).where("state = 'gone'")
    return repeated.unionByName(with_uid.join(gone, "uri", "left_semi").select("sop_instance_uid")).distinct()


def _changed_uris(store: Store, contract: Contract, since: dict[str, int]) -> DataFrame | None:
    """Addresses whose row of `contract` changed; None when all may have."""
    version = store.version(contract)
    if version is None or since.get(contract.full_name) == version:
        return store.spark.createDataFrame([], "uri STRING")
    if contract.full_name not in since:
        return None
    return store.changes(contract, since[contract.full_name] + 1).select("uri").distinct()


def decisions(instances: DataFrame, entries: DataFrame | None = None, hashes: DataFrame | None = None) -> DataFrame:
    """Return for each entry whether it is primary, and its findings.

    Parameters
    ----------
    instances : DataFrame
        Rows of `instance`, with all rows of every SOPInstanceUID among them.
    entries : DataFrame, optional
        ``uri`` and ``state`` of `archive_entry`. An entry that it lacks counts as present.
    hashes : DataFrame, optional
        ``uri`` and ``header_sha256``.

    Returns
    -------
    DataFrame
        ``uri``, ``new_primary``, ``new_findings``, ``is_changed``.
    """
    needed = ["uri", "sop_instance_uid", "is_primary", "findings", "pixel_offset", "header_bytes", "file_size"]
    rows = _joined(_joined(instances.select(*needed), entries, "state"), hashes, "header_sha256")
    own_findings = F.filter(F.coalesce("findings", F.array().cast(_FINDINGS)), lambda f: f["code"] != DIFFERS)
    rows = rows.withColumns(
        {
            "present": F.coalesce(F.col("state") != "gone", F.lit(True)),
            "own_findings": own_findings,
            "stands_for": F.coalesce("sop_instance_uid", F.concat(F.lit("entry "), "uri")),
        }
    )
    content = F.struct(F.coalesce("header_sha256", F.lit("")), F.coalesce("file_size", F.lit(-1)))
    same_uid = Window.partitionBy("stands_for")
    here = F.when(F.col("present"), content)
    differs = F.col("present") & (F.min(here).over(same_uid) != F.max(here).over(same_uid))
    finding = F.array(F.struct(F.lit(DIFFERS).alias("code"), F.lit(PLACE).alias("place")))
    findings = F.when(differs, F.concat("own_findings", finding)).otherwise(F.col("own_findings"))
    ranked = F.row_number().over(same_uid.orderBy(*_order()))
    decided = rows.select(
        "uri",
        "is_primary",
        "findings",
        ((ranked == 1) & F.col("present")).alias("new_primary"),
        findings.alias("new_findings"),
    )
    before = F.coalesce("findings", F.array().cast(_FINDINGS))
    changed = (F.col("is_primary") != F.col("new_primary")) | (before != F.col("new_findings"))
    return decided.select("uri", "new_primary", "new_findings", changed.alias("is_changed"))


_FINDINGS = "array<struct<code:string,place:string>>"


def _order() -> list[Column]:
    """Best entry first."""
    return [
        F.col("present").desc(),
        F.col("pixel_offset").isNotNull().desc(),
        F.size("own_findings").asc(),
        F.col("header_bytes").desc_nulls_last(),
        F.col("file_size").desc_nulls_last(),
        F.col("uri").asc(),
    ]


def _joined(rows: DataFrame, other: DataFrame | None, name: str) -> DataFrame:
    if other is None:
        return rows.withColumn(name, F.lit(None).cast("string"))
    return rows.join(other.select("uri", name), "uri", "left")
