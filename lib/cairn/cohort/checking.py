"""Whether a definition can be carried out, before anything runs: names, types, levels, anchors, windows.

:func:`check` returns the definition with its words expanded to columns, ready for both engines.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from cairn.cohort import expression as ex
from cairn.cohort import vocabulary
from cairn.cohort.catalogue import DATE, FLAG, IMAGE_LEVELS, LIST, NUMBER, TEXT, Source, find, sources
from cairn.cohort.codelists import CodeList
from cairn.cohort.faults import Wrong
from cairn.cohort.model import (
    Age,
    AnyOf,
    Cohort,
    Combination,
    Controls,
    Having,
    Images,
    Observed,
    Rule,
    SetDefinition,
    Who,
    definition_hash,
)
from cairn.cohort.window import Window

PERSON_EXTRAS = {"birth_year": NUMBER}
"""Columns of persons that engines compute: birth_year out of birth_date."""


@dataclass(frozen=True)
class CheckedSet:
    """A set with its table and its condition in terms of columns."""

    source: Source
    definition: SetDefinition
    where: ex.Expression = ex.NOTHING


@dataclass(frozen=True)
class Checked:
    """A definition that can be carried out."""

    cohort: Cohort
    sets: Mapping[str, CheckedSet]
    persons: tuple[Rule, ...]
    codelists: Mapping[str, CodeList]
    hash: str


T = TypeVar("T")

Where = Callable[[Wrong, str], Exception]
"""Makes the error that the user sees out of a fault and its place."""


def check(cohort: Cohort, codelists: Mapping[str, CodeList], where: Where = lambda wrong, place: wrong) -> Checked:
    """Return a definition ready to be carried out.

    Parameters
    ----------
    cohort : Cohort
        What to check.
    codelists : mapping of str to CodeList
        Lists that it may use.
    where : callable
        Makes the error out of a fault and its place such as ``persons[1].within``.

    Raises
    ------
    Wrong, or what `where` makes of it
        At the first fault.
    """
    work = _Check(codelists, where)
    sets: dict[str, CheckedSet] = {}
    for name, definition in cohort.sets.items():
        sets[name] = work.at(f"sets.{name}", work.set, name, definition, sets)
    persons = tuple(work.rules(cohort.persons, sets))
    work.at("index", _one_of, cohort.index, cohort.anchors, "anchor")
    work.at("images", work.images, cohort.images, sets, cohort.anchors)
    work.at("controls", work.controls, cohort.controls, sets)
    work.at("split", _split, cohort.split, cohort.balanced_by)
    used = {name: codelists[name] for name in sorted(work.used)}
    hashes = {name: made.hash for name, made in used.items()}
    return Checked(cohort, sets, persons, used, definition_hash(cohort, hashes, vocabulary.vocabulary_hash()))


def _one_of(name: str, known: list[str], what: str) -> None:
    if name and name not in known:
        raise Wrong(f"there is no {what} {name!r}", name, known)


def _split(parts: Mapping[str, int], balanced_by: tuple[str, ...]) -> None:
    if balanced_by and not parts:
        raise Wrong("balanced_by needs parts beside it, such as train: 70")
    for name in balanced_by:
        _one_of(name, [*sources()["person"].columns, *PERSON_EXTRAS], "column of person")
    if parts and (sum(parts.values()) != 100 or min(parts.values()) < 1):
        raise Wrong(f"parts of a split are per cent and come to 100, not to {sum(parts.values())}")


class _Check:
    def __init__(self, codelists: Mapping[str, CodeList], where: Where) -> None:
        self._codelists = codelists
        self._where = where
        self.used: set[str] = set()

    def at(self, place: str, work: Callable[..., T], *args: object) -> T:
        try:
            return work(*args)
        except Wrong as wrong:
            raise self._where(wrong, place) from wrong

    def set(self, name: str, definition: SetDefinition, sets: Mapping[str, CheckedSet]) -> CheckedSet:
        if name in sources():
            raise Wrong(f"{name!r} is the name of a table; call the set otherwise")
        if isinstance(definition, Combination):
            return self._combination(definition, sets)
        source = sets[definition.source].source if definition.source in sets else find(definition.source, sets)
        if definition.within is not None:
            anchor = definition.within.anchor
            if anchor not in sets:
                raise Wrong(f"there is no set {anchor!r} above", anchor, sets)
            if not source.starts or not sets[anchor].source.starts:
                raise Wrong("persons have no time: a window needs events or images")
        return CheckedSet(source, definition, self.condition(definition.where, source))

    def _combination(self, definition: Combination, sets: Mapping[str, CheckedSet]) -> CheckedSet:
        if len(definition.sets) < 2:
            raise Wrong(f"{definition.operator} takes at least two sets")
        for name in definition.sets:
            if name not in sets:
                raise Wrong(f"there is no set {name!r} above", name, sets)
        tables = list(dict.fromkeys(sets[name].source.name for name in definition.sets))
        if len(tables) > 1:
            raise Wrong(f"{definition.operator} takes sets of one table, and these are of {' and '.join(tables)}")
        return CheckedSet(sets[definition.sets[0]].source, definition)

    def condition(self, where: ex.Expression, source: Source) -> ex.Expression:
        """Return a condition in terms of the source's columns, of right types."""
        if isinstance(where, (ex.Not, ex.Known)):
            return type(where)(self.condition(where.of, source))
        if isinstance(where, (ex.All, ex.Any)):
            return type(where)(tuple(self.condition(part, source) for part in where.of))
        if where.column not in source.columns and where.column in vocabulary.words():
            if source.level != vocabulary.LEVEL:
                raise Wrong(f"{where.column} is said of series, and {source.name} has rows of the level {source.level}")
            meaning = vocabulary.expanded(where)
            if meaning is not None:
                return self.condition(meaning, source)
        try:
            kind = source.type_of(where.column)
        except Wrong:
            known = [*source.columns, *(vocabulary.words() if source.level == vocabulary.LEVEL else ())]
            raise Wrong(f"{source.name} has no column {where.column!r}", where.column, known) from None
        self._fits(where, kind)
        return where

    def _fits(self, test: ex.Expression, kind: str) -> None:
        """Refuse a test that a column of this type cannot have."""
        if isinstance(test, ex.Flag) and kind != FLAG:
            raise Wrong(f"{test.column} is a {kind}, not yes or no: compare it with something")
        if isinstance(test, ex.InCodes):
            self._codes(test, kind)
        elif isinstance(test, ex.Compare):
            _comparison(test, kind)
        elif isinstance(test, (ex.In, ex.Between)):
            values = test.values if isinstance(test, ex.In) else (test.low, test.high)
            if isinstance(test, ex.Between) and kind not in (NUMBER, DATE):
                raise Wrong(f"{test.column} is a {kind}: between is for numbers and dates")
            for value in values:
                _value(test.column, value, kind)
            if isinstance(test, ex.Between) and test.low > test.high:  # type: ignore[operator]
                raise Wrong(f"nothing lies between {test.low} and {test.high}")

    def _codes(self, test: ex.InCodes, kind: str) -> None:
        if test.codes not in self._codelists:
            raise Wrong(f"there is no code list {test.codes!r}", test.codes, self._codelists)
        codes = self._codelists[test.codes]
        if kind not in (TEXT, LIST, NUMBER):
            raise Wrong(f"{test.column} is a {kind} and holds no codes")
        if (kind == NUMBER) and (codes.prefixes or not all(code.isdigit() for code in codes.exact)):
            raise Wrong(f"{test.column} is a number, and code list {test.codes} holds codes of text")
        if codes.ancestors and kind != NUMBER:
            raise Wrong(f"code list {test.codes} holds OMOP concepts, and {test.column} is a {kind}")
        self.used.add(test.codes)

    def rules(self, rules: tuple[Rule, ...], sets: Mapping[str, CheckedSet]) -> Iterator[Rule]:
        """Yield the rules with conditions in terms of columns."""
        anchors: list[str] = []
        for number, rule in enumerate(rules):
            yield self.at(f"persons[{number + 1}]", self.rule, rule, sets, anchors)
            if isinstance(rule, Having) and rule.anchor:
                anchors.append(rule.anchor)

    def rule(self, rule: Rule, sets: Mapping[str, CheckedSet], anchors: list[str], nested: bool = False) -> Rule:
        if isinstance(rule, AnyOf):
            if len(rule.rules) < 2:
                raise Wrong("any_of takes at least two rules")
            return AnyOf(tuple(self.rule(part, sets, anchors, nested=True) for part in rule.rules))
        if isinstance(rule, Who):
            person = sources()["person"]
            whole = dataclasses.replace(person, columns={**person.columns, **PERSON_EXTRAS})
            return Who(self.condition(rule.where, whole))
        if isinstance(rule, Age):
            _one_of(rule.anchor, anchors, "anchor")
            _ages(rule)
        elif isinstance(rule, Observed):
            self._window(rule.window, anchors)
            if not rule.window.during and (rule.window.low is None or rule.window.high is None):
                raise Wrong("a window of observation has two ends")
        else:
            self._having(rule, sets, anchors, nested)
        return rule

    def _having(self, rule: Having, sets: Mapping[str, CheckedSet], anchors: list[str], nested: bool) -> None:
        _one_of(rule.of, list(sets), "set")
        if rule.within is not None:
            self._window(rule.within, anchors)
        if rule.at_least < 1:
            raise Wrong("at_least is 1 or more")
        if rule.anchor:
            if nested or rule.negated:
                raise Wrong("a rule that may fail names no anchor")
            if rule.anchor in anchors or rule.anchor in sets or rule.anchor.endswith("_end"):
                raise Wrong(f"{rule.anchor!r} is taken; call the anchor otherwise")
            if not re.fullmatch(r"[a-z][a-z0-9_]*", rule.anchor) or rule.anchor in sources()["person"].columns:
                raise Wrong(
                    f"{rule.anchor!r} cannot name an anchor: lower-case letters, digits, _, no column of person"
                )
        if (rule.within or rule.anchor) and not sets[rule.of].source.starts:
            raise Wrong(f"set {rule.of} holds persons, who have no time")

    def _window(self, window: Window, anchors: list[str]) -> None:
        if window.anchor not in anchors:
            raise Wrong(f"no rule above names an anchor {window.anchor!r}", window.anchor, anchors)

    def images(self, images: Images | None, sets: Mapping[str, CheckedSet], anchors: list[str]) -> None:
        if images is None:
            return
        _one_of(images.of, list(sets), "set")
        source = sets[images.of].source
        if source.level not in IMAGE_LEVELS:
            raise Wrong(f"set {images.of} holds rows of {source.name}, no studies, series or instances")
        if images.within is not None:
            self._window(images.within, anchors)
        if images.pick == "nearest" and not anchors:
            raise Wrong("nearest needs an anchor to be near to")
        if (images.pick == "best") != bool(images.order):
            raise Wrong("'best' and order go together")
        for column, _ in images.order:
            if source.type_of(column) not in (NUMBER, TEXT, DATE):
                raise Wrong(f"{column} is a {source.type_of(column)} and has no order")

    def controls(self, controls: Controls | None, sets: Mapping[str, CheckedSet]) -> None:
        if controls is None:
            return
        if not 1 <= controls.per_case <= 100:
            raise Wrong("per_case is from 1 to 100")
        columns = {**sources()["person"].columns, **PERSON_EXTRAS}
        for name in (*controls.exact, *controls.caliper):
            _one_of(name, list(columns), "column of person")
        for name in controls.caliper:
            if columns[name] != NUMBER:
                raise Wrong(f"{name} is a {columns[name]}: a caliper is for numbers")
        for name in controls.not_in:
            _one_of(name, list(sets), "set")


def _ages(rule: Age) -> None:
    if rule.at_least is None and rule.at_most is None:
        raise Wrong("an age has at_least, at_most, or both")
    low, high = rule.at_least or 0, 130 if rule.at_most is None else rule.at_most
    if not 0 <= low <= high <= 130:
        raise Wrong(f"nobody is from {low} to {high} years old")


def _comparison(test: ex.Compare, kind: str) -> None:
    if test.operator in ("like", "matches"):
        if kind not in (TEXT, LIST):
            raise Wrong(f"{test.column} is a {kind}: {test.operator} is for text")
        _pattern(test)
        return
    if test.operator not in ("=", "!=") and kind not in (NUMBER, DATE):
        raise Wrong(f"{test.column} is a {kind}: {test.operator} is for numbers and dates")
    if kind == LIST and test.operator == "!=":
        raise Wrong(f"{test.column} is a list: say not {test.column} = …")
    _value(test.column, test.value, kind)


def _pattern(test: ex.Compare) -> None:
    if test.operator == "like" and "\\" in str(test.value):
        raise Wrong("a pattern of like holds % and _, no backslash")
    if test.operator == "matches":
        try:
            re.compile(str(test.value))
        except re.error as error:
            raise Wrong(f"the regular expression is wrong: {error.msg}") from error


def _value(column: str, value: ex.Value, kind: str) -> None:
    """Refuse a value of another type than its column."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        TEXT: isinstance(value, str),
        LIST: isinstance(value, str),
        NUMBER: is_number,
        DATE: isinstance(value, dt.date),
        FLAG: isinstance(value, bool),
    }[kind]
    if not fits:
        hint = f": put {value} in quotes" if kind in (TEXT, LIST) else ""
        shown = "a date" if isinstance(value, dt.date) else "a number" if is_number else "a word"
        raise Wrong(f"{column} is a {kind}, and {value} is {shown}{hint}")
