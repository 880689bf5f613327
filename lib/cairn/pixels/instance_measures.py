"""Measures of a multi-frame instance, gathered frame by frame in bounded memory."""

from __future__ import annotations

import math
from statistics import median

import numpy as np

from cairn.pixels import kernels
from cairn.pixels.description import PixelDescription, Rescale
from cairn.pixels.histogram import Exact, add
from cairn.pixels.measures import MOST_BINS, Measures, add_units, saturated


class InstanceMeasures:
    """Adds frames up.

    Distributions are those of all frames' samples together. Sharpness is the mean over frames, noise the median, the
    box the union; laterally empty when every frame is; the perceptual hash is the middle frame's.

    Parameters
    ----------
    description : PixelDescription
        Of the instance.
    """

    def __init__(self, description: PixelDescription) -> None:
        self._description = description
        self._frames = 0
        self._middle = description.frames // 2 + 1
        self._sum: Measures | None = None
        self._exact: Exact | None = None
        self._lines: set[Rescale | None] = set()
        self._sharpness, self._foreground = 0.0, 0.0
        self._noise: list[float] = []
        self._padded, self._bands = 0.0, np.zeros(0)

    def add(self, number: int, frame: Measures) -> None:
        """Add the measures of frame `number` (from 1), which belong to this object from now on."""
        self._frames += 1
        self._lines.add(frame.rescale)
        self._sharpness += frame.sharpness
        self._foreground += frame.foreground_fraction
        self._noise.append(frame.noise)
        self._padded += (frame.padding_fraction or 0.0) * frame.values
        if frame.hu_fractions is not None:
            bands = np.array(frame.hu_fractions) * frame.values
            self._bands = bands if self._bands.size == 0 else self._bands + bands
        if self._sum is None:
            self._sum, self._exact = frame, frame.exact
            return
        self._add_exact(frame)
        self._sum = _joined(self._sum, frame, number <= self._middle)

    def _add_exact(self, frame: Measures) -> None:
        """Keep exact histograms while their range is moderate; then the ones on fixed bins."""
        if self._exact is not None and frame.exact is not None:
            low, high = min(self._exact.low, frame.exact.low), max(self._exact.high, frame.exact.high)
            self._exact = self._exact.plus(frame.exact) if high - low < MOST_BINS else None
        else:
            self._exact = None

    def result(self) -> Measures | None:
        """Return the instance's measures; None without a frame."""
        out = self._sum
        if out is None or self._frames == 1:
            return out
        out.sharpness = self._sharpness / self._frames
        out.foreground_fraction = self._foreground / self._frames
        out.noise = median(self._noise)
        out.constant = out.minimum == out.maximum
        line = next(iter(self._lines)) if len(self._lines) == 1 else None
        if self._exact is None:
            return self._without_exact(out, line)
        total, mean, variance, entropy, most, _ = kernels.moments(self._exact.counts, self._exact.low)
        out.mean, out.standard_deviation, out.entropy = float(mean), math.sqrt(variance), float(entropy)
        out.modal_fraction = float(most) / total
        out.percentiles = [float(value) for value in self._exact.percentiles()]
        out.saturated_fraction = saturated(self._exact, self._description)
        out.histogram = self._exact.fixed()
        rescaled = out.rescaled_histogram
        add_units(out, self._exact, self._description, line)
        if len(self._lines) > 1:
            out.rescale, out.rescaled_percentiles, out.rescaled_histogram = None, None, rescaled
            self._add_bands(out)
        return out

    def _without_exact(self, out: Measures, line: Rescale | None) -> Measures:
        out.percentiles = out.rescaled_percentiles = None
        out.entropy = out.modal_fraction = out.saturated_fraction = None
        out.rescale = line
        if out.padding_fraction is not None:
            out.padding_fraction = self._padded / out.values
        self._add_bands(out)
        return out

    def _add_bands(self, out: Measures) -> None:
        if self._bands.size and self._bands.sum():
            out.hu_fractions = [float(share) for share in self._bands / self._bands.sum()]


def _joined(out: Measures, frame: Measures, before_middle: bool) -> Measures:
    """Add what adds up. Means and variances: Chan, Golub, LeVeque 1979."""
    if frame.values:
        if out.values:
            total = out.values + frame.values
            apart = frame.mean - out.mean
            squares = out.standard_deviation**2 * out.values + frame.standard_deviation**2 * frame.values
            squares += apart * apart * out.values * frame.values / total
            out.mean += apart * frame.values / total
            out.standard_deviation = math.sqrt(squares / total)
            out.minimum, out.maximum = min(out.minimum, frame.minimum), max(out.maximum, frame.maximum)
            out.values = total
        else:
            out.values, out.mean, out.standard_deviation = frame.values, frame.mean, frame.standard_deviation
            out.minimum, out.maximum = frame.minimum, frame.maximum
    out.histogram = add([out.histogram, frame.histogram])
    if frame.rescaled_histogram is not None and out.rescaled_histogram is not None:
        out.rescaled_histogram = add([out.rescaled_histogram, frame.rescaled_histogram])
    if frame.box is not None:
        out.box = frame.box if out.box is None else _union(out.box, frame.box)
    out.laterally_empty = out.laterally_empty and frame.laterally_empty
    out.finite = out.finite and frame.finite
    if before_middle:
        out.perceptual_hash = frame.perceptual_hash
    return out


def _union(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])
