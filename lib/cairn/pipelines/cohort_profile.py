"""Who and what is in a cohort: persons by age, sex, year, modality and manufacturer. True counts; the page hides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.cohort.checking import Checked
from cairn.cohort.sql import UIDS
from cairn.pipelines.cohort_run import Persons, Resolved, persons_by

UNKNOWN = "unknown"
OLDEST = 90
BAND = 10


@dataclass(frozen=True)
class Distribution:
    """Persons by one attribute.

    Parameters
    ----------
    title : str
        What they are told apart by.
    note : str
        What a reader must know of it.
    counts : dict of str to Persons
        Persons by value, in order; who has images of several kinds counts under each.
    """

    title: str
    note: str
    counts: dict[str, Persons]


def profile(resolved: Resolved, checked: Checked) -> list[Distribution]:
    """Return the distributions of the cases of a cohort that is carried out.

    Parameters
    ----------
    resolved : Resolved
        The steps as frames.
    checked : Checked
        The definition.
    """
    members = resolved.members
    day = F.col("index_date")
    if "image_date" in members.columns:
        day = F.coalesce(day, F.col("image_date"))
    persons = members.groupBy("person_id").agg(F.min(day).alias("day"))
    people = persons.join(resolved.persons.select("person_id", "sex", "birth_date"), "person_id", "left").persist()
    try:
        made = [
            Distribution("Age", "Completed years at the index date, else at the first image.", _by(people, _band())),
            Distribution("Sex", "As registered.", _by(people, F.col("sex"))),
            Distribution(
                "Year",
                "Of the index date, else of the first image. Dates are shifted by person, by up to a year.",
                _by(people, F.year("day").cast("string")),
            ),
        ]
    finally:
        people.unpersist()
    return [*made, *_of_images(resolved, checked)]


def _band() -> Column:
    """Return the ten years of age that a person is in, as text."""
    unfinished = (F.date_format("day", "MMdd") < F.date_format("birth_date", "MMdd")).cast("int")
    age = F.year("day") - F.year("birth_date") - unfinished
    low = (F.floor(age / BAND) * BAND).cast("int")
    return F.when(age >= OLDEST, F.lit(f"{OLDEST} and over")).otherwise(
        F.concat(F.lpad(low.cast("string"), 2, "0"), F.lit("-"), F.lpad((low + BAND - 1).cast("string"), 2, "0"))
    )


def _by(rows: DataFrame, value: Column) -> dict[str, Persons]:
    """Return persons by a value, in its order; those without one last."""
    found = persons_by(rows, F.coalesce(value, F.lit(UNKNOWN)))
    return {name: found[name] for name in sorted(found, key=lambda name: (name == UNKNOWN, name))}


def _of_images(resolved: Resolved, checked: Checked) -> Iterator[Distribution]:
    images = checked.cohort.images
    if images is None:
        return
    source = checked.sets[images.of].source
    uids = [uid for uid in UIDS if uid in resolved.members.columns]
    rows = resolved.frames[f"set_{images.of}"].drop("person_id")
    selected = resolved.members.select("person_id", *uids).join(rows, uids)
    note = f"Of the selected {'series' if source.level == 'series' else source.level}."
    for title in ("modality", "manufacturer"):
        if title in source.columns:
            yield Distribution(title.capitalize(), note, _by(selected, F.col(title)))
