"""A header's VARIANT as a BSON document, and back to the same bytes.

Text, integers, bytes, nulls, arrays and objects are what they are in BSON. Of floating-point numbers BSON has one
width, a header two: a number is bare when its width is the one that the data dictionary gives to its keyword (FL:
single, everything else: double), else it stands in an object, ``{"single": 1.5}`` or ``{"double": 1.5}``. A bare object
is otherwise never a value (docs/header.md), but for ``{"length", "sha256"}``. Integers beyond 64 bits with sign (VR UV)
are Decimal128.

Source: Parquet, "Variant Binary Encoding", version 1; ``docs/header.md``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

from bson.decimal128 import Decimal128

from cairn.dicom.dictionary import keywords

SINGLE, DOUBLE = "single", "double"

_PRIMITIVE, _SHORT_TEXT, _OBJECT = range(3)
_DOUBLE, _DECIMAL16, _FLOAT, _BINARY, _TEXT = 7, 10, 14, 15, 16
_INTEGER_BYTES = {3: 1, 4: 2, 5: 4, 6: 8}
_REALS = {_FLOAT: ("<f", 4), _DOUBLE: ("<d", 8)}


@cache
def single_keys() -> frozenset[str]:
    """Return the keywords whose numbers are of single width."""
    return frozenset(keyword for keyword, (_, vr) in keywords().items() if vr == "FL")


@lru_cache(maxsize=4096)
def _keys(metadata: bytes) -> tuple[str, ...]:
    """Return a VARIANT's keys; headers of one make have the same."""
    size = (metadata[0] >> 6) + 1
    count = int.from_bytes(metadata[1 : 1 + size], "little")
    ends = [int.from_bytes(metadata[1 + size * i : 1 + size * (i + 1)], "little") for i in range(1, count + 2)]
    start = 1 + size * (count + 2)
    return tuple(metadata[start + a : start + b].decode() for a, b in pairwise(ends))


def to_document(value: bytes, metadata: bytes) -> tuple[dict[str, Any], int]:
    """Return a header's VARIANT as a document.

    Parameters
    ----------
    value, metadata : bytes
        The VARIANT's two binaries; the value is an object.

    Returns
    -------
    (dict, int)
        The document, and how deep its objects and arrays nest.
    """
    reader = _Reader(value, _keys(metadata))
    return reader.object(0, 1), reader.depth


class _Reader:
    """Reads the values of one VARIANT."""

    __slots__ = ("data", "depth", "keys")

    def __init__(self, data: bytes, keys: tuple[str, ...]) -> None:
        self.data, self.keys, self.depth = data, keys, 1

    def object(self, place: int, depth: int) -> dict[str, Any]:
        data, keys = self.data, self.keys
        self.depth = max(self.depth, depth)
        info = data[place] >> 2
        width, id_width, large = (info & 3) + 1, ((info >> 2) & 3) + 1, info & 16
        count = int.from_bytes(data[place + 1 : place + 5], "little") if large else data[place + 1]
        ids = place + (5 if large else 2)
        offsets = ids + count * id_width
        start = offsets + (count + 1) * width
        out = {}
        for i in range(count):
            key = keys[int.from_bytes(data[ids + i * id_width : ids + (i + 1) * id_width], "little")]
            offset = int.from_bytes(data[offsets + i * width : offsets + (i + 1) * width], "little")
            out[key] = self.field(key, start + offset, depth)
        return out

    def field(self, key: str, place: int, depth: int) -> Any:
        head = self.data[place]
        if head & 3 == _SHORT_TEXT:  # most of a header
            return self.data[place + 1 : place + 1 + (head >> 2)].decode()
        kind, value = self.value(place, depth)
        if kind not in _REALS:
            return value
        usual = _FLOAT if key in single_keys() else _DOUBLE
        return value if kind == usual else {SINGLE if kind == _FLOAT else DOUBLE: value}

    def value(self, place: int, depth: int) -> tuple[int, Any]:
        """Return a value and, of a number with a fraction or an array of them, its kind; -1 of others."""
        data = self.data
        head = data[place]
        base, kind = head & 3, head >> 2
        if base == _SHORT_TEXT:
            return -1, data[place + 1 : place + 1 + kind].decode()
        if base == _OBJECT:
            return -1, self.object(place, depth + 1)
        if base != _PRIMITIVE:
            return self.array(place, depth + 1)
        if kind == 0:
            return -1, None
        if kind in _INTEGER_BYTES:
            return -1, int.from_bytes(data[place + 1 : place + 1 + _INTEGER_BYTES[kind]], "little", signed=True)
        if kind in _REALS:
            return kind, struct.unpack_from(_REALS[kind][0], data, place + 1)[0]
        if kind == _DECIMAL16:
            return -1, Decimal128(str(int.from_bytes(data[place + 2 : place + 18], "little", signed=True)))
        length = int.from_bytes(data[place + 1 : place + 5], "little")
        raw = data[place + 5 : place + 5 + length]
        return -1, raw.decode() if kind == _TEXT else raw

    def array(self, place: int, depth: int) -> tuple[int, list[Any]]:
        data = self.data
        self.depth = max(self.depth, depth)
        info = data[place] >> 2
        width, large = (info & 3) + 1, info & 4
        count = int.from_bytes(data[place + 1 : place + 5], "little") if large else data[place + 1]
        offsets = place + (5 if large else 2)
        start = offsets + (count + 1) * width
        kind, out = -1, []
        for i in range(count):
            offset = int.from_bytes(data[offsets + i * width : offsets + (i + 1) * width], "little")
            kind, value = self.value(start + offset, depth)
            out.append(value)
        return kind, out


def from_document(document: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return a document as a VARIANT's two binaries, value and metadata: the same bytes that it was made from.

    Parameters
    ----------
    document : mapping
        As :func:`to_document` makes it.
    """
    names = sorted(set(_names(document)), key=str.encode)
    raw = [name.encode() for name in names]
    total = sum(map(len, raw))
    width = _width(max(total, len(raw)))
    head = bytes([1 | 16 | (width - 1) << 6]) + len(raw).to_bytes(width, "little")
    metadata = head + _offsets(raw, width) + b"".join(raw)
    id_width = 1 if len(raw) <= 1 << 8 else 2 if len(raw) <= 1 << 16 else 3
    return _object(document, {name: i for i, name in enumerate(names)}, id_width), metadata


def _names(value: Any) -> Iterator[str]:
    """Yield the keys of a value and of all values in it."""
    if isinstance(value, list):
        for part in value:
            yield from _names(part)
    elif isinstance(value, dict) and not _number_in(value):
        for key, part in value.items():
            yield key
            yield from _names(part)


def _number_in(value: dict[str, Any]) -> str:
    """Return the key when an object only tells a number's width, else an empty text."""
    return next(iter(value)) if len(value) == 1 and (SINGLE in value or DOUBLE in value) else ""


def _width(total: int) -> int:
    return 1 if total < 1 << 8 else 2 if total < 1 << 16 else 3 if total < 1 << 24 else 4


def _offsets(parts: list[bytes], width: int) -> bytes:
    out, at = [bytes(width)], 0
    for part in parts:
        at += len(part)
        out.append(at.to_bytes(width, "little"))
    return b"".join(out)


def _object(value: dict[str, Any], ids: dict[str, int], id_width: int) -> bytes:
    in_order = sorted(value, key=ids.__getitem__)
    parts = [_field(key, value[key], ids, id_width) for key in in_order]
    width = _width(sum(map(len, parts)))
    large = len(parts) > 255
    head = bytes([2 | (width - 1) << 2 | (id_width - 1) << 4 | (64 if large else 0)])
    count = len(parts).to_bytes(4 if large else 1, "little")
    fields = b"".join(ids[key].to_bytes(id_width, "little") for key in in_order)
    return b"".join([head, count, fields, _offsets(parts, width), *parts])


def _field(key: str, value: Any, ids: dict[str, int], id_width: int) -> bytes:
    kind = _FLOAT if key in single_keys() else _DOUBLE
    if isinstance(value, dict) and (told := _number_in(value)):
        kind, value = (_FLOAT if told == SINGLE else _DOUBLE), value[told]
    return _encoded(value, kind, ids, id_width)


def _encoded(value: Any, kind: int, ids: dict[str, int], id_width: int) -> bytes:
    if value is None:
        return b"\0"
    if isinstance(value, str):
        raw = value.encode()
        return bytes([len(raw) << 2 | 1]) + raw if len(raw) < 64 else _counted(_TEXT, raw)
    if isinstance(value, dict):
        return _object(value, ids, id_width)
    if isinstance(value, list):
        return _array([_encoded(part, kind, ids, id_width) for part in value])
    if isinstance(value, bytes):
        return _counted(_BINARY, value)
    if isinstance(value, float):
        return bytes([kind << 2]) + struct.pack(_REALS[kind][0], value)
    if isinstance(value, Decimal128):
        return bytes([_DECIMAL16 << 2, 0]) + int(value.to_decimal()).to_bytes(16, "little", signed=True)
    return _integer(int(value))


def _integer(value: int) -> bytes:
    for kind, size in _INTEGER_BYTES.items():
        if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1:
            return bytes([kind << 2]) + value.to_bytes(size, "little", signed=True)
    raise OverflowError("an integer beyond 64 bits is a Decimal128")


def _counted(kind: int, raw: bytes) -> bytes:
    return bytes([kind << 2]) + len(raw).to_bytes(4, "little") + raw


def _array(parts: list[bytes]) -> bytes:
    width = _width(sum(map(len, parts)))
    large = len(parts) > 255
    head = bytes([3 | (width - 1) << 2 | (16 if large else 0)])
    return b"".join([head, len(parts).to_bytes(4 if large else 1, "little"), _offsets(parts, width), *parts])
