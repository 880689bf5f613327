"""Blanking overlays in elements of their own (PS3.3 C.9.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cairn.pixels.redaction.header import Header, Value
from cairn.pixels.text.boxes import Rectangle

_DATA = 0x3000


def blanked_overlays(header: Header, targets: Mapping[int, Sequence[Rectangle]]) -> dict[int, Value | None]:
    """Return the Overlay Data elements with rectangles blanked.

    Parameters
    ----------
    header : Header
        The header.
    targets : mapping of int to sequence of Rectangle
        By group, in the overlay's own coordinates; frames lie below one another.
    """
    planes = header.overlays()
    made: dict[int, Value | None] = {}
    for group, rectangles in targets.items():
        plane, tag = planes[group], group << 16 | _DATA
        vr = header.vr(tag) or "OW"
        swaps = header.big and vr == "OW"
        raw = np.frombuffer(header.raw(tag), np.uint8)
        raw = _words_swapped(raw) if swaps else raw.copy()
        bits = np.unpackbits(raw, bitorder="little")
        count = min(bits.size, plane.rows * plane.columns * plane.frames)
        whole = np.zeros(plane.rows * plane.columns * plane.frames, np.uint8)
        whole[:count] = bits[:count]
        image = whole.reshape(-1, plane.columns)
        for x, y, width, height in rectangles:
            image[y : y + height, x : x + width] = 0
        bits[:count] = whole[:count]
        packed = np.packbits(bits, bitorder="little")
        made[tag] = (vr, (_words_swapped(packed) if swaps else packed).tobytes())
    return made


def _words_swapped(raw: np.ndarray) -> np.ndarray:
    return raw[: raw.size & ~1].view("<u2").byteswap().view(np.uint8)
