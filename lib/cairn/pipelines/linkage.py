"""What linked to a person, what did not and why: images by modality and year, records by source and year."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.cohort.catalogue import TIMES
from cairn.pipelines.deidentify_records import number_key, owners
from cairn.spark.store import Store
from cairn.tables.contract import Contract
from cairn.tables.deidentified import RECORDS
from cairn.tables.instance import INSTANCE
from cairn.tables.person import PERSON, PERSON_ALIAS

CURRENT, REPLACED, LOCAL = "current_number", "replaced_chi", "local_number"
NO_NUMBER, UNKNOWN_CHI, UNKNOWN_NUMBER = "no_number", "unknown_chi", "unknown_number"
LINKED = (CURRENT, REPLACED, LOCAL)
OUTCOMES = {
    CURRENT: "the number is that of a person in the register",
    REPLACED: "a CHI that was replaced; followed to the current one",
    LOCAL: "a local number; followed to its CHI",
    NO_NUMBER: "there is no number",
    UNKNOWN_CHI: "ten digits that the register does not know",
    UNKNOWN_NUMBER: "a number that no list knows, or that several people have",
}
"""Why something linked or did not."""


class Line(NamedTuple):
    """One line of the report.

    Parameters
    ----------
    source : str
        ``images``, or the table of the records without ``ehr_``.
    modality : str or None
        Of images.
    year : int or None
        Of the study or the event.
    outcome : str
        A key of :data:`OUTCOMES`.
    rows : int
        Primary instances, or records.
    numbers : int
        Different numbers among them.
    """

    source: str
    modality: str | None
    year: int | None
    outcome: str
    rows: int
    numbers: int


def linkage(store: Store) -> list[Line]:
    """Return the report, sorted.

    Parameters
    ----------
    store : Store
        The identifiable tables.

    Raises
    ------
    CairnError
        TABLE_MISSING before headers and ehr.
    """
    people = store.read(PERSON).select(F.col("patient_id").alias("number_key"), F.lit(True).alias("_current"))
    rows = _images(store)
    for source in RECORDS:
        if source is not PERSON and store.exists(source):
            rows = rows.unionByName(_records(store, source))
    joined = rows.join(people, "number_key", "left")
    joined = joined.join(_others(store), "number_key", "left").withColumn("outcome", _outcome())
    grouped = joined.groupBy("source", "modality", "year", "outcome").agg(
        F.count("*").alias("rows"), F.count_distinct("number_key").alias("numbers")
    )
    found = (Line(*(row[name] for name in Line._fields)) for row in grouped.collect())
    return sorted(found, key=lambda line: tuple((value is not None, value) for value in line))


def _images(store: Store) -> DataFrame:
    number = number_key(F.col("patient_id"), F.col("issuer_of_patient_id"))
    known = F.when(F.length(F.trim("patient_id")) > 0, number)
    return store.read(INSTANCE).where("is_primary").select(
        F.lit("images").alias("source"), F.coalesce("modality", F.lit("none")).alias("modality"),
        F.year("study_date").alias("year"), known.alias("number_key"),
    )  # fmt: skip


def _records(store: Store, source: Contract) -> DataFrame:
    time = TIMES.get(source.name, ("", ""))[0]
    year = F.year(time) if time else F.lit(None).cast("int")
    return store.read(source).select(
        F.lit(source.name.removeprefix("ehr_")).alias("source"), F.lit(None).cast("string").alias("modality"),
        year.alias("year"), F.col("patient_id").alias("number_key"),
    )  # fmt: skip


def _others(store: Store) -> DataFrame:
    """Return the numbers that lead to a person, and of what kind they are."""
    known = owners(store)
    if known is None:
        return store.spark.createDataFrame([], "number_key STRING, _kind STRING")
    replaced = store.read(PERSON_ALIAS).where("issuer = 'CHI'").select(F.col("number").alias("number_key"))
    kind = F.when(F.col("_replaced"), REPLACED).otherwise(LOCAL)
    marked = known.join(replaced.distinct().withColumn("_replaced", F.lit(True)), "number_key", "left")
    return marked.select("number_key", kind.alias("_kind"))


def _outcome() -> Column:
    return (
        F.when(F.col("number_key").isNull(), NO_NUMBER)
        .when(F.col("_current"), CURRENT)
        .when(F.col("_kind").isNotNull(), F.col("_kind"))
        .when(F.col("number_key").rlike(r"^\d{10}$"), UNKNOWN_CHI)
        .otherwise(UNKNOWN_NUMBER)
    )


def lines(report: Sequence[Line]) -> Iterator[str]:
    """Yield the report by source, in words."""
    sources = dict.fromkeys((line.source, line.modality) for line in report)
    for source, modality in sources:
        rows: Counter[str] = Counter()
        for line in report:
            if (line.source, line.modality) == (source, modality):
                rows[line.outcome] += line.rows
        linked, every = sum(rows[outcome] for outcome in LINKED), sum(rows.values())
        why = ", ".join(f"{outcome} {count:,}" for outcome, count in rows.most_common() if outcome != CURRENT)
        name = source if modality is None else f"{source} {modality}"
        yield f"{name}: {linked:,} of {every:,} linked ({linked / every:.1%})" + (f"; {why}" if why else "")


def write_csv(report: Sequence[Line], path: Path) -> None:
    """Write the report, a line each, with the outcome in words."""
    with open(path, "w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow([*Line._fields, "meaning"])
        out.writerows([*line, OUTCOMES[line.outcome]] for line in report)
