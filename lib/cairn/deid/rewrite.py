"""The file rewriter: a DICOM file's bytes in, the de-identified file's bytes out.

The bytes are walked once (:mod:`cairn.deid.walk`); what the rules keep is passed on as ranges of the original, pixel
data among them, and only values that a rule acts on are made anew (:mod:`cairn.deid.values`). The result depends on the
bytes, the rule set and the keys alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from pydicom._uid_dict import UID_dictionary

from cairn.deid.decisions import MEDIA_TYPE, OVERLAY_BIT, PATIENT_ID, SERIES, SOP_CLASS, SOP_INSTANCE, STUDY
from cairn.deid.emit import Buffer, Emission, inserted_elements
from cairn.deid.identity import OwnTokens, PersonOf, chi_of, numbers_in, person_key, person_of
from cairn.deid.part10 import Opened, explicit_pixels, file_meta, open_file
from cairn.deid.plan import Doubtful, Plan, TooDeep, Withheld
from cairn.deid.pseudonyms import Pseudonyms
from cairn.deid.rules import Action, RuleSet
from cairn.deid.values import ClosedScrubber, Scrubber, Subject, Treatment, scrubbed, suspicious
from cairn.deid.walk import Nodes, Walk
from cairn.dicom.charset import decode_text
from cairn.dicom.fallback import canonical
from cairn.dicom.kernel import Hole

__all__ = ["ENGINE_RELEASE", "Kept", "Refused", "Rewriter"]

ENGINE_RELEASE = 3
"""Raised by hand when the same bytes under the same rules and keys give another file, or another person: decided anew.

2: PatientID with several values is the one CHI among them, or refused.
3: refused too where its first value leads to somebody else than a CHI behind it.
"""

_VERSION = "CAIRN"
_REMEMBERED = 100_000
_SUBJECTS = 4096
_VECTORS = 512
_UID = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True)
class Kept:
    """A de-identified file.

    Attributes
    ----------
    parts : tuple of bytes or memoryview
        The new file, piece by piece; ranges of the original are not copied.
    pixels_at : int
        Where its pixel data element begins; its end when it has none.
    header_parts : int
        How many parts lie before it.
    holes : tuple of Hole
        Long values left out of it, when some were left out of what came in.
    person_id, study_instance_uid, series_instance_uid, sop_instance_uid : str
        The new identifiers, for names and joins.
    findings : tuple of str
        Codes of :data:`cairn.errors.CONDITIONS`.
    person, instance : str
        Real values, for the identifiable zone only, and not in the representation: whose file it is, and what
        `sop_instance_uid` stands for (the old one; of a file without it, its header's hash).
    """

    parts: tuple[Buffer, ...]
    pixels_at: int
    header_parts: int
    holes: tuple[Hole, ...]
    person_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    findings: tuple[str, ...]
    person: str = field(repr=False)
    instance: str = field(repr=False)

    def tobytes(self) -> bytes:
        """Return the new file as one."""
        return b"".join(self.parts)

    def write_to(self, descriptor: int) -> None:
        """Write the new file to an open file descriptor without copying the pixel data.

        Raises
        ------
        OSError
            As :func:`os.write` does.
        """
        left: list[Buffer] = list(self.parts)
        while left:
            done = os.writev(descriptor, left[:_VECTORS])
            while left and done >= len(left[0]):
                done -= len(left.pop(0))
            if left and done:
                left[0] = memoryview(left[0])[done:]


@dataclass(frozen=True)
class Refused:
    """A file that does not leave.

    Parameters
    ----------
    code : str
        Why: a code of :data:`cairn.errors.CONDITIONS`.
    """

    code: str


class Rewriter:
    """De-identifies files, one after the other.

    Parameters
    ----------
    rules : RuleSet
        The compiled profile.
    pseudonyms : Pseudonyms
        Made of the keys.
    scrubber : Scrubber, optional
        For free text; without one no free text passes.
    own_values : callable, optional
        Makes the scrubber's own values of the file's identifying ones, ``{keyword or tag: [texts]}``.
    person_of : PersonOf, optional
        What a PatientID means; by default a CHI is itself.
    max_depth : int
        Deepest nesting of sequences.
    inflated_limit_bytes : int
        Most bytes that a deflated data set may have.
    """

    def __init__(
        self, rules: RuleSet, pseudonyms: Pseudonyms, scrubber: Scrubber | None = None,
        own_values: Callable[[Mapping[int, Sequence[str]]], Any] | None = None, person_of: PersonOf = person_of,
        max_depth: int = 200, inflated_limit_bytes: int = 1 << 30,
    ) -> None:  # fmt: skip
        self._rules = rules
        self._pseudonyms = pseudonyms
        self._scrubber: Scrubber = scrubber or ClosedScrubber()
        self._own_values = own_values or dict
        self._person_of = person_of
        self._max_depth = max_depth
        self._inflated_limit = inflated_limit_bytes
        self._nodes = Nodes(rules)
        self._subjects: dict[tuple[str, tuple[tuple[int, bytes, bytes], ...]], Subject] = {}
        self._texts: dict[tuple[int, bytes, bytes, str], bytes | None] = {}
        self._inserted = {clean: inserted_elements(rules, clean) for clean in (False, True)}
        self._clean_pixels = False
        self._decided: dict[tuple[str, tuple[int, ...], int, int], Action] = {}
        self._admitted = frozenset(entry.media_type for entry in rules.profile.admit_documents)

    def __call__(
        self, data: bytes, person: str | None = None, holes: Iterable[Hole] = (), clean_pixels: bool = False
    ) -> Kept | Refused:
        """De-identify one file, or one header.

        Parameters
        ----------
        data : bytes
            The file; or its bytes up to the pixel data.
        person : str, optional
            Whose it is, where the caller knows better than the PatientID in it.
        holes : iterable of Hole
            Long values left out of a header (:class:`cairn.dicom.kernel.Hole`).
        clean_pixels : bool
            Whether text was removed from its pixels (:mod:`cairn.pixels.redaction`); the new header then says so.

        Returns
        -------
        Kept or Refused
            Never an exception for what a file holds.
        """
        data = bytes(data)
        left_out = {hole.offset: hole for hole in holes}
        self._clean_pixels = clean_pixels
        try:
            try:
                return self._made(open_file(data, self._inflated_limit), person, left_out)
            except TooDeep:
                return Refused("HEADER_TOO_DEEP")
            except Doubtful:
                if left_out:
                    raise  # pydicom knows nothing of holes
                made = self._made(self._by_pydicom(data), person, {})
                return replace(made, findings=(*made.findings, "PARSED_BY_PYDICOM"))
        except Withheld as why:
            return Refused(why.code)
        except Doubtful:
            return Refused("DEID_UNREADABLE")

    def _made(self, opened: Opened, person: str | None, holes: dict[int, Hole]) -> Kept:
        made, found_own = self._pass(opened, person, holes, strict=False)
        header = b"".join(made.parts[: made.header_parts])
        subject = self._last_subject
        if subject.tokens.within(header.upper()) or suspicious(header):
            made, found_own = self._pass(opened, person, holes, strict=True)
        if not found_own:
            return made
        return replace(made, findings=(*made.findings, "DEID_OWN_VALUE"))

    def _pass(self, opened: Opened, person: str | None, holes: dict[int, Hole], strict: bool) -> tuple[Kept, bool]:
        walk = Walk(opened.data, self._nodes, holes, strict, self._max_depth)
        plan = walk.run(opened.start, opened.encoding)
        top = _top_level(plan, opened.data)
        sop_class = next(
            (uid for uid in (_text(top.get(SOP_CLASS, b"")), opened.media_class) if _UID.fullmatch(uid)), ""
        )
        subject = self._last_subject = self._subject(plan, opened.data, top, person)
        admitted = _text(top.get(MEDIA_TYPE, b"")).lower() in self._admitted

        def person_id(raw: bytes) -> str:
            """The file's own PatientID is its person's; one of somebody else, within a sequence, is theirs."""
            if raw == top.get(PATIENT_ID):
                return subject.person_id
            return self._pseudonyms.person(self._person_of(_text(raw), ""))

        treatment = Treatment(self._pseudonyms, self._scrubbed, subject, sop_class, admitted, person_id, self._decided)
        named = _text(top.get(SOP_INSTANCE, b"")) or treatment.is_directory
        instance = _text(top.get(SOP_INSTANCE, b"")) or opened.media_instance
        if not instance:  # nothing names it: its content does
            instance = sha256(opened.data[: plan.pixels_at]).hexdigest()
        # Colour palettes are instances of the standard's own (PS3.6 Table A-1), and stay what they are called.
        new_instance = instance if instance in UID_dictionary else self._pseudonyms.uid(instance)
        meta = file_meta(sop_class, new_instance, opened.syntax, _VERSION)
        emission = Emission(opened.data, treatment, self._inserted[self._clean_pixels], "" if named else new_instance)
        emission.file(meta, plan, opened.encoding)
        findings = [*plan.findings, *(["DEID_OVERLAY_IN_PIXELS"] if _overlay_in_pixels(top) else [])]
        kept = Kept(
            tuple(emission.out), emission.pixels_at, emission.header_parts, tuple(emission.holes), subject.person_id,
            self._new_uid(top.get(STUDY, b"")), self._new_uid(top.get(SERIES, b"")), new_instance,
            tuple(dict.fromkeys(findings)), subject.person, instance,
        )  # fmt: skip
        return kept, treatment.found_own

    def _new_uid(self, raw: bytes) -> str:
        uid = _text(raw)
        return self._pseudonyms.uid(uid) if uid else ""

    def _subject(self, plan: Plan, data: bytes, top: Mapping[int, bytes], person: str | None) -> Subject:
        values = tuple((p.step.tag, data[p.at : p.at + p.length], p.charset) for p in plan.identity)
        whose = self._whose(top, person)
        # Of one study the instances differ in their SOP Instance UID only; it is not what texts are searched for.
        distinct = tuple(dict.fromkeys(value for value in values if value[0] != SOP_INSTANCE))
        key = (whose, distinct)
        found = self._subjects.get(key)
        if found is None:
            if len(self._subjects) >= _SUBJECTS:
                self._subjects.clear()
                self._texts.clear()
            own = self._own_values(_texts_by_tag(distinct))
            tokens = OwnTokens((tag, raw) for tag, raw, _ in distinct)
            found = Subject(self._pseudonyms.person(whose), self._pseudonyms.days(whose), own, tokens, whose)
            self._subjects[key] = found
        return found

    def _whose(self, top: Mapping[int, bytes], person: str | None) -> str:
        own = person_key(top, self._person_of)
        raw = top.get(PATIENT_ID, b"")
        if b"\\" in raw:
            numbers = numbers_in(_text(raw))
            # The register was asked for the first number; a CHI behind it may be somebody else's.
            behind = {chi_of(number) for number in numbers[1:]} - {None, person}
            if (own is None and person not in numbers) or (person is not None and behind):
                raise Withheld("DEID_PERSON_UNCLEAR")
        told = own if person is None else person
        assert told is not None  # one number alone is always somebody's
        return told

    def _scrubbed(self, raw: bytes, declared: bytes, vr: str, subject: Subject) -> bytes | None:
        key = (id(subject), raw, declared, vr)
        try:
            return self._texts[key]
        except KeyError:
            if len(self._texts) >= _REMEMBERED:
                self._texts.clear()
            made = self._texts[key] = scrubbed(raw, declared, vr, self._scrubber, subject.own)
            return made

    def _by_pydicom(self, data: bytes) -> Opened:
        """Return what pydicom makes of a file in doubt, in explicit little endian, its pixel data behind it."""
        read = canonical(data, self._max_depth)
        if read is None:
            raise Withheld("DEID_UNREADABLE")
        header = open_file(read.data, self._inflated_limit)
        rest = explicit_pixels(data[read.pixel_offset :])
        return replace(header, data=read.data + rest)


def _overlay_in_pixels(top: Mapping[int, bytes]) -> bool:
    """Whether an overlay lies in unused bits of the pixels: Overlay Bit Position is not 0 (PS3.3 C.9.2, retired)."""
    return any(tag & 0xFF00FFFF == OVERLAY_BIT and any(raw) for tag, raw in top.items())


def _top_level(plan: Plan, data: bytes) -> dict[int, bytes]:
    """Return the collected values of the top level; of a repeated tag the last."""
    return {p.step.tag: data[p.at : p.at + p.length] for p in plan.identity if not p.path}


def _texts_by_tag(values: Iterable[tuple[int, bytes, bytes]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for tag, raw, declared in values:
        text = decode_text(raw, declared, True)[0].strip(" \0")
        if text and tag not in (SOP_CLASS, MEDIA_TYPE) and tag & 0xFF00FFFF != OVERLAY_BIT:
            found.setdefault(tag, []).append(text)
    return found


def _text(raw: bytes) -> str:
    return raw.decode("latin-1").strip(" \0")
