"""The de-identified zone: every identifiable table to its twin, for the primary entries of those who did not opt out.

`instance` and `report_text` come from the kept headers, by the rewriter and the kernel; `series` and `study` from the
new `instance`, by the same aggregation as in the identifiable zone; the tables of the pixel stage column by column.
What an entry left in the zone is found again by computing its pseudonym from `crossing`, never by a list of pseudonyms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from cairn.dicom.warm import ensure_compiled
from cairn.errors import CairnError
from cairn.pipelines.deidentify_task import CROSSED, OPTED_OUT, STAGE, DeidentifyWork, Terms
from cairn.pipelines.series_aggregate import series_rows, study_rows
from cairn.spark.ledger import Run
from cairn.spark.stage import Stage, forget_entries, run_stage
from cairn.spark.storage import Folder
from cairn.spark.store import Store, spark_schema
from cairn.spark.udfs import uid_udf
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH
from cairn.tables.contract import Contract
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import (
    DEIDENTIFIED_BURNED_IN_TEXT,
    DEIDENTIFIED_INSTANCE,
    DEIDENTIFIED_PIXEL_STATISTICS,
    DEIDENTIFIED_SERIES,
    DEIDENTIFIED_STUDY,
    DEIDENTIFIED_TEXT_SEARCH,
    REPORT_TEXT,
)
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.series import PIXELS, SERIES, TEXT
from cairn.tables.study import STUDY_TABLE

OF_PIXELS = {
    PIXEL_STATISTICS: DEIDENTIFIED_PIXEL_STATISTICS,
    TEXT_SEARCH: DEIDENTIFIED_TEXT_SEARCH,
    BURNED_IN_TEXT: DEIDENTIFIED_BURNED_IN_TEXT,
}
"""Tables of the pixel stage, whose twins hold the rows of instances that crossed."""

SOURCES = (INSTANCE, SERIES, STUDY_TABLE, *OF_PIXELS)
TWINS = (
    DEIDENTIFIED_INSTANCE,
    REPORT_TEXT,
    *OF_PIXELS.values(),
    DEIDENTIFIED_SERIES,
    DEIDENTIFIED_STUDY,
)
BY_INSTANCE = (DEIDENTIFIED_INSTANCE, REPORT_TEXT, *OF_PIXELS.values())


@dataclass(frozen=True)
class Crossed:
    """What the zone holds after a run.

    Attributes
    ----------
    crossed, opted_out, refused : int
        Primary entries by outcome.
    by_code : dict
        Refused ones by code.
    rows : dict
        Rows of each twin.
    """

    crossed: int
    opted_out: int
    refused: int
    by_code: dict[str, int]
    rows: dict[str, int]

    def lines(self) -> list[str]:
        """Return it in words."""
        why = ", ".join(f"{code} {count:,}" for code, count in self.by_code.items())
        return [
            f"primary entries: crossed {self.crossed:,}, opted out {self.opted_out:,}, refused {self.refused:,}"
            + (f" ({why})" if why else ""),
            "de-identified rows: " + ", ".join(f"{name} {count:,}" for name, count in self.rows.items()),
        ]


def deidentify(store: Store, run: Run, scratch: Folder, stream: TextIO, terms: Terms) -> Crossed:
    """Bring the de-identified zone up to date with the identifiable one, under the given terms.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        Id, clock and counts.
    scratch : Folder
        The run's shared scratch folder.
    stream : text stream
        For progress lines.
    terms : Terms
        Rules, keys, opt-outs. Other rules or keys than before: the zone is built anew.

    Returns
    -------
    Crossed
        What the zone holds.

    Raises
    ------
    CairnError
        TABLE_MISSING before headers and series; RULE_MISSING when a table has a column that no contract knows; as
        :func:`cairn.deid.keys.read_key`, and as :func:`cairn.spark.stage.run_stage`.
    """
    version = terms.version()  # reads the keys: nothing begins without them
    refuse_unknown_columns(store)
    ensure_compiled(stream)
    store.ensure(CROSSING, QUARANTINE, *TWINS)
    forget_other_versions(store, version)
    forget_lost(store, terms)
    stage = Stage(
        name=STAGE,
        work=DeidentifyWork(terms, version, store.settings.headers, run.id),
        targets=(DEIDENTIFIED_INSTANCE, REPORT_TEXT, CROSSING, QUARANTINE),
        accounts=(CROSSING.name,),
        candidates=primary_headers,
        settled=lambda store: settled(store, terms),
        source=INSTANCE,
        entries_per_task=store.settings.deid.entries_per_task,
        forget=lambda store, entries: forget(store, entries, terms),
    )
    run_stage(stage, store, run, scratch, stream)
    refresh_of_pixels(store, terms)
    refresh_aggregates(store, terms)
    return account(store)


def refuse_unknown_columns(store: Store) -> None:
    """Stop when an identifiable table has a column without a rule: it would be left behind, or cross, unnoticed."""
    for contract in SOURCES:
        if not store.exists(contract):
            continue
        known = {column.name for column in contract.columns}
        strange = [name for name in store.read(contract).columns if name not in known]
        if strange:
            raise CairnError("RULE_MISSING", table=contract.full_name, columns=", ".join(strange))


def primary_headers(store: Store) -> DataFrame:
    """Return the kept headers of the primary entries; of equal ones without SOPInstanceUID all but one are repeated."""
    columns = ("uri", "content_version", "sop_instance_uid", "sop_class_uid")
    primary = store.read(INSTANCE).where("is_primary").select(*columns)
    kept = store.read(HEADER_BLOB).select("uri", "content_version", "header", "holes", "file_size", "header_sha256")
    equal = Window.partitionBy("header_sha256").orderBy("uri")
    joined = primary.join(kept, ["uri", "content_version"])
    named = joined.where("sop_instance_uid IS NOT NULL").withColumn("repeated", F.lit(False))
    nameless = joined.where("sop_instance_uid IS NULL").withColumn("repeated", F.row_number().over(equal) > 1)
    return named.unionByName(nameless).drop("sop_instance_uid", "header_sha256")


def settled(store: Store, terms: Terms) -> DataFrame:
    """Return what was decided under these terms: as crossed or refused, or as opted out by somebody still opted out."""
    out = F.coalesce(_opted_out(terms), F.lit(False))
    return store.read(CROSSING).where(out == (F.col("outcome") == OPTED_OUT)).select("uri", "content_version")


def _opted_out(terms: Terms) -> Column:
    return F.col("person").isin(*sorted(terms.opt_outs)) if terms.opt_outs else F.lit(False)


def forget_other_versions(store: Store, version: str) -> None:
    """Empty the zone when it was made under other rules or keys; `crossing` last, so that a kill is made good."""
    others = store.read(CROSSING).where(F.col("version") != version)
    if others.isEmpty():
        return
    for contract in TWINS:
        store.replace(contract, store.spark.createDataFrame([], spark_schema(contract)), unique=True)
    store.replace(CROSSING, store.spark.createDataFrame([], spark_schema(CROSSING)), unique=True)
    given_up = store.read(QUARANTINE).where(F.col("stage") == STAGE).select("uri", "stage")
    if not given_up.isEmpty():
        store.delete_keys(QUARANTINE, given_up)


def forget_lost(store: Store, terms: Terms) -> None:
    """Delete what entries left that are gone, or no longer the primary ones of their SOPInstanceUID."""
    primary = store.read(INSTANCE).where("is_primary").select("uri")
    lost = store.read(CROSSING).select("uri").join(primary, "uri", "left_anti")
    if not lost.isEmpty():
        forget(store, lost, terms)


def forget(store: Store, entries: DataFrame, terms: Terms) -> None:
    """Delete all that entries left in the zone, by the pseudonyms that their names give; `crossing` last."""
    before = store.read(CROSSING).join(entries.select("uri"), "uri", "left_semi")
    crossed = before.where((F.col("outcome") == CROSSED) & F.col("instance").isNotNull())
    if not crossed.isEmpty():
        gone = crossed.select(uid_udf(terms)("instance").alias("sop_instance_uid"))
        for contract in BY_INSTANCE:
            if not store.read(contract).join(gone, "sop_instance_uid", "left_semi").isEmpty():
                store.delete_keys(contract, gone, ("sop_instance_uid",))
    forget_entries(store, entries, STAGE, (QUARANTINE, CROSSING))


def refresh_of_pixels(store: Store, terms: Terms) -> None:
    """Bring the twins of the pixel stage's tables up to date: rows of instances that crossed, without addresses."""
    crossed = store.read(CROSSING).where(F.col("outcome") == CROSSED).select("uri", "instance")
    uid = uid_udf(terms)
    names = crossed.select("uri", uid("instance").alias("_new"))
    instances = store.read(DEIDENTIFIED_INSTANCE).select("person_id", F.col("sop_instance_uid").alias("_new"))
    for source, made in OF_PIXELS.items():
        if not store.exists(source):
            continue
        rows = store.read(source).join(names, "uri").join(instances, "_new")
        rows = rows.withColumns({"sop_instance_uid": F.col("_new"), "series_instance_uid": uid("series_instance_uid")})
        _bring_up_to_date(store, made, rows)


def refresh_aggregates(store: Store, terms: Terms) -> None:
    """Bring the twins of `series` and `study` up to date with the twin of `instance`."""
    # The aggregation asks for these two; a twin holds primary instances only.
    instances = store.read(DEIDENTIFIED_INSTANCE).withColumns(
        {"is_primary": F.lit(True), "uri": F.col("sop_instance_uid")}
    )
    instances = instances.withColumn("patient_id", F.col("person_id"))
    series = series_rows(instances).withColumn("person_id", F.col("patient_id"))
    if store.exists(SERIES):
        series = _with_pixels(series, store.read(SERIES), terms)
    _bring_up_to_date(store, DEIDENTIFIED_SERIES, series)
    _bring_up_to_date(store, DEIDENTIFIED_STUDY, study_rows(instances).withColumn("person_id", F.col("patient_id")))


def _with_pixels(rows: DataFrame, series: DataFrame, terms: Terms) -> DataFrame:
    """Return rows of the twin of `series` with what the pixels say, from `series` by the pseudonymous UID."""
    names = [column.name for column in (*PIXELS, *TEXT) if column.rule != "drop"]
    said = series.select(uid_udf(terms)("series_instance_uid").alias("series_instance_uid"), *names)
    return rows.drop(*names).join(said, "series_instance_uid", "left")


def _bring_up_to_date(store: Store, contract: Contract, rows: DataFrame) -> None:
    wanted = rows.select(*(column.name for column in contract.columns))
    if store.read(contract).isEmpty():
        store.append(contract, wanted, unique=True)
        return
    key = list(contract.key)
    vanished = store.read(contract).select(*key).join(wanted.select(*key), key, "left_anti")
    if not vanished.isEmpty():
        store.delete_keys(contract, vanished)
    store.upsert(contract, wanted, unique=True)


def key_json(contract: Contract) -> Column:
    """Return a table's key as one text."""
    return F.to_json(F.struct(*contract.key))


def account(store: Store) -> Crossed:
    """Return what the zone holds."""
    outcomes = {row["outcome"]: row["count"] for row in store.read(CROSSING).groupBy("outcome").count().collect()}
    refused = store.read(CROSSING).where("outcome = 'refused'").groupBy("code").count()
    codes = {row["code"]: row["count"] for row in refused.orderBy(F.desc("count"), "code").collect()}
    rows = {contract.name: store.read(contract).count() for contract in TWINS}
    return Crossed(outcomes.get(CROSSED, 0), outcomes.get(OPTED_OUT, 0), sum(codes.values()), codes, rows)
