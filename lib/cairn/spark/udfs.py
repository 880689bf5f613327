"""Anonymisation functions for dataframes and SQL: vectorised over Arrow, the same pure functions as the rewriter's.

Keys are read from their file by each worker, once; they are never part of a plan.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from pyspark.sql import Column, SparkSession
from pyspark.sql.pandas.functions import arrow_udf

from cairn.deid import columns
from cairn.deid.free_text import PROSE
from cairn.deid.keys import SITE, read_key
from cairn.deid.pseudonyms import Pseudonyms


class KeyPlace(Protocol):
    """Where a key lies, and how far dates move: :class:`cairn.pipelines.deidentify_task.Terms`, or the like."""

    @property
    def keys(self) -> str:
        """Folder of the key files, the same on every machine."""

    @property
    def key_names(self) -> tuple[str, ...]:
        """Which keys, one on top of the other."""

    @property
    def date_shift_days(self) -> int:
        """Largest shift."""


@lru_cache(maxsize=8)
def _pseudonyms(folder: str, names: tuple[str, ...], limit: int) -> Pseudonyms:
    return Pseudonyms([read_key(Path(folder), name) for name in names], limit)


def _udf(function: Callable[..., pa.Array], kind: str) -> Callable[..., Column]:
    return arrow_udf(function, kind)  # type: ignore[call-overload]


def uid_udf(place: KeyPlace) -> Callable[..., Column]:
    """Return the function that replaces a column of UIDs by their pseudonyms."""
    folder, names, limit = place.keys, place.key_names, place.date_shift_days

    def replaced(uids: pa.Array) -> pa.Array:
        return columns.pseudonymise_uid(uids, _pseudonyms(folder, names, limit))

    return _udf(replaced, "string")


def person_udf(place: KeyPlace) -> Callable[..., Column]:
    """Return the function that replaces persons, as `crossing` names them, by their ``person_id``."""
    folder, names, limit = place.keys, place.key_names, place.date_shift_days

    def replaced(persons: pa.Array) -> pa.Array:
        return columns.each_distinct(persons, _pseudonyms(folder, names, limit).person, pa.string())

    return _udf(replaced, "string")


def days_udf(place: KeyPlace) -> Callable[..., Column]:
    """Return the function that gives the days by which the dates of persons, as `crossing` names them, move."""
    folder, names, limit = place.keys, place.key_names, place.date_shift_days

    def moved(persons: pa.Array) -> pa.Array:
        return columns.each_distinct(persons, _pseudonyms(folder, names, limit).days, pa.int32())

    return _udf(moved, "int")


def scrub_udf(kind: str) -> Callable[..., Column]:
    """Return the function that scrubs texts, ``descriptor`` or ``prose``."""
    return _udf(lambda texts: columns.scrub_text(texts, kind), "string")


def register(spark: SparkSession, folder: str, limit: int = 364, name: str = SITE) -> tuple[str, ...]:
    """Register the functions for Spark SQL and return their names.

    ``pseudonymise_person(chi)``, ``pseudonymise_uid(uid)``, ``shift_date(date, chi)``,
    ``shift_timestamp(timestamp, chi)``, ``generalise_age(age)``, ``generalise_age_years(years)``,
    ``generalise_postcode(postcode)``, ``scrub_text(description)``, ``scrub_prose(report)``.

    Parameters
    ----------
    spark : SparkSession
        The session.
    folder : str
        Folder of the key files, the same on every machine.
    limit : int
        Largest shift of a date, days.
    name : str
        Which key.

    Raises
    ------
    CairnError
        As :func:`cairn.deid.keys.read_key`: nothing is registered without a safe key.
    """
    read_key(Path(folder), name)

    def person(chis: pa.Array) -> pa.Array:
        return columns.pseudonymise_person(chis, _pseudonyms(folder, (name,), limit))

    def uid(uids: pa.Array) -> pa.Array:
        return columns.pseudonymise_uid(uids, _pseudonyms(folder, (name,), limit))

    def moved(dates: pa.Array, chis: pa.Array) -> pa.Array:
        return columns.shift_date(dates, chis, _pseudonyms(folder, (name,), limit))

    made = {
        "pseudonymise_person": _udf(person, "string"),
        "pseudonymise_uid": _udf(uid, "string"),
        "shift_date": _udf(moved, "date"),
        "shift_timestamp": _udf(moved, "timestamp"),
        "generalise_age": _udf(columns.generalise_age, "string"),
        "generalise_age_years": _udf(columns.generalise_age, "bigint"),
        "scrub_text": _udf(columns.scrub_text, "string"),
        "scrub_prose": _udf(lambda texts: columns.scrub_text(texts, PROSE), "string"),
        "generalise_postcode": _udf(columns.generalise_postcode, "string"),
    }
    for called, function in made.items():
        spark.udf.register(called, function)
    return tuple(made)
