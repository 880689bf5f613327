"""The twins that follow from the twin of `instance`: tables of the pixels, series and study, brought up to date.

What changed since the last run is found in the change feeds of the tables that they are made of, so that a night's
new images do not cost a comparison of the archive; under other rules or keys all of it is made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.pipelines.deidentify_task import CROSSED, Terms
from cairn.pipelines.series_aggregate import series_rows, study_rows
from cairn.spark.changes import changed_keys
from cairn.spark.fixed import fixed
from cairn.spark.ledger import Run, recorded, versions_read
from cairn.spark.locks import stage_lock
from cairn.spark.reconcile import reconcile
from cairn.spark.store import Store
from cairn.spark.udfs import uid_udf
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import (
    DEIDENTIFIED_BURNED_IN_TEXT,
    DEIDENTIFIED_INSTANCE,
    DEIDENTIFIED_PIXEL_STATISTICS,
    DEIDENTIFIED_SERIES,
    DEIDENTIFIED_STUDY,
    DEIDENTIFIED_TEXT_SEARCH,
)
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.series import PIXELS, SERIES, TEXT

JOB = "deidentify-twins"
OF_PIXELS = {
    PIXEL_STATISTICS: DEIDENTIFIED_PIXEL_STATISTICS,
    TEXT_SEARCH: DEIDENTIFIED_TEXT_SEARCH,
    BURNED_IN_TEXT: DEIDENTIFIED_BURNED_IN_TEXT,
}
"""Tables of the pixel stage, whose twins hold the rows of instances that crossed."""


def refresh_twins(store: Store, run: Run, terms: Terms) -> None:
    """Bring the twins of the pixel stage's tables, of `series` and of `study` up to date.

    Parameters
    ----------
    store : Store
        The tables; `crossing` and the twin of `instance` are up to date.
    run : Run
        The run of `deidentify`; this has a line of its own in the ledger.
    terms : Terms
        For the pseudonyms.

    Raises
    ------
    CairnError
        CONTRACT_BROKEN.
    """
    own = Run(f"{run.id}-twins", JOB, run.clock)
    under = f"terms {terms.version()}"
    before = versions_read(store, JOB)
    since = before if under in before else {}
    with stage_lock(store.settings, own.job, own), recorded(store, own):
        own.reads(under, 0)
        for contract in (CROSSING, DEIDENTIFIED_INSTANCE, SERIES, *OF_PIXELS):
            if store.exists(contract):
                own.reads(contract.full_name, store.version(contract))
        _refresh_of_pixels(store, since, terms)
        _refresh_series(store, since, terms)
        _refresh_studies(store, since)


def _refresh_of_pixels(store: Store, since: Mapping[str, int], terms: Terms) -> None:
    """Rows of instances that crossed, without addresses."""
    present = [source for source in OF_PIXELS if store.exists(source)]
    tables = (CROSSING, *present)
    changed = reduce(_either, [changed_keys(store, table, since.get(table.full_name), "uri") for table in tables])
    uid = uid_udf(terms)
    crossed = store.read(CROSSING).where(F.col("outcome") == CROSSED)
    names = crossed.select("uri", uid("instance").alias("sop_instance_uid"))
    if changed is not None:
        if changed.isEmpty():
            return
        names = fixed(names.join(changed, "uri", "left_semi"))
    instances = store.read(DEIDENTIFIED_INSTANCE).select("sop_instance_uid", "person_id")
    for source in present:
        rows = store.read(source).drop("sop_instance_uid").join(names, "uri").join(instances, "sop_instance_uid")
        rows = rows.withColumn("series_instance_uid", uid("series_instance_uid"))
        reconcile(store, OF_PIXELS[source], rows, None if changed is None else names.select("sop_instance_uid"))


def _refresh_series(store: Store, since: Mapping[str, int], terms: Terms) -> None:
    """Aggregates of the twin of `instance`, with what `series` says of the pixels."""
    key = "series_instance_uid"
    uid = uid_udf(terms)
    changed = changed_keys(store, DEIDENTIFIED_INSTANCE, since.get(DEIDENTIFIED_INSTANCE.full_name), key)
    said = None
    if store.exists(SERIES):
        names = [column.name for column in (*PIXELS, *TEXT) if column.rule != "drop"]
        series = store.read(SERIES)
        moved = changed_keys(store, SERIES, since.get(SERIES.full_name), key)
        changed = _either(changed, None if moved is None else fixed(moved.select(uid(key).alias(key))))
        said = series.select(uid(key).alias(key), *names)
    if changed is not None and changed.isEmpty():
        return
    rows = series_rows(_instances(store, key, changed)).withColumn("person_id", F.col("patient_id"))
    if said is not None:
        rows = rows.drop(*names).join(said, key, "left")
    reconcile(store, DEIDENTIFIED_SERIES, rows, changed)


def _refresh_studies(store: Store, since: Mapping[str, int]) -> None:
    key = "study_instance_uid"
    changed = changed_keys(store, DEIDENTIFIED_INSTANCE, since.get(DEIDENTIFIED_INSTANCE.full_name), key)
    if changed is not None and changed.isEmpty():
        return
    rows = study_rows(_instances(store, key, changed)).withColumn("person_id", F.col("patient_id"))
    reconcile(store, DEIDENTIFIED_STUDY, rows, changed)


def _instances(store: Store, key: str, changed: DataFrame | None) -> DataFrame:
    """Return the twin of `instance`, or its rows with a changed key, as the aggregation wants it."""
    rows = store.read(DEIDENTIFIED_INSTANCE)
    if changed is not None:
        rows = rows.join(changed, key, "left_semi")
    # The aggregation asks for these; a twin holds primary instances only.
    return rows.withColumns(
        {"is_primary": F.lit(True), "uri": F.col("sop_instance_uid"), "patient_id": F.col("person_id")}
    )


def _either(left: DataFrame | None, right: DataFrame | None) -> DataFrame | None:
    """Return the keys of both; None when one of them cannot tell."""
    return None if left is None or right is None else left.unionByName(right).distinct()
