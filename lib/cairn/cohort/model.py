"""The definition of a cohort: what a YAML file becomes, and what Python can build directly.

Nothing here knows YAML, SQL or data. :func:`cairn.cohort.checking.check` says whether a definition can be carried out.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cairn.cohort.expression import NOTHING, Expression
from cairn.cohort.window import Window


@dataclass(frozen=True)
class Rows:
    """Rows of a table or of another set that fulfil a condition.

    `within` is a window around any row of another *set* (its anchor names a set).
    """

    source: str
    where: Expression = NOTHING
    within: Window | None = None


@dataclass(frozen=True)
class Combination:
    """Sets of one table taken together: ``union``, ``intersect`` or ``except`` (the first without the others)."""

    operator: str
    sets: tuple[str, ...]


SetDefinition = Rows | Combination


@dataclass(frozen=True)
class Having:
    """Persons with rows of a set.

    Parameters
    ----------
    of : str
        The set.
    pick : int
        Which row becomes the anchor: 1 first, 2 second …, -1 last; 0 none is wanted.
    anchor : str
        Name of that row for later rules.
    within : Window, optional
        Around an anchor that an earlier rule named.
    at_least : int
        How many rows.
    negated : bool
        Persons without such rows.
    """

    of: str
    pick: int = 0
    anchor: str = ""
    within: Window | None = None
    at_least: int = 1
    negated: bool = False


@dataclass(frozen=True)
class Age:
    """Persons of an age in completed years at an anchor, both limits included."""

    anchor: str
    at_least: int | None = None
    at_most: int | None = None


@dataclass(frozen=True)
class Observed:
    """Persons registered over a whole window; an open registration reaches to the end."""

    window: Window


@dataclass(frozen=True)
class Who:
    """Persons that fulfil a condition on their own columns."""

    where: Expression


@dataclass(frozen=True)
class AnyOf:
    """Persons that fulfil at least one of several rules; these name no anchors."""

    rules: tuple[Rule, ...]


Rule = Having | Age | Observed | Who | AnyOf


@dataclass(frozen=True)
class Images:
    """Images of the persons.

    Parameters
    ----------
    of : str
        A set of studies, series or instances.
    within : Window, optional
        Around an anchor.
    pick : str
        first, last, nearest, best or all.
    per : str
        person or study.
    order : tuple of (str, bool)
        Columns, and whether descending, by which ``best`` is told.
    """

    of: str
    within: Window | None = None
    pick: str = "all"
    per: str = "person"
    order: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True)
class Controls:
    """Matched controls: persons who are no cases and not in `not_in`, equal to their case in `exact`."""

    per_case: int
    exact: tuple[str, ...] = ()
    caliper: Mapping[str, int] = field(default_factory=dict)
    not_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cohort:
    """A definition.

    Parameters
    ----------
    name : str
        Lower case, digits, hyphens.
    version : int
        Goes up when its meaning changes.
    title : str
        A sentence.
    sets : mapping of str to SetDefinition
        In order: a set names earlier ones.
    persons : tuple of Rule
        Applied in order; each is a step of the attrition.
    images : Images, optional
        Without it members are persons.
    index : str
        The anchor that is the index date; the first one when empty.
    controls : Controls, optional
        Matched controls.
    split : mapping of str to int
        Parts for machine learning with their per cent, by person.
    balanced_by : tuple of str
        Columns of person: each part gets its share of every combination of their values.
    """

    name: str
    version: int
    title: str
    sets: Mapping[str, SetDefinition]
    persons: tuple[Rule, ...] = ()
    images: Images | None = None
    index: str = ""
    controls: Controls | None = None
    split: Mapping[str, int] = field(default_factory=dict)
    balanced_by: tuple[str, ...] = ()

    @property
    def anchors(self) -> list[str]:
        """Names of anchors in the order in which the rules make them."""
        return [rule.anchor for rule in self.persons if isinstance(rule, Having) and rule.anchor]

    @property
    def index_anchor(self) -> str:
        """The anchor whose date is the index date; empty when there is none."""
        return self.index or next(iter(self.anchors), "")


def plain(value: Any) -> Any:
    """Return a part of a definition as JSON can hold it; equal meaning, equal text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"is": type(value).__name__, **parts}
    if isinstance(value, Mapping):
        return [[key, plain(part)] for key, part in value.items()]
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    return f"date:{value}" if isinstance(value, dt.date) else value


def definition_hash(cohort: Cohort, codelists: Mapping[str, Any], vocabulary: str) -> str:
    """Return SHA-256 of all that decides a cohort beside the data.

    Title and layout of the file do not count; codes of the lists that it uses, and the words' definitions, do.

    Parameters
    ----------
    cohort : Cohort
        The definition.
    codelists : mapping of str to object
        Hash by name of each code list that it uses.
    vocabulary : str
        Hash of the imaging words.
    """
    parts = plain(dataclasses.replace(cohort, title=""))
    text = json.dumps([parts, sorted(codelists.items()), vocabulary], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
