"""Pixels with structure: ellipses of tissue, bone and air with noise, small or as large as in reality.

Only integer arithmetic decides a pixel, so that every machine makes the same bytes.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from cairn.synthetic.draws import Draws
from cairn.synthetic.text_ink import ink

SMALL = 64
PAGE = 352
"""Pages are as large in a small archive too: smaller, and their text could not be read."""
FULL = 512
VARIANTS = 4


def _grid(rows: int, columns: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return y and x in thousandths of the half size, from -1000 to 1000."""
    y, x = np.mgrid[0:rows, 0:columns]
    return (2 * y - rows + 1) * 1000 // rows, (2 * x - columns + 1) * 1000 // columns


def _ellipse(
    grid: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], centre: tuple[int, int], half: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    y, x = grid
    return ((y - centre[0]) * half[1]) ** 2 + ((x - centre[1]) * half[0]) ** 2 <= (half[0] * half[1]) ** 2


def _noise(rows: int, columns: int, variant: int, amplitude: int) -> npt.NDArray[np.int64]:
    raw = np.frombuffer(Draws(0, "noise", rows, columns, variant).raw_bytes(rows * columns), dtype=np.uint8)
    return raw.reshape(rows, columns).astype(np.int64) * amplitude // 256 - amplitude // 2


@cache
def ct_slice(size: int, variant: int) -> npt.NDArray[np.uint16]:
    """Return one CT slice of shape (size, size): HU + 1024, stored in 12 bits; air 0, water 1024, bone about 2000."""
    grid = _grid(size, size)
    shift = 20 * variant
    image = np.zeros((size, size), dtype=np.int64)
    image[_ellipse(grid, (0, 0), (700, 900))] = 964  # fat
    image[_ellipse(grid, (0, 0), (640, 840))] = 1074  # muscle
    image[_ellipse(grid, (-60, -400), (380 - shift, 260))] = 180  # lung
    image[_ellipse(grid, (-60, 400), (380 - shift, 260))] = 180
    image[_ellipse(grid, (-40 + shift, 60), (220, 200))] = 1110  # heart
    image[_ellipse(grid, (470, 0), (120, 110))] = 1950  # vertebra
    inside = image > 0
    return np.where(inside, np.clip(image + _noise(size, size, variant, 24), 0, 4095), 0).astype(np.uint16)


@cache
def mr_slice(size: int, variant: int) -> npt.NDArray[np.uint16]:
    """Return one MR slice of shape (size, size) in 12 bits: scalp, brain, ventricles."""
    grid = _grid(size, size)
    image = np.zeros((size, size), dtype=np.int64)
    image[_ellipse(grid, (0, 0), (850, 700))] = 900
    image[_ellipse(grid, (0, 0), (760, 610))] = 60
    image[_ellipse(grid, (0, 0), (720, 570))] = 520
    image[_ellipse(grid, (-80, -110), (230 - 15 * variant, 60))] = 130
    image[_ellipse(grid, (-80, 110), (230 - 15 * variant, 60))] = 130
    noisy: npt.NDArray[np.int64] = np.clip(image + _noise(size, size, variant, 40) + 20, 0, 4095)
    return noisy.astype(np.uint16)


@cache
def grey_frame(size: int, variant: int) -> npt.NDArray[np.uint8]:
    """Return one 8-bit frame of shape (size, size), as of angiography or a projection."""
    return (mr_slice(size, variant) // 4).clip(0, 255).astype(np.uint8)


@cache
def colour_frame(size: int, variant: int) -> npt.NDArray[np.uint8]:
    """Return one RGB frame of shape (size, size, 3): an ultrasound fan with a colour box."""
    grid = _grid(size, size)
    y, x = grid
    fan = _ellipse(grid, (-1000, 0), (1800, 1400)) & (np.abs(x) <= (y + 1100) * 7 // 10)
    grey = np.where(fan, 90 + _noise(size, size, variant, 120), 0).clip(0, 255)
    frame = np.stack([grey, grey, grey], axis=-1)
    box = fan & (np.abs(x) < 220) & (np.abs(y - 100) < 200)
    frame[..., 0] = np.where(box & (x < 0), 200, frame[..., 0])
    frame[..., 2] = np.where(box & (x >= 0), 200, frame[..., 2])
    return frame.astype(np.uint8)


@cache
def page(size: int, lines: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """Return an RGB screen of shape (size, size, 3) with lines of text, light on black, as consoles capture them."""
    canvas = np.zeros((size, size, 3), np.uint8)
    for number, line in enumerate(lines):
        drawn = ink(line, "bitmap", 14)[:, : size - 24]
        top = 16 + 30 * number
        canvas[top : top + drawn.shape[0], 12 : 12 + drawn.shape[1]] = np.where(drawn[..., None] > 0, 220, 0)
    return canvas


@cache
def projection(rows: int, columns: int, bits: int) -> npt.NDArray[np.uint16]:
    """Return one projection image of shape (rows, columns) with values below 2**bits."""
    size = max(rows, columns)
    image = mr_slice(size, 1)[:rows, :columns].astype(np.int64)
    return (image << max(0, bits - 12)).clip(0, (1 << bits) - 1).astype(np.uint16)


@cache
def fragment(name: str) -> bytes:
    """Return a pre-encoded frame out of the package data, e.g. ``ct_64.j2k``."""
    return resources.files("cairn.synthetic").joinpath("data", name).read_bytes()
