"""Blanking pixels where they lie: in the bytes of a native frame, or in an array of a decoded one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cairn.pixels import native
from cairn.pixels.description import PixelDescription
from cairn.pixels.redaction.boxes import Areas
from cairn.pixels.redaction.fill import Fill


@dataclass(frozen=True)
class Words:
    """How stored values lie in pixel words (PS3.5 8.1.1).

    Parameters
    ----------
    bits : int
        Bits of a stored value.
    shift : int
        Lowest of them in the word.
    signed : bool
        Pixel Representation 1.
    extends : bool
        Whether the sign fills the bits above; not where an overlay is said to lie in them.
    """

    bits: int
    shift: int
    signed: bool
    extends: bool

    @classmethod
    def of(cls, d: PixelDescription, shift: int, overlay_bits: bool) -> Words:
        """Return the words of an image; `overlay_bits`: an overlay is said to lie in them."""
        return cls(d.bits_stored, shift, d.signed, d.signed and shift == 0 and not overlay_bits)

    def word(self, value: float, dtype: np.dtype[np.generic]) -> np.generic:
        """Return a stored value as a word of some type."""
        if dtype.kind == "f":
            return dtype.type(value)
        plain = int(value) & ((1 << (8 * dtype.itemsize)) - 1 if self.extends else (1 << self.bits) - 1)
        return self._as(plain << self.shift, dtype)

    def _as(self, plain: int, dtype: np.dtype[np.generic]) -> np.generic:
        unsigned = np.array([plain & ((1 << 8 * dtype.itemsize) - 1)], f"=u{dtype.itemsize}")
        return unsigned.view(f"={dtype.kind}{dtype.itemsize}")[0]

    def cleared(self, words: np.ndarray) -> np.ndarray:
        """Return words without what lies outside of their stored values."""
        plain = words.astype(np.int64 if words.itemsize < 8 else words.dtype.newbyteorder("="))
        value = (plain >> self.shift) & ((1 << self.bits) - 1)
        if self.extends:
            value = np.where(value >> (self.bits - 1) & 1, value - (1 << self.bits), value)
        return (value << self.shift).astype(words.dtype)


def blank(values: np.ndarray, areas: Areas, fill: Fill, words: Words) -> None:
    """Blank areas of a frame.

    Parameters
    ----------
    values : numpy.ndarray
        Words, (rows, columns) or (rows, columns, samples); changed in place.
    areas : Areas
        Where.
    fill : Fill
        Stored value for each sample.
    words : Words
        How stored values lie in words.
    """
    ink = np.array([words.word(value, values.dtype) for value in fill])
    for x, y, width, height in areas.bits:
        cut = values[y : y + height, x : x + width]
        if values.dtype.kind in "iu":
            cut[...] = words.cleared(cut)
    for x, y, width, height in areas.pixels:
        values[y : y + height, x : x + width] = ink if values.ndim == 3 else ink[0]


def blank_native(
    raw: np.ndarray, d: PixelDescription, areas: Areas, fill: Fill, words: Words, first_bit: int = 0
) -> None:
    """Blank areas in the bytes of a native frame.

    Parameters
    ----------
    raw : numpy.ndarray of uint8
        The frame's bytes, contiguous; changed in place, and nowhere else than in the areas.
    d : PixelDescription
        What they are; of YBR_FULL_422 areas end at even columns.
    areas, fill, words
        As for :func:`blank`.
    first_bit : int
        Where the frame begins in its first byte.
    """
    if d.kind == "i" and d.bits_allocated == 1:
        count = d.rows * d.columns * d.samples
        bits = np.unpackbits(raw, bitorder="little")
        blank(_shaped(bits[first_bit : first_bit + count], d), areas, fill, words)
        raw[:] = np.packbits(bits, bitorder="little")
    elif d.kind == "i" and d.bits_allocated == 12:
        _blank_twelve(raw, d, areas, fill, words)
    elif d.photometric == "YBR_FULL_422" and d.samples == 3:
        _blank_pairs(raw, d, areas, fill, words)
    else:
        blank(native.native_array(raw, d, d.rows), areas, fill, words)


def _shaped(values: np.ndarray, d: PixelDescription) -> np.ndarray:
    return values.reshape((d.rows, d.columns) if d.samples == 1 else (d.rows, d.columns, d.samples))


def _blank_twelve(raw: np.ndarray, d: PixelDescription, areas: Areas, fill: Fill, words: Words) -> None:
    """Blank two pixels of 12 bits in three bytes."""
    count = d.rows * d.columns * d.samples
    whole = np.zeros(-(-count // 2) * 3, np.uint8)
    whole[: raw.size] = raw
    plain = native.unpacked_twelve(whole, count + count % 2)[:count]
    blank(_shaped(plain, d), areas, fill, words)
    pairs = np.append(plain, np.zeros(count % 2, np.uint16)).reshape(-1, 2)
    triples = whole.reshape(-1, 3)
    triples[:, 0] = pairs[:, 0] & 0xFF
    triples[:, 1] = pairs[:, 0] >> 8 | (pairs[:, 1] & 0xF) << 4
    triples[:, 2] = pairs[:, 1] >> 4
    raw[:] = whole[: raw.size]


def _blank_pairs(raw: np.ndarray, d: PixelDescription, areas: Areas, fill: Fill, words: Words) -> None:
    """Blank Y, Y, Cb, Cr of pairs of pixels (PS3.3 C.7.6.3.1.2, YBR_FULL_422)."""
    order = ">" if d.big_endian else "<"
    quads = raw.view(f"{order}u{max(1, d.bits_allocated // 8)}").reshape(d.rows, d.columns // 2, 4)
    luma, blue, red = fill
    halved = Areas([(x // 2, y, width // 2, height) for x, y, width, height in areas.pixels], [])
    blank(quads, halved, (luma, luma, blue, red), words)
