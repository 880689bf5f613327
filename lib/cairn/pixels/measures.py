"""What is measured of one frame, each formula with its source.

Integers whose range is moderate go through an exact histogram, from which nearly everything follows; wide integers and
floats through numpy (:mod:`cairn.pixels.wide`). Both give the same measures by the same definitions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from cairn.pixels import kernels
from cairn.pixels.description import PixelDescription, Rescale
from cairn.pixels.histogram import Exact, Sparse

GRID = 32
"""Side of the reduced image behind the perceptual hash."""
MOST_BINS = 1 << 20
_STENCIL_LIMIT = 1 << 26
_NO_PADDING = (1, 0)
_LATERAL_SHARE = 0.01

HU_EDGES = (-900.0, -500.0, -190.0, -30.0, 150.0, 3000.0)
"""Hounsfield units: air below -900; lung from -900 to -500 (Kazerooni and Gross 2004); none from -500 to -190;
fat from -190 to -30 (Yoshizumi et al. 1999); soft tissue from -30 to 150 (Mitsiopoulos et al. 1998); bone and contrast
agent from 150; metal from 3000, where 12-bit scanners end (Boas and Fleischmann 2012)."""
HU_BANDS = ("air", "lung", "", "fat", "soft_tissue", "bone", "metal")


@dataclass
class Measures:
    """Measures of one frame, or of an instance.

    Attributes
    ----------
    values : int
        Samples measured: pixels times samples per pixel.
    minimum, maximum, mean, standard_deviation : float
        Of stored values, all samples; population standard deviation.
    percentiles : list of float or None
        Nearest ranks of :data:`cairn.tables.pixel_statistics.PERCENTILES`.
    histogram : Sparse
        Of stored values on the fixed bins.
    exact : Exact or None
        Of stored values, when their range is moderate.
    entropy : float
        Bits per sample: ``-sum p log2 p`` over exact values (Shannon 1948).
    modal_fraction : float
        Share of the most frequent value: 1 for a constant image, high for a blank one.
    padding_fraction : float or None
        Share of Pixel Padding Value to Range Limit (PS3.3 C.7.5.1.1.2); None when the file names none.
    saturated_fraction : float
        Share of samples at the maximum, when that is the largest number of its bits (255, 1023, 4095 …), or the
        largest storable one; else 0.
    sharpness : float
        Variance of the Laplacian (Pech-Pacheco et al. 2000; OpenCV's ``Laplacian`` of aperture 1), of grey values.
    noise : float
        Immerkær 1996: ``sqrt(pi/2) / (6 (w-2)(h-2)) * sum |I * N|``; 0 for images below 3 by 3.
    foreground_fraction : float
        Share of pixels brighter than Otsu's threshold (Otsu 1979); of MONOCHROME1, darker.
    box : tuple of int or None
        Top, left, bottom, right (both inside, from 0) of the foreground.
    laterally_empty : bool
        Whether the left or the right half holds less than 1 % of the foreground.
    constant : bool
        Whether all samples are equal.
    perceptual_hash : int
        64 bits, see :func:`perceptual_hash`.
    rescale : Rescale or None
        The line to real-world values, when the file has one.
    rescaled_percentiles : list of float or None
        As `percentiles`, of rescaled values.
    rescaled_histogram : Sparse or None
        Of rescaled values on the fixed bins.
    hu_fractions : list of float or None
        Shares of :data:`HU_BANDS`, padding left out; None when values are no Hounsfield units.
    finite : bool
        False when NaN or infinity were left out.
    """

    values: int
    minimum: float
    maximum: float
    mean: float
    standard_deviation: float
    percentiles: list[float] | None
    histogram: Sparse
    exact: Exact | None
    entropy: float | None
    modal_fraction: float | None
    padding_fraction: float | None
    saturated_fraction: float | None
    sharpness: float
    noise: float
    foreground_fraction: float
    box: tuple[int, int, int, int] | None
    laterally_empty: bool
    constant: bool
    perceptual_hash: int
    rescale: Rescale | None = None
    rescaled_percentiles: list[float] | None = None
    rescaled_histogram: Sparse | None = None
    hu_fractions: list[float] | None = None
    finite: bool = True


@dataclass(frozen=True)
class Spatial:
    """Measures that need places, not only values."""

    sharpness: float
    noise: float
    foreground_fraction: float
    box: tuple[int, int, int, int] | None
    laterally_empty: bool
    perceptual_hash: int


def measure(values: np.ndarray, description: PixelDescription, rescale: Rescale | None) -> Measures:
    """Measure one frame.

    Parameters
    ----------
    values : numpy.ndarray
        Stored values, (rows, columns) or (rows, columns, samples); C order.
    description : PixelDescription
        For padding, signs and polarity.
    rescale : Rescale or None
        The frame's line to real-world values.
    """
    if values.dtype.kind in "iu":
        low, high = kernels.extremes(values.reshape(-1))
        if high - low < MOST_BINS and max(abs(low), abs(high)) < _STENCIL_LIMIT:
            return _of_integers(values, description, rescale, int(low), int(high))
    from cairn.pixels.wide import measure_wide

    return measure_wide(values, description, rescale)


def _of_integers(
    values: np.ndarray, description: PixelDescription, rescale: Rescale | None, low: int, high: int
) -> Measures:
    exact = Exact(low, kernels.count_values(values.reshape(-1), low, high))
    image, threshold = values, 0
    total, mean, variance, entropy, most, threshold = kernels.moments(exact.counts, low)
    if values.ndim == 3:
        image = grey(values)
        threshold = _otsu(image)
    spatial = measure_places(image, int(threshold), description.photometric == "MONOCHROME1")
    out = Measures(
        values=int(total),
        minimum=float(low),
        maximum=float(high),
        mean=float(mean),
        standard_deviation=math.sqrt(variance),
        percentiles=[float(value) for value in exact.percentiles()],
        histogram=exact.fixed(),
        exact=exact,
        entropy=float(entropy),
        modal_fraction=float(most) / total,
        padding_fraction=None,
        saturated_fraction=saturated(exact, description),
        sharpness=spatial.sharpness,
        noise=spatial.noise,
        foreground_fraction=spatial.foreground_fraction,
        box=spatial.box,
        laterally_empty=spatial.laterally_empty,
        constant=low == high,
        perceptual_hash=spatial.perceptual_hash,
    )
    add_units(out, exact, description, rescale)
    return out


def add_units(out: Measures, exact: Exact, description: PixelDescription, rescale: Rescale | None) -> None:
    """Add what depends on padding and on the line to real-world values, from an exact histogram."""
    line = rescale or Rescale(1.0, 0.0)
    padding = description.padding or _NO_PADDING
    if description.padding is not None or is_hounsfield(description, rescale):
        counts, padded = kernels.band_counts(
            exact.counts, exact.low, line.slope, line.intercept, _EDGES, padding[0], padding[1]
        )
        if description.padding is not None:
            out.padding_fraction = float(padded) / out.values
        inside = out.values - int(padded)
        if is_hounsfield(description, rescale) and inside:
            out.hu_fractions = [float(count) / inside for count in counts]
    if rescale is not None:
        out.rescale = rescale
        out.rescaled_histogram = exact.fixed(rescale.slope, rescale.intercept)
        ranked = exact if rescale.slope > 0 else Exact(-exact.high, exact.counts[::-1])
        slope = abs(rescale.slope)
        out.rescaled_percentiles = [slope * value + rescale.intercept for value in ranked.percentiles()]


_EDGES = np.array(HU_EDGES)


def is_hounsfield(description: PixelDescription, rescale: Rescale | None) -> bool:
    """Whether rescaled values are Hounsfield units: Rescale Type HU, or a CT that names none (PS3.3 C.8.2.1.1.2)."""
    if rescale is None or description.samples != 1:
        return False
    return rescale.type == "HU" if rescale.type else description.modality == "CT"


def saturated(exact: Exact, description: PixelDescription) -> float:
    """Return the share of samples at a ceiling; see :class:`Measures`."""
    bits = description.bits_stored - (1 if description.signed else 0)
    high = exact.high
    ceiling = high == (1 << bits) - 1 or (high >= 255 and high & (high + 1) == 0)
    return float(exact.counts[-1]) / float(exact.counts.sum()) if ceiling else 0.0


def grey(values: np.ndarray) -> np.ndarray:
    """Return colours as luminance, ``0.299 R + 0.587 G + 0.114 B`` (ITU-R BT.601), in the same integer type."""
    if values.shape[-1] == 3 and values.dtype in (np.uint8, np.uint16):
        return _frozen(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY))
    weights = np.array([0.299, 0.587, 0.114]) if values.shape[-1] == 3 else np.full(values.shape[-1], 1.0)
    made = (values @ (weights / weights.sum())).round().astype(values.dtype)
    return _frozen(np.ascontiguousarray(made))


def _frozen(values: np.ndarray) -> np.ndarray:
    # A writable array is another type to numba, and would have every loop compiled once more.
    values.flags.writeable = False
    return values


def _otsu(image: np.ndarray) -> int:
    low, high = kernels.extremes(image.reshape(-1))
    return int(kernels.moments(kernels.count_values(image.reshape(-1), low, high), low)[5])


def measure_places(image: np.ndarray, threshold: int, darker: bool) -> Spatial:
    """Measure what needs places.

    Parameters
    ----------
    image : numpy.ndarray, shape (rows, columns)
        Grey values, integers.
    threshold : int
        Otsu's.
    darker : bool
        Whether foreground is dark (MONOCHROME1).
    """
    rows, columns = image.shape
    total, squares, roughness = kernels.stencils(image)
    mean = total / image.size
    inner = (rows - 2) * (columns - 2)
    row_counts, column_counts = np.empty(rows, np.int32), np.empty(columns, np.int32)
    direct = rows >= GRID and columns >= GRID
    grid: np.ndarray = np.empty((GRID, GRID) if direct else (0, 0))
    kernels.survey(image, threshold, darker, grid, row_counts, column_counts)
    if not direct:
        grid = cv2.resize(image.astype(np.float64), (GRID, GRID), interpolation=cv2.INTER_LINEAR)
    box, lateral, share = foreground(row_counts, column_counts)
    return Spatial(
        sharpness=max(squares / image.size - mean * mean, 0.0),
        noise=math.sqrt(math.pi / 2.0) / (6.0 * inner) * roughness if rows > 2 and columns > 2 else 0.0,
        foreground_fraction=share,
        box=box,
        laterally_empty=lateral,
        perceptual_hash=perceptual_hash(grid),
    )


def foreground(
    row_counts: np.ndarray, column_counts: np.ndarray
) -> tuple[tuple[int, int, int, int] | None, bool, float]:
    """Return the bounding box, whether one half is empty, and the share of foreground, of counts by row and column."""
    total = int(row_counts.sum())
    columns = column_counts.size
    if total == 0:
        return None, False, 0.0
    rows_hit, columns_hit = np.flatnonzero(row_counts), np.flatnonzero(column_counts)
    box = (int(rows_hit[0]), int(columns_hit[0]), int(rows_hit[-1]), int(columns_hit[-1]))
    left = int(column_counts[: columns // 2].sum())
    right = int(column_counts[(columns + 1) // 2 :].sum())
    lateral = columns > 1 and min(left, right) < _LATERAL_SHARE * total
    return box, lateral, total / (columns * row_counts.size)


def perceptual_hash(grid: np.ndarray) -> int:
    """Return 64 bits that are alike for images that look alike: the DCT hash (Zauner 2010, 3.2.1).

    Parameters
    ----------
    grid : numpy.ndarray of float64, shape (32, 32)
        The image reduced by area means.

    Returns
    -------
    int
        A signed 64-bit number. Bit k, highest first, is 1 where the k-th of the 8 by 8 lowest coefficients (row by
        row, the constant one counted as 0) is above their median. Compare by the number of differing bits. The hash
        does not change with brightness or contrast.
    """
    low = cv2.dct(grid)[:8, :8].reshape(-1)
    low[0] = 0.0
    ranked = np.sort(low)
    bits = np.packbits(low > (ranked[31] + ranked[32]) / 2)
    return int.from_bytes(bits.tobytes(), "big", signed=True)
