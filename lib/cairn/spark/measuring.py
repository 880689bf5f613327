"""Counting what expectations need: one pass per table, its key columns once more, one anti-join per relation.

All of a check is one Spark job. What is shuffled is counts by modality and year, hashes of keys, and the columns by
which tables are related; the driver gets numbers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from cairn.quality.conditions import Pass, quoted
from cairn.quality.measures import Measures, Slice
from cairn.spark.store import Store
from cairn.tables.contract import Contract
from cairn.tables.quality import Related, Side
from cairn.tables.registry import contract as contract_named

SMALL_BYTES = 64 * 1024 * 1024
COUNTS, REPEATED, RELATED = "counts", "repeated", "related"


def measured(store: Store, passes: Sequence[Pass], related: Iterable[Related]) -> dict[str, Measures]:
    """Count everything, in one Spark job.

    Parameters
    ----------
    store : Store
        The tables.
    passes : sequence of Pass
        What to count, a table each; the tables exist.
    related : iterable of Related
        Relations between tables that all exist.

    Returns
    -------
    dict of str to Measures
        By the table's full name; each holds all of `related`.
    """
    relations = list(dict.fromkeys(related))
    tables = [store.read(one.contract) for one in passes]
    frames = []
    for number, (table, one) in enumerate(zip(tables, passes, strict=True)):
        frames.append(_counts(table, one, number))
        if one.key:
            frames.append(_repeated(table, one.key, number))
    frames += [_at_fault(store, one, number) for number, one in enumerate(relations)]
    contracts = {*(one.contract for one in passes), *(contract_named(name) for one in relations for name in one.tables)}
    with _planned_once(store, contracts):
        rows = reduce(DataFrame.unionAll, frames).collect() if frames else []
    faults = {relations[row["number"]]: row["rows"] for row in rows if row["kind"] == RELATED}
    repeated = {row["number"]: row["rows"] for row in rows if row["kind"] == REPEATED}
    found: dict[int, list[Row]] = {}
    for row in rows:
        if row["kind"] == COUNTS:
            found.setdefault(row["number"], []).append(row)
    return {
        one.contract.full_name: Measures(
            tuple(table.columns), one.conditions, _slices(found.get(number, [])), repeated.get(number, 0), faults
        )
        for number, (table, one) in enumerate(zip(tables, passes, strict=True))
    }


@contextmanager
def _planned_once(store: Store, contracts: Iterable[Contract]) -> Iterator[None]:
    """Have Spark plan the job once, and compile nothing for tables that are small.

    Planning anew after each of the many stages, as Spark does, costs the square of their number; and compiling Java for
    a few thousand rows costs far more than it saves.
    """
    sizes = [store.size(contract) for contract in contracts]
    is_small = all(size is not None and size < SMALL_BYTES for size in sizes)
    chosen = {"spark.sql.adaptive.enabled": "false"}
    if is_small:
        chosen |= {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
    conf = store.spark.conf
    before = {name: conf.get(name, None) for name in chosen}
    for name, value in chosen.items():
        conf.set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                conf.unset(name)
            else:
                conf.set(name, old)


def _slices(rows: Sequence[Row]) -> tuple[Slice, ...]:
    return tuple(Slice(row["modality"], row["year"], row["rows"], tuple(row["counts"])) for row in rows)


def _counts(table: DataFrame, one: Pass, number: int) -> DataFrame:
    """Return a row for each modality and year: its rows, and those for which each condition is true."""
    counted = [f"count_if({text}) AS c{place}" for place, text in enumerate(one.conditions)]
    grouped = table.groupBy(F.expr(one.modality).alias("modality"), F.expr(one.year).alias("year"))
    added = grouped.agg(F.expr("count(*) AS rows"), *(F.expr(text) for text in counted))
    listed = ", ".join(f"c{place}" for place in range(len(counted)))
    counts = f"CAST(array({listed}) AS array<bigint>) AS counts"
    return added.selectExpr(f"'{COUNTS}' AS kind", f"{number} AS number", "modality", "year", "rows", counts)


def _repeated(table: DataFrame, key: Sequence[str], number: int) -> DataFrame:
    """Return one row: how many rows have a key that another row has too.

    Keys are told apart by two hashes of 64 bits, the second begun differently: no two keys of an archive share both,
    and no address is shuffled.
    """
    names = ", ".join(quoted(name) for name in key)
    hashed = table.selectExpr(f"xxhash64({names}) AS one", f"xxhash64('second', {names}) AS two")
    groups = hashed.groupBy("one", "two").agg(F.expr("count(*) AS n")).where("n > 1")
    return _one_row(groups.agg(F.expr("coalesce(sum(n), 0) AS rows")), REPEATED, number)


def _at_fault(store: Store, one: Related, number: int) -> DataFrame:
    """Return one row: how many rows of the left side lack a partner, or have one that they should not have."""
    left = _side(store, one.left)
    right = reduce(DataFrame.unionAll, [_side(store, side) for side in one.right])
    faults = left.join(right, left.columns, "left_semi" if one.apart else "left_anti")
    return _one_row(faults.agg(F.expr("count(*) AS rows")), RELATED, number)


def _one_row(rows: DataFrame, kind: str, number: int) -> DataFrame:
    nothing = ("'' AS modality", "CAST(NULL AS INT) AS year", "rows", "CAST(NULL AS array<bigint>) AS counts")
    return rows.selectExpr(f"'{kind}' AS kind", f"{number} AS number", *nothing)


def _side(store: Store, side: Side) -> DataFrame:
    rows = store.read(contract_named(side.table))
    if side.where:
        rows = rows.where(side.where)
    compared = rows.selectExpr(*(f"{quoted(name)} AS k{place}" for place, name in enumerate(side.columns)))
    return compared.where(" AND ".join(f"{name} IS NOT NULL" for name in compared.columns))
