"""Search one plane for text: every door, detector, reader, and what the triage saw that the detector did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cairn.pixels.text.boxes import MARGIN, TextBox, bridged, clipped, covered, grown, merged
from cairn.pixels.text.doors import grey, pictures, relief
from cairn.pixels.text.engines import Engine, Outline, Picture, Reading, crop_of
from cairn.pixels.text.triage import UNEVEN, Line, Plane, is_text, lines

READ_FROM, SHORT_FROM = 0.5, 0.8
"""A reading with less confidence is no proof of text by itself; the latter for one or two characters."""

LEAST_LARGE, LARGE_SHARE, WORD_SHARE = 20, 0.1, 0.25
"""One or two characters are no text when they are higher than this, pixels, and than this share of the image's smaller
side; fewer than six when they are higher than the latter share."""

HARDLY = 0.3
"""A reading with less confidence is no text either where the triage saw glyphs: scales and test patterns are such."""


def search(values: Plane, windows: Sequence[tuple[float, float]], engine: Engine, frame: int = 1) -> list[TextBox]:
    """Return the lines of text of one plane.

    Parameters
    ----------
    values : numpy.ndarray
        (rows, columns) or (rows, columns, samples).
    windows : sequence of (low, high)
        Windows of the header, in stored values.
    engine : Engine
        Detects and reads.
    frame : int
        Frame number of the boxes.
    """
    runs = lines(values, least=2)
    clear = [line for line in runs if is_text(line)]
    boxes: list[TextBox] = []
    for picture in pictures(values, windows):
        outlines = engine.outlines(picture, [(line.x, line.y, line.width, line.height) for line in runs])
        readings = engine.read([crop_of(picture, outline) for outline in outlines])
        boxes += [
            _box(outline.box(), reading, frame)
            for outline, reading in zip(outlines, readings, strict=True)
            if _proven(outline, reading, clear, values.shape)
        ]
    boxes = merged(boxes)
    left = [line for line in runs if (is_text(line) or _short(line)) and not _known(line, boxes)]
    boxes += read_lines(values, left, engine, frame)
    boxes += [_unread(line, engine, frame) for line in _of_the_same_ink(runs, boxes)]
    boxes = bridged(merged([grown(box, runs) for box in boxes]))
    rows, columns = values.shape[:2]
    return [_with_margin(box, rows, columns) for box in sorted(boxes, key=lambda b: (b.y, b.x))]


def read_lines(values: Plane, found: Sequence[Line], engine: Engine, frame: int) -> list[TextBox]:
    """Return boxes of those lines of the triage that can be read, be it hardly."""
    if not found:
        return []
    picture = grey(relief(values))
    outlines = [_outline(line, values.shape) for line in found]
    readings = engine.read([_upright(picture, outline, line) for outline, line in zip(outlines, found, strict=True)])
    return [
        _box((line.x, line.y, line.width, line.height), reading, frame)
        for line, reading in zip(found, readings, strict=True)
        if _readable(reading) or _hardly_readable(reading)
    ]


def _upright(picture: Picture, outline: Outline, line: Line) -> Picture:
    x, y, width, height = outline.box()
    crop = picture[y : y + height, x : x + width]
    return np.ascontiguousarray(crop if line.upright else np.rot90(crop))


def _outline(line: Line, shape: tuple[int, ...]) -> Outline:
    high = line.height if line.upright else line.width
    x, y, width, height = clipped((line.x, line.y, line.width, line.height), shape[0], shape[1], 2 + high // 5)
    right, below = x + width - 1, y + height - 1
    return Outline(np.array([[x, y], [right, y], [right, below], [x, below]], np.float32))


def _readable(reading: Reading) -> bool:
    """Whether a reading is words: the recogniser sees single characters and ideograms in any structure."""
    latin = sum(c.isalnum() and ord(c) < 0x250 for c in reading.text)
    others = sum(c.isalnum() for c in reading.text) - latin
    return reading.confidence >= (READ_FROM if latin > 2 else SHORT_FROM) and (latin > 0 or others > 2)


def _hardly_readable(reading: Reading) -> bool:
    return reading.confidence >= HARDLY and sum(c.isalnum() for c in reading.text) >= 2


def _plausible(outline: Outline, reading: Reading, shape: tuple[int, ...]) -> bool:
    """Whether so few characters may fill so large a box: a marker is small beside the image, and so is a word."""
    _, _, width, height = outline.box()
    characters = sum(c.isalnum() for c in reading.text)
    share = LARGE_SHARE if characters < 3 else WORD_SHARE if characters < 6 else 1.0
    return min(width, height) <= max(LEAST_LARGE, share * min(shape[:2]))


def _proven(outline: Outline, reading: Reading, clear: Sequence[Line], shape: tuple[int, ...]) -> bool:
    """Whether an outline is text: it can be read, or the triage saw glyphs in it."""
    if _readable(reading) and _plausible(outline, reading, shape):
        return True
    return _hardly_readable(reading) and any(
        covered((line.x, line.y, line.width, line.height), [outline.box()]) > 0.5 for line in clear
    )


def _short(line: Line) -> bool:
    """Whether a run is worth reading where text is: three glyphs of one colour."""
    return line.glyphs >= 3 and line.spread < 0.1 and line.uneven <= UNEVEN


def _of_the_same_ink(runs: Sequence[Line], boxes: Sequence[TextBox]) -> list[Line]:
    """Return short runs that nobody read, drawn in the very colour of text that was: one program wrote both.

    Marks of a scale are as alike in colour, and in size as well, which glyphs are not.
    """
    written = [line for line in runs if line.glyphs > 3 and _known(line, boxes)]
    return [
        line
        for line in runs
        if _short(line) and line.uneven > 0.05 and not _known(line, boxes)
        and any(_same_ink(line, other) for other in written)
    ]  # fmt: skip


def _same_ink(one: Line, other: Line) -> bool:
    high, low = sorted((min(one.width, one.height), min(other.width, other.height)), reverse=True)
    same_way = one.upright == other.upright and one.dark == other.dark
    return same_way and abs(one.colour - other.colour) <= 0.01 * one.peak and high <= 2 * low


def _unread(line: Line, engine: Engine, frame: int) -> TextBox:
    place = (line.x, line.y, line.width, line.height)
    return TextBox(frame, frame, *place, text="", confidence=0.0, engine=engine.name)


def _known(line: Line, boxes: Sequence[TextBox]) -> bool:
    return covered((line.x, line.y, line.width, line.height), [box.rectangle for box in boxes]) > 0.8


def _box(place: tuple[int, int, int, int], reading: Reading, frame: int) -> TextBox:
    readable = _readable(reading)
    text = reading.text if readable else ""
    return TextBox(frame, frame, *place, text=text, confidence=round(reading.confidence, 4), engine=reading.engine)


def _with_margin(box: TextBox, rows: int, columns: int) -> TextBox:
    x, y, width, height = clipped(box.rectangle, rows, columns, MARGIN)
    return replace(box, x=x, y=y, width=width, height=height)
