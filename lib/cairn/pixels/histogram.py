"""Histograms: exact ones of one image, and one on fixed bins that adds up over series, scanners and archives.

The fixed bins are the same for every image, unit and bit depth: 0 has bin 0; each octave from 2**-40 on has 16 bins of
equal width; negative values have the negated number. Integers below 32 thus have bins of their own, and a bin is
never wider than 1/16 of its values. (The idea of a bound on the relative error: Masson, Rim, Lee 2019, DDSketch.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cairn.pixels import kernels
from cairn.tables.pixel_statistics import PERCENTILES

OCTAVES_BELOW_ONE = 40


@dataclass(frozen=True)
class Sparse:
    """A histogram on the fixed bins: numbers, ascending, and how many values each holds."""

    bins: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Exact:
    """How often each integer occurs.

    Attributes
    ----------
    low : int
        The first one.
    counts : numpy.ndarray of int64
        Of `low`, `low` + 1 …; the first and the last are not 0.
    """

    low: int
    counts: np.ndarray

    @property
    def high(self) -> int:
        """The largest value."""
        return self.low + self.counts.size - 1

    def plus(self, other: Exact) -> Exact:
        """Return the histogram of both."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        counts = np.zeros(high - low + 1, np.int64)
        counts[self.low - low : self.high - low + 1] += self.counts
        counts[other.low - low : other.high - low + 1] += other.counts
        return Exact(low, counts)

    def fixed(self, slope: float = 1.0, intercept: float = 0.0) -> Sparse:
        """Return it on the fixed bins, of ``value * slope + intercept``."""
        bins, counts = kernels.fixed_histogram(self.counts, self.low, slope, intercept)
        return Sparse(bins, counts) if slope > 0 else Sparse(bins[::-1], counts[::-1])

    def percentiles(self) -> list[int]:
        """Return the values at ``PERCENTILES`` of the contract; see :func:`rank_of`."""
        total = int(self.counts.sum())
        wanted = np.array([rank_of(p, total) for p in PERCENTILES], np.int64)
        return [int(value) for value in kernels.ranks(self.counts, self.low, wanted)]


def rank_of(percentile: int, total: int) -> int:
    """Return the 1-based rank of a percentile: the nearest rank, ``ceil(p n / 100)`` (Hyndman and Fan 1996, type 1)."""
    return max(1, -(-percentile * total // 100))


def bin_bounds(number: int) -> tuple[float, float]:
    """Return the values that a fixed bin spans: from the first (nearer to 0) up to, not with, the second."""
    if number == 0:
        return 0.0, 0.0
    octave, sub = divmod(abs(number) - 1, kernels.SUBBINS)
    unit = 2.0 ** (octave - OCTAVES_BELOW_ONE)
    sign = 1.0 if number > 0 else -1.0
    return sign * unit * (1 + sub / kernels.SUBBINS), sign * unit * (1 + (sub + 1) / kernels.SUBBINS)


def fixed_of_values(values: np.ndarray) -> Sparse:
    """Return the histogram of finite numbers on the fixed bins."""
    size = np.abs(values.astype(np.float64, copy=False))
    fraction, exponent = np.frexp(size)
    octave = np.clip(exponent - 1 + OCTAVES_BELOW_ONE, 0, 400)
    sub = np.minimum((fraction * 2.0 - 1.0) * kernels.SUBBINS, kernels.SUBBINS - 1).astype(np.int64)
    number = np.where(size == 0.0, 0, kernels.SUBBINS * octave + sub + 1) * np.where(values < 0, -1, 1)
    bins, counts = np.unique(number, return_counts=True)
    return Sparse(bins.astype(np.int32), counts.astype(np.int64))


def add(histograms: Sequence[Sparse]) -> Sparse:
    """Return the sum of histograms on the fixed bins."""
    bins, places = np.unique(np.concatenate([h.bins for h in histograms]), return_inverse=True)
    counts = np.zeros(bins.size, np.int64)
    np.add.at(counts, places, np.concatenate([h.counts for h in histograms]))
    return Sparse(bins, counts)
