"""The header around redacted pixels: some elements change, all other bytes stay as they are."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydicom.filereader import data_element_generator

from cairn.dicom import tokenise as tk
from cairn.dicom.dictionary import LONG_LENGTH, dictionary
from cairn.dicom.fallback import canonical
from cairn.errors import EntryError
from cairn.pixels.description import PIXEL_DATA, UNDEFINED, UNREADABLE, PixelDescription
from cairn.pixels.redaction.boxes import OverlayPlane
from cairn.pixels.text.evidence import OVERLAY_GROUPS

IMPLICIT_UID, EXPLICIT_UID, BIG_UID = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_META_SYNTAX, _META_LENGTH = 0x00020010, 0x00020000
_DEPTH = 200
Value = tuple[str, bytes]
"""VR and value, which must have an even length."""


@dataclass(frozen=True)
class _Element:
    tag: int
    start: int
    value_at: int
    end: int


def element(tag: int, vr: str, value: bytes, implicit: bool = False, big: bool = False) -> bytes:
    """Return an encoded element (PS3.5 7.1)."""
    order = ">" if big else "<"
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack(order + "I", len(value)) + value
    if vr in LONG_LENGTH:
        return head + vr.encode() + bytes(2) + struct.pack(order + "I", len(value)) + value
    return head + vr.encode() + struct.pack(order + "H", len(value)) + value


def text(vr: str, value: str) -> Value:
    """Return a text as a value at even length."""
    raw = value.encode("ascii")
    return vr, raw + b" " * (len(raw) % 2)


class Header:
    """The bytes before the pixel data.

    Parameters
    ----------
    buf : numpy.ndarray of uint8
        The entry's first bytes; of a deflated entry with its data set inflated.
    form : int
        :data:`~cairn.dicom.tokenise.AS_STORED` or ``INFLATED``.
    d : PixelDescription
        What :func:`~cairn.pixels.description.describe` said of them.

    Attributes
    ----------
    place : int
        Where the pixel data element begins in `buf`.
    start : int
        Where the data set begins in the header's own bytes.
    implicit, big : bool
        How the data set is written.
    pixel_tag : int
        Of the pixel data element.

    Raises
    ------
    EntryError
        REDACTION_HEADER: what lies before the pixel data is not a row of elements.
    """

    def __init__(self, buf: np.ndarray, form: int, d: PixelDescription) -> None:
        self.place, self.pixel_tag = _pixel_element(buf, d)
        data = buf[: self.place].tobytes()
        if "PARSED_BY_PYDICOM" in d.findings:
            made = canonical(buf.tobytes(), _DEPTH)
            if made is None or d.big_endian:
                raise EntryError("REDACTION_HEADER")
            data, form = made.data, tk.CANONICAL
        self._data = data
        tables = dictionary()
        found = tk.locate(
            np.frombuffer(data, np.uint8), 0, len(data), form, tables.vr_of_bytes, tables.vr_is_long, tk.UIDS
        )
        if found[0] != tk.OK:
            raise EntryError("REDACTION_HEADER")
        self._meta_at, self.start = int(found[1]), int(found[2])
        self.implicit, self.big = bool(found[3]), bool(found[4])
        self._meta = _elements(data[: self.start], self._meta_at, False, False)
        self._elements = _elements(data, self.start, self.implicit, self.big)
        self._by_tag = {found.tag: found for found in self._elements}

    @property
    def order(self) -> str:
        """Prefix for :mod:`struct`."""
        return ">" if self.big else "<"

    @property
    def native_syntax(self) -> str:
        """Return the transfer syntax of native pixels in this data set."""
        return BIG_UID if self.big else IMPLICIT_UID if self.implicit else EXPLICIT_UID

    def has(self, tag: int) -> bool:
        """Whether the top level has an element."""
        return tag in self._by_tag

    def tags(self) -> list[int]:
        """Return the tags of the top level."""
        return list(self._by_tag)

    def raw(self, tag: int) -> bytes:
        """Return an element's value, empty when there is none."""
        found = self._by_tag.get(tag)
        return self._data[found.value_at : found.end] if found else b""

    def vr(self, tag: int) -> str:
        """Return an element's VR; empty where the encoding has none, or the element is missing."""
        found = self._by_tag.get(tag)
        return "" if found is None or self.implicit else self._data[found.start + 4 : found.start + 6].decode("latin-1")

    def shorts(self, tag: int, signed: bool = False) -> tuple[int, ...]:
        """Return the values of a US or SS element."""
        raw = self.raw(tag)
        return struct.unpack(f"{self.order}{len(raw) // 2}{'h' if signed else 'H'}", raw[: len(raw) & ~1])

    def overlays(self) -> dict[int, OverlayPlane]:
        """Return the overlays by group."""
        made = {}
        for group in OVERLAY_GROUPS:
            at = group << 16
            rows, columns = self.shorts(at | 0x0010)[:1], self.shorts(at | 0x0011)[:1]
            bits = self.shorts(at | 0x0102)[:1]
            in_pixels = not self.has(at | 0x3000) and bits not in ((), (0,))
            if not in_pixels and not (rows and columns and rows[0] and columns[0] and self.has(at | 0x3000)):
                continue
            origin = self.shorts(at | 0x0050, signed=True)
            y, x = (origin[0] - 1, origin[1] - 1) if len(origin) >= 2 else (0, 0)
            high, wide = (rows or (0,))[0], (columns or (0,))[0]
            frames = len(self.raw(at | 0x3000)) * 8 // max(1, high * wide)
            made[group] = OverlayPlane(high, wide, max(1, frames), x, y, in_pixels)
        return made

    def overlay_bits(self) -> bool:
        """Whether an overlay is said to lie in bits of the pixel words."""
        return any(any(self.raw(group << 16 | 0x0102)) for group in OVERLAY_GROUPS)

    def edited(self, changes: Mapping[int, Value | None], syntax: str | None = None) -> bytes:
        """Return the header with some elements changed.

        Parameters
        ----------
        changes : mapping of int to (VR, value) or None
            New values by tag; None takes an element away.
        syntax : str, optional
            New transfer syntax.

        Raises
        ------
        EntryError
            REDACTION_HEADER: there is no file meta group to state a new transfer syntax in.
        """
        # Group lengths are retired (PS3.5 7.2); one that became wrong is worse than none.
        touched = {tag >> 16 for tag in changes}
        out = [self._prefix(syntax)]
        left = sorted((tag, value) for tag, value in changes.items() if value is not None)
        for old in self._elements:
            while left and left[0][0] <= old.tag:
                out.append(self._encoded(*left.pop(0)))
            if old.tag in changes or (old.tag & 0xFFFF == 0 and old.tag >> 16 in touched):
                continue
            out.append(self._data[old.start : old.end])
        out += [self._encoded(tag, value) for tag, value in left]
        return b"".join(out)

    def _encoded(self, tag: int, value: Value | None) -> bytes:
        assert value is not None
        return element(tag, *value, self.implicit, self.big)

    def _prefix(self, syntax: str | None) -> bytes:
        if syntax is None:
            return self._data[: self.start]
        if not any(found.tag == _META_SYNTAX for found in self._meta):
            raise EntryError("REDACTION_HEADER")
        raw = syntax.encode("ascii")
        made = element(_META_SYNTAX, "UI", raw + bytes(len(raw) % 2))
        parts = [
            made if found.tag == _META_SYNTAX else self._data[found.start : found.end]
            for found in self._meta
            if found.tag != _META_LENGTH
        ]
        group = b"".join(parts)
        return self._data[: self._meta_at] + element(_META_LENGTH, "UL", struct.pack("<I", len(group))) + group

    def pixel_head(self, length: int, vr: str) -> bytes:
        """Return the head of a pixel data element.

        Parameters
        ----------
        length : int
            Of its value; 0xFFFFFFFF: encapsulated.
        vr : str
            OB, OW, OF or OD.
        """
        made = element(self.pixel_tag, vr, b"", self.implicit, self.big)
        return made[:-4] + struct.pack(self.order + "I", length)


def _pixel_element(buf: np.ndarray, d: PixelDescription) -> tuple[int, int]:
    """Return where the pixel data element begins, and its tag."""
    order = ">" if d.big_endian else "<"
    for size in (8, 12):  # implicit, or a VR of 16-bit length; then one of 32-bit length
        place = d.value_at - size
        if place < 0:
            continue
        group, number = struct.unpack(order + "HH", buf[place : place + 4].tobytes())
        tag = group << 16 | number
        if tag in (PIXEL_DATA, PIXEL_DATA - 1, PIXEL_DATA - 2, PIXEL_DATA - 7, PIXEL_DATA - 8) and group == 0x7FE0:
            return place, tag
    raise EntryError("REDACTION_HEADER")


def _elements(data: bytes, start: int, implicit: bool, big: bool) -> list[_Element]:
    """Return the elements of a row of them, which has to fill `data` from `start` on."""
    stream = io.BytesIO(data)
    stream.seek(start)
    found: list[_Element] = []
    at = start
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for each in data_element_generator(stream, implicit, not big, defer_size=0):
                end = stream.tell()
                found.append(_Element(int(each.tag), at, min(end, _value_at(data, at, implicit, big)), end))
                at = end
    except UNREADABLE:
        raise EntryError("REDACTION_HEADER") from None
    if at != len(data):
        raise EntryError("REDACTION_HEADER")
    return found


def _value_at(data: bytes, at: int, implicit: bool, big: bool) -> int:
    vr = data[at + 4 : at + 6]
    if implicit or not vr.isalpha():
        return at + 8
    return at + (12 if vr.decode("latin-1") in LONG_LENGTH else 8)


__all__ = ["BIG_UID", "EXPLICIT_UID", "IMPLICIT_UID", "UNDEFINED", "Header", "Value", "element", "text"]
