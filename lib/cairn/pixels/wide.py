"""Measures of floats and of integers with a wide range, by numpy: the same definitions without an exact histogram."""

from __future__ import annotations

import math

import cv2
import numpy as np

from cairn.pixels import measures as ms
from cairn.pixels.description import PixelDescription, Rescale
from cairn.pixels.histogram import fixed_of_values, rank_of
from cairn.tables.pixel_statistics import PERCENTILES

_LEVELS = 1024
"""Grey levels between the extremes at which the threshold and the places are looked at."""


def measure_wide(values: np.ndarray, description: PixelDescription, rescale: Rescale | None) -> ms.Measures:
    """Measure one frame; see :func:`cairn.pixels.measures.measure`.

    NaN and infinity are left out. Foreground and perceptual hash are taken at 1024 levels between the extremes.
    """
    flat = values.reshape(-1)
    finite = np.isfinite(flat) if values.dtype.kind == "f" else None
    whole = finite is None or bool(finite.all())
    ordered = np.sort(flat if whole else flat[finite])
    if ordered.size == 0:
        return _nothing(values)
    plain = ordered.astype(np.float64)
    counts = np.diff(np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]])))
    shares = counts / ordered.size
    levels = _levels(values, plain[0], plain[-1])
    image = ms.grey(levels) if levels.ndim == 3 else levels
    spatial = ms.measure_places(image, ms._otsu(image), description.photometric == "MONOCHROME1")
    sharpness, noise = _stencils(_grey_float(values))
    out = ms.Measures(
        values=ordered.size,
        minimum=float(plain[0]),
        maximum=float(plain[-1]),
        mean=float(plain.mean()),
        standard_deviation=float(plain.std()),
        percentiles=_percentiles(plain),
        histogram=fixed_of_values(plain),
        exact=None,
        entropy=float(-(shares * np.log2(shares)).sum()) + 0.0,
        modal_fraction=float(counts.max()) / ordered.size,
        padding_fraction=_padding(plain, description),
        saturated_fraction=None,
        sharpness=sharpness,
        noise=noise,
        foreground_fraction=spatial.foreground_fraction,
        box=spatial.box,
        laterally_empty=spatial.laterally_empty,
        constant=bool(plain[0] == plain[-1]),
        perceptual_hash=spatial.perceptual_hash,
        finite=whole,
    )
    if rescale is not None:
        _add_units(out, plain, description, rescale)
    return out


def _add_units(out: ms.Measures, plain: np.ndarray, description: PixelDescription, rescale: Rescale) -> None:
    real = plain * rescale.slope + rescale.intercept
    out.rescale = rescale
    out.rescaled_histogram = fixed_of_values(real)
    out.rescaled_percentiles = _percentiles(real if rescale.slope > 0 else real[::-1])
    if ms.is_hounsfield(description, rescale):
        low, high = description.padding or (1, 0)
        real = real[(plain < low) | (plain > high)]
        if real.size:
            bands = np.bincount(np.digitize(real, ms.HU_EDGES), minlength=len(ms.HU_BANDS))
            out.hu_fractions = [float(count) / real.size for count in bands]


def _percentiles(ordered: np.ndarray) -> list[float]:
    return [float(ordered[rank_of(p, ordered.size) - 1]) for p in PERCENTILES]


def _padding(plain: np.ndarray, description: PixelDescription) -> float | None:
    if description.padding is None:
        return None
    low, high = description.padding
    return float(((plain >= low) & (plain <= high)).mean())


def _levels(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the frame at some grey levels, NaN and infinities at the lowest."""
    with np.errstate(over="ignore", invalid="ignore"):
        span = float(high) / 2 - float(low) / 2  # halves: the span of doubles may be none
        share = (values.astype(np.float64) / 2 - low / 2) / (span or 1.0)
    made = (np.nan_to_num(share, nan=0.0, posinf=0.0, neginf=0.0).clip(0, 1) * (_LEVELS - 1)).astype(np.uint16)
    made.flags.writeable = False
    return made


def _grey_float(values: np.ndarray) -> np.ndarray:
    image = values.astype(np.float64)
    if image.ndim == 3:
        image = image @ np.array([0.299, 0.587, 0.114]) if image.shape[-1] == 3 else image.mean(axis=-1)
    return np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)


def _stencils(image: np.ndarray) -> tuple[float, float]:
    """Return the variance of the Laplacian and Immerkær's noise; see :class:`cairn.pixels.measures.Measures`."""
    with np.errstate(over="ignore", invalid="ignore"):
        sharpness = float(cv2.Laplacian(image, cv2.CV_64F, ksize=1).var())
        rows, columns = image.shape
        if rows < 3 or columns < 3:
            return sharpness, 0.0
        mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)
        rough = np.abs(cv2.filter2D(image, cv2.CV_64F, mask)[1:-1, 1:-1]).sum()
    return sharpness, math.sqrt(math.pi / 2) / (6 * (rows - 2) * (columns - 2)) * float(rough)


def _nothing(values: np.ndarray) -> ms.Measures:
    """Return the measures of a frame without one finite number."""
    nan = math.nan
    empty = fixed_of_values(np.empty(0))
    return ms.Measures(
        0, nan, nan, nan, nan, None, empty, None, None, None, None, None, nan, nan, 0.0, None, False, False, 0,
        finite=False,
    )  # fmt: skip
