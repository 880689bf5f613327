"""The elements of a header document of Cairn's own layout, with a VR for each.

The VARIANT has no VRs. Those of the dictionary are right for what the dictionary has; of private elements the value
tells enough that the kernel makes the same VARIANT of it again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from bson.decimal128 import Decimal128

from cairn.catalogue.canonical import NUMBERS, TEXT, Element, Items, LeftOut
from cairn.catalogue.variant import DOUBLE, SINGLE
from cairn.dicom.dictionary import EXTRA_KEYS, keywords

_AMBIGUOUS = {"US or SS": "US", "US or OW": "US", "US or SS or OW": "US", "OB or OW": "OW", "OB_OW": "OW"}
_INTEGERS = ("US", "SS", "UL", "SL", "UV", "SV")
_SINGLE_TEXT = ("LT", "ST", "UT", "UR")
_SYNTAX = 0x00020010


def elements_of(document: Mapping[str, Any]) -> Iterator[Element]:
    """Yield the elements of a header document (:func:`cairn.catalogue.variant.to_document`), in its order.

    The transfer syntax is left out: the bytes that come of this are explicit little endian, whatever the file's were.
    """
    for key, value in document.items():
        tag, vr = _named(key)
        if tag != _SYNTAX and tag & 0xFFFF:  # group lengths would be wrong
            yield _element(tag, vr, value)


def _named(key: str) -> tuple[int, str]:
    return _public().get(key) or (int(key, 16), "")


@cache
def _public() -> dict[str, tuple[int, str]]:
    return {key: (tag, _AMBIGUOUS.get(vr, vr)) for key, (tag, vr) in keywords().items()}


def _element(tag: int, vr: str, value: Any) -> Element:
    if isinstance(value, Mapping):
        if set(value) == set(EXTRA_KEYS):
            return Element(tag, vr or "OB", LeftOut(int(value["length"]), bytes.fromhex(value["sha256"])))
        ((width, value),) = value.items()
        vr = {SINGLE: "FL", DOUBLE: "FD"}[width]
    if value is None:
        return Element(tag, vr or "UN", Items(()) if vr == "SQ" else b"")
    values = value if isinstance(value, list) else [value]
    first = values[0] if values else {}
    if isinstance(first, Mapping):
        return Element(tag, "SQ", Items(tuple(tuple(elements_of(item)) for item in values)))
    if isinstance(first, str):
        return _text(tag, vr, values)
    if isinstance(first, bytes):
        return Element(tag, vr if vr in ("OB", "OW", "OD", "OF", "OL", "OV") else "OB", first)
    return _numbers(tag, vr, values)


def _text(tag: int, vr: str, values: list[str]) -> Element:
    if vr == "AT":
        tags = [int(text, 16) for text in values]
        return Element(tag, vr, b"".join(struct.pack("<HH", one >> 16, one & 0xFFFF) for one in tags))
    if vr not in TEXT:
        vr = "UT" if len(values) == 1 and "\\" in values[0] else "UC"
    elif len(values) > 1 and vr in _SINGLE_TEXT:
        vr = "UC"
    return Element(tag, vr, "\\".join(values))


def _numbers(tag: int, vr: str, values: list[Any]) -> Element:
    plain = [int(one.to_decimal()) if isinstance(one, Decimal128) else one for one in values]
    if any(isinstance(one, float) for one in plain):
        fitting = [vr if vr in ("FL", "FD") else "FD"]
    else:
        fitting = [name for name in dict.fromkeys((vr, *_INTEGERS)) if name in _INTEGERS]
    for name in fitting:
        try:
            return Element(tag, name, struct.pack(f"<{len(plain)}{NUMBERS[name]}", *plain))
        except struct.error:
            continue
    raise ValueError("no VR holds the numbers")
