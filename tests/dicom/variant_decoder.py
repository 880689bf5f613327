"""A strict decoder of VARIANT bytes, after the Parquet format's VariantEncoding.md, for tests only.

Spark's own reader is lenient: it follows offsets and looks no further. This one also refuses what the format forbids or
what would make a file larger for nothing: keys that are not sorted, a field list out of order, bytes that no value
uses, offsets that point backwards.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from typing import Any

PRIMITIVE, SHORT_TEXT, OBJECT, ARRAY = range(4)
VERSION_MASK, SORTED_BIT = 0x0F, 0x10
INTEGERS = {3: 1, 4: 2, 5: 4, 6: 8}  # type id of a primitive: bytes
DOUBLE, DECIMAL16, FLOAT, BINARY, TEXT = 7, 10, 14, 15, 16


class MalformedVariant(ValueError):
    """The bytes break VariantEncoding.md."""


def demand(condition: bool, what: str) -> None:
    if not condition:
        raise MalformedVariant(what)


def little(data: bytes, place: int, size: int) -> int:
    demand(place + size <= len(data), "a number lies outside the bytes")
    return int.from_bytes(data[place : place + size], "little")


def keys_of(metadata: bytes) -> list[str]:
    """Return the dictionary of a VARIANT; sorted and without repeats when its header says so."""
    demand(len(metadata) >= 2, "metadata shorter than its header")
    demand(metadata[0] & VERSION_MASK == 1, "version is not 1")
    size = (metadata[0] >> 6) + 1
    count = little(metadata, 1, size)
    offsets = [little(metadata, 1 + size * (i + 1), size) for i in range(count + 1)]
    start = 1 + size * (count + 2)
    demand(offsets[0] == 0 and offsets == sorted(offsets), "key offsets do not ascend from 0")
    demand(start + offsets[-1] == len(metadata), "metadata does not end where its last key does")
    raw = [metadata[start + a : start + b] for a, b in itertools.pairwise(offsets)]
    if metadata[0] & SORTED_BIT:
        demand(raw == sorted(set(raw)), "keys said to be sorted are not")
    return [key.decode("utf-8") for key in raw]


@dataclass(frozen=True)
class Decoder:
    """Reads one value after another; every method returns the value and the place behind it."""

    data: bytes
    keys: list[str]

    def value(self, place: int) -> tuple[Any, int]:
        head = little(self.data, place, 1)
        kind, info = head & 3, head >> 2
        if kind == OBJECT:
            return self.object(place + 1, info)
        if kind == ARRAY:
            return self.array(place + 1, info)
        if kind == SHORT_TEXT:
            return self.bytes_at(place + 1, info).decode("utf-8"), place + 1 + info
        return self.primitive(place + 1, info)

    def bytes_at(self, place: int, length: int) -> bytes:
        demand(place + length <= len(self.data), "a value lies outside the bytes")
        return self.data[place : place + length]

    def primitive(self, place: int, kind: int) -> tuple[Any, int]:
        if kind in (0, 1, 2):
            return (None, True, False)[kind], place
        if kind in INTEGERS:
            size = INTEGERS[kind]
            return int.from_bytes(self.bytes_at(place, size), "little", signed=True), place + size
        if kind in (DOUBLE, FLOAT):
            size, form = (8, "<d") if kind == DOUBLE else (4, "<f")
            return struct.unpack(form, self.bytes_at(place, size))[0], place + size
        if kind == DECIMAL16:  # integers above INT64, of VR UV
            demand(little(self.data, place, 1) == 0, "a decimal with a fraction has no place in a header")
            return int.from_bytes(self.bytes_at(place + 1, 16), "little", signed=True), place + 17
        demand(kind in (BINARY, TEXT), f"primitive {kind} has no place in a header")
        length = little(self.data, place, 4)
        raw = self.bytes_at(place + 4, length)
        return (raw if kind == BINARY else raw.decode("utf-8")), place + 4 + length

    def counted(self, place: int, large: bool) -> tuple[int, int]:
        size = 4 if large else 1
        return little(self.data, place, size), place + size

    def offsets(self, place: int, count: int, size: int) -> tuple[list[int], int]:
        end = place + size * (count + 1)
        demand(end <= len(self.data), "offsets lie outside the bytes")
        return [little(self.data, place + size * i, size) for i in range(count + 1)], end

    def parts(self, start: int, offsets: list[int]) -> list[Any]:
        """Return the values behind the offsets, which must cover the bytes without a gap."""
        demand(sorted(offsets)[-1] == offsets[-1] and offsets.count(offsets[-1]) == 1, "last offset is not the end")
        values, ends = [], []
        for offset in offsets[:-1]:
            value, end = self.value(start + offset)
            values.append(value)
            ends.append(end - start)
        demand(sorted([0, *ends]) == sorted(offsets), "values leave a gap, overlap or end elsewhere")
        return values

    def object(self, place: int, info: int) -> tuple[dict[str, Any], int]:
        offset_size, id_size = (info & 3) + 1, ((info >> 2) & 3) + 1
        count, place = self.counted(place, bool(info & 16))
        ids = [little(self.data, place + id_size * i, id_size) for i in range(count)]
        demand(all(i < len(self.keys) for i in ids), "a field has no key")
        names = [self.keys[i] for i in ids]
        in_order = [name.encode() for name in names]
        demand(in_order == sorted(set(in_order)), "fields are not sorted by name, or repeat")
        offsets, start = self.offsets(place + id_size * count, count, offset_size)
        return dict(zip(names, self.parts(start, offsets), strict=True)), start + offsets[-1]

    def array(self, place: int, info: int) -> tuple[list[Any], int]:
        count, place = self.counted(place, bool(info & 4))
        offsets, start = self.offsets(place, count, (info & 3) + 1)
        return self.parts(start, offsets), start + offsets[-1]


def decoded(value: bytes, metadata: bytes) -> Any:
    """Return a VARIANT as Python values.

    Parameters
    ----------
    value, metadata : bytes
        Its two binaries.

    Returns
    -------
    object
        dict, list, str, bytes, int, float or None.

    Raises
    ------
    MalformedVariant
        When a rule of the format is broken or bytes are left over.
    """
    tree, end = Decoder(value, keys_of(metadata)).value(0)
    demand(end == len(value), "bytes behind the value")
    return tree
