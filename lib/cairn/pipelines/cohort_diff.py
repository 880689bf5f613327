"""`cohort diff`: what changed between two versions of a list, who came and went, and at which step.

Both sides are carried out, each by its own SQL on its own versions of the tables. Who is gone dropped out at some step
of the new side; who is new had dropped out at some step of the old one. Small numbers are hidden as everywhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, Row

from cairn.cohort import disclosure
from cairn.cohort.codelists import CodeList
from cairn.cohort.vocabulary import vocabulary_hash
from cairn.pipelines.cohort_count import NOTE, number, shown_of, shown_parts
from cairn.pipelines.cohort_definition import Definition, step_words, table_lines
from cairn.pipelines.cohort_freeze import definition_of, versions_of
from cairn.pipelines.cohort_run import ZONE, Persons, Resolved, carried_out, current_versions, kept, persons_in
from cairn.spark.store import Store


@dataclass(frozen=True)
class Side:
    """One of the two lists that are compared.

    Parameters
    ----------
    label : str
        ``frozen 3``, or ``now``.
    definition : Definition
        Its definition, with its SQL.
    versions : dict of str to int
        Versions of its tables.
    vocabulary : str
        Hash of the imaging words.
    """

    label: str
    definition: Definition
    versions: dict[str, int]
    vocabulary: str


@dataclass(frozen=True)
class Difference:
    """True counts of what differs: never printed as they are.

    Parameters
    ----------
    reasons : tuple of str
        What the lists rest on and differs.
    before, after : Persons
        Persons of each side.
    members : tuple of int
        Members of each side.
    stayed, gone, new : Persons
        Persons in both, in the old one only, in the new one only.
    lost, gained : dict of str to Persons
        Steps in words, of the new side at which those gone drop out, of the old one at which the new ones had.
    """

    reasons: tuple[str, ...]
    before: Persons
    after: Persons
    members: tuple[int, int]
    stayed: Persons
    gone: Persons
    new: Persons
    lost: dict[str, Persons]
    gained: dict[str, Persons]


def frozen_side(row: Row) -> Side:
    """Return a frozen list as a side."""
    return Side(f"frozen {row['cohort_version']}", definition_of(row), versions_of(row), row["vocabulary_hash"])


def present_side(store: Store, definition: Definition) -> Side:
    """Return what a definition would give on the tables of now.

    Raises
    ------
    CairnError
        TABLE_MISSING.
    """
    return Side("now", definition, current_versions(store, definition.tables), vocabulary_hash())


def compare(store: Store, old: Side, new: Side) -> Difference:
    """Return what differs between two sides."""
    with (
        carried_out(store, old.definition.steps, old.versions) as before,
        carried_out(store, new.definition.steps, new.versions) as after,
    ):
        were, are = (kept(side.members.select("person_id").distinct()) for side in (before, after))
        gone = kept(were.join(are, "person_id", "left_anti"))
        came = kept(are.join(were, "person_id", "left_anti"))
        try:
            everybody, left = persons_in(were), persons_in(gone)
            return Difference(
                reasons=tuple(reasons(old, new)),
                before=everybody,
                after=persons_in(are),
                members=(before.members.count(), after.members.count()),
                stayed=everybody.without(left),
                gone=left,
                new=persons_in(came),
                lost=dropped_at(gone, after, step_words(new.definition.checked)),
                gained=dropped_at(came, before, step_words(old.definition.checked)),
            )
        finally:
            for frame in (were, are, gone, came):
                frame.unpersist()


def dropped_at(persons: DataFrame, side: Resolved, words: list[str]) -> dict[str, Persons]:
    """Return the steps of a side at which some persons drop out, with who does."""
    made: dict[str, Persons] = {}
    there = persons_in(persons)
    for place, (name, said) in enumerate(zip(side.counted, words, strict=True)):
        if not there.count:
            break
        left = persons_in(persons.join(side.frames[name].select("person_id"), "person_id", "left_semi"))
        if left.count < there.count:
            made[f"step {place}: {said}"] = there.without(left)
        there = left
    return made


def reasons(old: Side, new: Side) -> Iterator[str]:
    """Yield what two lists rest on and differs: definition, parameters, codes, words, SQL, tables."""
    one, other = old.definition, new.definition
    yield from _text_differs(old, new)
    if one.parameters != other.parameters:
        yield f"parameters: {_said(one.parameters)} -> {_said(other.parameters)}"
    yield from _lists_differ(one.checked.codelists, other.checked.codelists)
    if old.vocabulary != new.vocabulary:
        yield "imaging words: their definitions changed"
    elif one.checked.hash == other.checked.hash and one.steps != other.steps:
        yield "SQL: another version of Cairn writes it otherwise"
    for table in sorted({*old.versions, *new.versions}):
        versions = [side.versions.get(table) for side in (old, new)]
        if versions[0] != versions[1]:
            was, now = ("not read" if version is None else f"version {version}" for version in versions)
            yield f"table {ZONE}.{table}: {was} -> {now}"


def _text_differs(old: Side, new: Side) -> Iterator[str]:
    before, after = (side.definition.text.splitlines() for side in (old, new))
    if before == after:
        return
    meaning = "" if old.definition.checked.hash != new.definition.checked.hash else ", which means the same"
    yield f"definition: another text{meaning}"
    lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
    yield from (f"  {line}" for line in lines if not line.startswith("@@"))


def _said(parameters: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(parameters.items())) or "none"


def _lists_differ(old: Mapping[str, CodeList], new: Mapping[str, CodeList]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        codes = [_codes(lists.get(name)) for lists in (old, new)]
        if codes[0] == codes[1]:
            continue
        versions = [f"version {lists[name].version}" if name in lists else "not used" for lists in (old, new)]
        more, less = sorted(codes[1] - codes[0]), sorted(codes[0] - codes[1])
        changed = "; ".join(f"{word} {', '.join(part)}" for word, part in (("with", more), ("without", less)) if part)
        yield f"code list {name}: {versions[0]} -> {versions[1]}, {changed}"


def _codes(codes: CodeList | None) -> set[str]:
    if codes is None:
        return set()
    return {*codes.exact, *(f"{prefix}*" for prefix in codes.prefixes), *(f"{one}*" for one in codes.ancestors)}


def difference_lines(found: Difference, old: Side, new: Side) -> Iterator[str]:
    """Yield a difference for people; no small number, and none that a difference of two gives away."""
    yield f"{new.definition.name}: {old.label} -> {new.label}"
    yield "What it rests on:"
    yield from (f"  {reason}" for reason in found.reasons or ("nothing changed",))
    was, now = shown_pair(found.before, found.after)
    yield f"persons: {number(was)} -> {number(now)}"
    parts = shown_parts({"stayed": found.stayed, "gone": found.gone, "new": found.new})
    yield ", ".join(f"{word} {number(n)}" for word, n in parts.items())
    if new.definition.level != "person":
        pairs = zip((was, now), (found.before, found.after), found.members, strict=True)
        told = [number(shown_of(n, None if seen is None else of.key, "members")) for seen, of, n in pairs]
        yield f"members ({new.definition.level}): {' -> '.join(told)}"
    for title, steps in (
        (f"Gone, by the step of {new.label} at which they drop out:", found.lost),
        (f"New, by the step of {old.label} at which they had dropped out:", found.gained),
    ):
        if steps:
            yield title
            cells = [[number(n), words] for words, n in shown_parts(steps).items()]
            yield from (f"  {line}" for line in table_lines(cells))
    yield NOTE


def shown_pair(before: Persons, after: Persons) -> tuple[int | None, int | None]:
    """Return two counts as they may be shown beside each other: nearly equal ones as equal, as within an attrition."""
    falls = before.count >= after.count
    most, least = (before, after) if falls else (after, before)
    high, low = disclosure.attrition([most.count, least.count], keys=[most.key, least.key])
    return (high, low) if falls else (low, high)
