"""What is done to one value: the actions of PS3.15 E.1 on bytes."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydicom import charset as pydicom_charset
from pydicom._uid_dict import UID_dictionary

from cairn.deid.decisions import FREE_TEXT, TEXT
from cairn.deid.encoding import dummy, padded
from cairn.deid.icc import without_texts
from cairn.deid.identity import OwnTokens
from cairn.deid.plan import Pending, Withheld
from cairn.deid.pseudonyms import Pseudonyms, shift_date
from cairn.deid.rules import Action, decide_compound
from cairn.deid.suspicion import suspicious as suspicious
from cairn.deid.table import attribute_type
from cairn.deid.walk import NUMERIC
from cairn.dicom.charset import decode_text, encodings_of

_DA = re.compile(r"(\d{4})(\.?)(\d{2})\2(\d{2})")
_DT = re.compile(r"(\d{4})(\d{2})?(\d{2})?((?<=\d{8})\d{2,6}(?:\.\d{1,6})?)?([+-]\d{4})?")
_TM = re.compile(rb"\d{2}(:?\d{2}(:?\d{2}(\.\d{1,6})?)?)?")
_AGE = re.compile(r"(\d{1,3})([DWMY]?)", re.IGNORECASE)
_ONE_VALUE = frozenset({"ST", "LT", "UT", "UR"})
_NUMBERS = frozenset({"DS", "IS", "DA", "TM", "DT", "AS", "UI"})
_BYTES = frozenset({"OB", "OW", "UN"})
_OLDEST = 89
_MOST_DECIDED = 100_000
_LONGEST_REMEMBERED = 256


DIRECTORY_CLASS = "1.2.840.10008.1.3.10"


class Scrubbed(Protocol):
    """What a scrubber returns."""

    @property
    def text(self) -> str:
        """The text without what identifies."""


class Scrubber(Protocol):
    """Removes what identifies from one text."""

    def scrub(self, text: str, own: Any, kind: str) -> Scrubbed:
        """Scrub one text.

        Parameters
        ----------
        text : str
            One value.
        own : Any
            The file's own identifying values.
        kind : str
            ``descriptor`` for short ones, ``prose`` for long ones.
        """


@dataclass(frozen=True)
class Nothing:
    """No text at all."""

    text: str = ""


class ClosedScrubber:
    """Lets no text pass: for use where there is no better one."""

    def scrub(self, text: str, own: Any, kind: str) -> Scrubbed:
        """Return nothing."""
        return Nothing()


@dataclass(frozen=True)
class Subject:
    """Whose values are treated.

    Parameters
    ----------
    person_id : str
        The pseudonym.
    days : int
        Shift of the dates.
    own : Any
        The scrubber's own values.
    tokens : OwnTokens
        For kept values.
    person : str
        Whose they are, really.
    made : dict
        New values by SOP class and old value, remembered from file to file.
    """

    person_id: str
    days: int
    own: Any
    tokens: OwnTokens
    person: str = field(repr=False)
    made: dict[str, dict[Any, bytes | None]] = field(default_factory=dict, compare=False)


class Treatment:
    """Treats the values of one file.

    Parameters
    ----------
    pseudonyms : Pseudonyms
        For persons, UIDs, names of things.
    scrub : callable
        (value, character set, VR, subject) → text or None when nothing changed; memoised by the rewriter.
    subject : Subject
        Whose file it is.
    sop_class : str
        SOP Class UID, which decides compound actions.
    admitted : bool
        Whether an encapsulated document may pass.
    person_of : callable
        The pseudonym that a PatientID stands for.
    decided : dict
        Remembers, from file to file, what types of attributes decided.
    """

    def __init__(
        self, pseudonyms: Pseudonyms, scrub: Callable[[bytes, bytes, str, Subject], bytes | None], subject: Subject,
        sop_class: str, admitted: bool, person_of: Callable[[bytes], str],
        decided: dict[tuple[str, tuple[int, ...], int, int], Action],
    ) -> None:  # fmt: skip
        self._pseudonyms = pseudonyms
        self._scrub = scrub
        self._subject = subject
        self._sop_class = sop_class
        self._admitted = admitted
        self._person_of = person_of
        self._decided = decided
        self._made = subject.made.setdefault(sop_class, {})
        self.is_directory = sop_class == DIRECTORY_CLASS
        self.found_own = False

    def decide(self, pending_step: Any, path: tuple[int, ...]) -> Action:
        """Return the action for an element: compound ones by its type, and what the IOD requires is not removed."""
        action: Action = pending_step.action
        if action not in (Action.COMPOUND, Action.REMOVE):
            return action
        key = (self._sop_class, path, pending_step.tag, int(action))
        found = self._decided.get(key)
        if found is None:
            if len(self._decided) > _MOST_DECIDED:  # unknown SOP classes and places come without end
                self._decided.clear()
            found = self._decided[key] = self._by_type(pending_step, path)
        return found

    def _by_type(self, pending_step: Any, path: tuple[int, ...]) -> Action:
        action: Action = pending_step.action
        if action == Action.COMPOUND:
            kind = self._type(pending_step.tag, path)
            if pending_step.vr == "SQ" and kind in ("1C", "2C", None) and "X" in pending_step.rule.otherwise:
                kind = "3"  # what is not always there need not be: a sequence of dummies would say something wrong
            return decide_compound(pending_step.rule.otherwise, kind)
        if action == Action.REMOVE and pending_step.rule.source.startswith("PS3.15"):
            kind = self._type(pending_step.tag, path)
            return Action.DUMMY if kind == "1" else Action.EMPTY if kind == "2" else action
        return action

    def _type(self, tag: int, path: tuple[int, ...]) -> str | None:
        return attribute_type(self._sop_class, (*path, tag))

    def value(self, pending: Pending, raw: bytes) -> bytes | None:
        """Return the new value of an element; `raw` itself when nothing changes, None when it goes.

        Raises
        ------
        Withheld
            DEID_DOCUMENT.
        """
        step = pending.step
        if step.action == Action.KEEP or step.action == Action.DOCUMENT or len(raw) > _LONGEST_REMEMBERED:
            return self._decided_value(pending, raw)
        # Of one series nearly all values are the same in every instance.
        key = (step.tag, step.vr, int(step.action), pending.path, pending.charset, raw)
        made = self._made.get(key, raw)
        if made is raw and key not in self._made:
            if len(self._made) > _MOST_DECIDED:
                self._made.clear()
            made = self._made[key] = self._decided_value(pending, raw)
        return made

    def _decided_value(self, pending: Pending, raw: bytes) -> bytes | None:
        action = self.decide(pending.step, pending.path)
        if action == Action.REMOVE:
            return None
        if not raw.strip(b" \0"):
            return raw if pending.step.vr in TEXT or not raw else self._act(action, pending, raw)
        return self._act(action, pending, raw)

    def _act(self, action: Action, pending: Pending, raw: bytes) -> bytes | None:
        vr = pending.step.vr
        if self.is_directory and action == Action.EMPTY:
            action = (
                Action.DUMMY
            )  # keys of directory records are required (PS3.3 F.5), and PS3.15 knows no types of them
        if action == Action.KEEP:
            return self._kept(pending, raw)
        if action == Action.EMPTY:
            return b""
        if action == Action.DUMMY:
            return self._uids(raw) if vr == "UI" else dummy(vr, len(raw))
        if action == Action.UID:
            return self._uids(raw)
        if action == Action.PERSON:
            return padded(self._person_of(raw).encode(), vr)
        if action == Action.PSEUDONYM:
            text = raw.decode("latin-1")
            return padded(self._pseudonyms.code(text, f"{pending.step.tag:08x}").encode(), vr)
        if action == Action.DOCUMENT:
            if not self._admitted:
                raise Withheld("DEID_DOCUMENT")
            return raw
        made = self._transformed(action, pending, raw)
        return self._otherwise(pending, raw) if made is None else made

    def _transformed(self, action: Action, pending: Pending, raw: bytes) -> bytes | None:
        """Return a shifted, cleaned or generalised value; None when the value is none that this could be done to."""
        vr = pending.step.vr
        if action == Action.SHIFT:
            if self.is_directory:
                return None  # its records are of many persons, and each has a shift of their own
            return shifted(raw, vr, self._subject.days)
        if action == Action.AGE:
            return generalised_age(raw)
        if action == Action.ICC:
            return without_texts(raw)
        if vr not in FREE_TEXT and vr != "CS":
            return None
        made = self._scrub(raw, pending.charset, vr, self._subject)
        return raw if made is None else made or None

    def _otherwise(self, pending: Pending, raw: bytes) -> bytes | None:
        # What is kept elsewhere is treated here because of its place or its VR: there it may be required.
        code = "X/Z/D" if pending.step.rule.action == Action.KEEP else pending.step.rule.otherwise
        action = decide_compound(code, self._type(pending.step.tag, pending.path))
        if action == Action.REMOVE:
            return None
        return self._act(action, pending, raw)

    def _uids(self, raw: bytes) -> bytes:
        parts = raw.decode("latin-1").split("\\")
        made = [self._new_uid(part.strip(" \0")) for part in parts]
        if all(new == part.strip(" \0") for new, part in zip(made, parts, strict=True)):
            return raw
        return padded("\\".join(made).encode("latin-1"), "UI")

    def _new_uid(self, uid: str) -> str:
        return uid if not uid or uid in UID_dictionary else self._pseudonyms.uid(uid)

    def _kept(self, pending: Pending, raw: bytes) -> bytes | None:
        """Return a value that no rule acts on, without the own values that it may hold (strict walk only)."""
        vr = pending.step.vr
        if vr in ("DS", "IS", "UI") and not NUMERIC.fullmatch(raw):
            return None
        if vr == "AS":  # a selector's, which an option retains
            return generalised_age(raw)
        if vr in _NUMBERS:
            return raw
        if vr not in TEXT and vr not in _BYTES:
            return raw
        if not self._subject.tokens.found(raw) and not (vr in FREE_TEXT and suspicious(raw)):
            return raw
        if vr not in TEXT:
            self.found_own = True
            return None
        made = self._scrub(raw, pending.charset, vr, self._subject)
        self.found_own |= made is not None
        return raw if made is None else made


def shifted(raw: bytes, vr: str, days: int) -> bytes | None:
    """Return DA and DT values moved by `days`, and TM values as they are; None when one of them is malformed.

    A date-time without a day is moved as the middle of its month or year.
    """
    if vr == "TM":
        parts = [part.strip(b" \0") for part in raw.split(b"\\")]
        return raw if all(not part or _TM.fullmatch(part) for part in parts) else None
    if vr not in ("DA", "DT"):
        return None
    move = _moved_da if vr == "DA" else _moved_dt
    made = []
    for part in raw.decode("latin-1").split("\\"):
        text = part.strip(" \0")
        new = move(text, days) if text else ""
        if new is None:
            return None
        made.append(new)
    return padded("\\".join(made).encode("ascii"), vr)


def _moved_da(text: str, days: int) -> str | None:
    found = _DA.fullmatch(text)
    moved = _moved(found[1], found[3], found[4], days) if found else None
    if found is None or moved is None:
        return None
    return found[2].join((f"{moved.year:04d}", f"{moved.month:02d}", f"{moved.day:02d}"))


def _moved_dt(text: str, days: int) -> str | None:
    found = _DT.fullmatch(text)
    if found is None:
        return None
    moved = _moved(found[1], found[2] or "07", found[3] or "15", days)
    if moved is None:
        return None
    date = f"{moved.year:04d}{moved.month:02d}{moved.day:02d}"
    size = 4 + 2 * bool(found[2]) + 2 * bool(found[3])
    return date[:size] + (found[4] or "") + (found[5] or "")


def _moved(year: str, month: str, day: str, days: int) -> datetime.date | None:
    try:
        return shift_date(datetime.date(int(year), int(month), int(day)), days)
    except ValueError:
        return None


def generalised_age(raw: bytes) -> bytes | None:
    """Return an age (AS), with everything over 89 years as ``090Y``; None when it is malformed."""
    found = _AGE.fullmatch(raw.decode("latin-1").strip(" \0"))
    if found is None:
        return None
    years = int(found[1]) / {"D": 365.25, "W": 52.18, "M": 12}.get(found[2].upper(), 1)
    return b"090Y" if years > _OLDEST else raw


def scrubbed(raw: bytes, declared: bytes, vr: str, scrubber: Scrubber, own: Any) -> bytes | None:
    """Return a text value without what identifies, in its own character set; None when nothing changes.

    Parameters
    ----------
    raw : bytes
        The value as stored.
    declared : bytes
        Specific Character Set (0008,0005) that governs it.
    vr : str
        Its VR.
    scrubber : Scrubber
        What removes.
    own : Any
        The file's own values.
    """
    text = decode_text(raw, declared, vr in FREE_TEXT)[0].rstrip(" \0")
    parts = [text] if vr in _ONE_VALUE else text.split("\\")
    kind = "prose" if vr in _ONE_VALUE else "descriptor"
    made = [scrubber.scrub(part, own, kind).text if part.strip() else part for part in parts]
    if made == parts:
        return None
    result = "\\".join(made).strip(" \0")
    return padded(_encoded(result, declared), vr) if result.strip("\\ ") else b""


def _encoded(text: str, declared: bytes) -> bytes:
    if text.isascii():
        return text.encode("ascii")
    encodings = list(encodings_of(declared)) or ["iso8859-1"]
    try:
        return bytes(pydicom_charset.encode_string(text, encodings))
    except (UnicodeError, LookupError, ValueError):
        return text.encode("ascii", "replace")
