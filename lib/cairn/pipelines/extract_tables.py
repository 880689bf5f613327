"""The tables of an extract: rows of the cohort's persons under the project's pseudonyms, allowed columns only.

`instance`, `series` and `study` are made of the delivered files themselves; all else of the de-identified zone, whose
pseudonyms are replaced by the project's on top of them, and whose dates move from the site's shift to the project's.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.errors import CairnError
from cairn.extract.layout import table_folder
from cairn.extract.project import Project, offered
from cairn.pipelines.cohort_freeze import members_of
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.series_aggregate import series_rows, study_rows
from cairn.pipelines.verify import UNTOLD, known_people, original_uids_in, search_rows
from cairn.spark.delivered_table import write_table
from cairn.spark.fixed import fixed
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.spark.udfs import days_udf, person_udf, uid_udf
from cairn.tables.contract import Contract
from cairn.tables.deidentified import DEIDENTIFIED_INSTANCE, DEIDENTIFIED_SERIES, DEIDENTIFIED_STUDY
from cairn.tables.series import PIXELS, TEXT

_NAMESPACE = uuid.UUID("6f1c1a8e-52a4-4d0c-9f43-5e1c6a4d7b10")
BY_INSTANCE = ("pixel_statistics", "text_search", "burned_in_text")


@dataclass(frozen=True)
class TablesOf:
    """What the tables of an extract are made of.

    Parameters
    ----------
    store : Store
        The tables.
    project : Project
        Which tables and columns.
    site, own : Terms
        The site's terms, and the project's.
    persons : DataFrame
        ``person`` (real) and ``person_id`` (the site's) of those whose rows may leave.
    images : DataFrame
        Delivered images: columns of `instance` under the project's names.
    """

    store: Store
    project: Project
    site: Terms
    own: Terms
    persons: DataFrame
    images: DataFrame

    @property
    def alone(self) -> Terms:
        """The project's key alone: for what bears the site's pseudonyms already."""
        return replace(self.own, key_names=self.own.key_names[-1:])

    def frames(self) -> Mapping[str, DataFrame]:
        """Return the tables that the project may have, with all their columns."""
        return {
            name: self._rows(name, made)
            for name, made in offered().items()
            if self.project.columns(made) and (name in _MADE_OF_IMAGES or self.store.exists(made))
        }

    def _rows(self, name: str, made: Contract) -> DataFrame:
        if name in _MADE_OF_IMAGES:
            return self._of_images(made)
        rows = self.store.read(made)
        if name == "cohort_member":
            rows = members_of(self.store, *self.project.cohort)
        rows = self._rekeyed(rows, made)
        if name in BY_INSTANCE:
            rows = rows.join(self.images.select("sop_instance_uid"), "sop_instance_uid", "left_semi")
        return rows

    def _of_images(self, made: Contract) -> DataFrame:
        if made is DEIDENTIFIED_INSTANCE:
            return self.images
        # The aggregation asks for these; every delivered instance is the primary one.
        rows = self.images.withColumns(
            {"is_primary": F.lit(True), "uri": F.col("sop_instance_uid"), "patient_id": F.col("person_id")}
        )
        if made is DEIDENTIFIED_STUDY:
            return study_rows(rows).withColumn("person_id", F.col("patient_id"))
        names = [column.name for column in (*PIXELS, *TEXT) if column.rule != "drop"]
        said = self.store.read(DEIDENTIFIED_SERIES).select("series_instance_uid", *names)
        said = said.withColumn("series_instance_uid", uid_udf(self.alone)("series_instance_uid"))
        series = series_rows(rows).withColumn("person_id", F.col("patient_id")).drop(*names)
        return series.join(said, "series_instance_uid", "left")

    def _rekeyed(self, rows: DataFrame, made: Contract) -> DataFrame:
        """Return rows of the de-identified zone, of the persons that may leave, under the project's names and days."""
        days = days_udf(self.own)("person") - days_udf(self.site)("person")
        moved = self.persons.select("person_id", days.alias("_days"))
        owned = rows.join(moved, "person_id")
        return owned.select(*(self._as_ruled(column.name, column.rule, column.type) for column in made.columns))

    def _as_ruled(self, name: str, rule: str, kind: pa.DataType) -> Column:
        value, person, uid = F.col(name), person_udf(self.alone), uid_udf(self.alone)
        if rule == "person":
            return person(value).alias(name)
        if rule == "uid":
            # A member that is a person bears the person's pseudonym, not a UID.
            return (F.when(value == F.col("person_id"), person(value)).otherwise(uid(value))).alias(name)
        if rule == "date":
            days = F.col("_days")
            shifted = F.date_add(value, days) if pa.types.is_date(kind) else F.timestamp_add("DAY", days, value)
            return shifted.alias(name)
        return value.alias(name)


_MADE_OF_IMAGES = {made.name: made for made in (DEIDENTIFIED_INSTANCE, DEIDENTIFIED_SERIES, DEIDENTIFIED_STUDY)}


@dataclass(frozen=True)
class Written:
    """What was written.

    Parameters
    ----------
    rows : dict
        Rows by table.
    left_out : dict
        Cells that were left empty because the verifier found something in them: how many, by table, column and rule.
    """

    rows: dict[str, int]
    left_out: dict[str, int]


def write_tables(tables: TablesOf, folder: Folder, extract: str) -> Written:
    """Verify and write the tables of an extract.

    A cell in which the verifier finds something is left empty, and told to the data controller: a phantom that is
    called like its scanner keeps nobody else's rows back.

    Parameters
    ----------
    tables : TablesOf
        What they are made of.
    folder : Folder
        The staging folder.
    extract : str
        Its name.

    Raises
    ------
    CairnError
        EXTRACT_LEAK: the verifier found something in a key; NO_DISK.
    """
    people = known_people(tables.store, tables.own)
    people = people.join(tables.persons.select(person_udf(tables.own)("person").alias("person_id")), "person_id")
    people = people.persist()
    rows: dict[str, int] = {}
    left_out: dict[str, int] = {}
    try:
        for name, frame in tables.frames().items():
            made = offered()[name]
            allowed = tables.project.columns(made)
            kept = frame.persist()
            clean, told = _clean(tables.store, kept, made, allowed, people, extract)
            comments = {column.name: column.comment for column in made.columns}
            own = str(uuid.uuid5(_NAMESPACE, f"{extract}/{name}"))
            target = folder.child(table_folder(name))
            rows[name] = write_table(clean.select(*allowed), target, own, comments, made.comment)
            left_out |= told
            kept.unpersist()
    finally:
        people.unpersist()
    return Written(rows, left_out)


def _clean(
    store: Store, frame: DataFrame, made: Contract, allowed: tuple[str, ...], people: DataFrame, extract: str
) -> tuple[DataFrame, dict[str, int]]:  # fmt: skip
    """Return rows without the cells in which the verifier finds something, and how many those were."""
    told = [name for name in allowed if name not in UNTOLD]
    if not told:
        return frame, {}
    found = search_rows(frame, told, made.key, people).unionByName(original_uids_in(store, frame, told, made.key))
    found = fixed(found.distinct())
    by_rule = found.groupBy("column", "rule").count().orderBy("column", "rule").collect()
    leaks = {f"{made.name}.{row['column']} ({row['rule']})": row["count"] for row in by_rule}
    if not leaks:
        return frame, {}
    if keys := {row["column"] for row in by_rule} & set(made.key):
        raise CairnError("EXTRACT_LEAK", extract=extract, told=", ".join(f"{made.name}.{key}" for key in sorted(keys)))
    cells = found.groupBy("key").agg(F.collect_set("column").alias("_cells"))
    marked = frame.withColumn("key", F.to_json(F.struct(*made.key))).join(cells, "key", "left").drop("key")
    empty = {row["column"] for row in by_rule}
    columns = (
        F.when(~F.coalesce(F.array_contains("_cells", name), F.lit(False)), F.col(name)).alias(name)
        if name in empty
        else F.col(name)
        for name in frame.columns
    )
    return marked.select(*columns), leaks
