"""Feasibility: how many persons each step of a definition leaves, with small numbers hidden and others rounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.cohort import disclosure
from cairn.cohort.checking import Checked
from cairn.pipelines.cohort_controls import matched
from cairn.pipelines.cohort_definition import Definition, table_lines
from cairn.pipelines.cohort_run import Persons, Resolved, persons_by
from cairn.pipelines.cohort_split import balanced

SMALL = "small"
NOTE = (
    f"{SMALL}: {disclosure.LIMIT} or fewer, or little more; other numbers are rounded up or down to a multiple of "
    f"{disclosure.BASE}."
)


@dataclass(frozen=True)
class Counts:
    """True counts of a cohort: never printed as they are.

    Parameters
    ----------
    attrition : list of Persons
        Persons left after each step.
    members : int
        Rows of the list: images, or persons.
    split : dict of str to Persons
        Persons by part.
    controls : int or None
        Matched controls; None where none are asked for.
    """

    attrition: list[Persons]
    members: int
    split: dict[str, Persons]
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


def counted(resolved: Resolved, checked: Checked, earlier: DataFrame | None = None) -> Counts:
    """Return the true counts of a cohort that is carried out; `earlier` are the parts that earlier lists gave."""
    attrition = resolved.attrition()
    members = resolved.frames["members"].count()
    split: dict[str, Persons] = {}
    if checked.cohort.split:
        cases = balanced(resolved.members.withColumn("role", F.lit("case")), resolved, checked, earlier)
        split = dict.fromkeys(checked.cohort.split, Persons(0, "")) | persons_by(cases, F.col("split"))
    pairs = matched(resolved, checked)
    return Counts(attrition, members, split, None if pairs is None else pairs.count())


def shown(counts: Counts, words: list[str]) -> Shown:
    """Return counts as they may be shown, within one answer (:mod:`cairn.cohort.disclosure`)."""
    steps = disclosure.attrition([n.count for n in counts.attrition], keys=[n.key for n in counts.attrition])
    last = counts.attrition[-1].key if steps[-1] is not None else None
    return Shown(
        steps=tuple(zip(words, steps, strict=True)),
        members=shown_of(counts.members, last, "members"),
        split=shown_parts(counts.split),
        controls=None if counts.controls is None else shown_of(counts.controls, last, "controls"),
    )


def shown_of(count: int, key: str | None, what: str) -> int | None:
    """Return a count that goes with a set of persons as it may be shown; hidden where the persons are (no key)."""
    return None if key is None else disclosure.shown(count, key=f"{key}/{what}/{count}")


def shown_parts(parts: Mapping[str, Persons]) -> dict[str, int | None]:
    """Return the parts of a whole as they may be shown: none is hidden alone."""
    if not parts:
        return {}
    (made,) = disclosure.table([[n.count for n in parts.values()]], keys=[[n.key for n in parts.values()]])
    return dict(zip(parts, made, strict=True))


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
    yield NOTE
