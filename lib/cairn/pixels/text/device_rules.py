"""Device rules: where makers burn text into images, as sites collect them (``conf/device_rules.yaml``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cairn.dicom.dictionary import keywords
from cairn.errors import CairnError, nearest

REGIONS, SUSPECT, CLEAN = "regions", "suspect", "clean"
KINDS = (REGIONS, SUSPECT, CLEAN)
_TESTS = ("contains", "equals", "missing", "empty")
Header = Mapping[str, str | None]
"""Texts of the top level by keyword; None or absent: no such element."""


@dataclass(frozen=True)
class Condition:
    """One condition of a rule.

    Parameters
    ----------
    test : str
        ``contains`` (regular expression, any case), ``equals``, ``missing``, ``empty``.
    keyword : str
        Which element.
    value : str
        What it is held against.
    joined_by_or : bool
        Whether it is joined by `or` to what stands before it; otherwise by `and`.
    """

    test: str
    keyword: str
    value: str = ""
    joined_by_or: bool = False

    def holds(self, header: Header) -> bool:
        """Whether the header meets it."""
        said = header.get(self.keyword)
        if self.test == "missing":
            return said is None
        if self.test == "empty":
            return said == ""
        if not said:
            return False
        if self.test == "equals":
            return said.casefold() == self.value.casefold()
        return re.search(self.value, said, re.IGNORECASE) is not None


@dataclass(frozen=True)
class DeviceRule:
    """One rule; see ``conf/device_rules.yaml`` for the meaning of its parts."""

    label: str
    kind: str
    when: tuple[Condition, ...]
    regions: tuple[tuple[int, int, int, int], ...] = ()

    def holds(self, header: Header) -> bool:
        """Whether the header meets the conditions, read from left to right."""
        held = self.when[0].holds(header)
        for condition in self.when[1:]:
            held = held or condition.holds(header) if condition.joined_by_or else held and condition.holds(header)
        return held


def load_device_rules(path: Path) -> tuple[DeviceRule, ...]:
    """Read a file of rules.

    Parameters
    ----------
    path : Path
        YAML; see ``conf/device_rules.yaml``.

    Returns
    -------
    tuple of DeviceRule
        In the file's order.

    Raises
    ------
    CairnError
        DEVICE_RULES_WRONG: not readable, or a rule that says what it should not; names the rule.
    """
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
        rules = list(data["rules"] or ())
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        raise CairnError("DEVICE_RULES_WRONG", rule="the file", why="it is no YAML with a list 'rules'") from None
    return tuple(_rule(number, rule) for number, rule in enumerate(rules, start=1))


def _rule(number: int, data: Any) -> DeviceRule:
    label = str(data.get("label") or f"rule {number}") if isinstance(data, dict) else f"rule {number}"
    try:
        unknown = set(data) - {"label", "origin", "kind", "when", "regions"}
        if unknown:
            raise ValueError(f"unknown {min(unknown)!r}")
        if data["kind"] not in KINDS:
            raise ValueError(f"unknown kind; {nearest(str(data['kind']), KINDS)}")
        when = tuple(_condition(item) for item in data["when"])
        regions = tuple((int(x), int(y), int(w), int(h)) for x, y, w, h in data.get("regions", ()))
        if not when or (data["kind"] == REGIONS) != bool(regions):
            raise ValueError("a rule has conditions, and regions when its kind is regions")
        if any(min(region) < 0 for region in regions):
            raise ValueError("a region begins and reaches right of and below the corner")
    except (KeyError, TypeError, AttributeError, ValueError, re.error) as fault:
        raise CairnError("DEVICE_RULES_WRONG", rule=label, why=str(fault) or type(fault).__name__) from None
    return DeviceRule(label, data["kind"], when, regions)


def _condition(item: Mapping[str, Any]) -> Condition:
    ((test, told),) = item.items()
    if test == "or":
        made = _condition(told)
        return Condition(made.test, made.keyword, made.value, True)
    if test not in _TESTS:
        raise ValueError(f"unknown test {test!r}; {nearest(str(test), _TESTS)}")
    keyword, value = (told, "") if isinstance(told, str) else next(iter(told.items()))
    if keyword not in keywords():
        raise ValueError(f"unknown keyword {keyword!r}; {nearest(str(keyword), keywords())}")
    if test == "contains":
        re.compile(str(value))
    return Condition(test, str(keyword), str(value))


def keywords_of(rules: Sequence[DeviceRule]) -> set[str]:
    """Return the keywords that the rules look at."""
    return {condition.keyword for rule in rules for condition in rule.when}
