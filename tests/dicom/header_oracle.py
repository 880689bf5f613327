"""What the `header` VARIANT and the typed columns of one entry should be, worked out slowly with pydicom alone.

pydicom decides where an element starts, ends and which VR it has, and decodes character sets. What the VARIANT makes of
them follows docs/header.md, from the elements' raw bytes, so that text can be held against the text as written. Nothing
of :mod:`cairn.dicom` is used.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pydicom
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import DicomDictionary, RepeatersDictionary
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.hooks import raw_element_vr
from pydicom.multival import MultiValue
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, TEXT_VR_DELIMS
from pydicom.values import convert_SQ

Tree = dict[str, Any]

CHARACTER_SET, PIXEL_REPRESENTATION = 0x00080005, 0x00280103
# Their first value counts entries, up to 65,536: never negative whatever the VR says (PS3.3 C.11.1.1.1, C.7.6.3.1.5).
LUT_DESCRIPTORS = {0x00281101, 0x00281102, 0x00281103, 0x00283002}
TEXT = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI"}
TEXT_UNSPLIT = {"LT", "ST", "UT", "UR"}
TEXT_OF_THE_SET = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}  # PS3.5 6.1.2.3: the others keep the default repertoire
LEADING_SPACES_LOST = {"AE", "DS", "IS"}
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
BINARY = {"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"}
PADDING = " \0"
UNDECLARED = {"", "ISO_IR 6", "ISO 2022 IR 6"}  # sets that say no more than that there is none beyond ASCII


@dataclass(frozen=True)
class Scope:
    """What a dataset inherits from the ones around it."""

    encodings: list[str] | None  # None: undeclared
    pixel_representation: int | None
    value_limit: int


@contextmanager
def quiet() -> Iterator[None]:
    """Let pydicom read values that break their VR without a word: they are the point here."""
    mode = pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        pydicom.config.settings.reading_validation_mode = mode


def read_dataset(data: bytes) -> Dataset:
    """Return pydicom's reading of an entry up to its pixels; whatever pydicom raises, this raises."""
    return pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)


def expected_header(data: bytes, value_limit: int = 16_384) -> Tree:
    """Return the tree that the `header` VARIANT of an entry should decode to.

    Parameters
    ----------
    data : bytes
        The entry's bytes from its beginning, at least up to its pixel data.
    value_limit : int
        Longer values are expected by length and hash.

    Returns
    -------
    dict
        By keyword or eight hexadecimal digits: str, int, float, bytes, None, list of these, or list of dict.
    """
    with quiet():
        dataset = read_dataset(data)
        scope = Scope(None, None, value_limit)
        return expected_tree(dataset.file_meta, scope) | expected_tree(dataset, scope)


def key_of(tag: int) -> str:
    """Return the key of a tag: its keyword where the dictionary has exactly that tag, else its digits."""
    if tag in DicomDictionary:
        keyword = DicomDictionary[tag][4]
    elif tag >> 16 in (0x5000, 0x6000):  # the first of the repeating groups only
        keyword = RepeatersDictionary.get(f"{tag >> 24:02X}xx{tag & 0xFFFF:04X}", [""] * 5)[4]
    else:
        keyword = ""
    return keyword or f"{tag:08X}"


def expected_tree(dataset: Dataset, around: Scope) -> Tree:
    """Return one dataset as docs/header.md has it; `around` is what it inherits."""
    # All raw elements first: pydicom's search for a private creator replaces them by converted ones.
    elements = {int(tag): element for tag, element in dataset.items()}
    scope = own_scope(elements, around)
    return {key_of(tag): expected_value(element, dataset, scope) for tag, element in elements.items()}


def own_scope(elements: dict[int, Any], around: Scope) -> Scope:
    """Return what holds within a dataset: its own character set and Pixel Representation before inherited ones."""
    scope = around
    if CHARACTER_SET in elements:
        value = elements[CHARACTER_SET].value or ""
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        parts = text.split("\\") if isinstance(text, str) else list(text)
        parts = [part.strip(PADDING) for part in parts]
        declared = convert_encodings(parts if len(parts) > 1 else parts[0])
        scope = replace(scope, encodings=None if UNDECLARED.issuperset(parts) else declared)
    if PIXEL_REPRESENTATION in elements:
        element = elements[PIXEL_REPRESENTATION]
        raw = element.value or b""
        if len(raw) == 2:
            order = "little" if element.is_little_endian else "big"
            scope = replace(scope, pixel_representation=int.from_bytes(raw, order))
    return scope


def expected_value(element: RawDataElement | DataElement, dataset: Dataset, scope: Scope) -> Any:
    """Return one element's value."""
    if isinstance(element, DataElement):
        return converted_value(element, scope)
    vr = vr_of(element, dataset, scope)
    raw = element.value or b""
    if vr == "SQ":
        items = convert_SQ(raw, element.is_implicit_VR, element.is_little_endian, scope.encodings or []) if raw else []
        return [expected_tree(item, scope) for item in items]
    if not raw:
        return None
    if len(raw) > scope.value_limit:
        return {"length": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    if vr in TEXT or vr in TEXT_UNSPLIT:
        return expected_text(raw, vr, scope.encodings)
    if vr in BINARY:
        return raw
    value = expected_numbers(raw, vr, element.is_little_endian)
    if element.tag in LUT_DESCRIPTORS and isinstance(value, list) and isinstance(value[0], int) and value[0] < 0:
        value[0] += 65_536  # as pydicom does; docs/header.md does not say so
    return value


def converted_value(element: DataElement, scope: Scope) -> Any:
    """Return the value of an element that pydicom converts while it reads: sequences, and a few of the file meta."""
    if element.VR == "SQ":
        return [expected_tree(item, scope) for item in element.value]
    if element.VR in ("UI", "CS"):
        value = element.value
        if isinstance(value, MultiValue):
            return [part.rstrip(PADDING) for part in value]
        return str(value or "").rstrip(PADDING) or None
    if element.VR in ("OB", "UL"):
        return element.value or None
    raise NotImplementedError(f"pydicom converted {element.tag} with VR {element.VR}")


def vr_of(element: RawDataElement, dataset: Dataset, scope: Scope) -> str:
    """Return the VR by which an element is read: pydicom's, and for ambiguous ones the documented rule."""
    found: dict[str, Any] = {}
    raw_element_vr(element, found, ds=dataset)
    vr = str(found["VR"])
    length = len(element.value or b"")
    if vr in ("US or OW", "US or SS or OW") and length > 2:
        return "OW"
    # pydicom leaves these alone in a dataset without Pixel Representation or pixels; docs/header.md decides.
    if vr in ("US or SS", "US or SS or OW"):
        return "SS" if scope.pixel_representation == 1 else "US"
    return "US" if vr == "US or OW" else vr


def expected_text(raw: bytes, vr: str, encodings: list[str] | None) -> str | list[str] | None:
    """Return text as written, less its padding."""
    # Bytes above 127 break the other VRs; pydicom reads them as ISO 8859-1 whatever is declared.
    text = decoded_text(raw, encodings) if vr in TEXT_OF_THE_SET else raw.decode("latin-1")
    parts = [text] if vr in TEXT_UNSPLIT else text.split("\\")
    parts = [part.rstrip(PADDING) for part in parts]
    if vr in LEADING_SPACES_LOST:
        parts = [part.lstrip(" ") for part in parts]
    return parts if len(parts) > 1 else parts[0] or None


def decoded_text(raw: bytes, encodings: list[str] | None) -> str:
    """Return bytes of a VR that SpecificCharacterSet governs as Unicode."""
    if encodings is not None:
        text = decode_bytes(raw, encodings, TEXT_VR_DELIMS)
        # Better than pydicom: the escape to GB 2312 says how to read on and is no text (PS3.5 K.2).
        return text.replace("\x1b$)A", "") if "iso_ir_58" in encodings else text
    # Better than pydicom: undeclared UTF-8 is recognised, and an escape that means nothing stays as written.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def expected_numbers(raw: bytes, vr: str, little_endian: bool) -> Any:
    """Return binary numbers, or the bytes themselves when they do not divide into numbers."""
    order = "<" if little_endian else ">"
    if vr == "AT":
        size, numbers = 4, lambda: [f"{g:04X}{e:04X}" for g, e in struct.iter_unpack(order + "HH", raw)]
    else:
        size, numbers = (
            struct.calcsize(NUMBERS[vr]),
            lambda: [n for (n,) in struct.iter_unpack(order + NUMBERS[vr], raw)],
        )
    if len(raw) % size:
        return raw
    values = numbers()
    return values if len(values) > 1 else values[0]


def boundaries(data: bytes) -> set[int]:
    """Return the offsets at which a top-level element, of the file meta or of the dataset, ends and the next begins.

    From pydicom's places of values; elements without one (sequences) are found by their neighbours, and the end of the
    last is left out. For entries with preamble, not deflated.
    """
    found: set[int] = set()
    with quiet():
        dataset = read_dataset(data)
    for part in (dataset.file_meta, dataset):
        for element in part.values():
            if not isinstance(element, RawDataElement):
                continue
            long_form = not element.is_implicit_VR and element.VR in EXPLICIT_VR_LENGTH_32
            found.add(element.value_tell - (12 if long_form else 8))
            if element.length != 0xFFFFFFFF:
                found.add(element.value_tell + element.length)
    return found - {132}


def compare(tree: Any, expected: Any, path: str = "") -> list[str]:
    """Return where two trees differ and how.

    Parameters
    ----------
    tree, expected : object
        As :func:`expected_header` returns them. NaN equals NaN; 1 does not equal 1.0, nor 0.0 equal -0.0.
    path : str
        Path of the two within their headers, for the messages.

    Returns
    -------
    list of str
        ``path: kind``, one for each difference: missing, extra, type, value, or number of values. No values.
    """
    if type(tree) is not type(expected):
        return [f"{path}: type {type(tree).__name__}, expected {type(expected).__name__}"]
    if isinstance(tree, dict):
        out = [f"{path}/{key}: missing" for key in expected if key not in tree]
        out += [f"{path}/{key}: extra" for key in tree if key not in expected]
        both = [key for key in expected if key in tree]
        return out + [line for key in both for line in compare(tree[key], expected[key], f"{path}/{key}")]
    if isinstance(tree, list):
        if len(tree) != len(expected):
            return [f"{path}: {len(tree)} values, expected {len(expected)}"]
        return [
            line for i, pair in enumerate(zip(tree, expected, strict=True)) for line in compare(*pair, f"{path}[{i}]")
        ]
    if isinstance(tree, float):
        same = (tree != tree and expected != expected) or struct.pack("<d", tree) == struct.pack("<d", expected)
    else:
        same = tree == expected
    return [] if same else [f"{path}: value"]
