"""What the change data feed tells of a commit that exchanges a table's files: the rows that differ, and no others.

Delta would tell of every row twice, as deleted and as inserted, and every incremental stage downstream would do all of
its work again. A commit may bring its own record instead (``cdc`` actions); then readers of the feed see that alone.

Source: Delta protocol, "Add CDC File": readers must use the cdc actions of a version that has any.
"""

from __future__ import annotations

import json
from urllib.parse import quote

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.spark.schema import quoted
from cairn.spark.storage import Folder
from cairn.tables.contract import Contract

UNTOLD = ("run", "parser_version")
"""Columns whose difference alone is no change: they say who made the row, not what it says."""

BEFORE, AFTER = "_before", "_after"


def write_changes(contract: Contract, root: Folder, name: str, old: DataFrame, new: DataFrame) -> tuple[list[str], int]:
    """Write the record of what differs between two states of a table into its folder.

    Parameters
    ----------
    contract : Contract
        The table.
    root : Folder
        Its root.
    name : str
        Name of the exchange; a record of that name is written anew.
    old, new : DataFrame
        The two states.

    Returns
    -------
    tuple of list of str and int
        ``cdc`` actions as JSON, at least one; and how many keys differ.
    """
    folder = root.child("_change_data").child(name)
    folder.remove_folder()
    changed = differing_keys(contract, old, new).persist(StorageLevel.DISK_ONLY)
    try:
        count = changed.count()
        _record(contract, changed, old, new).write.mode("overwrite").parquet(folder.hadoop_uri, compression="zstd")
    finally:
        changed.unpersist()
    files = [file for file in folder.names() if file.endswith(".parquet") and not file.startswith((".", "_"))]
    infos = folder.filesystem.get_file_info([folder.file(file) for file in files])
    return [_action(f"_change_data/{name}/{file}", info.size) for file, info in zip(files, infos, strict=True)], count


def differing_keys(contract: Contract, old: DataFrame, new: DataFrame) -> DataFrame:
    """Return the keys of rows that are in one state only, or differ, with whether they are in each."""
    key = list(contract.key)
    before = old.select(*key, row_digest(contract).alias("_old"), F.lit(True).alias(BEFORE))
    after = new.select(*key, row_digest(contract).alias("_new"), F.lit(True).alias(AFTER))
    both = before.join(after, key, "full_outer").where(~F.col("_old").eqNullSafe(F.col("_new")))
    here = (F.coalesce(name, F.lit(False)).alias(name) for name in (BEFORE, AFTER))
    return both.select(*key, *here)


def row_digest(contract: Contract) -> Column:
    """Return 64 bits over all that a row says; of two rows of one key, so that chance does not add up over a table."""
    told = [column for column in contract.columns if column.name not in (*contract.key, *UNTOLD)]
    # xxhash64 skips NULLs: (1, NULL) and (NULL, 1) would be one without the map of what is there.
    values = [F.to_json(c.name) if c.is_variant else F.col(quoted(c.name)) for c in told]
    present = F.concat(*(F.when(value.isNull(), "0").otherwise("1") for value in values)) if values else F.lit("")
    return F.xxhash64(present, *values)


def _record(contract: Contract, changed: DataFrame, old: DataFrame, new: DataFrame) -> DataFrame:
    key, names = list(contract.key), [quoted(column.name) for column in contract.columns]
    changed_before = changed.where(BEFORE).select(*key, F.col(AFTER).alias("_other"))
    changed_after = changed.where(AFTER).select(*key, F.col(BEFORE).alias("_other"))
    before = old.join(changed_before, key).select(*names, _kind("update_preimage", "delete"))
    after = new.join(changed_after, key).select(*names, _kind("update_postimage", "insert"))
    return before.unionByName(after)


def _kind(update: str, alone: str) -> Column:
    return F.when(F.col("_other"), update).otherwise(alone).alias("_change_type")


def _action(path: str, size: int) -> str:
    action = {"path": quote(path), "partitionValues": {}, "size": size, "dataChange": False}
    return json.dumps({"cdc": action})
