"""Features of a series out of the rows of its images: a pure function, for whichever engine groups the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

OUTLIER_DEVIATIONS = 3.5
"""Iglewicz and Hoaglin 1993: a modified z-score above it is an outlier."""
_MAD_TO_DEVIATION = 0.6745
_OUTLYING = ("mean", "standard_deviation", "sharpness", "noise")
VOLUMES = ("hu_air", "hu_lung", "hu_fat", "hu_soft_tissue", "hu_bone", "hu_metal")
"""Columns of ``pixel_statistics`` that become volumes."""


@dataclass(frozen=True)
class SeriesFeatures:
    """What the pixels of a series say together.

    Attributes
    ----------
    images, frames : int
        Rows of images, and frames measured.
    minimum, maximum, mean, standard_deviation : float or None
        Rescaled values over all images where every image is rescaled, else stored values.
    rescaled : bool
        Which of the two.
    volumes : dict of str to float
        Millilitres of each Hounsfield band (``hu_lung`` …); empty when pixel spacing or slice spacing is unknown.
    outlier_frames : tuple of tuple
        (uri, frame) of frames that stand out, by :data:`OUTLIER_DEVIATIONS`, in mean, deviation, sharpness or noise.
    blank_frames : int
        Constant frames.
    duplicate_frames : int
        Images whose decoded pixels another image of the series has too.
    """

    images: int
    frames: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    standard_deviation: float | None
    rescaled: bool
    volumes: dict[str, float]
    outlier_frames: tuple[tuple[str, int], ...]
    blank_frames: int
    duplicate_frames: int


def series_features(
    rows: Sequence[Mapping[str, Any]],
    pixel_area: float | None = None,
    slice_spacing: float | None = None,
) -> SeriesFeatures:
    """Return the features of one series.

    Parameters
    ----------
    rows : sequence of mapping
        Its rows of ``pixel_statistics``: frame 0 of every image, and frames where there are such rows.
    pixel_area : float or None
        Of one pixel, mm²; None when unknown or not the same for all images.
    slice_spacing : float or None
        Distance between neighbouring slices, mm (``series.slice_spacing``).

    Returns
    -------
    SeriesFeatures
        The order of `rows` does not matter.
    """
    images = [row for row in rows if row["frame"] == 0 and row["pixels"]]
    framed = {row["uri"] for row in rows if row["frame"] > 0}
    frames = [row for row in rows if row["pixels"] and (row["frame"] > 0 or row["uri"] not in framed)]
    rescaled = bool(images) and all(row["rescaled_mean"] is not None for row in images)
    prefix = "rescaled_" if rescaled else ""
    weights = [row["rows"] * row["columns"] * row["samples_per_pixel"] * row["frames_measured"] for row in images]
    mean, deviation = _pooled(images, weights, prefix)
    hashes = [row["pixel_sha256"] for row in images if row["pixel_sha256"] is not None]
    return SeriesFeatures(
        images=len(images),
        frames=sum(row["frames_measured"] for row in images),
        minimum=min(_known(images, prefix + "minimum"), default=None),
        maximum=max(_known(images, prefix + "maximum"), default=None),
        mean=mean,
        standard_deviation=deviation,
        rescaled=rescaled,
        volumes=_volumes(images, pixel_area, slice_spacing),
        outlier_frames=_outliers(frames),
        blank_frames=sum(bool(row["constant"]) for row in frames),
        duplicate_frames=len(hashes) - len(set(hashes)),
    )


def _known(rows: Sequence[Mapping[str, Any]], column: str) -> list[float]:
    return [row[column] for row in rows if row[column] is not None]


def _pooled(
    rows: Sequence[Mapping[str, Any]], weights: Sequence[int], prefix: str
) -> tuple[float | None, float | None]:
    """Return mean and deviation of all samples together (Chan, Golub, LeVeque 1979)."""
    known = [(row, weight) for row, weight in zip(rows, weights, strict=True) if row[prefix + "mean"] is not None]
    total = sum(weight for _, weight in known)
    if not total:
        return None, None
    mean = math.fsum(row[prefix + "mean"] * weight for row, weight in known) / total
    squares = math.fsum(
        (row[prefix + "standard_deviation"] ** 2 + (row[prefix + "mean"] - mean) ** 2) * weight for row, weight in known
    )
    return mean, math.sqrt(squares / total)


def _volumes(
    rows: Sequence[Mapping[str, Any]], pixel_area: float | None, slice_spacing: float | None
) -> dict[str, float]:
    """Return millilitres by band: share times pixels (padding left out) times pixel area times slice spacing."""
    if pixel_area is None or slice_spacing is None or not rows or any(row["hu_air"] is None for row in rows):
        return {}
    voxel = pixel_area * slice_spacing / 1000.0
    out = {}
    for band in VOLUMES:
        voxels = (
            row[band] * row["rows"] * row["columns"] * row["frames_measured"] * (1.0 - (row["padding_fraction"] or 0.0))
            for row in rows
        )
        out[band] = math.fsum(voxels) * voxel
    return out


def _outliers(frames: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, int], ...]:
    """Return frames whose modified z-score ``0.6745 (x - median) / MAD`` is large in any of the measures."""
    found: set[tuple[str, int]] = set()
    for column in _OUTLYING:
        known = [row for row in frames if row[column] is not None]
        if len(known) < 3:
            continue
        middle = median(row[column] for row in known)
        spread = median(abs(row[column] - middle) for row in known)
        if spread > 0:
            limit = OUTLIER_DEVIATIONS * spread / _MAD_TO_DEVIATION
            found.update((row["uri"], row["frame"]) for row in known if abs(row[column] - middle) > limit)
    return tuple(sorted(found))
