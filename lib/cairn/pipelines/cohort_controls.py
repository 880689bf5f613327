"""Matched controls on Spark: strata of equal people, each matched by itself (:mod:`cairn.cohort.matching`).

Strata are independent, so a cluster works on all of them at a time; within one, the order is that of a hash.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.cohort.checking import Checked
from cairn.cohort.matching import match_stratum
from cairn.cohort.memory import part_of
from cairn.cohort.sql import UIDS, members_sql
from cairn.pipelines.cohort_run import Resolved

PAIRS = "case_id string, person_id string, split string"
_PAIRS = pa.schema([(name, pa.string()) for name in ("case_id", "person_id", "split")])
STRATUM, IS_CASE = "_stratum", "_is_case"
VIEW = "cohort_controls"


def matched(resolved: Resolved, checked: Checked) -> DataFrame | None:
    """Return ``case_id``, ``person_id`` and ``split`` of each control; None where the definition asks for none.

    Cases are the persons among the members; the pool are persons who are no cases and in none of the sets `not_in`.
    Who lacks a value of an exact column is matched to nobody.

    Parameters
    ----------
    resolved : Resolved
        The steps as frames.
    checked : Checked
        The definition.
    """
    controls = checked.cohort.controls
    if controls is None:
        return None
    columns = list(dict.fromkeys((*controls.exact, *controls.caliper)))
    people = resolved.persons.select("person_id", *(name for name in columns if name != "person_id"))
    people = people.dropna(subset=[*controls.exact]) if controls.exact else people
    # One text for all exact columns, so that none at all is one stratum.
    people = people.withColumn(STRATUM, F.to_json(F.struct(F.lit(0).alias("_"), *controls.exact)))
    own = resolved.frames["members"].select("person_id").distinct()
    cases = people.join(own, "person_id", "left_semi")
    pool = people.join(own, "person_id", "left_anti").join(cases.select(STRATUM).distinct(), STRATUM, "left_semi")
    for name in controls.not_in:
        pool = pool.join(resolved.frames[f"set_{name}"].select("person_id"), "person_id", "left_anti")
    strata = cases.withColumn(IS_CASE, F.lit(True)).unionByName(pool.withColumn(IS_CASE, F.lit(False)))
    per_case, caliper = controls.per_case, dict(controls.caliper)
    name, split = checked.cohort.name, {} if checked.cohort.balanced_by else dict(checked.cohort.split)
    seed = f"{checked.cohort.name}/{checked.cohort.version}"

    def match(people: pa.Table) -> pa.Table:
        cases, pool = (people.filter(pc.field(IS_CASE) == flag).to_pylist() for flag in (True, False))
        pairs = match_stratum(cases, pool, per_case, caliper, seed)
        parts = [part_of(name, control, split) if split else None for _, control in pairs]
        return pa.table([*map(list, zip(*pairs, strict=True)), parts] if pairs else [[], [], []], schema=_PAIRS)

    return strata.groupBy(STRATUM).applyInArrow(match, PAIRS)


def with_images(resolved: Resolved, checked: Checked, pairs: DataFrame) -> DataFrame:
    """Return the rows of matched controls: their images by the cohort's rule, about the anchors of their cases.

    A control stands in for its case, so the dates from which the rule counts are the case's. One without such an image
    keeps a row of its own, so that the matching can be seen.

    Parameters
    ----------
    resolved : Resolved
        The steps as frames.
    checked : Checked
        The definition.
    pairs : DataFrame
        From :func:`matched`.

    Returns
    -------
    DataFrame
        ``member``, ``person_id``, ``case_id``, ``index_date``, ``split``; of those with images their date and UIDs.
    """
    cohort = checked.cohort
    last = resolved.frames[f"persons_{len(checked.persons)}"]
    anchors = [name for anchor in cohort.anchors for name in (anchor, f"{anchor}_end")]
    cases = last.select(F.col("person_id").alias("case_id"), *anchors)
    index = F.col(cohort.index_anchor) if cohort.index_anchor else F.lit(None).cast("date")
    own = pairs.join(cases, "case_id").withColumn("index_date", index)
    rows = own.select("person_id", "case_id", "split", "index_date")
    if cohort.images is None:
        return rows.withColumn("member", F.col("person_id"))
    own.createOrReplaceTempView(VIEW)
    images = resolved.spark.sql(members_sql(checked, VIEW))  # the name is looked up here and now
    resolved.spark.catalog.dropTempView(VIEW)
    uids = [uid for uid in UIDS if uid in images.columns]
    found = rows.join(images.select("person_id", "image_date", *uids), "person_id", "left")
    return found.withColumn("member", F.coalesce(uids[-1], "person_id"))
