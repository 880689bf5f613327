"""How elements are written: headers and values in the three encodings of PS3.5 7.1 and Annex A."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property

from cairn.dicom.dictionary import LONG_LENGTH

UNDEFINED = 0xFFFFFFFF
SHORT, LONG, IMPLICIT = 0, 1, 2
"""Form of an element's header: 16-bit length after the VR, 32-bit length after two reserved bytes, no VR."""

HEADER_BYTES = (8, 12, 8)
_LONGEST_SHORT = 0xFFFE
_NUL_PADDED = frozenset({"UI", "OB", "UN", "OW", "OD", "OF", "OL", "OV"})


@dataclass(frozen=True)
class Encoding:
    """One way of writing a data set.

    Parameters
    ----------
    implicit : bool
        Implicit VR (PS3.5 A.1).
    big : bool
        Big endian (retired).
    """

    implicit: bool
    big: bool

    @cached_property
    def order(self) -> str:
        """Prefix for :mod:`struct`."""
        return ">" if self.big else "<"

    @cached_property
    def key_bytes(self) -> int:
        """Bytes of an element's header that decide what is done to it: tag and VR, or the tag."""
        return 4 if self.implicit else 6

    @cached_property
    def u16(self) -> struct.Struct:
        """Two bytes."""
        return struct.Struct(f"{self.order}H")

    @cached_property
    def u32(self) -> struct.Struct:
        """Four bytes."""
        return struct.Struct(f"{self.order}I")

    @cached_property
    def item(self) -> struct.Struct:
        """Group, element and length of an item or delimiter (PS3.5 7.5)."""
        return struct.Struct(f"{self.order}HHI")

    def tag(self, tag: int) -> bytes:
        """Return a tag's four bytes."""
        return struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        """Return a whole element; the value must have an even length."""
        head = self.tag(tag)
        if self.implicit:
            return head + self.u32.pack(len(value)) + value
        if vr in LONG_LENGTH:
            return head + vr.encode() + b"\0\0" + self.u32.pack(len(value)) + value
        return head + vr.encode() + self.u16.pack(len(value)) + value

    def sequence(self, tag: int, items: list[bytes]) -> bytes:
        """Return a sequence with defined lengths, of encoded items."""
        wrapped = b"".join(self.tag(0xFFFEE000) + self.u32.pack(len(item)) + item for item in items)
        return self.element(tag, "SQ", wrapped)

    def header(self, old: bytes, form: int, length: int) -> bytes:
        """Return an element's header with another length.

        Parameters
        ----------
        old : bytes
            The header as it was.
        form : int
            :data:`SHORT`, :data:`LONG` or :data:`IMPLICIT`.
        length : int
            Length of the new value.

        Raises
        ------
        ValueError
            If the form cannot hold that length.
        """
        if form == SHORT:
            if length > _LONGEST_SHORT:
                raise ValueError("the value is too long for its VR")
            return old[:6] + self.u16.pack(length)
        return old[: 8 if form == LONG else 4] + self.u32.pack(length)


def padded(value: bytes, vr: str) -> bytes:
    """Return a value at even length (PS3.5 6.2): UIDs and binary end in NUL, text in a space."""
    if len(value) % 2 == 0:
        return value
    return value + (b"\0" if vr in _NUL_PADDED else b" ")


_DUMMY_TEXT = {
    "AE": b"ANONYMIZED", "AS": b"000D", "CS": b"ANONYMIZED", "DA": b"19000101", "DS": b"0 ", "DT": b"19000101000000",
    "IS": b"0 ", "LO": b"ANONYMIZED", "LT": b"ANONYMIZED", "PN": b"ANONYMIZED", "SH": b"ANONYMIZED",
    "ST": b"ANONYMIZED", "TM": b"000000", "UC": b"ANONYMIZED", "UI": b"2.25.0",
    "UR": b"urn:x-anonymized", "UT": b"ANONYMIZED",
}  # fmt: skip
_WIDTH = {
    "AT": 4,
    "FL": 4,
    "FD": 8,
    "SL": 4,
    "SS": 2,
    "SV": 8,
    "UL": 4,
    "US": 2,
    "UV": 8,
    "OD": 8,
    "OF": 4,
    "OL": 4,
    "OV": 8,
}


def dummy(vr: str, length: int) -> bytes:
    """Return a value that says nothing and that the VR can hold (action D of PS3.15 E.1).

    Parameters
    ----------
    vr : str
        Value representation.
    length : int
        Length of the value that it replaces: numbers keep their count, so that the multiplicity stays right.
    """
    if vr in _DUMMY_TEXT:
        return _DUMMY_TEXT[vr]
    width = _WIDTH.get(vr, 2)
    count = length // width if vr in ("AT", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV") else 1
    return bytes(width * min(max(count, 1), 64))
