"""Balanced parts for machine learning on Spark: strata of equal people, each by itself (:mod:`cairn.cohort.splitting`).

A part that some frozen list of the cohort gave a person stays theirs, in every later list.
"""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from cairn.cohort.checking import Checked
from cairn.cohort.splitting import balanced_parts
from cairn.pipelines.cohort_run import Resolved
from cairn.spark.store import Store
from cairn.tables.cohort import COHORT_MEMBER

PARTS = "person_id string, split string"
_PARTS = pa.schema([("person_id", pa.string()), ("split", pa.string())])
STRATUM, EARLIER = "_stratum", "_earlier"


def given_before(store: Store, lists: list[Row]) -> DataFrame | None:
    """Return ``person_id`` and the part that the first of some frozen lists gave it; None without lists.

    Parameters
    ----------
    store : Store
        The tables.
    lists : list of Row
        Rows of `cohort`: lists of one cohort with one split.
    """
    if not lists:
        return None
    numbers = [row["cohort_version"] for row in lists]
    own = (F.col("cohort") == lists[0]["cohort"]) & F.col("cohort_version").isin(numbers) & F.col("split").isNotNull()
    first = F.min_by("split", "cohort_version").alias(EARLIER)
    return store.read(COHORT_MEMBER).where(own).groupBy("person_id").agg(first)


def balanced(rows: DataFrame, resolved: Resolved, checked: Checked, earlier: DataFrame | None) -> DataFrame:
    """Return members with a balanced ``split``; as they are where the definition asks for no balance.

    Cases and controls are strata of their own, so that each part has both in the same proportion.

    Parameters
    ----------
    rows : DataFrame
        Members with ``person_id`` and ``role``.
    resolved : Resolved
        The steps as frames.
    checked : Checked
        The definition.
    earlier : DataFrame, optional
        From :func:`given_before`.
    """
    cohort = checked.cohort
    if not cohort.balanced_by:
        return rows
    columns = [name for name in cohort.balanced_by if name != "person_id"]
    people = rows.select("person_id", "role").distinct()
    people = people.join(resolved.persons.select("person_id", *columns), "person_id", "left")
    people = people.select("person_id", F.to_json(F.struct("role", *columns)).alias(STRATUM))
    if earlier is None:
        people = people.withColumn(EARLIER, F.lit(None).cast("string"))
    else:
        people = people.join(earlier, "person_id", "left")
    split, seed = dict(cohort.split), cohort.name

    def part(people: pa.Table) -> pa.Table:
        names, known = people["person_id"].to_pylist(), people[EARLIER].to_pylist()
        had = {name: part for name, part in zip(names, known, strict=True) if part is not None}
        parts = balanced_parts(names, split, seed, people[STRATUM][0].as_py(), had)
        return pa.table([list(parts), list(parts.values())], schema=_PARTS)

    parts = people.groupBy(STRATUM).applyInArrow(part, PARTS)
    return rows.drop("split").join(parts, "person_id")
