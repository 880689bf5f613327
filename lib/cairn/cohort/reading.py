"""A definition in YAML to the model: every name known, every value of its type, every fault with its line."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cairn.cohort import expression as ex
from cairn.cohort import window as windows
from cairn.cohort.checking import Checked, check
from cairn.cohort.codelists import CodeList
from cairn.cohort.faults import Wrong
from cairn.cohort.lines import Document, filled
from cairn.cohort.model import (
    Age,
    AnyOf,
    Cohort,
    Combination,
    Controls,
    Having,
    Images,
    Observed,
    Rows,
    Rule,
    SetDefinition,
    Who,
)
from cairn.errors import CairnError

_TOP = ("cohort", "version", "title", "parameters", "sets", "persons", "index", "images", "controls", "split")
_SET = ("from", "where", "within", "union", "intersect", "except")
_RULES = ("having", "not_having", "age_at", "observed", "where", "any_of")
_PLACES = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}


def read(path: Path, codelists: Mapping[str, CodeList], parameters: Mapping[str, Any] | None = None) -> Checked:
    """Return the checked definition in a YAML file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    codelists : mapping of str to CodeList
        Lists that it may use (:func:`cairn.cohort.codelists.load_all`).
    parameters : mapping of str to object, optional
        Values that replace those of its ``parameters``.

    Raises
    ------
    CairnError
        ``COHORT_UNREADABLE``, or ``COHORT_RULE`` with file, line, place and the nearest right name.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise CairnError("COHORT_UNREADABLE", path=path, why=why) from error
    return parse(text, codelists, str(path), parameters)


def parse(
    text: str, codelists: Mapping[str, CodeList], path: str = "definition", parameters: Mapping[str, Any] | None = None
) -> Checked:
    """Return the checked definition that a text states; `path` is for messages."""
    document = Document(text, path)
    cohort = _Reader(document, dict(parameters or {})).cohort()
    return check(cohort, codelists, document.wrong)


class _Reader:
    def __init__(self, document: Document, parameters: dict[str, Any]) -> None:
        self._document = document
        self._given = parameters

    def _wrong(self, place: str, why: str, name: str = "", known: Any = ()) -> CairnError:
        return self._document.wrong(Wrong(why, name, known), place)

    def _at(self, place: str, work: Callable[[Any], Any], value: Any) -> Any:
        try:
            return work(value)
        except Wrong as wrong:
            raise self._document.wrong(wrong, place) from wrong

    def _names(self, value: Any, known: tuple[str, ...], place: str, needed: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return a mapping whose names are all known."""
        if not isinstance(value, dict):
            raise self._wrong(place, f"here belongs a mapping with {', '.join(known)}")
        for name in value:
            if name not in known:
                raise self._wrong(f"{place}.{name}" if place else name, f"there is no {name!r} here", name, known)
        for name in needed:
            if name not in value:
                raise self._wrong(place, f"{name!r} is missing")
        return value

    def _text(self, value: Any, place: str) -> str:
        if isinstance(value, bool) or not isinstance(value, (str, int, float, dt.date)):
            raise self._wrong(place, "here belongs a text")
        return str(value)

    def _whole(self, value: Any, place: str) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(place, f"here belongs a whole number, not {value!r}")
        return value

    def _list(self, value: Any, place: str) -> tuple[str, ...]:
        parts = value if isinstance(value, list) else [value]
        return tuple(self._text(part, place) for part in parts)

    def cohort(self) -> Cohort:
        given = self._names(self._document.value, _TOP, "", ("cohort", "version", "sets"))
        parameters = self._parameters(given.get("parameters") or {})
        given = {name: self._at(name, lambda v: filled(v, parameters), v) for name, v in given.items()}
        name = self._text(given["cohort"], "cohort")
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", name):
            raise self._wrong("cohort", "a name has lower-case letters, digits and hyphens, at most 63")
        version = self._whole(given["version"], "version")
        if version < 1:
            raise self._wrong("version", "a version is 1 or more")
        split = {str(part): share for part, share in self._mapping(given.get("split"), "split").items()}
        balanced_by = self._list(split.pop("balanced_by", []), "split.balanced_by")
        return Cohort(
            name=name,
            version=version,
            title=self._text(given.get("title", name), "title"),
            sets=self._sets(given["sets"]),
            persons=self._rules(given.get("persons") or [], "persons"),
            images=self._images(given.get("images")),
            index=self._text(given.get("index", ""), "index"),
            controls=self._controls(given.get("controls")),
            split={part: self._whole(v, f"split.{part}") for part, v in split.items()},
            balanced_by=balanced_by,
        )

    def _parameters(self, declared: Any) -> dict[str, Any]:
        declared = self._mapping(declared, "parameters")
        for name in self._given:
            if name not in declared:
                raise self._wrong("parameters", f"there is no parameter {name!r}", name, declared)
        return {**declared, **self._given}

    def _mapping(self, value: Any, place: str) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._wrong(place, "here belongs a mapping of names to values")
        return value

    def _sets(self, given: Any) -> dict[str, SetDefinition]:
        made = {}
        for name, entry in self._mapping(given, "sets").items():
            place = f"sets.{name}"
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise self._wrong(place, f"{name!r} cannot name a set: lower-case letters, digits, _")
            made[name] = self._set(self._names(entry, _SET, place), place)
        return made

    def _set(self, entry: dict[str, Any], place: str) -> SetDefinition:
        kinds = [kind for kind in ("from", "union", "intersect", "except") if kind in entry]
        if len(kinds) != 1:
            raise self._wrong(place, "a set has one of from, union, intersect, except")
        if kinds[0] != "from":
            if len(entry) > 1:
                raise self._wrong(place, f"{kinds[0]} stands alone; make a set 'from' it for conditions")
            return Combination(kinds[0], self._list(entry[kinds[0]], place))
        where = self._condition(entry, f"{place}.where") if "where" in entry else ex.NOTHING
        within = self._window(entry, f"{place}.within")
        return Rows(self._text(entry["from"], f"{place}.from"), where, within)

    def _condition(self, entry: dict[str, Any], place: str) -> ex.Expression:
        made: ex.Expression = self._at(place, ex.parse, self._text(entry["where"], place))
        return made

    def _window(self, entry: dict[str, Any], place: str, name: str = "within") -> windows.Window | None:
        if name not in entry:
            return None
        made: windows.Window = self._at(place, windows.parse, self._text(entry[name], place))
        return made

    def _rules(self, given: Any, place: str) -> tuple[Rule, ...]:
        if not isinstance(given, list):
            raise self._wrong(place, "here belongs a list of rules, each beginning with '-'")
        return tuple(self._rule(entry, f"{place}[{number}]") for number, entry in enumerate(given, 1))

    def _rule(self, entry: Any, place: str) -> Rule:
        if not isinstance(entry, dict):
            raise self._wrong(place, f"a rule is one of {', '.join(_RULES)}")
        kinds = [kind for kind in _RULES if kind in entry]
        if len(kinds) != 1:
            odd = next((name for name in entry if name not in _RULES), "")
            raise self._wrong(place, f"a rule has one of {', '.join(_RULES)}", odd, _RULES)
        kind = kinds[0]
        if kind in ("having", "not_having"):
            return self._having(entry, place, kind == "not_having")
        if kind == "age_at":
            return self._age(self._names(entry, ("age_at", "at_least", "at_most"), place), place)
        self._names(entry, (kind,), place)
        if kind == "observed":
            window = self._window(entry, f"{place}.observed", "observed")
            assert window is not None
            return Observed(window)
        if kind == "where":
            return Who(self._condition(entry, f"{place}.where"))
        return AnyOf(self._rules(entry["any_of"], f"{place}.any_of"))

    def _having(self, entry: dict[str, Any], place: str, negated: bool) -> Having:
        kind = "not_having" if negated else "having"
        entry = self._names(entry, (kind, "as", "within", "at_least"), place)
        pick, of = self._picked(entry[kind], f"{place}.{kind}")
        anchor = self._text(entry.get("as", ""), f"{place}.as")
        if negated and (pick or anchor):
            raise self._wrong(place, "a rule about what persons do not have picks nothing and names nothing")
        if pick and not anchor:
            raise self._wrong(place, "a row that is picked gets a name: as: …")
        return Having(
            of=of,
            pick=pick or (1 if anchor else 0),
            anchor=anchor,
            within=self._window(entry, f"{place}.within"),
            at_least=self._whole(entry.get("at_least", 1), f"{place}.at_least"),
            negated=negated,
        )

    def _picked(self, value: Any, place: str) -> tuple[int, str]:
        """Return place and set of ``strokes``, ``{first: strokes}``, ``{nth: strokes, n: 3}``, ``first strokes``."""
        if isinstance(value, dict):
            if "nth" in value:
                entry = self._names(value, ("nth", "n"), place, ("n",))
                number = self._whole(entry["n"], place)
                if number < 1:
                    raise self._wrong(place, "n is 1 or more")
                return number, self._text(entry["nth"], place)
            if len(value) != 1:
                raise self._wrong(place, "one of first, second …, last with its set")
            word, of = next(iter(value.items()))
        else:
            parts = self._text(value, place).split()
            if len(parts) == 1:
                return 0, parts[0]
            word, of = parts[0], " ".join(parts[1:])
        if word not in _PLACES:
            raise self._wrong(place, f"{word!r} is none of {', '.join(_PLACES)}", word, _PLACES)
        return _PLACES[word], self._text(of, place)

    def _age(self, entry: dict[str, Any], place: str) -> Age:
        limits = {n: self._whole(entry[n], f"{place}.{n}") for n in ("at_least", "at_most") if n in entry}
        return Age(self._text(entry["age_at"], f"{place}.age_at"), limits.get("at_least"), limits.get("at_most"))

    def _images(self, entry: Any) -> Images | None:
        if entry is None:
            return None
        entry = self._names(entry, ("from", "within", "pick", "order"), "images", ("from",))
        pick, per = self._pick(self._text(entry.get("pick", "all"), "images.pick"))
        order = tuple(self._term(term) for term in self._list(entry.get("order", []), "images.order"))
        return Images(self._text(entry["from"], "images.from"), self._window(entry, "images.within"), pick, per, order)

    def _pick(self, text: str) -> tuple[str, str]:
        found = re.fullmatch(r"(\w+)(?:\s+per\s+(\w+))?", text.strip())
        picks, pers = ("all", "first", "last", "nearest", "best"), ("person", "study")
        if found is None or found[1] not in picks:
            word = text.split()[0] if text.split() else ""
            raise self._wrong("images.pick", f"{text!r} is no pick such as 'first per person'", word, picks)
        if found[2] is not None and found[2] not in pers:
            raise self._wrong(
                "images.pick", f"images are picked per person or per study, not per {found[2]}", found[2], pers
            )
        return found[1], found[2] or "person"

    def _term(self, text: str) -> tuple[str, bool]:
        column, _, way = text.strip().partition(" ")
        ways = {"": False, "ascending": False, "descending": True}
        if way.strip() not in ways:
            raise self._wrong(
                "images.order", f"{way!r} is neither ascending nor descending", way, ("ascending", "descending")
            )
        return column, ways[way.strip()]

    def _controls(self, entry: Any) -> Controls | None:
        if entry is None:
            return None
        entry = self._names(entry, ("per_case", "exact", "caliper", "not_in"), "controls", ("per_case",))
        caliper = self._mapping(entry.get("caliper"), "controls.caliper")
        return Controls(
            self._whole(entry["per_case"], "controls.per_case"),
            self._list(entry.get("exact", []), "controls.exact"),
            {name: self._whole(limit, f"controls.caliper.{name}") for name, limit in caliper.items()},
            self._list(entry.get("not_in", []), "controls.not_in"),
        )
