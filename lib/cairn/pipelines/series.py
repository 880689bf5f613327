"""`series` and `study`: who is primary, which series and studies changed, describe them anew, write what differs.

Incremental by Delta's change data feed: only series and studies with an instance, or measures of its pixels, that were
added, changed or removed since the versions that the last run recorded. Without such a record everything is described
anew; rows that come out the same are not written, so both ways lead to the same tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.pipelines.primary import refresh_primary
from cairn.pipelines.series_aggregate import series_rows, study_rows
from cairn.pipelines.series_pixels import series_of_changed, with_pixels, with_text
from cairn.spark import swap
from cairn.spark.ledger import Run, recorded, version_read
from cairn.spark.locks import stage_lock
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.burned_in_text import TEXT_SEARCH
from cairn.tables.contract import Contract
from cairn.tables.instance import INSTANCE
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.series import SERIES
from cairn.tables.study import STUDY_TABLE

OF_PIXELS = (PIXEL_STATISTICS, TEXT_SEARCH)
"""Tables of the pixel stage of which series are told; they may not exist yet."""

SERIES_KEY, STUDY_KEY = SERIES.key[0], STUDY_TABLE.key[0]


@dataclass(frozen=True)
class Refreshed:
    """What a run did.

    Parameters
    ----------
    seen : dict of str to int
        Versions of the tables read, by full name: the next run's `since`.
    primary_changes : int
        Rows of `instance` whose `is_primary` or finding changed.
    instances, primary, in_series, in_study : int
        Rows of `instance`; primary ones among them; those of the primary ones that have a SeriesInstanceUID, a
        StudyInstanceUID.
    series, studies : int
        Rows of the two tables afterwards.
    """

    seen: dict[str, int]
    primary_changes: int
    instances: int
    primary: int
    in_series: int
    in_study: int
    series: int
    studies: int


def run_series(store: Store, run: Run) -> Refreshed:
    """Run the stage: once at a time, recorded in the ledger, from where its last run that was done ended.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        Id and clock; gets the counts and versions.

    Returns
    -------
    Refreshed
        Counts and versions.

    Raises
    ------
    CairnError
        STAGE_BUSY, or TABLE_MISSING before the headers stage has run. Killed at any moment and run again it starts from
        the same recorded versions, and every write of it can be made twice.
    """
    with stage_lock(store.settings, run.job, run), recorded(store, run):
        swap.finish(store, run)
        sources = (INSTANCE, ARCHIVE_ENTRY, *OF_PIXELS)
        known = {table.full_name: version_read(store, run.job, table.full_name) for table in sources}
        done = refresh(store, {name: version for name, version in known.items() if version is not None})
        run.count({field.name: getattr(done, field.name) for field in fields(done) if field.name != "seen"})
        run.versions_read.update(done.seen)
        for table in (INSTANCE, SERIES, STUDY_TABLE):
            run.writes(table.full_name, store.version(table))
    return done


def refresh(store: Store, since: dict[str, int]) -> Refreshed:
    """Bring `series` and `study` up to date with `instance`.

    Parameters
    ----------
    store : Store
        The tables.
    since : dict of str to int
        ``Refreshed.seen`` of the last run that ended well; empty for everything anew.

    Returns
    -------
    Refreshed
        Counts, and the versions to record.

    Raises
    ------
    CairnError
        TABLE_MISSING before the headers stage has run.
    """
    store.read(INSTANCE)
    entries = store.version(ARCHIVE_ENTRY)
    store.ensure(INSTANCE, SERIES, STUDY_TABLE)
    changes = refresh_primary(store, since)
    version = store.version(INSTANCE)
    if version is None:
        raise RuntimeError("instance has no version although it was read")
    seen = {INSTANCE.full_name: version, ARCHIVE_ENTRY.full_name: entries}
    seen |= {table.full_name: store.version(table) for table in OF_PIXELS}
    if any(since.get(table.full_name) != seen[table.full_name] for table in (INSTANCE, *OF_PIXELS)):
        instances = store.read(INSTANCE, version)
        touched = touched_keys(store, since, seen)
        describe(store, SERIES, instances, touched, {table.name: _as_seen(store, table, seen) for table in OF_PIXELS})
        describe(store, STUDY_TABLE, instances, touched)
    known = {name: number for name, number in seen.items() if number is not None}
    return Refreshed(known, changes, **_counts(store, version))


def _as_seen(store: Store, table: Contract, seen: dict[str, int | None]) -> DataFrame | None:
    version = seen[table.full_name]
    return None if version is None else store.read(table, version)


def touched_keys(store: Store, since: dict[str, int], seen: dict[str, int | None]) -> DataFrame | None:
    """Return series and studies with a changed instance or measure, before and after the change; None for all of them.

    All of them also when the change data since then is no longer kept.
    """
    touched = None
    for contract in (INSTANCE, *OF_PIXELS):
        version, last = seen[contract.full_name], since.get(contract.full_name)
        if version == last:
            continue
        if version is None or last is None or last + 1 < oldest_change(store, contract):
            return None
        changes = store.changes(contract, last + 1).where(F.col("_commit_version") <= version)
        if contract is not INSTANCE:
            keys = series_of_changed(changes, store.read(INSTANCE, seen[INSTANCE.full_name]))
        else:
            keys = changes.select(SERIES_KEY, STUDY_KEY).distinct()
        touched = keys if touched is None else touched.unionByName(keys).distinct()
    return touched


def oldest_change(store: Store, contract: Contract) -> int:
    """Return the oldest version of a table that its log still holds."""
    from delta.tables import DeltaTable

    history = DeltaTable.forPath(store.spark, store.location(contract)).history()
    return min(row["version"] for row in history.agg(F.min("version").alias("version")).collect())


def describe(
    store: Store,
    contract: Contract,
    instances: DataFrame,
    touched: DataFrame | None,
    of_pixels: Mapping[str, DataFrame | None] | None = None,
) -> None:
    """Write the rows of `series` or `study` for the touched keys, and delete those whose instances have all gone."""
    key = contract.key[0]

    def make(some: DataFrame) -> DataFrame:
        if contract is not SERIES:
            return study_rows(some)
        told = of_pixels or {}
        measured = with_pixels(series_rows(some), some, told.get(PIXEL_STATISTICS.name))
        return with_text(measured, some, told.get(TEXT_SEARCH.name))

    if touched is not None:
        touched = touched.where(F.col(key).isNotNull()).select(key).distinct()
        instances = instances.join(touched, key, "left_semi")
    known = store.read(contract).select(key)
    candidates = known if touched is None else known.join(touched, key, "left_semi")
    living = instances.where(F.col("is_primary") & F.col(key).isNotNull()).select(key)
    store.merge(contract, make(instances), candidates.join(living, key, "left_anti"))


def _counts(store: Store, version: int) -> dict[str, int]:
    primary = F.col("is_primary")
    counted = store.read(INSTANCE, version).agg(
        F.count("*").alias("instances"),
        F.count_if(primary).alias("primary"),
        F.count_if(primary & F.col(SERIES_KEY).isNotNull()).alias("in_series"),
        F.count_if(primary & F.col(STUDY_KEY).isNotNull()).alias("in_study"),
    )
    (row,) = counted.collect()
    return {**row.asDict(), "series": store.read(SERIES).count(), "studies": store.read(STUDY_TABLE).count()}
