"""Elements as header bytes: what a catalogue tells of a header, written in plain form, so that the kernel reads it.

There is one way from bytes to columns (:mod:`cairn.dicom.kernel`); documents go it too. The form is PS3.10 with an
empty preamble, explicit VR little endian, sequences and items of defined length. Text is written in the character set
that the dataset declares; where that cannot hold it, UTF-8 is declared instead.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydicom.charset import encode_string

from cairn.dicom.charset import decode_text, encodings_of
from cairn.dicom.dictionary import LONG_LENGTH
from cairn.dicom.kernel import Hole

CHARSET_TAG = 0x00080005
FIRST_PIXELS = 0x7FE00008
"""Elements at the top level from here on are no header."""

GOVERNED = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs whose text is in the declared character set (PS3.5 6.1.2.3)."""
TEXT = GOVERNED | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
OTHERS = {"OB": "B", "UN": "B", "OW": "H", "OL": "I", "OV": "Q", "OF": "f", "OD": "d"}
UTF8 = b"ISO_IR 192"
_SHORTEST_LONG = 0x10000
_LONG_TEXT = {"LT": "UT", "ST": "UT"}


@dataclass(frozen=True)
class Items:
    """The items of a sequence."""

    items: tuple[tuple[Element, ...], ...]


@dataclass(frozen=True)
class LeftOut:
    """A value that is known by length and hash only."""

    length: int
    sha256: bytes


@dataclass(frozen=True)
class Element:
    """One element.

    Parameters
    ----------
    tag : int
        Its tag.
    vr : str
        Two letters.
    value : str, bytes, Items or LeftOut
        Text; bytes as they are stored, little endian; items; or what is known of a long value.
    """

    tag: int
    vr: str
    value: str | bytes | Items | LeftOut


@dataclass
class Written:
    """Header bytes.

    Attributes
    ----------
    data : bytes
        From the preamble on.
    holes : list of Hole
        Values that are known by length and hash, ascending.
    recoded : bool
        UTF-8 was declared in place of a character set that could not hold the text.
    """

    data: bytes = b""
    holes: list[Hole] = field(default_factory=list)
    recoded: bool = False


def write(elements: Iterable[Element]) -> Written:
    """Return the bytes of a header.

    Parameters
    ----------
    elements : iterable of Element
        Of the top level, in any order; of those with one tag the last counts.
    """
    ordered = sorted({one.tag: one for one in elements if one.tag < FIRST_PIXELS}.values(), key=lambda one: one.tag)
    try:
        return _Writer(b"", False).header(ordered)
    except UnicodeError:
        return _Writer(UTF8, True).header(ordered)


class _Writer:
    """Writes one header.

    Parameters
    ----------
    declared : bytes
        Character set outside of any dataset that declares one.
    recode : bool
        UTF-8 takes the place of whatever is declared.
    """

    def __init__(self, declared: bytes, recode: bool) -> None:
        self._declared, self._recode = declared, recode

    def header(self, elements: Sequence[Element]) -> Written:
        made = Written(recoded=self._recode)
        out = bytearray(bytes(128) + b"DICM")
        declared = self._set_of(elements, self._declared)
        if self._recode and not any(one.tag == CHARSET_TAG for one in elements):
            elements = sorted([*elements, Element(CHARSET_TAG, "CS", UTF8)], key=lambda one: one.tag)
        for one in elements:
            if isinstance(one.value, LeftOut):
                vr = one.vr if one.vr in LONG_LENGTH and one.vr != "SQ" else "OB"
                out += _head(one.tag, vr, one.value.length)
                made.holes.append(Hole(len(out), one.value.length, one.value.sha256))
            else:
                out += self._element(one, declared)
        made.data = bytes(out)
        return made

    def _set_of(self, elements: Iterable[Element], around: bytes) -> bytes:
        """Return the character set that governs a dataset."""
        if self._recode:
            return UTF8
        for one in elements:
            if one.tag == CHARSET_TAG and isinstance(one.value, str) and one.value:
                return one.value.encode("ascii", "replace")
        return around

    def _element(self, one: Element, declared: bytes) -> bytes:
        if isinstance(one.value, Items):
            body = b"".join(self._item(item, declared) for item in one.value.items)
            return _head(one.tag, "SQ", len(body)) + body
        if isinstance(one.value, LeftOut):  # within a sequence nobody can say where it belongs
            return _head(one.tag, "OB", 0)
        vr, value = one.vr, one.value
        if isinstance(value, str):
            if self._recode:  # also of what stands for broken bytes, which no set has
                raw = UTF8 if one.tag == CHARSET_TAG else value.encode()
            else:
                raw = encoded(value, vr, declared)
            raw += (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)
        else:
            raw = value + b"\0" * (len(value) % 2)
        if len(raw) >= _SHORTEST_LONG and vr not in LONG_LENGTH:
            vr = _LONG_TEXT.get(vr, "UC") if vr in TEXT else "OB"
        return _head(one.tag, vr, len(raw)) + raw

    def _item(self, item: Sequence[Element], around: bytes) -> bytes:
        declared = self._set_of(item, around)
        ordered = sorted({one.tag: one for one in item}.values(), key=lambda one: one.tag)
        body = b"".join(self._element(one, declared) for one in ordered)
        return struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body


def _head(tag: int, vr: str, length: int) -> bytes:
    start = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return start + (struct.pack("<HI", 0, length) if vr in LONG_LENGTH else struct.pack("<H", length))


def encoded(text: str, vr: str, declared: bytes) -> bytes:
    """Return text as bytes that the kernel reads as the same text.

    Parameters
    ----------
    text : str
        The value; several are separated by a backslash.
    vr : str
        Its VR.
    declared : bytes
        Value of the Specific Character Set that governs it.

    Raises
    ------
    UnicodeError
        When the set cannot hold it.
    """
    if text.isascii():
        return text.encode("ascii")
    if vr not in GOVERNED or not declared.strip(b" \\"):
        return text.encode()  # read as UTF-8, with a finding: nothing is declared that could say so
    try:
        encodings = list(encodings_of(declared))
    except LookupError:
        raise UnicodeError("no such character set") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's words quote the value
        raw = encode_string(text, encodings)
    if decode_text(raw, declared, True) != (text, None):
        raise UnicodeError("the declared character set cannot hold the text")
    return raw
