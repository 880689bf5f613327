"""Upkeep of Delta tables: small files joined, what no version needs removed, deleted rows gone for good.

Beside :mod:`cairn.spark.store` the only code that commits to a table, and none of its commits changes a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cairn.spark import delta_log
from cairn.spark.schema import quoted
from cairn.spark.store import Store
from cairn.tables.contract import Contract

LISTING = "spark.sql.sources.parallelPartitionDiscovery.parallelism"
"""VACUUM lists with so many tasks; Spark's own 10,000 cost a minute for a table of three files."""
LONGEST_LISTING = 64
RETENTION_CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
LARGEST = "spark.databricks.delta.optimize.maxFileSize"
SMALLEST = "spark.databricks.delta.optimize.minFileSize"


@dataclass(frozen=True)
class FileSizes:
    """How the rows of a table's current version lie in files.

    Attributes
    ----------
    files, bytes, small, rows_deleted : int
        Files, their bytes, those below half of the wanted size, rows that deletion vectors hide.
    median, largest : int
        Bytes of the file in the middle and of the largest; a largest far above the median is skew.
    """

    files: int
    bytes: int
    small: int
    rows_deleted: int
    median: int
    largest: int

    @property
    def skew(self) -> float:
        """The largest file over the one in the middle; 1 when all are alike, 0 without files."""
        return self.largest / self.median if self.median else 0.0


def file_sizes(store: Store, contract: Contract, wanted_bytes: int) -> FileSizes:
    """Return how a table lies in files, from its log alone.

    Parameters
    ----------
    store : Store
        The tables.
    contract : Contract
        An existing table.
    wanted_bytes : int
        Size that files are joined to.
    """
    files = delta_log.file_rows(store.spark, store.location(contract))
    row = files.agg(
        F.count("*"),
        F.coalesce(F.sum("size"), F.lit(0)),
        F.count_if(F.col("size") < wanted_bytes // 2),
        F.coalesce(F.sum("deletionVector.cardinality"), F.lit(0)),
        F.coalesce(F.percentile_approx("size", 0.5), F.lit(0)),
        F.coalesce(F.max("size"), F.lit(0)),
    ).first()
    assert row is not None  # an aggregate has one row
    return FileSizes(*row)


def compact(store: Store, contract: Contract, wanted_bytes: int) -> None:
    """Join small files, and cluster what came since the last time (liquid clustering). No row changes.

    Parameters
    ----------
    store : Store
        The tables.
    contract : Contract
        An existing table.
    wanted_bytes : int
        Size to which files are joined.
    """
    store.cluster(contract)
    with _configured(store.spark, {LARGEST: str(wanted_bytes), SMALLEST: str(wanted_bytes)}):
        store.spark.sql(f"OPTIMIZE {_named(store, contract)}")


def vacuum(store: Store, contract: Contract, hours: float) -> None:
    """Remove the files that no version of the last hours needs.

    Parameters
    ----------
    store : Store
        The tables.
    contract : Contract
        An existing table, to which nobody writes now: files that are not committed yet count as not needed.
    hours : float
        0: only the current version stays.
    """
    fewer = min(LONGEST_LISTING, store.spark.sparkContext.defaultParallelism)
    with _configured(store.spark, {LISTING: str(fewer), RETENTION_CHECK: "false"}):
        store.spark.sql(f"VACUUM {_named(store, contract)} RETAIN {hours:g} HOURS")


def erase_history(store: Store, contract: Contract) -> None:
    """Leave nothing of a table but its current rows: no hidden row, no earlier file, no earlier entry of its log.

    Entries of the log hold the smallest and largest values of files, so they go too: time travel and the change feed
    begin anew. Readers that are at work on an earlier version fail.

    Parameters
    ----------
    store : Store
        The tables.
    contract : Contract
        An existing table, to which nobody writes now.
    """
    if _hides_rows(store, contract):
        _write_hidden_rows_out(store, contract)
    vacuum(store, contract, 0)
    delta_log.forget_entries(store.spark, store.location(contract))


def _hides_rows(store: Store, contract: Contract) -> bool:
    return not delta_log.file_rows(store.spark, store.location(contract)).where("deletionVector IS NOT NULL").isEmpty()


def _write_hidden_rows_out(store: Store, contract: Contract) -> None:
    """Write the files anew of which deletion vectors hide rows.

    Of a clustered table REORG takes only what OPTIMIZE would cluster again (Delta 4.4), so the clustering is off
    meanwhile; what a kill in between leaves is made good before the next :func:`compact`.
    """
    table = _named(store, contract)
    if contract.clustered_by:
        store.spark.sql(f"ALTER TABLE {table} CLUSTER BY NONE")
    store.spark.sql(f"REORG TABLE {table} APPLY (PURGE)")
    store.cluster(contract)


def _named(store: Store, contract: Contract) -> str:
    return f"delta.{quoted(store.location(contract))}"


@contextmanager
def _configured(spark: SparkSession, options: dict[str, str]) -> Iterator[None]:
    before = {name: spark.conf.get(name, None) for name in options}
    for name, value in options.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, earlier in before.items():
            spark.conf.unset(name) if earlier is None else spark.conf.set(name, earlier)


def delete_where_in(store: Store, contract: Contract, keys: DataFrame) -> int:
    """Delete the rows whose value in the one column of `keys` occurs there; returns how many there were."""
    column = keys.columns[0]
    found = store.read(contract).join(keys, column, "left_semi").count()
    if found:
        store.delete_keys(contract, keys, (column,))
    return found
