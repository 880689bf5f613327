"""The doors through which stored values are looked at: pictures of 8 bits, as engines take them.

A viewer shows one window; text can stand at values that this window does not tell apart. So a frame is looked at over
its full range, through each window that its header gives, and as relief: how far each pixel stands out of its
surroundings, against how far they do, in which a difference of one grey level on even ground is as clear as any other.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from cairn.pixels.text.engines import Picture
from cairn.pixels.text.triage import Plane

RELIEF = 15
"""Strokes narrower than this show in the relief, pixels."""

SAME = 2.0
"""Pictures whose grey levels differ less than this on average are the same to an engine."""


def pictures(values: Plane, windows: Sequence[tuple[float, float]] = ()) -> list[Picture]:
    """Return the frame through every door, the same picture once.

    Parameters
    ----------
    values : numpy.ndarray
        One frame, (rows, columns) or (rows, columns, samples).
    windows : sequence of (float, float)
        Lowest and highest stored value of each window of the header.
    """
    if values.ndim == 3:
        colour = values[..., :3] if values.shape[2] >= 3 else values[..., :1].repeat(3, 2)
        plain = stretched(colour, *_range(colour))
        return [np.ascontiguousarray(plain), grey(relief(values))]
    made = [stretched(values, *_range(values)), *(stretched(values, low, high) for low, high in windows)]
    distinct: list[np.ndarray] = []
    for picture in [*made, relief(values)]:
        if all(_difference(picture, other) >= SAME for other in distinct):
            distinct.append(picture)
    return [grey(picture) for picture in distinct]


def _range(values: Plane) -> tuple[float, float]:
    if values.dtype == np.uint8:
        return 0.0, 255.0
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def stretched(values: Plane, low: float, high: float) -> np.ndarray:
    """Return the values from `low` to `high` as 0 to 255, others clipped."""
    if values.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return np.asarray(values)
    real = (values.astype(np.float32) - low) * (255.0 / max(high - low, 1e-12))
    return np.clip(np.nan_to_num(real), 0, 255).astype(np.uint8)


def relief(values: Plane) -> np.ndarray:
    """Return how far pixels stand out: bright ones above 128, dark ones below, by the scale of their surroundings."""
    bright, dark = (values.max(2), values.min(2)) if values.ndim == 3 else (values, values)
    kernel = np.ones((RELIEF, RELIEF), np.uint8)
    high = cv2.morphologyEx(np.asarray(bright, np.float32), cv2.MORPH_TOPHAT, kernel)
    low = cv2.morphologyEx(np.asarray(dark, np.float32), cv2.MORPH_BLACKHAT, kernel)
    scale = cv2.boxFilter(high + low, cv2.CV_32F, (4 * RELIEF + 1, 4 * RELIEF + 1)) * 4
    return np.clip(128 + 127 * (high - low) / np.maximum(scale, 1e-6), 0, 255).astype(np.uint8)


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(cv2.norm(one, other, cv2.NORM_L1)) / max(1, one.size)


def grey(picture: np.ndarray) -> Picture:
    """Return one channel as three."""
    return np.repeat(picture[..., None], 3, 2)
