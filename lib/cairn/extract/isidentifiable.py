"""Rules and reports in the formats of IsIdentifiable, the tool that the Scottish service reviews its data with.

Rules are YAML: `BasicRules` decide on a value of a field (Ignore or Report), `AllowlistRules` let go of parts that were
reported by mistake. Reports are CSV with a line for each value, its parts joined by ``###``. Patterns are searched for,
case counts only where a rule says so. Rules that ask a service over the network, or that compare two such services, are
refused: the result would depend on more than the data.

Source: IsIdentifiable's own README, "Rules", and its FailureStoreReport.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import yaml

from cairn.errors import CairnError, nearest

REPORT = ("Resource", "ResourcePrimaryKey", "ProblemField", "ProblemValue", "PartWords", "PartClassifications",
          "PartOffsets")  # fmt: skip
CLASSIFICATIONS = ("None", "PrivateIdentifier", "Location", "Person", "Organization", "Money", "Percent", "Date",
                   "Time", "PixelText", "Postcode")  # fmt: skip
SEPARATOR = "###"
IGNORE, REPORTED = "Ignore", "Report"
_BASIC, _ALLOW = "BasicRules", "AllowlistRules"
_OLD = {"WhiteListRules": _ALLOW}
_SERVICES = ("SocketRules", "ConsensusRules")
_FIELDS = {
    _BASIC: ("Action", "IfColumn", "IfPattern", "As", "CaseSensitive"),
    _ALLOW: ("Action", "IfColumn", "IfPattern", "IfPartPattern", "As", "CaseSensitive"),
}


@dataclass(frozen=True)
class Part:
    """What is wrong with a value.

    Parameters
    ----------
    word : str
        The part of the value.
    classification : str
        One of :data:`CLASSIFICATIONS`.
    offset : int
        Where it begins, from 0; -1 where that says nothing (text in pixels).
    """

    word: str
    classification: str
    offset: int = -1


@dataclass(frozen=True)
class Failure:
    """A value that may identify somebody.

    Parameters
    ----------
    resource, primary_key : str
        Where it is: a file or table, and which row of it.
    problem_field, problem_value : str
        The field, and all of its value.
    parts : tuple of Part
        What is wrong with it.
    """

    resource: str
    primary_key: str
    problem_field: str
    problem_value: str = field(repr=False)
    parts: tuple[Part, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Rule:
    """One rule.

    Parameters
    ----------
    action : str
        Ignore or Report.
    column : str
        Field that it is for; empty: all.
    pattern, part_pattern : str
        Regular expressions that must be found in the value, and in the part; empty: any.
    classification : str
        What a report calls it; of an allowing rule, what the part must have been called. Empty: any.
    case_sensitive : bool
        Whether case counts.
    """

    action: str
    column: str = ""
    pattern: str = ""
    part_pattern: str = ""
    classification: str = ""
    case_sensitive: bool = False

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern, 0 if self.case_sensitive else re.IGNORECASE)

    @cached_property
    def _part_regex(self) -> re.Pattern[str]:
        return re.compile(self.part_pattern, 0 if self.case_sensitive else re.IGNORECASE)

    def holds(self, column: str, value: str) -> bool:
        """Whether it is for this field, and its pattern is in the value."""
        return self.column.lower() in ("", column.lower()) and self._regex.search(value) is not None

    def allows(self, failure: Failure, part: Part) -> bool:
        """Whether it lets go of a part."""
        right = self.classification.lower() in ("", part.classification.lower())
        told = self.holds(failure.problem_field, failure.problem_value)
        return right and told and self._part_regex.search(part.word) is not None

    def parts(self, value: str) -> Iterator[Part]:
        """Yield what a reporting rule finds in a value; all of it where it has no pattern."""
        found = self._regex.finditer(value) if self.pattern else iter(())
        seen = False
        for match in found:
            seen = True
            yield Part(match[0] or value, self.classification, match.start() if match[0] else 0)
        if not seen:
            yield Part(value, self.classification, 0)


@dataclass(frozen=True)
class Rules:
    """The rules of some files, in order.

    Parameters
    ----------
    basic, allow : tuple of Rule
        Decide on values; let go of parts.
    """

    basic: tuple[Rule, ...] = ()
    allow: tuple[Rule, ...] = ()

    def __add__(self, other: Rules) -> Rules:
        return Rules(self.basic + other.basic, self.allow + other.allow)

    def looked_at(self, failure: Failure) -> Failure | None:
        """Return what the rules leave of a value, None when nothing is wrong with it.

        The first basic rule that holds decides: Ignore lets all of it go, Report adds parts. Then the allowing rules
        take parts away.

        Parameters
        ----------
        failure : Failure
            The value, with the parts that other means found in it, if any.
        """
        parts = failure.parts
        for rule in self.basic:
            if rule.holds(failure.problem_field, failure.problem_value):
                if rule.action == IGNORE:
                    return None
                parts = (*parts, *rule.parts(failure.problem_value))
                break
        left = tuple(part for part in parts if not any(rule.allows(failure, part) for rule in self.allow))
        if not left:
            return None
        return Failure(failure.resource, failure.primary_key, failure.problem_field, failure.problem_value, left)


def read_rules(path: Path) -> Rules:
    """Read a file of rules.

    Raises
    ------
    CairnError
        REVIEW_RULES_WRONG, with place and the nearest right name.
    """
    try:
        tree = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise _wrong(path, "the file", getattr(fault, "strerror", None) or "it is no YAML of plain values") from None
    if not isinstance(tree, dict):
        raise _wrong(path, "the file", "it holds no lists of rules")
    lists: dict[str, tuple[Rule, ...]] = {_BASIC: (), _ALLOW: ()}
    for name, listed in tree.items():
        kind = _OLD.get(str(name), str(name))
        if kind in _SERVICES:
            raise _wrong(path, kind, "such rules ask a service; write what they should find as BasicRules")
        if kind not in lists:
            raise _wrong(path, str(name), "there is no such list", nearest(str(name), [*lists, *_SERVICES]))
        rules = enumerate(listed or (), start=1)
        lists[kind] += tuple(_rule(path, kind, f"{name}, rule {number}", one) for number, one in rules)
    return Rules(lists[_BASIC], lists[_ALLOW])


def _rule(path: Path, kind: str, place: str, told: Any) -> Rule:
    if not isinstance(told, dict):
        raise _wrong(path, place, "it is no rule")
    for name in told:
        if name not in _FIELDS[kind]:
            raise _wrong(path, place, f"there is no field {name}", nearest(str(name), _FIELDS[kind]))
    action, called = str(told.get("Action")), str(told.get("As") or "")
    if action not in ((IGNORE, REPORTED) if kind == _BASIC else (IGNORE,)):
        raise _wrong(path, place, f"its Action is {action}", nearest(action, (IGNORE, REPORTED)))
    if (called and called not in CLASSIFICATIONS) or (action == REPORTED and not called):
        raise _wrong(path, place, f"its As is {called or 'missing'}", nearest(called, CLASSIFICATIONS))
    if told.get("CaseSensitive") not in (None, True, False):
        raise _wrong(path, place, "its CaseSensitive is neither true nor false")
    column, *patterns = (str(told.get(name) or "") for name in ("IfColumn", "IfPattern", "IfPartPattern"))
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as fault:
            raise _wrong(path, place, f"a pattern of it is no regular expression: {fault.msg}") from None
    if action == IGNORE and not (column or any(patterns)):
        raise _wrong(path, place, "it would ignore everything")
    return Rule(action, column, patterns[0], patterns[1], called, bool(told.get("CaseSensitive")))


def _wrong(path: Path, place: str, why: str, near: str = "") -> CairnError:
    return CairnError("REVIEW_RULES_WRONG", path=path, place=place, why=why, nearest=near)


def write_rules(rules: Rules, stream: TextIO) -> None:
    """Write rules as YAML that IsIdentifiable reads."""
    tree = {name: [_told(rule) for rule in listed] for name, listed in ((_BASIC, rules.basic), (_ALLOW, rules.allow))}
    yaml.safe_dump(
        {name: listed for name, listed in tree.items() if listed}, stream, sort_keys=False, allow_unicode=True
    )


def _told(rule: Rule) -> dict[str, Any]:
    told: Mapping[str, Any] = {
        "Action": rule.action,
        "IfColumn": rule.column,
        "IfPattern": rule.pattern,
        "IfPartPattern": rule.part_pattern,
        "As": rule.classification,
        "CaseSensitive": rule.case_sensitive,
    }
    return {name: value for name, value in told.items() if value}


def write_report(failures: Iterable[Failure], stream: TextIO) -> int:
    """Write failures as CSV and return how many. It holds values: for the identifiable side only.

    Parameters
    ----------
    failures : iterable of Failure
        Each with at least one part.
    stream : text stream
        Opened with ``newline=""``.
    """
    writer = csv.writer(stream)
    writer.writerow(REPORT)
    count = 0
    for one in failures:
        words, kinds, offsets = zip(*((p.word, p.classification, str(p.offset)) for p in one.parts), strict=True)
        joined = (SEPARATOR.join(texts) for texts in (words, kinds, offsets))
        writer.writerow((one.resource, one.primary_key, one.problem_field, one.problem_value, *joined))
        count += 1
    return count


def read_report(path: Path) -> Iterator[Failure]:
    """Yield the failures of a report, in order.

    Raises
    ------
    CairnError
        REVIEW_REPORT_WRONG, with the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            missing = [name for name in REPORT if name not in (rows.fieldnames or ())]
            if missing:
                why = f"it has no column {', '.join(missing)}"
                raise CairnError("REVIEW_REPORT_WRONG", path=path, line=1, why=why)
            for row in rows:
                yield _failure(path, rows.line_num, row)
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        why = getattr(fault, "strerror", None) or "it is no CSV in UTF-8"
        raise CairnError("REVIEW_REPORT_WRONG", path=path, line=1, why=why) from None


def _failure(path: Path, line: int, row: Mapping[str, str | None]) -> Failure:
    cells: Sequence[list[str]] = [(row[name] or "").split(SEPARATOR) for name in REPORT[4:]]
    words, kinds, offsets = cells
    if not len(words) == len(kinds) == len(offsets):
        raise CairnError("REVIEW_REPORT_WRONG", path=path, line=line, why="words, kinds and offsets differ in number")
    for kind in kinds:
        if kind not in CLASSIFICATIONS:
            raise CairnError("REVIEW_REPORT_WRONG", path=path, line=line, why="a kind is none of IsIdentifiable's")
    try:
        parts = tuple(Part(w, k, int(o)) for w, k, o in zip(words, kinds, offsets, strict=True))
    except ValueError:
        raise CairnError("REVIEW_REPORT_WRONG", path=path, line=line, why="an offset is no number") from None
    resource, key, column, value = (row[name] or "" for name in REPORT[:4])
    return Failure(resource, key, column, value, parts)
