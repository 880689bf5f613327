"""Words as ink: which pixels of a box a line of text covers, in the ways in which devices draw it.

Fonts are those that the packages bring: OpenCV's Hershey strokes, as devices have drawn since plotters; Pillow's bitmap
font, as text consoles; Pillow's outline font, smooth or with hard edges, as workstations. A folder of further outline
fonts can be given, to see how a finder does on fonts that nobody tuned it on.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Ink = npt.NDArray[np.uint8]
"""Coverage of each pixel, 0 to 255, shape (height, width)."""

HERSHEY = {
    "hershey": cv2.FONT_HERSHEY_SIMPLEX,
    "hershey-plain": cv2.FONT_HERSHEY_PLAIN,
    "hershey-duplex": cv2.FONT_HERSHEY_DUPLEX,
    "hershey-serif": cv2.FONT_HERSHEY_COMPLEX_SMALL,
}
PACKAGED = ("outline", "outline-hard", "bitmap", *HERSHEY)
"""Fonts that need nothing but the packages."""

CAPITALS = 0.72
"""Height of a capital of most outline fonts, as a share of the font's size."""


def ink(text: str, font: str, height: int) -> Ink:
    """Return the ink of one line, cropped to it.

    Parameters
    ----------
    text : str
        What to write; characters that a stroke font lacks are drawn as it draws them (``?``).
    font : str
        One of :data:`PACKAGED`, or the path of an outline font.
    height : int
        Height of a capital letter, pixels; the bitmap font has whole multiples of its own 9.
    """
    if font in HERSHEY:
        drawn = _strokes(text, HERSHEY[font], height)
    elif font == "bitmap":
        drawn = _bitmap(text, max(1, round(height / 9)))
    else:
        drawn = _outline(text, font, height)
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    if not rows.size:
        raise ValueError("the text has no ink")
    return np.ascontiguousarray(drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _strokes(text: str, face: int, height: int) -> Ink:
    thick = max(1, round(height / 12))
    scale = float(cv2.getFontScaleFromHeight(face, height, thick))
    (width, tall), below = cv2.getTextSize(text, face, scale, thick)
    canvas = np.zeros((tall + below + 4 * thick + 4, width + 4 * thick + 4), np.uint8)
    cv2.putText(canvas, text, (2 * thick, tall + 2 * thick), face, scale, 255, thick, cv2.LINE_8)
    return canvas


def _bitmap(text: str, times: int) -> Ink:
    plain = text.encode("latin-1", "replace").decode("latin-1")
    font = ImageFont.load_default_imagefont()
    box = font.getbbox(plain)
    canvas = Image.new("L", (int(box[2]) + 2, int(box[3]) + 2))
    ImageDraw.Draw(canvas).text((0, 0), plain, 255, font)
    return np.kron(np.asarray(canvas), np.ones((times, times), np.uint8)).astype(np.uint8)


@cache
def _face(font: str, height: int) -> ImageFont.FreeTypeFont:
    size = max(6, round(height / CAPITALS))
    if font.startswith("outline"):
        made = ImageFont.load_default(size)
        assert isinstance(made, ImageFont.FreeTypeFont)  # Pillow's wheels bring FreeType
        return made
    return ImageFont.truetype(Path(font), size)


def _outline(text: str, font: str, height: int) -> Ink:
    face = _face(font, height)
    left, top, right, bottom = face.getbbox(text)
    canvas = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    draw = ImageDraw.Draw(canvas)
    if font.endswith("-hard"):
        draw.fontmode = "1"
    draw.text((2 - left, 2 - top), text, 255, face)
    return np.asarray(canvas)
