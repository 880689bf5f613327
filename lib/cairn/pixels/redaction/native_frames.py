"""Redacting native pixel data: the frames with boxes are patched, everything else is copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from cairn.errors import EntryError
from cairn.pixels import native
from cairn.pixels.description import PixelDescription
from cairn.pixels.redaction.boxes import Targets
from cairn.pixels.redaction.fill import Fill, fill_of
from cairn.pixels.redaction.pieces import CHUNK, Range, Source
from cairn.pixels.redaction.words import Words, blank_native


def effective(d: PixelDescription) -> PixelDescription:
    """Return what native pixels are: those labelled as subsampled, and long enough not to be, are not."""
    if d.photometric == "YBR_FULL_422" and d.value_length >= d.frames * d.rows * d.columns * 3 > 0:
        return replace(d, photometric="YBR_FULL")
    return d


class NativeFrames:
    """The native pixel data of one image.

    Parameters
    ----------
    source : Source
        The file.
    d : PixelDescription
        What its header says, after :func:`effective`.
    overlay_bits : bool
        Whether an overlay is said to lie in the pixel words.
    header : numpy.ndarray of uint8
        The bytes before the pixel data.
    whole_limit : int
        Most bytes of frames that do not end at a byte or word, which are held together.

    Attributes
    ----------
    findings : set of str
        REDACTION_SURPLUS_BLANKED.
    """

    def __init__(
        self, source: Source, d: PixelDescription, overlay_bits: bool, header: np.ndarray, whole_limit: int
    ) -> None:
        self._source, self._d, self._header = source, d, header
        self._words = Words.of(d, d.high_bit + 1 - d.bits_stored if d.kind == "i" else 0, overlay_bits)
        self._limit = whole_limit
        self._fill: Fill = ()
        self.findings: set[str] = set()
        at, size, _ = native.frame_extent(d, d.frames - 1)
        self._length = at + size

    def prepare(self, targets: Targets) -> Fill:
        """Look whether all is there, and return the stored values of blanked pixels.

        Raises
        ------
        EntryError
            REDACTION_PIXELS_BROKEN: the pixel data ends early. FRAME_TOO_LARGE. REDACTION_UNSUPPORTED.
        """
        d = self._d
        if self._length > d.value_length or d.value_at + d.value_length > self._source.size:
            raise EntryError("REDACTION_PIXELS_BROKEN")
        if d.photometric == "YBR_FULL_422" and d.samples == 3 and (d.columns % 2 or d.bits_allocated not in (8, 16)):
            raise EntryError("REDACTION_UNSUPPORTED")
        if self._together and self._length > self._limit:
            raise EntryError("FRAME_TOO_LARGE")
        if d.value_length - self._length > 1:
            self.findings.add("REDACTION_SURPLUS_BLANKED")
        self._fill = fill_of(d, self._stored(targets.frames()[0]), d.photometric, self._header)
        return self._fill

    @property
    def _together(self) -> bool:
        """Whether frames share bytes, or words whose bytes are swapped."""
        return self._d.frame_bytes == 0 or self._d.words

    def _stored(self, frame: int) -> np.ndarray:
        """Return the stored values of a frame of one sample; colours need none to be black."""
        d = self._d
        if d.samples != 1 or d.bits_allocated in (1, 12):
            return np.zeros(0, np.uint8)
        at, size, _ = native.frame_extent(d, frame - 1)
        values = native.native_array(self._read(at, size), d, d.rows)
        if d.kind != "i":
            return values
        return native.stored_values(values, self._words.bits, self._words.shift, d.signed)[0]

    def _read(self, at: int, size: int) -> np.ndarray:
        """Return bytes of the value that may be changed, in the order of pixels."""
        if not self._d.words:
            return self._source.read(self._d.value_at + at, size).copy()
        even = at & ~1
        raw = self._source.read(self._d.value_at + even, (at + size - even + 1) & ~1)
        return _swapped(raw)[at - even : at - even + size].copy()

    def write(self, target: BinaryIO, targets: Targets) -> None:
        """Write the value of the pixel data."""
        d = self._d
        done = 0
        for at, raw in self._all_together(targets) if self._together else self._patches(targets):
            Range(self._source, d.value_at + done, at - done).copy_to(target)
            target.write(raw.tobytes())
            done = at + raw.size
        end = d.value_length if d.value_length - self._length == 1 else max(done, self._length)
        Range(self._source, d.value_at + done, end - done).copy_to(target)
        for at in range(end, d.value_length, CHUNK):
            target.write(bytes(min(CHUNK, d.value_length - at)))

    def _patches(self, targets: Targets) -> Iterator[tuple[int, np.ndarray]]:
        for number in targets.frames():
            at, size, first_bit = native.frame_extent(self._d, number - 1)
            raw = self._read(at, size)
            blank_native(raw, self._d, targets.areas(number), self._fill, self._words, first_bit)
            yield at, raw

    def _all_together(self, targets: Targets) -> Iterator[tuple[int, np.ndarray]]:
        d = self._d
        length = min(self._length + self._length % 2, d.value_length) if d.words else self._length
        raw = self._read(0, length)
        for number in targets.frames():
            at, size, first_bit = native.frame_extent(d, number - 1)
            blank_native(raw[at : at + size], d, targets.areas(number), self._fill, self._words, first_bit)
        yield 0, _swapped(raw) if d.words else raw  # whole words: the last pixel may lie in the second byte of one


def _swapped(raw: np.ndarray) -> np.ndarray:
    even = np.append(raw, np.zeros(raw.size % 2, np.uint8))
    return even.view("<u2").byteswap().view(np.uint8)[: raw.size + raw.size % 2]
