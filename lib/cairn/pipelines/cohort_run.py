"""A cohort's steps carried out on Spark: each step a view on tables at fixed versions, each computed once.

One statement with all steps as common table expressions would have Spark compute the first step anew for every later
one that is counted. So each step of persons is a view of its own that is kept (memory, then encrypted disk) while the
steps are counted; the sets are not kept, since each is read about once and holds whole rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.logger import PySparkLogger
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from cairn.cohort.sql import Step
from cairn.errors import CairnError
from cairn.pipelines.cohort_definition import pinned, tables_of
from cairn.spark import delta_log, session
from cairn.spark.storage import Folder
from cairn.spark.store import Store, maker

ZONE = "deidentified"


@dataclass(frozen=True)
class Persons:
    """A set of persons: how many, and a key that stands for who they are.

    Equal sets have equal keys whatever asked for them: a count is shown by it (:mod:`cairn.cohort.disclosure`).
    """

    count: int
    key: str

    def without(self, part: Persons) -> Persons:
        """Return those of the set who are not in a part of it."""
        return Persons(self.count - part.count, str(int(self.key) ^ int(part.key)))

    @classmethod
    def of(cls, rows: Row) -> Persons:
        """Return what :func:`persons_columns` found."""
        return cls(rows["persons"], str(rows["persons_key"] or 0))


def persons_columns() -> tuple[Column, Column]:
    """Return the aggregates of :class:`Persons` over rows of which each has another ``person_id``."""
    return F.count("person_id").alias("persons"), F.bit_xor(F.xxhash64("person_id")).alias("persons_key")


def persons_in(frame: DataFrame) -> Persons:
    """Return the persons of a frame."""
    return Persons.of(frame.select("person_id").distinct().agg(*persons_columns()).collect()[0])


def persons_by(frame: DataFrame, value: Column) -> dict[str, Persons]:
    """Return the persons of a frame by a value as text; a person may have several."""
    pairs = frame.select("person_id", value.alias("value")).distinct()
    return {row["value"]: Persons.of(row) for row in pairs.groupBy("value").agg(*persons_columns()).collect()}


@dataclass(frozen=True)
class Resolved:
    """A cohort's steps as frames, while :func:`carried_out` lasts.

    Parameters
    ----------
    frames : dict of str to DataFrame
        By step: ``set_…``, ``persons_0`` …, ``members``.
    counted : tuple of str
        Names of the steps of the attrition, in order.
    versions : dict of str to int
        Version of each table that was read.
    """

    frames: dict[str, DataFrame]
    counted: tuple[str, ...]
    versions: dict[str, int]

    @property
    def members(self) -> DataFrame:
        """One row a member: ``person_id``, ``index_date``, and what the definition asks for beside."""
        members = self.frames["members"]
        return members.drop(*(name for name in members.columns if name.startswith("_")))

    @property
    def persons(self) -> DataFrame:
        """All persons, with ``birth_year``."""
        return self.frames["persons_0"]

    @property
    def spark(self) -> SparkSession:
        """The session in which the steps are views."""
        return self.frames["persons_0"].sparkSession

    def attrition(self) -> list[Persons]:
        """Return the persons left after each step."""
        return [persons_in(self.frames[name]) for name in self.counted]


@contextmanager
def carried_out(store: Store, steps: Sequence[Step], versions: Mapping[str, int] | None = None) -> Iterator[Resolved]:
    """Make the steps, and let go of what was kept for them at the end.

    Parameters
    ----------
    store : Store
        The tables.
    steps : sequence of Step
        The SQL of a definition.
    versions : mapping of str to int, optional
        Version of each table to read; those of now unless given.

    Raises
    ------
    CairnError
        TABLE_MISSING with the job that makes the table; COHORT_COLUMN; COHORT_VERSION_GONE.
    """
    frames: dict[str, DataFrame] = {}
    read = dict(versions) if versions is not None else current_versions(store, tables_of(step.sql for step in steps))
    ready(store)
    try:
        for step in steps:
            frame = store.spark.sql(pinned(step.sql, read))
            frames[step.name] = frame if step.kind == "set" else kept(frame)
            frame.createOrReplaceTempView(step.name)
        yield Resolved(frames, tuple(step.name for step in steps if step.kind != "set"), read)
    except (PySparkException, Py4JJavaError) as fault:
        raise coded(fault) or fault from None
    finally:
        for name, frame in frames.items():
            store.spark.catalog.dropTempView(name)
            if frame.is_cached:
                frame.unpersist()


def ready(store: Store) -> None:
    """Make the tables known by name, and keep pyspark from logging a failed query with its whole message.

    Such a message may quote values; what it means is told by a code (:func:`coded`).
    """
    session.register(store.spark, store.settings)
    PySparkLogger.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)


def coded(fault: PySparkException | Py4JJavaError) -> CairnError | None:
    """Return what a fault of Spark means to who asked for a cohort, None when it is not theirs to mend."""
    if isinstance(fault, PySparkException) and (fault.getCondition() or "").startswith("UNRESOLVED_COLUMN"):
        name = (fault.getMessageParameters() or {}).get("objectName", "")
        return CairnError("COHORT_COLUMN", column=name.rpartition(".")[2].strip("`"))
    # A fault of a task comes as its text alone.
    gone = ("[DELTA_VERSION_NOT_FOUND", "[FAILED_READ_FILE.FILE_NOT_EXIST]")
    return CairnError("COHORT_VERSION_GONE") if any(condition in str(fault) for condition in gone) else None


def kept(frame: DataFrame) -> DataFrame:
    """Keep a frame unless an equal one is kept already: a comparison carries out two cohorts that share steps."""
    return frame if frame.storageLevel.useMemory else frame.persist()


def current_versions(store: Store, tables: Sequence[str]) -> dict[str, int]:
    """Return the present version of each table of the de-identified zone.

    Raises
    ------
    CairnError
        TABLE_MISSING for the first one that is not there.
    """
    zone = Folder(store.settings.zone_root(ZONE))
    versions = {}
    for name in tables:
        folder = zone.child(name)
        if not folder.exists("_delta_log"):
            raise CairnError("TABLE_MISSING", table=f"{ZONE}.{name}", job=maker(ZONE, name))
        versions[name] = delta_log.table_version(store.spark, folder.hadoop_uri)
    return versions
