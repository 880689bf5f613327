"""Where a header ends: a compiled walk over the top level of a dataset, without making tokens.

Used while reading, to ask for no more bytes of an entry than its header needs.
"""

from __future__ import annotations

import numpy as np

from cairn.dicom.compiled import compiled
from cairn.dicom.dictionary import VR
from cairn.dicom.tokenise import OK, UNDEFINED, _looks_explicit, _tag, _u32, locate, read_element, undefined_value_end

FOUND, ENDED, NEED, HOLE, BROKEN, REFUSED = 0, 1, 2, 3, 4, 5
_SQ, _UN = VR["SQ"], VR["UN"]
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST = 250


@compiled
def _sequence_end(buf: np.ndarray, p: int, end: int, implicit: bool, big: bool, vr_of_bytes: np.ndarray,
                  vr_is_long: np.ndarray) -> tuple[int, int]:  # fmt: skip
    """Walk a sequence of undefined length whose value begins at `p`.

    Returns
    -------
    tuple of int
        (OK-like status, place): FOUND and the first byte behind it; NEED and how far the bytes must reach at least;
        BROKEN where the structure cannot be right.
    """
    plain = np.zeros(_DEEPEST + 2, np.uint8)
    in_item = np.zeros(_DEEPEST + 2, np.uint8)
    top = 0
    plain[0] = implicit
    while True:
        if p + 8 > end:
            return NEED, p + 8
        if in_item[top] == 0:
            tag, length = _tag(buf, p, big), _u32(buf, p + 4, big)
            if tag == _SEQUENCE_END:
                p += 8
                if top == 0:
                    return FOUND, p
                top -= 1
            elif tag != _ITEM:
                return BROKEN, p
            elif length != UNDEFINED:
                p += 8 + length
            else:
                p += 8
                if p + 6 > end:
                    return NEED, p + 6
                top += 1
                in_item[top] = 1
                plain[top] = plain[top - 1] or not _looks_explicit(buf, p, end)
        else:
            tag, code, length, size = read_element(buf, p, end, plain[top] != 0, big, vr_of_bytes, vr_is_long)
            if size == 0:
                return NEED, p + 12
            if tag == _ITEM_END:
                p += 8
                top -= 1
            elif tag >> 16 == 0xFFFE:
                return BROKEN, p
            elif length != UNDEFINED or (size == 8 and code != -1):
                p += size + length
            else:
                p += size
                if p + 8 > end:
                    return NEED, p + 8
                if code == _SQ or code == _UN or _tag(buf, p, big) == _ITEM:
                    if top >= _DEEPEST:
                        return BROKEN, p
                    top += 1
                    in_item[top] = 0
                    plain[top] = plain[top - 1]
                else:
                    stop = undefined_value_end(buf, p, end, big)
                    if stop < 0:
                        return NEED, 2 * end
                    p = stop + 8


@compiled
def scan(buf: np.ndarray, form: int, hole_at: np.ndarray, hole_limit: int, uids: tuple, vr_of_bytes: np.ndarray,
         vr_is_long: np.ndarray) -> tuple[int, int, int, int]:  # fmt: skip
    """Find the end of a header in the bytes at hand.

    Parameters
    ----------
    buf : numpy.ndarray of uint8
        The entry's first bytes, long values that were left out removed.
    form : int
        Form of the bytes (see :func:`cairn.dicom.tokenise.locate`).
    hole_at : numpy.ndarray of int64
        Where values were left out.
    hole_limit : int
        Longer values at the top level are left out.
    uids, vr_of_bytes, vr_is_long
        As for :func:`cairn.dicom.tokenise.locate`.

    Returns
    -------
    tuple of int
        (status, place, length, status of :func:`~cairn.dicom.tokenise.locate`). FOUND: the pixel data element is at
        `place`. ENDED: the bytes end exactly behind an element. NEED: bytes are wanted up to `place` at least.
        HOLE: the value at `place`, `length` bytes long, should be left out. BROKEN: the structure ends at `place`.
        REFUSED: see the last number.
    """
    end = buf.size
    located, _, p, implicit, big = locate(buf, 0, end, form, vr_of_bytes, vr_is_long, uids)
    if located != OK:
        return REFUSED, p, 0, located
    hole = 0
    while True:
        if p == end:
            return ENDED, p, 0, OK
        if p > end:
            return NEED, p, 0, OK
        tag, code, length, size = read_element(buf, p, end, implicit, big, vr_of_bytes, vr_is_long)
        if size == 0:
            return NEED, p + 12, 0, OK
        if tag == 0x7FE00010 or tag == 0x7FE00008 or tag == 0x7FE00009:
            return FOUND, p, 0, OK
        if tag >> 16 == 0xFFFE:
            return BROKEN, p, 0, OK
        value = p + size
        if length == UNDEFINED and (size != 8 or code == -1):
            if value + 8 > end:
                return NEED, value + 8, 0, OK
            if code == _SQ or code == _UN or _tag(buf, value, big) == _ITEM or _tag(buf, value, big) == _SEQUENCE_END:
                status, p = _sequence_end(buf, value, end, implicit, big, vr_of_bytes, vr_is_long)
                if status != FOUND:
                    return status, p, 0, OK
            else:
                stop = undefined_value_end(buf, value, end, big)
                if stop < 0:
                    return NEED, 2 * end, 0, OK
                p = stop + 8
        elif hole < hole_at.size and hole_at[hole] == value:
            hole += 1
            p = value
        elif length > hole_limit and code != _SQ and value + length > end:
            if value + 4 > end:
                return NEED, value + 8, 0, OK
            if (code == -1 or code == _UN) and _tag(buf, value, big) == _ITEM:
                p = value + length  # an implicit sequence: its values are wanted one by one
            else:
                return HOLE, value, length, OK
        else:
            p = value + length
