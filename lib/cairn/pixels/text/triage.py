"""A cheap look at the pixels: is there anything like a line of text?

Burnt-in text is drawn, not measured: thin strokes that stand out of what is around them, in glyphs of one height, one
colour and one baseline. Looked at is how far each pixel stands out of its neighbourhood (white and black top-hat),
against how far its surroundings do; so one look sees text at every window, at every contrast and in both polarities,
on the stored values. What stands out is cut into components; components that could be glyphs are joined to lines, along
rows and along columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cairn.pixels.text.glyphs import chained, components

STROKE = 7
"""Strokes narrower than this stand out, pixels."""

AROUND = 61
"""Side of the neighbourhood that says how much the surroundings stand out, pixels."""

TIMES = 3.5
"""A pixel stands out when it does so this many times more than its surroundings on average."""

LOWEST, HIGHEST = 5, 48
"""Heights of glyphs, pixels."""

LEAST_GLYPHS = 4
"""Fewest components of a line."""

UNEVEN, MOST_UNEVEN = 0.62, 0.9
"""Heights of a line's glyphs differ by no more than this share of their mean: capitals beside lower case do; the latter
for long lines of one colour."""

HALVED_FROM = 640
"""Images with a longer side are looked at in half size as well, for text up to twice as high, and so on."""

Plane = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Line:
    """Something like a line of text.

    Attributes
    ----------
    x, y, width, height : int
        In the stored image, pixels.
    glyphs : int
        Components in the line.
    upright : bool
        Whether it runs along a row; otherwise along a column.
    dark : bool
        Whether it is darker than what is around it.
    spread : float
        How much the glyphs' colours differ, as a share of their contrast: drawn text has one colour.
    uneven : float
        How much their heights differ, as a share of the mean height.
    peak : float
        How far they stand out, stored units.
    colour : float
        Their value, stored units.
    """

    x: int
    y: int
    width: int
    height: int
    glyphs: int
    upright: bool
    dark: bool
    spread: float
    uneven: float
    peak: float
    colour: float


def is_text(line: Line, suspect: bool = False) -> bool:
    """Whether a line has an image searched: enough glyphs, nearly of one colour and of one height.

    Parameters
    ----------
    line : Line
        What was seen.
    suspect : bool
        Whether text is likelier than elsewhere, so that less is enough.
    """
    long_and_alike = line.glyphs >= 8 and line.spread < 0.1
    if line.uneven > (MOST_UNEVEN if long_and_alike else UNEVEN):
        return False
    if line.glyphs >= 8:
        return line.spread <= 0.55
    if line.glyphs >= 5:
        return line.spread <= 0.3
    return line.glyphs >= 4 and line.spread < (0.3 if suspect else 0.1) and line.uneven <= 0.45


def lines(values: Plane, least: int = LEAST_GLYPHS) -> list[Line]:
    """Return what looks like lines of text.

    Parameters
    ----------
    values : numpy.ndarray
        One frame, (rows, columns) or (rows, columns, samples), of any number type.
    least : int
        Fewest glyphs of a line.

    Returns
    -------
    list of Line
        Empty for nearly all frames without text.
    """
    found: list[Line] = []
    for dark, plane in _planes(values):
        scale = 1
        while True:
            found += _lines_of(plane, dark, scale, least)
            if max(plane.shape) < HALVED_FROM:
                break
            plane = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            scale *= 2
    return found


def _planes(values: Plane) -> list[tuple[bool, np.ndarray]]:
    """Return (False, plane) in which bright text is bright and (True, plane) in which dark text is dark."""
    if values.ndim == 3:
        return [(False, _plain(values.max(2))), (True, _plain(values.min(2)))]
    plane = _plain(values)
    return [(False, plane), (True, plane)]


def _plain(plane: Plane) -> np.ndarray:
    """Return the plane in a type that OpenCV takes, without loss up to 16 bits."""
    if plane.dtype in (np.uint8, np.uint16, np.int16):
        return np.ascontiguousarray(plane)
    if plane.dtype == np.int8:
        return plane.astype(np.int16)
    if plane.dtype == np.bool_:
        return plane.astype(np.uint8)
    real = plane.astype(np.float32)
    return real if np.isfinite(real).all() else np.nan_to_num(real, posinf=0.0, neginf=0.0)


def _lines_of(plane: np.ndarray, dark: bool, scale: int, least: int) -> list[Line]:
    if min(plane.shape) < 2 * LOWEST:
        return []
    kernel = np.ones((STROKE, STROKE), np.uint8)
    hat = cv2.morphologyEx(plane, cv2.MORPH_BLACKHAT if dark else cv2.MORPH_TOPHAT, kernel)
    around = cv2.boxFilter(hat, cv2.CV_32F, (AROUND, AROUND), borderType=cv2.BORDER_REPLICATE)
    lowest = np.float32(0.5 if hat.dtype != np.float32 else 1e-12)
    boxes, areas, peaks, colours = components(hat, around, plane, np.float32(TIMES), lowest)
    if len(boxes) < least:
        return []
    made: list[Line] = []
    for upright in (True, False):
        turned = boxes if upright else np.ascontiguousarray(boxes[:, [1, 0, 3, 2]])
        rows = chained(turned, areas, peaks, colours, LOWEST, HIGHEST, least)
        for row in rows:
            x, y, width, height, glyphs = (int(value) for value in row[:5])
            if not upright:
                x, y, width, height = y, x, height, width
            spread, uneven, peak, colour = (float(value) for value in row[5:])
            box = (x * scale, y * scale, width * scale, height * scale)
            made.append(Line(*box, glyphs, upright, dark, spread, uneven, peak, colour))
    return made
