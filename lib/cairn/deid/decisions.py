"""What is done to an element, decided once per tag and VR and then looked up by the bytes of its header.

The rewriter meets the same few hundred kinds of elements in every file. A :class:`Node` remembers, for one encoding and
one way of treating, the decision for each: one look-up in a dict per element is all that reading a header costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pydicom._dicom_dict import DicomDictionary

from cairn.deid.encoding import HEADER_BYTES, IMPLICIT, LONG, SHORT, Encoding
from cairn.deid.rules import Action, Rule, RuleSet
from cairn.dicom.dictionary import LONG_LENGTH, VR


class Kind(IntEnum):
    """How the walk goes on at an element."""

    KEEP = 0
    DROP = 1
    VALUE = 2  # to be treated once the file's identity is known
    SEQUENCE = 3
    CREATOR = 4
    PRIVATE = 5
    CHARSET = 6
    DELIMITER = 7
    PIXELS = 8
    NUMBER = 9  # kept if it is one


class Mode(IntEnum):
    """How the elements within a sequence are treated."""

    NORMAL = 0
    CLEAN = 1  # every text is scrubbed
    DUMMY = 2  # every value is replaced


@dataclass(frozen=True)
class Step:
    """The decision for one kind of element.

    Parameters
    ----------
    tag : int
        Group and element.
    vr : str
        VR by which its value is read.
    form : int
        Form of its header (:mod:`cairn.deid.encoding`).
    action : Action
        What is done.
    rule : Rule
        By which rule.
    mode : Mode
        For a sequence: how what is in it is treated.
    identity : bool
        Whether its value is collected: it identifies the person, or rules depend on it.
    """

    tag: int
    vr: str
    form: int
    action: Action
    rule: Rule
    mode: Mode
    identity: bool


Decision = tuple[int, int, int, int, Step]
"""Kind, form and header bytes, the tag, and the step."""

FREE_TEXT = frozenset({"LO", "SH", "ST", "LT", "UT", "UC"})
TEXT = FREE_TEXT | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "PN", "TM", "UI", "UR"}
_BY_FILE_VR = {
    "PN": Action.DUMMY, "DA": Action.SHIFT, "DT": Action.SHIFT, "TM": Action.SHIFT, "UI": Action.UID,
    "AE": Action.DUMMY, "UR": Action.DUMMY,
}  # fmt: skip
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_ITEM_END = 0xFFFEE00D
OFFSETS = frozenset({0x00041200, 0x00041202, 0x00041400, 0x00041420})
"""Of a DICOMDIR: places in the file, which change with it (PS3.3 F.3.2.2)."""

MARKERS = (0x00120062, 0x00120063, 0x00120064, 0x00280303)
_CODE_SCHEME = frozenset({0x00080102, 0x00080103, 0x0008010C})
_AMBIGUOUS = {"US or SS": "US", "OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW"}
_IDENTITY = frozenset({
    0x00080050, 0x00080080, 0x00080081, 0x00081010, 0x00100020, 0x00100021, 0x00100030, 0x00101000, 0x00101040,
    0x00101090, 0x00101050, 0x00102154, 0x00102155, 0x00181000, 0x00200010, 0x00321020, 0x00380010, 0x00402016,
    0x00402017, 0x00401001, 0x00380060, 0x00120040, 0x00080020, 0x00080021, 0x00080022, 0x00080023,
})  # fmt: skip
SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
PATIENT_ID, ISSUER, MEDIA_TYPE = 0x00100020, 0x00100021, 0x00420012
OVERLAY_BIT = 0x60000102
"""Overlay Bit Position (60xx,0102), of any overlay group."""

_FACTS = frozenset({SOP_CLASS, SOP_INSTANCE, STUDY, SERIES, MEDIA_TYPE})
"""Collected too: not identifying in themselves, but what the rules depend on."""

_MOST = 100_000


def dictionary_vr(tag: int) -> str | None:
    """Return the VR that the public dictionary gives a tag, one of its two where it is ambiguous; None: unknown."""
    entry = DicomDictionary.get(tag)
    if entry is None:
        return None
    vr = str(entry[0])
    return _AMBIGUOUS.get(vr, vr if vr in VR else "UN")


class Node:
    """The decisions for one encoding and mode.

    Parameters
    ----------
    rules : RuleSet
        What to do.
    encoding : Encoding
        How elements are written.
    mode : Mode
        How they are treated.
    strict : bool
        Whether kept texts are looked at too: for files in which a kept value holds an identifying one.
    """

    def __init__(self, rules: RuleSet, encoding: Encoding, mode: Mode, strict: bool) -> None:
        self.encoding = encoding
        self.mode = mode
        self.strict = strict
        self.memo: dict[bytes, Decision] = {}
        self._rules = rules
        self._private: dict[tuple[int, str, str], Step] = {}

    def decide(self, key: bytes) -> Decision:
        """Return the decision for an element whose header begins with `key`, and remember it."""
        if len(self.memo) > _MOST:  # hostile files bring new tags for ever
            self.memo.clear()
        found = self.memo[key] = self._decide(key)
        return found

    def _decide(self, key: bytes) -> Decision:
        u16 = self.encoding.u16
        tag = u16.unpack_from(key)[0] << 16 | u16.unpack_from(key, 2)[0]
        vr, form = self._vr(tag, key[4:])
        step = self._step(tag, vr, form)
        return self._kind(step), form, HEADER_BYTES[form], tag, step

    def _vr(self, tag: int, written: bytes) -> tuple[str, int]:
        """Return the VR as written (``""``: none, ``"??"``: no VR of the standard) and the header's form."""
        if self.encoding.implicit or tag >> 16 == 0xFFFE:
            return "", IMPLICIT
        name = written.decode("latin-1")
        if name in VR:
            return name, LONG if name in LONG_LENGTH else SHORT
        if b"AA" <= written <= b"ZZ" and name.isalpha() and name.isupper():
            return "??", SHORT  # as pydicom and the header kernel read it
        return "", IMPLICIT

    def _step(self, tag: int, written: str, form: int) -> Step:
        rule = self._rules.rule(tag)
        known = dictionary_vr(tag)
        vr = known or "UN" if written in ("", "UN") else written
        action = rule.action
        if written == "??":
            action = Action.REMOVE
        elif known is not None and written not in ("", "UN", known):
            action = _mismatch(rule, written, known)
        action = self._in_mode(action, tag, vr)
        mode = Mode.DUMMY if action in (Action.DUMMY, Action.COMPOUND) else Mode.NORMAL
        if action == Action.CLEAN:
            mode = Mode.CLEAN
        identity = vr == "PN" or tag in _IDENTITY or tag in _FACTS or tag & 0xFF00FFFF == OVERLAY_BIT
        return Step(tag, vr, form, action, rule, Mode(max(mode, self.mode)), identity)

    def _in_mode(self, action: Action, tag: int, vr: str) -> Action:
        if vr == "SQ" or action not in (Action.KEEP, Action.CLEAN):
            return action
        if self.mode == Mode.DUMMY and tag != 0x00080005:
            return Action.DUMMY
        if self.mode == Mode.CLEAN and vr in FREE_TEXT and tag not in _CODE_SCHEME:
            return Action.CLEAN
        return action

    def _kind(self, step: Step) -> int:
        tag, group = step.tag, step.tag >> 16
        if tag == _ITEM_END:
            return Kind.DELIMITER
        if group & 1:
            return Kind.CREATOR if 0x10 <= tag & 0xFFFF < 0x100 else Kind.PRIVATE
        if tag in _PIXELS:
            return Kind.PIXELS
        if tag == 0x00080005:
            return Kind.CHARSET
        if tag in MARKERS:
            return Kind.DROP
        if step.vr == "SQ":
            return Kind.SEQUENCE
        if step.identity or tag in OFFSETS:
            return Kind.VALUE
        if step.action == Action.KEEP and step.vr in ("DS", "IS", "UI") and not self.strict:
            return Kind.NUMBER
        if step.action == Action.KEEP:
            return Kind.VALUE if self.strict and step.vr != "SQ" else Kind.KEEP
        if step.action == Action.REMOVE:
            return Kind.VALUE if step.rule.source.startswith("PS3.15") and group not in (0x5000, 0x6000) else Kind.DROP
        return Kind.VALUE

    def private_step(self, tag: int, written: str, creator: str) -> Step | None:
        """Return the step for a safe private element; None when it goes."""
        key = (tag, written, creator)
        if key not in self._private:
            rule = self._rules.rule(tag, creator)
            form = IMPLICIT if self.encoding.implicit else LONG if written in LONG_LENGTH else SHORT
            if len(self._private) > _MOST:
                self._private.clear()
            # A VR other than the published one means that something else lies there.
            action = rule.action if written in ("", "UN", rule.vr) and self.mode == Mode.NORMAL else Action.REMOVE
            self._private[key] = Step(tag, rule.vr, form, action, rule, Mode.NORMAL, False)
        step = self._private[key]
        return None if step.action == Action.REMOVE else step


def _mismatch(rule: Rule, written: str, known: str) -> Action:
    """Return what is done where a file gives an attribute another VR than the dictionary."""
    if rule.action != Action.KEEP or written == known:
        return rule.action
    if (written == "SQ") != (known == "SQ"):
        return Action.REMOVE
    if written in FREE_TEXT:
        return Action.KEEP if written in ("LO", "SH", "UC") and known in FREE_TEXT | {"CS"} else Action.CLEAN
    if written in _BY_FILE_VR:
        return _BY_FILE_VR[written]
    if written in TEXT:
        return Action.KEEP if known in TEXT else Action.CLEAN
    return Action.REMOVE if known in TEXT else Action.KEEP
