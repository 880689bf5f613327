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
from cairn.pipelines.deidentify_records import cross_records, local_key, number_key, opted_out, owners, with_register
from cairn.pipelines.deidentify_task import CROSSED, OPTED_OUT, STAGE, DeidentifyWork, Terms
from cairn.pipelines.deidentify_twins import OF_PIXELS, refresh_twins
from cairn.spark.ledger import Run
from cairn.spark.locks import stage_lock
from cairn.spark.stage import Stage, forget_entries, run_stage
from cairn.spark.storage import Folder
from cairn.spark.store import Store, spark_schema
from cairn.spark.udfs import uid_udf
from cairn.tables.contract import Contract
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import (
    DEIDENTIFIED_INSTANCE,
    DEIDENTIFIED_SERIES,
    DEIDENTIFIED_STUDY,
    RECORDS,
    REPORT_TEXT,
)
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.person import PERSON_ALIAS
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.series import SERIES
from cairn.tables.study import STUDY_TABLE

SOURCES = (INSTANCE, SERIES, STUDY_TABLE, *OF_PIXELS, *RECORDS)
TWINS = (
    DEIDENTIFIED_INSTANCE,
    REPORT_TEXT,
    *OF_PIXELS.values(),
    DEIDENTIFIED_SERIES,
    DEIDENTIFIED_STUDY,
)
ZONE = "deidentified-zone"
"""Name of the lock that whoever writes the zone holds: `deidentify`, and the swap of `reprocess`."""

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
        Rows of each twin of the images' tables.
    records : dict
        Rows of each twin of persons and health records; empty without any.
    """

    crossed: int
    opted_out: int
    refused: int
    by_code: dict[str, int]
    rows: dict[str, int]
    records: dict[str, int]

    def lines(self) -> list[str]:
        """Return it in words."""
        why = ", ".join(f"{code} {count:,}" for code, count in self.by_code.items())
        told = [
            f"primary entries: crossed {self.crossed:,}, opted out {self.opted_out:,}, refused {self.refused:,}"
            + (f" ({why})" if why else ""),
            "de-identified rows: " + ", ".join(f"{name} {count:,}" for name, count in self.rows.items()),
        ]
        if self.records:
            rows = ", ".join(f"{name.removeprefix('ehr_')} {count:,}" for name, count in self.records.items() if count)
            told.append(f"de-identified records: {rows}")
        return told


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
    store.read(INSTANCE)
    refuse_unknown_columns(store)
    terms = with_register(store, terms)
    ensure_compiled(stream)
    with stage_lock(store.settings, ZONE, run):
        return _brought_up_to_date(store, run, scratch, stream, terms, version)


def _brought_up_to_date(store: Store, run: Run, scratch: Folder, stream: TextIO, terms: Terms, version: str) -> Crossed:
    store.ensure(INSTANCE, CROSSING, QUARANTINE, *TWINS)
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
    refresh_twins(store, run, terms)
    return account(store, cross_records(store, run, terms))


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
    """Return the kept headers of the primary entries; of equal ones without SOPInstanceUID all but one are repeated.

    ``person`` is whom the PatientID leads to where that is a replaced or local number, else NULL.
    """
    columns = ("uri", "content_version", "sop_instance_uid", "sop_class_uid", "parser_version", "person")
    kept = store.read(HEADER_BLOB).select("uri", "content_version", "header", "holes", "file_size", "header_sha256")
    equal = Window.partitionBy("header_sha256").orderBy("uri")
    joined = linked(store).select(*columns).join(kept, ["uri", "content_version"])
    named = joined.where("sop_instance_uid IS NOT NULL").withColumn("repeated", F.lit(False))
    nameless = joined.where("sop_instance_uid IS NULL").withColumn("repeated", F.row_number().over(equal) > 1)
    return named.unionByName(nameless).drop("sop_instance_uid", "header_sha256")


def linked(store: Store) -> DataFrame:
    """Return the primary instances, with the ``person`` to whom a replaced or local number leads."""
    primary = store.read(INSTANCE).where("is_primary")
    known = owners(store)
    if known is None:
        return primary.withColumn("person", F.lit(None).cast("string"))
    number = number_key(F.col("patient_id"), F.col("issuer_of_patient_id"))
    found = primary.withColumn("number_key", number).join(known, "number_key", "left")
    return found.withColumnRenamed("owner", "person")


def settled(store: Store, terms: Terms) -> DataFrame:
    """Return what was decided under these terms: of whom it is still, and whether they are still in or out.

    What the parser reads differently since then is decided anew.
    """
    out = opted_out(store, terms).withColumn("_out", F.lit(True))
    decided = store.read(CROSSING).join(F.broadcast(out), "person", "left")
    decided = decided.where(F.coalesce("_out", F.lit(False)) == (F.col("outcome") == OPTED_OUT))
    if store.exists(PERSON_ALIAS):
        decided = decided.join(of_somebody_else(store), "uri", "left_anti")
    if have_several_parsers(store):
        parsed = store.read(INSTANCE).select("uri", F.col("parser_version").alias("_parser_version"))
        decided = decided.join(parsed, "uri").where(F.col("parser_version").eqNullSafe(F.col("_parser_version")))
    return decided.select("uri", "content_version")


def have_several_parsers(store: Store) -> bool:
    """Whether rows of `instance` and of `crossing` tell of more than one version of the parser."""
    told = store.read(INSTANCE).select("parser_version").unionByName(store.read(CROSSING).select("parser_version"))
    return len(told.distinct().limit(2).collect()) > 1


def of_somebody_else(store: Store) -> DataFrame:
    """Return the ``uri`` of entries that crossed as another person's than their number leads to now.

    Numbers with other characters than ASCII, or with several values, are left out: the engine reads them from the
    header's bytes, and would be asked again and again.
    """
    plain = F.col("patient_id").rlike(r"^[ -~]*[!-~][ -~]*$")
    several = F.exists("findings", lambda one: (one["code"] == "VALUE_TOO_MANY") & (one["place"] == "(0010,0020)"))
    plain &= ~F.coalesce(several, F.lit(False))
    own = number_key(F.col("patient_id"), F.col("issuer_of_patient_id"))
    local = local_key(F.col("patient_id"), F.col("issuer_of_patient_id"))
    now = (
        linked(store)
        .where(plain)
        .select("uri", F.col("person").alias("_now"), own.alias("_own"), local.alias("_local"))
    )
    crossed = store.read(CROSSING).where("person IS NOT NULL").select("uri", "person").join(now, "uri")
    right = F.when(F.col("_now").isNotNull(), F.col("person") == F.col("_now")).otherwise(
        F.col("person").isin(F.col("_own"), F.col("_local"))
    )
    return crossed.where(~right).select("uri")


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


def key_json(contract: Contract) -> Column:
    """Return a table's key as one text."""
    return F.to_json(F.struct(*contract.key))


def account(store: Store, records: dict[str, int]) -> Crossed:
    """Return what the zone holds, given its rows of records."""
    outcomes = {row["outcome"]: row["count"] for row in store.read(CROSSING).groupBy("outcome").count().collect()}
    refused = store.read(CROSSING).where("outcome = 'refused'").groupBy("code").count()
    codes = {row["code"]: row["count"] for row in refused.orderBy(F.desc("count"), "code").collect()}
    rows = {contract.name: store.read(contract).count() for contract in TWINS}
    return Crossed(outcomes.get(CROSSED, 0), outcomes.get(OPTED_OUT, 0), sum(codes.values()), codes, rows, records)
