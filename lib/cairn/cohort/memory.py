"""The slow, obvious engine: plain Python over lists of rows. What it says is what a definition means.

The SQL of :mod:`cairn.cohort.sql` is held against it in the tests.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cairn.cohort import expression as ex
from cairn.cohort.checking import Checked, CheckedSet
from cairn.cohort.model import Age, AnyOf, Combination, Having, Images, Observed, Rule
from cairn.cohort.window import Window

Row = dict[str, Any]
Tables = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by table name as definitions call it (``smr01``, ``series``, ``person``, ``omop_concept_ancestor``)."""


@dataclass(frozen=True)
class Result:
    """Members, and persons left after each step (the persons at first, every rule, the members)."""

    members: list[Row]
    attrition: list[int]


def day(value: Any) -> dt.date | None:
    """Return the day of a date or of a moment."""
    return value.date() if isinstance(value, dt.datetime) else value


def age(born: dt.date, on: dt.date) -> int:
    """Return completed years."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def resolve(checked: Checked, tables: Tables) -> Result:
    """Return who and what belongs to a cohort.

    Parameters
    ----------
    checked : Checked
        The definition.
    tables : mapping
        Rows by table.
    """
    return _Engine(checked, tables).run()


def control_images(checked: Checked, tables: Tables, pairs: Sequence[tuple[str, str]]) -> list[Row]:
    """Return the images of matched controls: those of the cohort's set, by its rule, about their cases' anchors.

    Parameters
    ----------
    checked : Checked
        The definition.
    tables : mapping
        Rows by table.
    pairs : sequence of (str, str)
        ``person_id`` of case and control.
    """
    engine = _Engine(checked, tables)
    engine.run()
    anchors = {person["person_id"]: person for person in engine.left}
    own = [{**anchors[case], "person_id": control} for case, control in pairs]
    return [member for person in own for member in engine.members_of(person)] if checked.cohort.images else []


def fulfils(checked: Checked, where: ex.Expression, row: Mapping[str, Any]) -> bool:
    """Return whether a condition in terms of columns is true for one row.

    Parameters
    ----------
    checked : Checked
        A definition with the code lists that the condition may use.
    where : Expression
        The condition.
    row : mapping
        Columns; those that are absent are NULL.
    """
    return _Engine(checked, {}).truth(where, row) is True


class _Engine:
    def __init__(self, checked: Checked, tables: Tables) -> None:
        self._checked = checked
        self._tables = tables
        self._sets: dict[str, list[Row]] = {}
        self.left: list[Row] = []
        self._below: dict[int, set[int]] = {}
        for row in tables.get("omop_concept_ancestor", ()):
            self._below.setdefault(row["ancestor_concept_id"], set()).add(row["descendant_concept_id"])

    def run(self) -> Result:
        for name, made in self._checked.sets.items():
            self._sets[name] = self._set(made)
        people = [dict(row) for row in self._tables["person"]]
        for person in people:
            born = person.get("birth_date")
            person["birth_year"] = born.year if born else None
        attrition = [len(people)]
        for rule in self._checked.persons:
            people = [changed for person in people if (changed := self._after(rule, person)) is not None]
            attrition.append(len(people))
        self.left = people
        members = [member for person in people for member in self.members_of(person)]
        return Result(members, [*attrition, len({member["person_id"] for member in members})])

    # Conditions on one row: True, False or None ------------------------------------------------------------------

    def truth(self, test: ex.Expression, row: Mapping[str, Any]) -> bool | None:
        """Return whether a condition holds for a row; None is unknown."""
        if isinstance(test, ex.Not):
            inner = self.truth(test.of, row)
            return None if inner is None else not inner
        if isinstance(test, ex.Known):
            return self.truth(test.of, row) is True
        if isinstance(test, ex.All):
            parts = [self.truth(part, row) for part in test.of]
            return False if False in parts else None if None in parts else True
        if isinstance(test, ex.Any):
            parts = [self.truth(part, row) for part in test.of]
            return True if True in parts else None if None in parts else False
        value = row.get(test.column)
        if isinstance(test, ex.IsNull):
            return value is None
        if value is None:
            return None
        if isinstance(value, (list, tuple)):
            return any(self._one(test, element) is True for element in value if element is not None)
        return self._one(test, day(value))

    def _one(self, test: ex.Expression, value: Any) -> bool | None:
        if isinstance(test, ex.Flag):
            return bool(value)
        if isinstance(test, ex.In):
            return value in test.values
        if isinstance(test, ex.Between):
            return bool(test.low <= value <= test.high)
        if isinstance(test, ex.InCodes):
            return self._checked.codelists[test.codes].holds(value, self._below)
        assert isinstance(test, ex.Compare)
        wanted: Any = test.value
        if test.operator == "like":
            pattern = "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in str(wanted))
            return re.fullmatch(pattern, value, re.DOTALL) is not None
        if test.operator == "matches":
            return re.search(str(wanted), value) is not None
        return bool(
            {
                "=": value == wanted,
                "!=": value != wanted,
                "<": test.operator == "<" and value < wanted,
                "<=": test.operator == "<=" and value <= wanted,
                ">": test.operator == ">" and value > wanted,
                ">=": test.operator == ">=" and value >= wanted,
            }[test.operator]
        )

    # Sets ------------------------------------------------------------------------------------------------------

    def _set(self, made: CheckedSet) -> list[Row]:
        definition = made.definition
        if isinstance(definition, Combination):
            return self._combination(definition, made.source.key)
        if definition.source in self._sets:
            rows = self._sets[definition.source]
        else:
            rows = [self._timed(made, row) for row in self._tables.get(made.source.name, ())]
        kept = [row for row in rows if row["person_id"] is not None and self.truth(made.where, row)]
        if definition.within is None:
            return kept
        window, others = definition.within, self._sets[definition.within.anchor]
        return [
            row
            for row in kept
            if any(
                other["person_id"] == row["person_id"]
                and inside(window, row["_starts"], other["_starts"], other["_ends"])
                for other in others
            )
        ]

    @staticmethod
    def _timed(made: CheckedSet, row: Mapping[str, Any]) -> Row:
        if not made.source.starts:
            return dict(row)
        starts = day(row.get(made.source.starts))
        return {**row, "_starts": starts, "_ends": day(row.get(made.source.ends)) or starts}

    def _combination(self, definition: Combination, key: str) -> list[Row]:
        first, *others = (self._sets[name] for name in definition.sets)
        keys = [{row[key] for row in other} for other in others]
        if definition.operator == "intersect":
            return [row for row in first if all(row[key] in other for other in keys)]
        if definition.operator == "except":
            return [row for row in first if not any(row[key] in other for other in keys)]
        made = {row[key]: row for rows in (first, *others) for row in rows}
        return list(made.values())

    # Persons ---------------------------------------------------------------------------------------------------

    def _own(self, rule: Having, person: Row) -> list[Row]:
        """Return the person's rows of a set within the rule's window."""
        own = [row for row in self._sets[rule.of] if row["person_id"] == person["person_id"]]
        window = rule.within
        if window is None:
            return own
        start, end = person[window.anchor], person[f"{window.anchor}_end"]
        return [row for row in own if inside(window, row["_starts"], start, end)]

    def _after(self, rule: Rule, person: Row) -> Row | None:
        """Return the person as the rule leaves them, None if it leaves them out."""
        if isinstance(rule, Having) and rule.anchor:
            key = self._checked.sets[rule.of].source.key
            rows = [row for row in self._own(rule, person) if row["_starts"] is not None]
            rows.sort(key=lambda row: (row["_starts"], row[key]), reverse=rule.pick < 0)
            place = max(abs(rule.pick), 1) - 1
            if len(rows) < rule.at_least or len(rows) <= place:
                return None
            row = rows[place]
            return {**person, rule.anchor: row["_starts"], f"{rule.anchor}_end": row["_ends"]}
        return person if self._holds(rule, person) else None

    def _holds(self, rule: Rule, person: Row) -> bool:
        if isinstance(rule, AnyOf):
            return any(self._holds(part, person) for part in rule.rules)
        if isinstance(rule, Having):
            return (len(self._own(rule, person)) >= rule.at_least) != rule.negated
        if isinstance(rule, Age):
            born = person.get("birth_date")
            low, high = rule.at_least or 0, 130 if rule.at_most is None else rule.at_most
            return born is not None and low <= age(born, person[rule.anchor]) <= high
        if isinstance(rule, Observed):
            return _observed(rule.window, person)
        return self.truth(rule.where, person) is True

    # Members ---------------------------------------------------------------------------------------------------

    def members_of(self, person: Row) -> list[Row]:
        cohort = self._checked.cohort
        index = person[cohort.index_anchor] if cohort.index_anchor else None
        member: Row = {"person_id": person["person_id"], "index_date": index}
        if cohort.split and not cohort.balanced_by:
            member["split"] = part_of(cohort.name, person["person_id"], cohort.split)
        if cohort.images is None:
            return [member]
        rows = self._own(Having(cohort.images.of, within=cohort.images.within), person)
        key = self._checked.sets[cohort.images.of].source.key
        uids = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
        known = self._checked.sets[cohort.images.of].source.columns
        return [
            {**member, "image_date": row["_starts"], **{uid: row[uid] for uid in uids if uid in known}}
            for row in _picked(cohort.images, rows, key, index)
        ]


def inside(window: Window, on: dt.date | None, start: dt.date | None, end: dt.date | None) -> bool:
    """Return whether a day lies in a window around a span; a day that nobody knows lies in none."""
    if on is None or start is None:
        return False
    if window.during:
        return end is not None and start <= on <= end
    distance = (on - start).days
    return (window.low is None or distance >= window.low) and (window.high is None or distance <= window.high)


def _observed(window: Window, person: Row) -> bool:
    start, end = person[window.anchor], person[f"{window.anchor}_end"]
    first, last = person.get("registered_from"), person.get("registered_to")
    if first is None:
        return False
    low = start if window.during else start + dt.timedelta(days=window.low or 0)
    high = end if window.during else start + dt.timedelta(days=window.high or 0)
    return bool(first <= low and (last is None or last >= high))


def _picked(images: Images, rows: list[Row], key: str, index: dt.date | None) -> list[Row]:
    """Return the rows that a pick leaves: one per person or study."""
    if images.pick == "all":
        return rows
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["study_instance_uid"] if images.per == "study" else "", []).append(row)
    return [_sorted(images, group, key, index)[0] for group in groups.values()]


def _sorted(images: Images, rows: list[Row], key: str, index: dt.date | None) -> list[Row]:
    # Rows without a day come first, as NULL does in SQL.
    early = dt.date.min
    by_day = sorted(rows, key=lambda row: (row["_starts"] or early, row[key]))
    if images.pick == "last":
        return by_day[::-1]
    if images.pick == "nearest" and index is not None:
        return sorted(by_day, key=lambda row: abs((row["_starts"] - index).days) if row["_starts"] else -1)
    if images.pick == "best":
        made = sorted(rows, key=lambda row: row[key])
        for column, down in reversed(images.order):
            known = [row for row in made if row.get(column) is not None]
            known.sort(key=lambda row: row[column], reverse=False)
            if down:
                known = _stable_descending(known, column)
            made = known + [row for row in made if row.get(column) is None]
        return made
    return by_day


def _stable_descending(rows: list[Row], column: str) -> list[Row]:
    """Return ascending rows in descending order; equal ones keep theirs."""
    return sorted(rows, key=lambda row: row[column], reverse=True)


def part_of(name: str, person: str, split: Mapping[str, int]) -> str:
    """Return the part of a person in a split: by a hash of the cohort's name and the person, stable for ever."""
    draw = int(hashlib.sha256(f"{name}/{person}".encode()).hexdigest()[:8], 16) % 100
    upto = 0
    for part, share in split.items():
        upto += share
        if draw < upto:
            return part
    raise ValueError("parts of a split come to 100")
