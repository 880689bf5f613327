"""What changed in a table since an earlier run: the keys of its change data feed."""

from __future__ import annotations

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from cairn.spark.store import Store
from cairn.tables.contract import Contract


def changed_keys(store: Store, contract: Contract, since: int | None, *columns: str) -> DataFrame | None:
    """Return the distinct values that rows had or have which were inserted, updated or deleted after a version.

    Parameters
    ----------
    store : Store
        The tables.
    contract : Contract
        The table.
    since : int or None
        The last version that is known; None: none is.
    *columns : str
        Columns to return.

    Returns
    -------
    DataFrame or None
        None when nobody can tell: no version is known, or the feed no longer reaches back so far.
    """
    if since is None:
        return None
    if since == store.version(contract):
        return store.read(contract).select(*columns).limit(0)
    try:
        return store.changes(contract, since + 1).select(*columns).distinct().localCheckpoint()
    except PySparkException:  # vacuumed, or made before the feed was on
        return None
