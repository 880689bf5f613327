"""Having a table, or a part of it, hold exactly some rows, in one commit."""

from __future__ import annotations

from pyspark.sql import DataFrame

from cairn.spark.store import Store
from cairn.tables.contract import Contract


def reconcile(store: Store, contract: Contract, rows: DataFrame, within: DataFrame | None = None) -> None:
    """Make a table's rows these: what differs is written, what is no longer there is deleted.

    Parameters
    ----------
    store : Store
        The tables.
    contract : Contract
        The table.
    rows : DataFrame
        At least the contract's columns; unique keys. Carried out more than once: fix what is dear.
    within : DataFrame, optional
        Values of columns: only rows that have them are deleted. Without it all of the table is meant.
    """
    key = list(contract.key)
    wanted = rows.select(*(column.name for column in contract.columns))
    there = store.read(contract)
    if within is not None:
        there = there.join(within, within.columns, "left_semi")
    store.merge(contract, wanted, there.select(*key).join(wanted.select(*key), key, "left_anti"))
