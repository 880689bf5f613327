"""Boxes of text: what one is, how boxes that mean the same line become one, how a line grows to its ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cairn.pixels.text.triage import Line

Rectangle = tuple[int, int, int, int]
"""x, y, width, height, pixels."""

PIXELS = "pixels"
"""Plane of text that stands in the image itself; ``overlay 6000`` and ``bit 15`` are others."""

MARGIN = 2
"""Pixels that a box reaches beyond what was found, so that soft edges are in it."""


@dataclass(frozen=True)
class TextBox:
    """One line of text.

    Attributes
    ----------
    frame, last_frame : int
        First and last frame that it stands in, from 1.
    x, y, width, height : int
        In the stored image, pixels.
    text : str
        As it was read; empty when it could not be.
    confidence : float
        The reader's, 0 to 1.
    engine : str
        Who read it.
    category : str
        See :mod:`cairn.pixels.text.category`.
    plane : str
        :data:`PIXELS`, ``overlay 6000`` …, ``bit 15`` …
    in_ultrasound_region : bool or None
        Whether its middle lies in a region that the header calls echoes, trace or spectrum; None: it names none.
    """

    frame: int
    last_frame: int
    x: int
    y: int
    width: int
    height: int
    text: str
    confidence: float
    engine: str
    category: str = ""
    plane: str = PIXELS
    in_ultrasound_region: bool | None = None

    @property
    def rectangle(self) -> Rectangle:
        """Return x, y, width, height."""
        return self.x, self.y, self.width, self.height


def shared(one: Rectangle, other: Rectangle) -> int:
    """Return how many pixels two rectangles share."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(0, wide) * max(0, high)


def area(rectangle: Rectangle) -> int:
    """Return how many pixels a rectangle has."""
    return rectangle[2] * rectangle[3]


def around(one: Rectangle, other: Rectangle) -> Rectangle:
    """Return the smallest rectangle around two."""
    x, y = min(one[0], other[0]), min(one[1], other[1])
    right = max(one[0] + one[2], other[0] + other[2])
    below = max(one[1] + one[3], other[1] + other[3])
    return x, y, right - x, below - y


def covered(rectangle: Rectangle, others: Iterable[Rectangle]) -> float:
    """Return the largest share of a rectangle that lies in one of the others."""
    return max((shared(rectangle, other) for other in others), default=0) / max(1, area(rectangle))


def middle_within(rectangle: Rectangle, others: Iterable[Rectangle]) -> bool:
    """Whether a rectangle's middle lies in one of the others."""
    x, y = rectangle[0] + rectangle[2] / 2, rectangle[1] + rectangle[3] / 2
    return any(left <= x < left + width and top <= y < top + height for left, top, width, height in others)


def clipped(rectangle: Rectangle, rows: int, columns: int, margin: int = 0) -> Rectangle:
    """Return the rectangle with a margin, inside an image."""
    x, y = max(0, rectangle[0] - margin), max(0, rectangle[1] - margin)
    right = min(columns, rectangle[0] + rectangle[2] + margin)
    below = min(rows, rectangle[1] + rectangle[3] + margin)
    return x, y, max(0, right - x), max(0, below - y)


def merged(boxes: Sequence[TextBox]) -> list[TextBox]:
    """Make one box of those that mean the same line: the surest one's text, and the place of all.

    Boxes mean the same line when one holds most of the other and they lie the same way.
    """
    kept: list[TextBox] = []
    for box in sorted(boxes, key=lambda b: (-b.confidence, b.rectangle)):
        for i, other in enumerate(kept):
            together = shared(box.rectangle, other.rectangle)
            if together > 0.5 * min(area(box.rectangle), area(other.rectangle)) and _same_way(box, other):
                x, y, width, height = around(box.rectangle, other.rectangle)
                kept[i] = replace(other, x=x, y=y, width=width, height=height)
                break
        else:
            kept.append(box)
    return kept


def _same_way(one: TextBox, other: TextBox) -> bool:
    """Whether joining them does not make a box much larger than both together."""
    both = area(one.rectangle) + area(other.rectangle)
    return area(around(one.rectangle, other.rectangle)) <= 1.6 * both


def grown(box: TextBox, lines: Sequence[Line]) -> TextBox:
    """Return the box with the glyphs that stand on in its line: engines lose ends and single words.

    Parameters
    ----------
    box : TextBox
        What was found.
    lines : sequence of Line
        Runs of glyphs, short ones too.
    """
    rectangle = box.rectangle
    # A box that is nearly square may be one glyph of a line of either direction.
    ways = {box.width >= 0.7 * box.height, box.width >= 1.4 * box.height}
    changed = True
    while changed:
        changed = False
        for line in lines:
            other = (line.x, line.y, line.width, line.height)
            if line.upright not in ways or covered(other, [rectangle]) == 1:
                continue
            if _goes_on(rectangle, other, line.upright):
                rectangle, changed = around(rectangle, other), True
    x, y, width, height = rectangle
    return replace(box, x=x, y=y, width=width, height=height)


def bridged(boxes: Sequence[TextBox]) -> list[TextBox]:
    """Join boxes that stand in one line, a short word apart: engines lose words within a line.

    Parameters
    ----------
    boxes : sequence of TextBox
        Of one frame.

    Returns
    -------
    list of TextBox
        A joined box has the texts from left to right and the lower confidence.
    """
    kept: list[TextBox] = []
    for box in sorted(boxes, key=lambda b: (b.x, b.y)):
        before = next((i for i, other in enumerate(kept) if _is_next(other.rectangle, box.rectangle)), None)
        if before is None:
            kept.append(box)
            continue
        other = kept[before]
        x, y, width, height = around(other.rectangle, box.rectangle)
        text = " ".join(filter(None, (other.text, box.text)))
        confidence = min(other.confidence, box.confidence)
        kept[before] = replace(other, x=x, y=y, width=width, height=height, text=text, confidence=confidence)
    return kept


def _is_next(one: Rectangle, other: Rectangle) -> bool:
    """Whether `other` goes on in the line of `one` to its right, a short word away; both lie flat."""
    low, high = sorted((one[3], other[3]))
    flat = one[2] >= one[3] and other[2] >= other[3]
    in_line = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    gap = other[0] - (one[0] + one[2])
    return flat and in_line >= 0.8 * low and low >= 0.25 * high and -low <= gap <= 2.5 * high


def _goes_on(one: Rectangle, other: Rectangle, upright: bool) -> bool:
    """Whether `other` lies in the line of `one`, about as high, and near its end."""
    if not upright:
        one, other = (one[1], one[0], one[3], one[2]), (other[1], other[0], other[3], other[2])
    high = max(one[3], other[3])
    in_line = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    gap = max(one[0], other[0]) - min(one[0] + one[2], other[0] + other[2])
    # A detector's box is higher than the glyphs: by half, about.
    return in_line >= 0.75 * other[3] and 0.4 * one[3] <= other[3] <= 1.3 * one[3] and gap <= 1.5 * high
