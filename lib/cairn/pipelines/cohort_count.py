"""Feasibility: how many persons each step of a definition leaves, with small numbers hidden and others rounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyspark.sql import functions as F

from cairn.cohort import disclosure
from cairn.cohort.checking import Checked
from cairn.pipelines.cohort_controls import matched
from cairn.pipelines.cohort_definition import Definition, table_lines
from cairn.pipelines.cohort_run import Resolved

SMALL = f"{disclosure.LIMIT} or fewer"


@dataclass(frozen=True)
class Counts:
    """True counts of a cohort: never printed as they are.

    Parameters
    ----------
    attrition : list of int
        Persons left after each step.
    members : int
        Rows of the list: images, or persons.
    split : dict of str to int
        Persons by part.
    controls : int or None
        Matched controls; None where none are asked for.
    """

    attrition: list[int]
    members: int
    split: dict[str, int]
    controls: int | None


@dataclass(frozen=True)
class Shown:
    """Counts as they may be shown: rounded, None where hidden.

    Parameters
    ----------
    steps : tuple of (str, int or None)
        Each step in words, and the persons that it leaves.
    members, controls : int or None
        As in :class:`Counts`; `members` is hidden when its persons are.
    split : dict of str to int or None
        By part; one part is never hidden alone.
    """

    steps: tuple[tuple[str, int | None], ...]
    members: int | None
    split: dict[str, int | None]
    controls: int | None


def counted(resolved: Resolved, checked: Checked) -> Counts:
    """Return the true counts of a cohort that is carried out."""
    attrition = resolved.attrition()
    members = resolved.frames["members"].count()
    split: dict[str, int] = {}
    if checked.cohort.split:
        found = resolved.members.groupBy("split").agg(F.count_distinct("person_id").alias("persons")).collect()
        split = dict.fromkeys(checked.cohort.split, 0) | {row["split"]: row["persons"] for row in found}
    pairs = matched(resolved, checked)
    return Counts(attrition, members, split, None if pairs is None else pairs.count())


def shown(counts: Counts, words: list[str]) -> Shown:
    """Return counts as they may be shown, within one answer (:mod:`cairn.cohort.disclosure`)."""
    steps = disclosure.attrition(counts.attrition)
    hidden = steps[-1] is None
    parts = disclosure.table([list(counts.split.values())])[0] if counts.split else []
    return Shown(
        steps=tuple(zip(words, steps, strict=True)),
        members=None if hidden else disclosure.shown(counts.members),
        split=dict(zip(counts.split, parts, strict=True)),
        controls=None if counts.controls is None or hidden else disclosure.shown(counts.controls),
    )


def number(value: int | None) -> str:
    """Return a count as people read it."""
    return SMALL if value is None else f"{value:,}"


def count_lines(told: Shown, definition: Definition) -> Iterator[str]:
    """Yield the counts for people."""
    yield from table_lines([["persons", "after the step"], *([number(n), words] for words, n in told.steps)])
    if definition.level != "person":
        yield f"members ({definition.level}): {number(told.members)}"
    if told.split:
        yield "split: " + ", ".join(f"{part} {number(n)}" for part, n in told.split.items())
    if definition.checked.cohort.controls is not None:
        yield f"matched controls: {number(told.controls)}"
    yield f"Counts of {SMALL} are hidden, others are rounded to {disclosure.BASE}."
