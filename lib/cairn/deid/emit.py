"""Writing the plan down: ranges of the original, treated values, sequences with lengths that are right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cairn.deid.decisions import MARKERS, OFFSETS, SOP_INSTANCE
from cairn.deid.encoding import SHORT, UNDEFINED, Encoding, padded
from cairn.deid.plan import HoleHere, Marker, Pending, PixelsHere, Plan, Run, Sequence
from cairn.deid.rules import Action, RuleSet
from cairn.deid.table import CODES
from cairn.deid.values import Treatment
from cairn.dicom.kernel import Hole

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


Buffer = bytes | bytearray | memoryview


class Emission:
    """The writing of one file.

    Parameters
    ----------
    data : bytes
        The original.
    treatment : Treatment
        Makes the new values.
    markers : mapping
        From :func:`inserted_elements`.
    instance : str
        SOP Instance UID for a data set that has none; empty when it has one.
    """

    def __init__(
        self, data: bytes, treatment: Treatment, markers: Mapping[tuple[int, bool, bool], bytes], instance: str
    ) -> None:
        self._data = data
        self._view = memoryview(data)
        self._treatment = treatment
        self._to_insert = markers
        self._instance = instance
        self.out: list[Buffer] = []
        self.holes: list[Hole] = []
        self.pixels_at = -1
        self.header_parts = 0
        self._places: list[tuple[bytearray, int, Encoding]] = []
        self._items: dict[int, int] = {}

    def file(self, meta: bytes, plan: Plan, encoding: Encoding) -> None:
        """Write file meta and data set."""
        size = len(meta)
        self.out.append(meta)
        for part in plan.parts:
            if type(part) is Run:
                self.out.append(self._view[part.start : part.end])
                size += part.end - part.start
            elif type(part) is Marker:
                made = self._marker(part.tag, encoding)
                self.out.append(made)
                size += len(made)
            elif type(part) is PixelsHere:
                self.pixels_at, self.header_parts = size, len(self.out)
            elif type(part) is HoleHere:
                self.holes.append(Hole(size, part.hole.length, part.hole.sha256))
            else:
                for piece in self._part(part):
                    self.out.append(piece)
                    size += len(piece)
        if self.pixels_at < 0:
            self.pixels_at, self.header_parts = size, len(self.out)
        if self._places:
            self._correct_places()

    def _correct_places(self) -> None:
        """Let the offsets of a DICOMDIR point to where its records are now (PS3.3 F.3.2.2)."""
        new, size = {}, 0
        for piece in self.out:
            if id(piece) in self._items:
                new[self._items[id(piece)]] = size
            size += len(piece)
        for value, old, encoding in self._places:
            value[:] = encoding.u32.pack(new.get(old, 0))

    def _part(self, part: Any) -> list[Buffer]:
        kind = type(part)
        if kind is Run:
            return [self._view[part.start : part.end]]
        if kind is Pending:
            return self._element(part)
        if kind is Sequence:
            return self._sequence(part)
        if kind is list:  # room for a private creator
            return [piece for inner in part for piece in self._part(inner)]
        return [part]

    def _element(self, pending: Pending) -> list[Buffer]:
        raw = self._data[pending.at : pending.at + pending.length]
        if pending.step.tag == SOP_INSTANCE and not pending.path and self._instance:
            return []  # it is there and empty; one that is right was inserted before it
        if pending.step.tag in OFFSETS and pending.length == 4 and self._treatment.is_directory:
            place = bytearray(4)
            self._places.append((place, pending.encoding.u32.unpack(raw)[0], pending.encoding))
            return [self._view[pending.start : pending.at], place]
        made = self._treatment.value(pending, raw)
        if made is None:
            return []
        if made is raw or made == raw:
            return [self._view[pending.start : pending.at + pending.length]]
        if pending.step.form == SHORT and len(made) > 0xFFFE:
            return []  # grown beyond what its VR can hold: it does not leave
        return [pending.encoding.header(self._data[pending.start : pending.at], pending.step.form, len(made)) + made]

    def _sequence(self, made: Sequence) -> list[Buffer]:
        action = self._treatment.decide(made.step, made.path[:-1])
        head = self._data[made.start : made.at]
        if action == Action.REMOVE:
            return []
        if action == Action.EMPTY:
            return [made.encoding.header(head, made.step.form, 0)]
        encoding = made.encoding
        pieces: list[Buffer] = []
        size = 0
        for start, open_ended, parts in made.items:
            inner = [piece for part in parts for piece in self._part(part)]
            length = sum(map(len, inner))
            item = encoding.tag(_ITEM) + encoding.u32.pack(UNDEFINED if open_ended else length)
            self._items[id(item)] = start
            pieces += [item, *inner]
            size += 8 + length
            if open_ended:
                pieces.append(encoding.tag(_ITEM_END) + bytes(4))
                size += 8
        if made.undefined:
            return [head, *pieces, encoding.tag(_SEQUENCE_END) + bytes(4)]
        return [encoding.header(head, made.step.form, size), *pieces]

    def _marker(self, tag: int, encoding: Encoding) -> bytes:
        if tag == SOP_INSTANCE:
            # PS3.10 7.1: it has to be the one of the file meta, which every file has
            made = padded(self._instance.encode("ascii"), "UI")
            return encoding.element(tag, "UI", made) if made else b""
        return self._to_insert[tag, encoding.implicit, encoding.big]


def inserted_elements(rules: RuleSet, clean_pixels: bool = False) -> dict[tuple[int, bool, bool], bytes]:
    """Return the elements that say how a file was de-identified, by the first tag and the encoding.

    PS3.15 E.1.1 steps 3 and 4, PS3.3 C.12.1.1.6; PS3.15 E.3.6 for the dates, E.3.1 for text removed from pixels.
    """
    options = rules.profile.options
    dates = "UNMODIFIED" if "full_dates" in options else "MODIFIED" if "modified_dates" in options else "REMOVED"
    method = f"Cairn {rules.profile.name} {rules.digest[:16]}"
    codes = sorted({*rules.profile.codes, *([CODES["clean_pixel_data"]] if clean_pixels else [])})
    made = {}
    for implicit, big in ((False, False), (True, False), (False, True), (True, True)):
        encoding = Encoding(implicit, big)
        items = [_fields(encoding, code, meaning) for code, meaning in codes]
        made[MARKERS[0], implicit, big] = (
            encoding.element(MARKERS[0], "CS", padded(b"YES", "CS"))
            + encoding.element(MARKERS[1], "LO", padded(method.encode("ascii"), "LO"))
            + encoding.sequence(MARKERS[2], items)
        )
        made[MARKERS[3], implicit, big] = encoding.element(MARKERS[3], "CS", padded(dates.encode("ascii"), "CS"))
    return made


def _fields(encoding: Encoding, code: str, meaning: str) -> bytes:
    fields = ((0x00080100, "SH", code), (0x00080102, "SH", "DCM"), (0x00080104, "LO", meaning))
    return b"".join(encoding.element(tag, vr, padded(text.encode("ascii"), vr)) for tag, vr, text in fields)
