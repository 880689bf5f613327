"""What changed in a table since an earlier run: the keys of its change data feed."""

from __future__ import annotations

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from cairn.spark.fixed import fixed
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
        return fixed(store.changes(contract, since + 1).select(*columns).distinct())
    except PySparkException:  # vacuumed, or made before the feed was on
        return None
    except Py4JJavaError as fault:
        if not any(sign in str(fault.java_exception) for sign in FORGOTTEN):
            raise
        return None


FORGOTTEN = ("DELTA_LOG_FILE_NOT_FOUND", "DELTA_MISSING_CHANGE_DATA", "FAILED_READ_FILE", "FileNotFoundException")
"""What Delta says of versions whose entries in the log, or whose files, `maintain` has removed."""


def is_unchanged(store: Store, contract: Contract, since: int | None) -> bool:
    """Whether it is known that no row changed after a version; upkeep makes new versions without a change."""
    changed = changed_keys(store, contract, since, *contract.key)
    return changed is not None and changed.isEmpty()
