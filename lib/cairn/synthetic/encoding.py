"""Writes DICOM element by element, right or wrong on purpose.

pydicom writes only what it believes valid; a made-up archive must also hold what vendors really wrote. A dataset
is a plain dict from keyword or tag to value; a value may state its VR (:class:`Typed`) or its very bytes
(:class:`Raw`). Series are written fast: what all instances share is encoded once, and each instance splices
its few own elements in (:class:`Template`).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from pydicom.charset import convert_encodings, encode_string
from pydicom.datadict import dictionary_VR, tag_for_keyword

Attributes = dict[str | int, Any]
"""Elements by DICOM keyword or, for private and odd ones, by tag."""

IMPLEMENTATION_CLASS_UID = "2.25.274871963413105226741960873216482136097"
IMPLEMENTATION_VERSION = "CAIRN_SYNTH_1"

LONG_LENGTH = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
CHARSET_TEXT = frozenset({"SH", "LO", "ST", "LT", "UC", "UT", "PN"})
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
UNDEFINED = 0xFFFFFFFF


class Typed(NamedTuple):
    """A value whose VR is stated, because the dictionary has none or to disagree with it."""

    vr: str
    value: Any


class Raw(NamedTuple):
    """A value given as its bytes, padded by nobody, with a length that may lie."""

    vr: str
    value: bytes
    length: int | None = None


@dataclass(frozen=True)
class Syntax:
    """A transfer syntax as the encoder sees it.

    Parameters
    ----------
    uid : str
        Transfer syntax UID (PS3.5 A).
    implicit, big_endian, deflated, encapsulated : bool
        How it writes elements and pixels.
    undefined_sequences : bool
        Whether sequences and items get undefined length, as some makers write them.
    """

    uid: str
    implicit: bool = False
    big_endian: bool = False
    deflated: bool = False
    encapsulated: bool = False
    undefined_sequences: bool = False

    @property
    def order(self) -> str:
        """Byte order mark for :mod:`struct`."""
        return ">" if self.big_endian else "<"


IMPLICIT = Syntax("1.2.840.10008.1.2", implicit=True)
EXPLICIT = Syntax("1.2.840.10008.1.2.1")
BIG_ENDIAN = Syntax("1.2.840.10008.1.2.2", big_endian=True)
DEFLATED = Syntax("1.2.840.10008.1.2.1.99", deflated=True)
JPEG_BASELINE = Syntax("1.2.840.10008.1.2.4.50", encapsulated=True)
JPEG_LS = Syntax("1.2.840.10008.1.2.4.80", encapsulated=True)
JPEG_2000 = Syntax("1.2.840.10008.1.2.4.90", encapsulated=True)
RLE = Syntax("1.2.840.10008.1.2.5", encapsulated=True)


def as_tag(key: str | int) -> int:
    """Return the tag of a keyword; a tag stays as it is."""
    return key if isinstance(key, int) else _tag_of(key)


@cache
def _tag_of(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


@cache
def _vr_of(tag: int) -> str:
    return {"US or SS": "US", "OB or OW": "OW", "US or OW": "US", "US or SS or OW": "US"}.get(
        vr := dictionary_VR(tag), vr
    )


def decimal(number: float) -> str:
    """Return a DS value of at most 16 characters (PS3.5 6.2)."""
    return f"{number:.6f}".rstrip("0").rstrip(".")[:16] or "0"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return decimal(value)
    if isinstance(value, (list, tuple)):
        return "\\".join(_text(part) for part in value)
    return "" if value is None else str(value)


@cache
def _codecs(charset: str) -> tuple[str, ...]:
    return tuple(convert_encodings(charset.split("\\")))


def _encode_text(text: str, vr: str, charset: str) -> bytes:
    if text.isascii() or vr not in CHARSET_TEXT:
        return text.encode("ascii", "replace")
    if vr == "PN":
        return b"=".join(encode_string(group, _codecs(charset)) for group in text.split("="))
    return encode_string(text, _codecs(charset))


def encode_value(vr: str, value: Any, syntax: Syntax, charset: str) -> bytes:
    """Return a value's bytes, padded to an even length.

    Parameters
    ----------
    vr : str
        Value representation.
    value : object
        str, number, None, bytes, sequence of these; for SQ a sequence of :data:`Attributes`.
    syntax : Syntax
        Byte order, and how nested elements are written.
    charset : str
        Specific Character Set of the dataset, ``""`` for the default repertoire.
    """
    if vr == "SQ":
        return b"".join(_item(attributes, syntax, charset) for attributes in value)
    if isinstance(value, bytes):
        return value + b"\0" * (len(value) % 2)
    if vr in NUMBERS:
        numbers = [] if value is None else value if isinstance(value, (list, tuple)) else [value]
        return struct.pack(f"{syntax.order}{len(numbers)}{NUMBERS[vr]}", *numbers)
    if vr == "AT":
        tags = value if isinstance(value, (list, tuple)) else [value]
        return b"".join(struct.pack(f"{syntax.order}HH", tag >> 16, tag & 0xFFFF) for tag in tags)
    data = _encode_text(_text(value), vr, charset)
    return data + (b"\0" if vr == "UI" else b" ") * (len(data) % 2)


def _item(attributes: Attributes, syntax: Syntax, charset: str) -> bytes:
    body = encode(attributes, syntax, charset)
    start = struct.pack(f"{syntax.order}HH", 0xFFFE, 0xE000)
    if syntax.undefined_sequences:
        end = struct.pack(f"{syntax.order}HHI", 0xFFFE, 0xE00D, 0)
        return start + struct.pack(f"{syntax.order}I", UNDEFINED) + body + end
    return start + struct.pack(f"{syntax.order}I", len(body)) + body


def element(tag: int, vr: str, value: bytes, syntax: Syntax, length: int | None = None) -> bytes:
    """Return one element: tag, VR unless implicit, length (a stated one may lie), value."""
    size = len(value) if length is None else length
    head = struct.pack(f"{syntax.order}HH", tag >> 16, tag & 0xFFFF)
    if syntax.implicit:
        return head + struct.pack(f"{syntax.order}I", size) + value
    if vr in LONG_LENGTH:
        return head + vr.encode() + b"\0\0" + struct.pack(f"{syntax.order}I", size) + value
    return head + vr.encode() + struct.pack(f"{syntax.order}H", size & 0xFFFF) + value


def encode_element(key: str | int, value: Any, syntax: Syntax, charset: str) -> bytes:
    """Return one element of a dataset; see :data:`Attributes` for what a value can be."""
    tag = as_tag(key)
    if isinstance(value, Raw):
        return element(tag, value.vr, value.value, syntax, value.length)
    vr, plain = (value.vr, value.value) if isinstance(value, Typed) else (_vr_of(tag), value)
    if vr == "SQ" and syntax.undefined_sequences:
        end = struct.pack(f"{syntax.order}HHI", 0xFFFE, 0xE0DD, 0)
        return element(tag, vr, encode_value(vr, plain, syntax, charset) + end, syntax, UNDEFINED)
    return element(tag, vr, encode_value(vr, plain, syntax, charset), syntax)


def encode_parts(attributes: Attributes, syntax: Syntax, charset: str = "") -> dict[int, bytes]:
    """Return the bytes of each top-level element by tag, in tag order."""
    own = charset_of(attributes) or charset
    parts = {as_tag(key): encode_element(key, value, syntax, own) for key, value in attributes.items()}
    return dict(sorted(parts.items()))


def encode(attributes: Attributes, syntax: Syntax, charset: str = "") -> bytes:
    """Return a dataset's bytes without preamble and meta, not deflated."""
    return b"".join(encode_parts(attributes, syntax, charset).values())


def charset_of(attributes: Mapping[str | int, Any]) -> str:
    """Return the dataset's Specific Character Set as one string."""
    return _text(attributes.get("SpecificCharacterSet", ""))


def count_elements(attributes: Mapping[str | int, Any]) -> int:
    """Return the number of elements, those of nested items included, sequences themselves counted."""
    return sum(1 + _nested(value) for value in attributes.values())


def _nested(value: Any) -> int:
    plain = value.value if isinstance(value, Typed) else value
    if isinstance(plain, (list, tuple)) and plain and isinstance(plain[0], dict):
        return sum(count_elements(item) for item in plain)
    return 0


def file_meta(sop_class_uid: str, sop_instance_uid: str, syntax_uid: str, source: str = "CAIRN") -> bytes:
    """Return preamble, prefix and file meta (PS3.10 7.1)."""
    meta: Attributes = {
        0x00020001: Typed("OB", b"\0\1"),
        0x00020002: Typed("UI", sop_class_uid),
        0x00020003: Typed("UI", sop_instance_uid),
        0x00020010: Typed("UI", syntax_uid),
        0x00020012: Typed("UI", IMPLEMENTATION_CLASS_UID),
        0x00020013: Typed("SH", IMPLEMENTATION_VERSION),
        0x00020016: Typed("AE", source),
    }
    body = encode(meta, EXPLICIT)
    return b"\0" * 128 + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(body)), EXPLICIT) + body


def deflate(data: bytes) -> bytes:
    """Return the data as a raw deflate stream of even length (PS3.5 A.5)."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    return packed + b"\0" * (len(packed) % 2)


def part10(sop_class_uid: str, sop_instance_uid: str, dataset: bytes, syntax: Syntax) -> bytes:
    """Return a whole file: meta, then the dataset's bytes, deflated where the syntax says so."""
    body = deflate(dataset) if syntax.deflated else dataset
    return file_meta(sop_class_uid, sop_instance_uid, syntax.uid) + body


def encapsulate(frames: Sequence[bytes]) -> bytes:
    """Return encapsulated pixel data: offset table, one fragment a frame, delimiter (PS3.5 A.4)."""
    offsets, at, fragments = [], 0, []
    for frame in frames:
        padded = frame + b"\0" * (len(frame) % 2)
        offsets.append(at)
        fragments.append(struct.pack("<HHI", 0xFFFE, 0xE000, len(padded)) + padded)
        at += 8 + len(padded)
    table = struct.pack(f"<HHI{len(offsets)}I", 0xFFFE, 0xE000, 4 * len(offsets), *offsets)
    return table + b"".join(fragments) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


@dataclass
class Template:
    """The elements that a series' instances share, encoded once, with gaps for each one's own.

    Parameters
    ----------
    common : Attributes
        Elements that all instances have with the same value.
    own : iterable of str or int
        Keys that every instance supplies.
    syntax : Syntax
        How all of them are written.
    """

    common: Attributes
    own: Iterable[str | int]
    syntax: Syntax
    _runs: list[bytes] = field(init=False, repr=False)
    _gaps: list[str | int] = field(init=False, repr=False)
    elements: int = field(init=False)

    def __post_init__(self) -> None:
        parts = encode_parts(self.common, self.syntax)
        self.charset = charset_of(self.common)
        self._gaps = sorted(self.own, key=as_tag)
        self._runs = []
        edges = [as_tag(key) for key in self._gaps]
        for low, high in zip([-1, *edges], [*edges, 1 << 32], strict=True):
            self._runs.append(b"".join(data for tag, data in parts.items() if low < tag < high))
        self.elements = count_elements(self.common)

    def fill(self, own: Attributes) -> list[bytes]:
        """Return the dataset of one instance as pieces to join.

        Parameters
        ----------
        own : Attributes
            A value for each of the template's own keys.
        """
        pieces = [self._runs[0]]
        for key, run in zip(self._gaps, self._runs[1:], strict=True):
            pieces.append(encode_element(key, own[key], self.syntax, self.charset))
            pieces.append(run)
        return pieces
