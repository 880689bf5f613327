"""A file's elements, read by a plain walk of its own where the file is plain, and by pydicom where it is not.

The walk knows Explicit and Implicit VR Little Endian with well-formed sequences (PS3.5 7.1, 7.5), which nearly every
file is; at anything else it gives up, and pydicom reads the file from its beginning. Where both can, they say the same
(tests/verify/test_elements.py). It shares no code with the header kernel.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from pydicom.datadict import dictionary_VR, keyword_for_tag

EXPLICIT = frozenset(("AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US").split())  # noqa: SIM905
EXPLICIT_LONG = frozenset(("OB OD OF OL OV OW SQ SV UC UN UR UT UV").split())  # noqa: SIM905
_IMPLICIT_SYNTAX = "1.2.840.10008.1.2"
_OTHERS = frozenset({"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1"})
"""Big endian and deflated."""
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_TAG = struct.Struct("<HH")
_SHORT, _LONG = struct.Struct("<H"), struct.Struct("<I")
_DEEPEST = 64


class Odd(Exception):
    """The file is not as plain as the walk needs it."""


class Raw(NamedTuple):
    """One element.

    Parameters
    ----------
    tag : int
        Group and element.
    vr : str
        As the file says, else as the dictionary does; UN for what neither knows.
    value : bytes
        As it stands; empty for a sequence.
    items : tuple of list of Raw
        The items of a sequence.
    """

    tag: int
    vr: str
    value: bytes
    items: tuple[list[Raw], ...] = ()


def plain_elements(data: bytes) -> tuple[list[Raw], list[Raw]]:
    """Return the elements of the file meta information, and those of the data set before its pixels.

    Raises
    ------
    Odd
        When only pydicom can tell.
    """
    if data[128:132] != b"DICM":
        raise Odd
    try:
        meta, at = _Walk(data, True).elements(132, len(data), 0, group=2)
        syntax = next((raw.value for raw in meta if raw.tag == 0x00020010), b"").strip(b"\0 ").decode("ascii")
        if not syntax.startswith("1.2.840.10008.1.2") or syntax in _OTHERS:
            raise Odd
        dataset, _ = _Walk(data, syntax != _IMPLICIT_SYNTAX).elements(at, len(data), 0)
    except (struct.error, UnicodeDecodeError):
        raise Odd from None
    return meta, dataset


class _Walk:
    def __init__(self, data: bytes, explicit: bool) -> None:
        self._data = data
        self._explicit = explicit

    def elements(self, at: int, end: int, depth: int, group: int | None = None) -> tuple[list[Raw], int]:
        """Return the elements from `at` on, and where they end; of one group only, when it is given."""
        found = []
        previous = -1
        while at < end:
            high, low = _TAG.unpack_from(self._data, at)
            tag = high << 16 | low
            if group is not None and high != group:
                break
            if tag in (_ITEM_END, _SEQUENCE_END) or (depth == 0 and tag in _PIXELS):
                break
            if tag <= previous or high == 0xFFFE:
                raise Odd
            raw, at = self._element(tag, at + 4, end, depth)
            previous = tag
            found.append(raw)
        return found, at

    def _element(self, tag: int, at: int, end: int, depth: int) -> tuple[Raw, int]:
        vr, length, at = self._header(tag, at)
        if vr == "SQ":
            items, at = self._items(at, end, length, depth + 1)
            return Raw(tag, vr, b"", items), at
        if length == _UNDEFINED or at + length > end:
            raise Odd
        return Raw(tag, vr, self._data[at : at + length]), at + length

    def _header(self, tag: int, at: int) -> tuple[str, int, int]:
        """Return VR, length and where the value begins."""
        if not self._explicit:
            return known_vr(tag), *(*_LONG.unpack_from(self._data, at), at + 4)
        vr = self._data[at : at + 2].decode("ascii")
        if vr in EXPLICIT:
            return vr, *(*_SHORT.unpack_from(self._data, at + 2), at + 4)
        if vr not in EXPLICIT_LONG:
            raise Odd
        (length,) = _LONG.unpack_from(self._data, at + 4)
        if vr == "UN" and known_vr(tag) == "SQ":
            raise Odd
        return known_vr(tag) if vr == "UN" else vr, length, at + 8

    def _items(self, at: int, end: int, length: int, depth: int) -> tuple[tuple[list[Raw], ...], int]:
        if depth > _DEEPEST:
            raise Odd
        end = end if length == _UNDEFINED else at + length
        if end > len(self._data):
            raise Odd
        items: list[list[Raw]] = []
        while at < end:
            high, low = _TAG.unpack_from(self._data, at)
            (size,) = _LONG.unpack_from(self._data, at + 4)
            tag, at = high << 16 | low, at + 8
            if tag == _SEQUENCE_END and length == _UNDEFINED:
                return tuple(items), at
            if tag != _ITEM:
                raise Odd
            item, at = self._item(at, end, size, depth)
            items.append(item)
        if length == _UNDEFINED or at != end:
            raise Odd
        return tuple(items), at

    def _item(self, at: int, end: int, size: int, depth: int) -> tuple[list[Raw], int]:
        within = end if size == _UNDEFINED else at + size
        if within > end:
            raise Odd
        item, at = self.elements(at, within, depth)
        if size != _UNDEFINED:
            if at != within:
                raise Odd
            return item, at
        if at + 8 > end or self._data[at : at + 8] != b"\xfe\xff\x0d\xe0\0\0\0\0":
            raise Odd
        return item, at + 8


@lru_cache(maxsize=1 << 16)
def known_vr(tag: int) -> str:
    """Return the VR that the standard's dictionary has for a tag; UN for others and for private ones."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


@lru_cache(maxsize=1 << 16)
def known_keyword(tag: int) -> str:
    """Return a tag's keyword, empty when it has none."""
    return keyword_for_tag(tag)
