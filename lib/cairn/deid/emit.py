"""Writing the plan down: ranges of the original, treated values, sequences with lengths that are right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cairn.deid.encoding import SHORT, Encoding, padded
from cairn.deid.plan import HoleHere, Marker, Pending, PixelsHere, Plan, Run, Sequence
from cairn.deid.rules import Action
from cairn.deid.values import Treatment
from cairn.dicom.kernel import Hole

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


class Emission:
    """The writing of one file.

    Parameters
    ----------
    data : bytes
        The original.
    treatment : Treatment
        Makes the new values.
    markers : mapping
        Elements to insert, by the first of their tags: (tag, VR, value).
    """

    def __init__(self, data: bytes, treatment: Treatment, markers: Mapping[int, list[tuple[int, str, Any]]]) -> None:
        self._data = data
        self._view = memoryview(data)
        self._treatment = treatment
        self._to_insert = markers
        self.out: list[bytes | memoryview] = []
        self.holes: list[Hole] = []
        self.pixels_at = -1
        self.findings: list[str] = []

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
                self.pixels_at = size
            elif type(part) is HoleHere:
                self.holes.append(Hole(size, part.hole.length, part.hole.sha256))
            else:
                for piece in self._part(part):
                    self.out.append(piece)
                    size += len(piece)
        if self.pixels_at < 0:
            self.pixels_at = size

    def _part(self, part: Any) -> list[bytes | memoryview]:
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

    def _element(self, pending: Pending) -> list[bytes | memoryview]:
        raw = self._data[pending.at : pending.at + pending.length]
        made = self._treatment.value(pending, raw)
        if made is None:
            return []
        if made is raw or made == raw:
            return [self._view[pending.start : pending.at + pending.length]]
        if pending.step.form == SHORT and len(made) > 0xFFFE:
            return []  # grown beyond what its VR can hold: it does not leave
        return [pending.encoding.header(self._data[pending.start : pending.at], pending.step.form, len(made)) + made]

    def _sequence(self, made: Sequence) -> list[bytes | memoryview]:
        action = self._treatment.decide(made.step, made.path[:-1])
        head = self._data[made.start : made.at]
        if action == Action.REMOVE:
            return []
        if action == Action.EMPTY:
            return [made.encoding.header(head, made.step.form, 0)]
        encoding = made.encoding
        pieces: list[bytes | memoryview] = []
        size = 0
        for start, open_ended, parts in made.items:
            inner = [piece for part in parts for piece in self._part(part)]
            length = sum(map(len, inner))
            item = encoding.tag(_ITEM)
            pieces += [self._data[start : start + 8] if open_ended else item + encoding.u32.pack(length), *inner]
            size += 8 + length
            if open_ended:
                pieces.append(encoding.tag(_ITEM_END) + bytes(4))
                size += 8
        if made.undefined:
            return [head, *pieces, encoding.tag(_SEQUENCE_END) + bytes(4)]
        return [encoding.header(head, made.step.form, size), *pieces]

    def _marker(self, tag: int, encoding: Encoding) -> bytes:
        return b"".join(self._inserted(encoding, *element) for element in self._to_insert[tag])

    @staticmethod
    def _inserted(encoding: Encoding, tag: int, vr: str, value: Any) -> bytes:
        if vr != "SQ":
            return encoding.element(tag, vr, padded(value.encode("ascii"), vr))
        items = []
        for code, meaning in value:
            fields = ((0x00080100, "SH", code), (0x00080102, "SH", "DCM"), (0x00080104, "LO", meaning))
            items.append(b"".join(encoding.element(t, v, padded(text.encode("ascii"), v)) for t, v, text in fields))
        return encoding.sequence(tag, items)
