"""The profile compiled: what happens to an attribute, by which rule, and why.

A rule comes, the first that fits: from the site's profile; from the safe private elements; from Table E.1-1 with the
profile's options; for attributes that the table does not list, from what their VR can hold. What is unknown is removed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from pydicom.datadict import get_entry

from cairn.deid.profile import Profile, format_tag
from cairn.deid.table import Row, data_digest, profile_edition, profile_rows, safe_private_elements
from cairn.deid.unlisted import describing, identifying

ENGINE = 2
"""Raised when the same profile would give other bytes: part of the rule set's hash."""


class Action(IntEnum):
    """What is done to one element."""

    KEEP = 0  # byte for byte; a sequence's items are treated element by element
    REMOVE = 1
    EMPTY = 2
    DUMMY = 3
    UID = 4  # UIDs of the standard stay, all others are replaced
    SHIFT = 5  # dates and date-times move, times stay; what is none of them: see Rule.otherwise
    CLEAN = 6  # text is scrubbed; in a sequence, every text is
    PERSON = 7
    PSEUDONYM = 8
    AGE = 9
    COMPOUND = 10  # X/Z/D and the like: decided by the attribute's type in the IOD
    DOCUMENT = 11  # the file is withheld unless the profile admits the media type
    ICC = 12  # a colour profile without its texts


@dataclass(frozen=True)
class Rule:
    """What happens to an attribute.

    Parameters
    ----------
    action : Action
        What is done.
    otherwise : str
        Action of the Basic Profile (``X``, ``Z``, ``D``, ``X/Z/D`` …) for values that `action` cannot treat.
    source : str
        Which rule says so.
    reason : str
        Why.
    vr : str
        VR by which an element that carries none is read; empty: the dictionary's.
    """

    action: Action
    otherwise: str
    source: str
    reason: str
    vr: str = ""


_ICC_PROFILE = 0x00282000
_CLASS_UIDS = ("SOPClass", "TransferSyntax", "CodingScheme", "ContextUID", "MappingResourceUID")
_BY_VR = {
    "PN": (Action.DUMMY, "D", "a person's name"),
    "AE": (Action.DUMMY, "D", "names a system of the site"),
    "DA": (Action.SHIFT, "X/Z/D", "a date"),
    "DT": (Action.SHIFT, "X/Z/D", "a date"),
    "TM": (Action.SHIFT, "X/Z/D", "a time"),
    "UI": (Action.UID, "U", "may name an instance"),
    "LT": (Action.CLEAN, "X/Z/D", "free text"),
    "ST": (Action.CLEAN, "X/Z/D", "free text"),
    "UT": (Action.CLEAN, "X/Z/D", "free text"),
    "UR": (Action.DUMMY, "X/Z/D", "leads to a place of the site"),
}
_SIMPLE = {"X": Action.REMOVE, "Z": Action.EMPTY, "D": Action.DUMMY, "U": Action.UID}


class RuleSet:
    """A profile, compiled.

    Parameters
    ----------
    profile : Profile
        Options and the site's own rules.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        rows = profile_rows()
        self._rows = {int(row.pattern, 16): row for row in rows if _is_hexadecimal(row.pattern)}
        self._curves = next(row for row in rows if row.pattern.startswith("50xx"))
        self._overlays = next(row for row in rows if row.pattern.startswith("60xx"))
        self._private = next(row for row in rows if row.pattern == "private")
        self._overrides = {override.number: override for override in profile.overrides}
        self._safe = safe_private_elements() if "safe_private" in profile.options else {}
        for own in profile.private:
            self._safe = {**self._safe, own.key: (own.vr, own.reason)}
        self._safe_creators = frozenset(creator for creator, _, _ in self._safe)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of everything that decides: tables, profile, engine. The same rules, the same digest."""
        content = {"engine": ENGINE, "tables": data_digest(), "profile": self.profile.model_dump(mode="json")}
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def has_safe(self, creator: str) -> bool:
        """Whether any private element of a creator stays."""
        return creator in self._safe_creators

    def rule(self, tag: int, creator: str | None = None) -> Rule:
        """Return the rule for an attribute.

        Parameters
        ----------
        tag : int
            Group and element.
        creator : str, optional
            Private creator of the element's block; None when there is none.
        """
        own = self._overrides.get(tag)
        if own is not None:
            row = self._rows.get(tag)
            return Rule(
                Action[own.action.upper()], row.basic if row else "X", f"profile {self.profile.name}", own.reason
            )
        group, element = tag >> 16, tag & 0xFFFF
        if group & 1:
            return self._private_rule(group, element, creator)
        if group == 0x0004 and element:
            return _directory_rule(tag)
        if element == 0 or group in (0x0000, 0x0002, 0xFFFE):
            return Rule(Action.REMOVE, "X", "PS3.5 7.2, PS3.10 7.1", "made anew or out of place in a data set")
        if 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF:
            row = self._curves if group < 0x6000 else self._overlays
            return Rule(Action.REMOVE, "X", _source(row), "drawings may show text; the whole group goes with them")
        row = self._rows.get(tag)
        return self._unlisted(tag) if row is None else self._listed(tag, row)

    def _private_rule(self, group: int, element: int, creator: str | None) -> Rule:
        found = self._safe.get((creator, group, element & 0xFF)) if creator and element >= 0x1000 else None
        if found is None:
            return Rule(Action.REMOVE, "X", _source(self._private), "nobody can tell what a private element holds")
        vr, meaning = found
        action = Action.KEEP if vr not in _BY_VR else _BY_VR[vr][0]
        return Rule(action, "X", "PS3.15 Table E.3.10-1 or profile", f"safe private element: {meaning}", vr)

    def _listed(self, tag: int, row: Row) -> Rule:
        if tag == 0x00420011:
            return Rule(Action.DOCUMENT, "D", _source(row), "a document can show anything")
        enabled = {name: mark for name, mark in row.options.items() if name in self.profile.options}
        cleaned = [name for name, mark in enabled.items() if mark == "C"]
        if "modified_dates" in cleaned and "full_dates" not in enabled:
            return Rule(Action.SHIFT, row.basic, _source(row, "modified_dates"), f"a date or time: {row.name}")
        if any(name in cleaned for name in ("clean_structured_content", "clean_graphics")):
            return Rule(Action.KEEP, row.basic, _source(row, *cleaned), "each item is treated element by element")
        if cleaned:
            return Rule(Action.CLEAN, row.basic, _source(row, *cleaned), "text without what identifies")
        if enabled:
            return Rule(Action.KEEP, row.basic, _source(row, *enabled), "the option retains it")
        if row.basic == "X/Z/U*":
            return Rule(Action.KEEP, row.basic, _source(row), "references stay, with the new UIDs")
        return Rule(_SIMPLE.get(row.basic, Action.COMPOUND), row.basic, _source(row), f"identifying: {row.name}")

    def _unlisted(self, tag: int) -> Rule:
        source = f"not in E.1-1 {profile_edition()}"
        try:
            vr, _, _, _, keyword = get_entry(tag)
        except KeyError:
            return Rule(Action.REMOVE, "X", source, "unknown to the dictionary")
        if tag == _ICC_PROFILE:
            return Rule(Action.ICC, "X", source, "colours stay, texts within the colour profile go")
        if tag in identifying():
            return Rule(Action.COMPOUND, "X/Z/D", source, "its name says that it identifies")
        if tag in describing():
            return Rule(Action.CLEAN, "X/Z/D", source, "a description that somebody typed")
        if vr == "UI" and any(word in keyword for word in _CLASS_UIDS):
            return Rule(Action.KEEP, "X", source, "names a kind of thing, not an instance")
        if vr in _BY_VR:
            action, otherwise, why = _BY_VR[vr]
            if action == Action.SHIFT and not {"modified_dates", "full_dates"} & self.profile.options:
                action = Action.COMPOUND
            if action == Action.SHIFT and "full_dates" in self.profile.options:
                action = Action.KEEP
            return Rule(action, otherwise, source, why)
        return Rule(Action.KEEP, "X", source, "says how the image was made")


_DIRECTORY = {
    Action.KEEP: frozenset({0x1200, 0x1202, 0x1212, 0x1220, 0x1400, 0x1410, 0x1420, 0x1430, 0x1510, 0x1512, 0x151A}),
    Action.UID: frozenset({0x1432, 0x1511}),
    Action.DUMMY: frozenset({0x1500}),
    Action.EMPTY: frozenset({0x1130}),
}


def _directory_rule(tag: int) -> Rule:
    """Return the rule for an element of a DICOMDIR (PS3.3 F.3): its structure stays, names of files go."""
    action = next((action for action, elements in _DIRECTORY.items() if tag & 0xFFFF in elements), Action.REMOVE)
    return Rule(action, "X", "PS3.3 F.3", "the index stays an index, without what names files and file sets")


def decide_compound(code: str, attribute_type: str | None) -> Action:
    """Return what a compound action means for an attribute of a type (PS3.15 E.1, Table E.1-1a).

    Parameters
    ----------
    code : str
        Such as ``X/Z/D``; a simple code gives its own action.
    attribute_type : str or None
        ``1``, ``1C``, ``2``, ``2C``, ``3``; None (unknown) takes the strictest: a dummy keeps the file valid anyway.
    """
    choices = [part for part in code.split("/") if part in _SIMPLE]
    order = {"3": "XZD", "2": "ZDX", "2C": "ZDX"}.get(attribute_type or "1", "DZX")
    return _SIMPLE[next((letter for letter in order if letter in choices), choices[0] if choices else "X")]


def explain(rules: RuleSet, tag: int, creator: str | None = None) -> str:
    """Return in a few lines what happens to a tag, by which rule, and why."""
    rule = rules.rule(tag, creator)
    try:
        vr, _, name, _, _ = get_entry(tag)
    except KeyError:
        vr, name = rule.vr or "UN", "private element" if tag >> 16 & 1 else "unknown to the dictionary"
    lines = [f"{format_tag(tag)} {name}, {vr}", f"action: {rule.action.name.lower()}"]
    if rule.action == Action.COMPOUND:
        decided = {kind: decide_compound(rule.otherwise, kind).name.lower() for kind in ("1", "2", "3")}
        lines += [f"  {kind} in the IOD: {action}" for kind, action in decided.items()]
        lines.append(f"  type unknown: {decide_compound(rule.otherwise, None).name.lower()}")
    elif rule.action in (Action.SHIFT, Action.CLEAN, Action.AGE):
        lines.append(f"  a value that is none: {rule.otherwise} of the Basic Profile")
    return "\n".join([*lines, f"rule: {rule.source}", f"why: {rule.reason}", f"rule set: {rules.digest}"])


def _is_hexadecimal(text: str) -> bool:
    return all(letter in "0123456789abcdef" for letter in text)


def _source(row: Row, *options: str) -> str:
    chosen = f", option {', '.join(options)}" if options else ""
    return f"PS3.15 {profile_edition()} E.1-1, {row.name}: {row.basic}{chosen}"
