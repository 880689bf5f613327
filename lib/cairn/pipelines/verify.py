"""`verify`: does any cell of the de-identified zone tell of a person of the identifiable one?

Every row is searched for its own person's values, for any original UID and for what identifies anybody by its form, by
the verifier, which shares no code with what made the rows. What is found is told by table, column, rule and
pseudonymous key, never by value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.errors import CairnError
from cairn.pipelines.deidentify import TWINS, key_json
from cairn.pipelines.deidentify_task import CROSSED, Terms
from cairn.spark.fixed import fixed
from cairn.spark.store import Store
from cairn.spark.udfs import person_udf
from cairn.tables.contract import Contract
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import RECORD_TWINS
from cairn.tables.instance import INSTANCE
from cairn.tables.person import PERSON
from cairn.verify.known import Known, words_of
from cairn.verify.search import check_text

IDENTIFYING = (
    "patient_id", "patient_name", "other_patient_ids", "patient_address", "accession_number", "operators_name",
    "referring_physician_name", "performing_physician_name", "study_id", "patient_telephone_numbers",
    "patient_mother_birth_name",
)  # fmt: skip
"""Columns of `instance`, those of them that exist, whose values must not be met again."""

UIDS = ("sop_instance_uid", "series_instance_uid", "study_instance_uid", "frame_of_reference_uid")
FOUND = pa.schema([(name, pa.string()) for name in ("key", "column", "rule")])
UNTOLD = frozenset({"person_id", "run"})
"""Columns that are pseudonyms of 32 letters: nothing can be read in them."""


@dataclass(frozen=True)
class Leak:
    """One finding.

    Parameters
    ----------
    table, column, rule : str
        Where, and what kind of value.
    key : str
        The row's key beyond, as JSON.
    """

    table: str
    column: str
    rule: str
    key: str


def verify(store: Store, terms: Terms, withhold: bool = False) -> list[Leak]:
    """Search every twin and return what was found, at most some thousand findings a table.

    Parameters
    ----------
    store : Store
        The tables.
    terms : Terms
        For the pseudonyms of persons.
    withhold : bool
        Whether rows with findings are deleted from the twins.

    Raises
    ------
    CairnError
        TABLE_MISSING before deidentify.
    """
    people = known_people(store, terms).persist()
    leaks: list[Leak] = []
    try:
        records = (made for made in RECORD_TWINS.values() if store.exists(made))
        for contract in (*TWINS, *records):
            if not store.exists(contract):
                raise CairnError("TABLE_MISSING", table=contract.full_name, job="deidentify")
            found = search(store, contract, people).unionByName(original_uids(store, contract)).distinct().persist()
            rows = found.orderBy("key", "column", "rule").limit(MOST).collect()
            leaks += [Leak(contract.full_name, row["column"], row["rule"], row["key"]) for row in rows]
            if withhold and rows:
                keys = store.read(contract).withColumn("_key", key_json(contract))
                gone = keys.join(found.select(F.col("key").alias("_key")).distinct(), "_key", "left_semi")
                # The keys are written down first: they are read from the table that they are deleted from.
                store.delete_keys(contract, fixed(gone.select(*contract.key)))
            found.unpersist()
    finally:
        people.unpersist()
    return leaks


MOST = 5000


def known_people(store: Store, terms: Terms) -> DataFrame:
    """Return ``person_id`` and the words of each person, from the instances that crossed and from `person`."""
    columns = [name for name in IDENTIFYING if name in store.read(INSTANCE).columns]
    crossed = store.read(CROSSING).where(F.col("outcome") == CROSSED).select("uri", "person")
    values = F.array_compact(F.flatten(F.array(*(_as_texts(store, name) for name in columns))))
    told = store.read(INSTANCE).select(
        "uri", values.alias("values"), F.date_format("patient_birth_date", "yyyyMMdd").alias("birth")
    )
    every = told.join(crossed, "uri").select("person", "values", "birth")
    if store.exists(PERSON):
        of_records = store.read(PERSON).where("NOT opted_out").select(
            F.col("patient_id").alias("person"), F.array("patient_id").alias("values"),
            F.date_format("birth_date", "yyyyMMdd").alias("birth"),
        )  # fmt: skip
        every = every.unionByName(of_records)
    people = every.groupBy("person").agg(
        F.array_distinct(F.flatten(F.collect_set("values"))).alias("values"), F.collect_set("birth").alias("births")
    )  # fmt: skip
    return people.select(person_udf(terms)("person").alias("person_id"), "values", "births")


def _as_texts(store: Store, name: str):  # type: ignore[no-untyped-def]
    is_list = store.read(INSTANCE).schema[name].dataType.simpleString().startswith("array")
    return F.coalesce(F.col(name), F.array().cast("array<string>")) if is_list else F.array(F.col(name).cast("string"))


def search(store: Store, contract: Contract, people: DataFrame) -> DataFrame:
    """Return ``key``, ``column`` and ``rule`` of cells of a twin that tell of their person, or of anybody."""
    return search_rows(store.read(contract), _told_columns(contract), contract.key, people)


def search_rows(rows: DataFrame, columns: Sequence[str], key: Sequence[str], people: DataFrame) -> DataFrame:
    """Return ``key``, ``column`` and ``rule`` of cells that tell of their person, or of anybody.

    Parameters
    ----------
    rows : DataFrame
        With ``person_id``.
    columns : sequence of str
        Which of its columns are searched.
    key : sequence of str
        What names a row.
    people : DataFrame
        From :func:`known_people`.
    """
    named = rows.select("person_id", F.to_json(F.struct(*key)).alias("key"), F.to_json(F.struct(*columns)).alias("row"))
    joined = named.join(people, "person_id", "left").select("key", "row", "values", "births")
    return joined.mapInArrow(_searcher(), "key STRING, column STRING, rule STRING")


def _told_columns(contract: Contract) -> list[str]:
    return [column.name for column in contract.columns if column.name not in UNTOLD]


def _searcher() -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = [place for row in batch.to_pylist() for place in _leaks_of(row)]
            yield pa.RecordBatch.from_pylist(found, FOUND)

    return run


def _leaks_of(row: dict[str, Any]) -> Iterator[dict[str, str]]:
    known = _known(tuple(row["values"] or ()), tuple(row["births"] or ()))
    for column, value in json.loads(row["row"]).items():
        rules = {rule for text in texts_in(value) for rule in check_text(known, text)}
        yield from ({"key": row["key"], "column": column, "rule": rule} for rule in sorted(rules))


@lru_cache(maxsize=4096)
def _known(values: tuple[str, ...], births: tuple[str, ...]) -> Known:
    return Known(words_of(values), frozenset(), {}, frozenset(births))


def texts_in(value: object, key: str = "") -> Iterator[str]:
    """Yield the texts of a cell, the ones within lists, structs and VARIANT included.

    Dates, times, UIDs and the keys of VARIANT are looked at by other means; a code's scheme and a maker are called like
    people.
    """
    if isinstance(value, str):
        if key not in SPARED:
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item, key)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from texts_in(item, name)


SPARED = frozenset(
    ("CodingSchemeDesignator", "CodingSchemeVersion", "Manufacturer", "ManufacturerModelName", "CodeMeaning",
     "CodeValue", "DeidentificationMethod", "BodyPartExamined", "base64", "sha256")
)  # fmt: skip
"""Keys of VARIANT whose texts are terms."""


def original_uids(store: Store, contract: Contract) -> DataFrame:
    """Return the cells of a twin that hold a UID of the archive."""
    return original_uids_in(store, store.read(contract), _told_columns(contract), contract.key)


def original_uids_in(store: Store, rows: DataFrame, names: Sequence[str], key: Sequence[str]) -> DataFrame:
    """Return the cells of some rows that hold a UID of the archive, as :func:`search_rows` does."""
    columns = [name for name in UIDS if name in store.read(INSTANCE).columns]
    known = store.read(INSTANCE).select(F.explode(F.array_compact(F.array(*columns))).alias("uid")).distinct()
    cells = F.explode(
        F.array(*(F.struct(F.lit(n).alias("column"), F.to_json(F.struct(n)).alias("text")) for n in names))
    )
    told = rows.select(F.to_json(F.struct(*key)).alias("key"), cells.alias("cell")).select("key", "cell.*")
    uids = F.explode(F.regexp_extract_all("text", F.lit(r"(\d+(?:\.\d+){2,})"), F.lit(1)))
    found = told.select("key", "column", uids.alias("uid")).distinct().join(known, "uid", "left_semi")
    return found.select("key", "column", F.lit("original_uid").alias("rule"))
