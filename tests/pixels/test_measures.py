"""Measures against numpy, OpenCV and arithmetic by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pixel_sample import made_file

from cairn.pixels.description import PixelDescription, Rescale, describe
from cairn.pixels.histogram import Exact, add, bin_bounds, fixed_of_values
from cairn.pixels.instance_measures import InstanceMeasures
from cairn.pixels.measures import HU_BANDS, Measures, measure
from cairn.tables.pixel_statistics import PERCENTILES

HU = Rescale(1.0, -1024.0, "HU")


def described(**changes: object) -> PixelDescription:
    made = describe(np.frombuffer(made_file(np.zeros((4, 4), np.uint16)), np.uint8))
    assert made is not None
    return replace(made, **changes)  # type: ignore[arg-type]


PLAIN = described()


def frozen(values: np.ndarray) -> np.ndarray:
    values = np.ascontiguousarray(values)
    values.flags.writeable = False
    return values


def measured(values: np.ndarray, rescale: Rescale | None = None, description: PixelDescription = PLAIN) -> Measures:
    return measure(frozen(values), description, rescale)


INTEGERS = st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4"])
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))
FRAMES = INTEGERS.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))
VOLUMES = st.tuples(st.integers(2, 4), st.integers(2, 6), st.integers(2, 6))
FLOATS = hnp.arrays("f4", SHAPES, elements=st.floats(-1e6, 1e6, width=32))


def laplacian(values: np.ndarray) -> float:
    return float(cv2.Laplacian(values.astype(np.float64), cv2.CV_64F, ksize=1).var())


@given(values=st.one_of(FRAMES, FLOATS))
def test_measures_equal_numpy(values):
    made = measured(values)
    wide = values.astype(np.float64)
    near = {"rel": 1e-9, "abs": 1e-6}
    assert (made.minimum, made.maximum) == (wide.min(), wide.max())
    assert made.mean == pytest.approx(wide.mean(), **near)
    assert made.standard_deviation == pytest.approx(wide.std(), **near)
    assert made.percentiles == list(np.percentile(wide, PERCENTILES, method="inverted_cdf"))
    _, counts = np.unique(values, return_counts=True)
    shares = counts / values.size
    assert made.entropy == pytest.approx(-(shares * np.log2(shares)).sum(), abs=1e-9)
    assert made.modal_fraction == counts.max() / values.size
    assert made.constant == (wide.min() == wide.max())
    assert made.histogram.counts.sum() == values.size
    if min(values.shape) > 1:  # OpenCV reflects a single row into itself in another way
        assert made.sharpness == pytest.approx(laplacian(values), rel=1e-9, abs=1e-3)


@given(values=hnp.arrays("i2", st.tuples(st.integers(3, 20), st.integers(3, 20))))
def test_noise_is_immerkaers(values):
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    windows = np.lib.stride_tricks.sliding_window_view(values.astype(np.int64), (3, 3))
    rough = np.abs((windows * mask).sum(axis=(2, 3))).sum()
    rows, columns = values.shape
    expected = math.sqrt(math.pi / 2) / (6 * (rows - 2) * (columns - 2)) * rough
    assert measured(values).noise == pytest.approx(expected, rel=1e-12)


def test_noise_finds_the_deviation_of_white_noise():
    values = np.random.default_rng(1).normal(1000, 20, (256, 256)).round().astype(np.uint16)
    assert measured(values).noise == pytest.approx(20, rel=0.02)


@given(values=hnp.arrays("f8", st.integers(1, 50), elements=st.floats(-1e12, 1e12)))
def test_every_value_lies_in_its_fixed_bin(values):
    for value in values:
        (number,) = fixed_of_values(np.array([value])).bins
        near, far = bin_bounds(int(number))
        inside = near == value == 0 or abs(near) <= abs(value) < abs(far)
        assert inside or abs(value) < 2.0**-40, (value, number)


@given(values=hnp.arrays("i2", st.integers(1, 200)), slope=st.sampled_from([1.0, 0.25, -2.0]))
def test_exact_histograms_give_the_same_fixed_bins_as_their_values(values, slope):
    low = int(values.min())
    exact = Exact(low, np.bincount(values.astype(int) - low))
    made, expected = exact.fixed(slope, 3.0), fixed_of_values(values * slope + 3.0)
    assert list(made.bins) == list(expected.bins) and list(made.counts) == list(expected.counts)


@given(values=hnp.arrays("i2", st.integers(2, 200)), cut=st.integers(1, 199))
def test_fixed_histograms_add_up(values, cut):
    cut = min(cut, values.size - 1)
    parts = add([fixed_of_values(values[:cut]), fixed_of_values(values[cut:])])
    whole = fixed_of_values(values)
    assert list(parts.bins) == list(whole.bins) and list(parts.counts) == list(whole.counts)


@given(frames=hnp.arrays(st.sampled_from(["u2", "i2", "i4", "f4"]), VOLUMES, elements=st.integers(0, 1000)))
def test_an_instance_has_the_distribution_of_all_its_frames(frames):
    gathered = InstanceMeasures(described(frames=len(frames)))
    for number, frame in enumerate(frames, 1):
        gathered.add(number, measured(frame, HU))
    made = gathered.result()
    assert made is not None
    wide = frames.astype(np.float64)
    assert (made.values, made.minimum, made.maximum) == (frames.size, wide.min(), wide.max())
    assert made.mean == pytest.approx(wide.mean(), rel=1e-9, abs=1e-9)
    assert made.standard_deviation == pytest.approx(wide.std(), rel=1e-9, abs=1e-6)
    whole = fixed_of_values(frames)
    assert list(made.histogram.bins) == list(whole.bins) and list(made.histogram.counts) == list(whole.counts)
    if frames.dtype.kind != "f":
        assert made.percentiles == list(np.percentile(wide, PERCENTILES, method="inverted_cdf"))
    assert made.hu_fractions == pytest.approx(bands(wide - 1024))


def bands(units: np.ndarray) -> list[float]:
    """Return shares of HU_BANDS by comparing, slowly."""
    lower = [-np.inf, -900, -500, -190, -30, 150, 3000]
    upper = [*lower[1:], np.inf]
    return [float(((units >= a) & (units < b)).mean()) for a, b in zip(lower, upper, strict=True)]


@given(values=hnp.arrays("i2", SHAPES, elements=st.integers(-2000, 5000)))
def test_bands_of_hounsfield_units(values):
    made = measured(values, HU, described(signed=True, padding=(-2000, -1500)))
    inside = values[(values < -2000) | (values > -1500)]
    assert made.padding_fraction == pytest.approx(1 - inside.size / values.size)
    if inside.size:
        assert made.hu_fractions == pytest.approx(bands(inside.astype(float) - 1024))
        assert len(made.hu_fractions) == len(HU_BANDS)


@pytest.mark.parametrize(
    ("modality", "rescale", "is_hu"),
    [
        ("CT", Rescale(1, -1024, "HU"), True),
        ("CT", Rescale(1, -1024), True),
        ("CT", Rescale(1, 0, "US"), False),
        ("PT", Rescale(0.5, 0), False),
        ("CT", None, False),
    ],
)
def test_only_hounsfield_units_have_bands(modality, rescale, is_hu):
    made = measured(np.ones((4, 4), np.uint16), rescale, described(modality=modality))
    assert (made.hu_fractions is not None) == is_hu


def test_a_falling_line_turns_percentiles_round():
    values = np.arange(100, dtype=np.uint16).reshape(10, 10)
    made = measured(values, Rescale(-2.0, 10.0))
    assert made.rescaled_percentiles == list(np.percentile(values * -2.0 + 10, PERCENTILES, method="inverted_cdf"))


def test_foreground_is_boxed():
    values = np.zeros((50, 60), np.uint16)
    values[10:20, 30:45] = 1000
    made = measured(values)
    assert made.box == (10, 30, 19, 44)
    assert made.foreground_fraction == 150 / 3000
    assert not made.constant


def test_foreground_of_monochrome1_is_dark():
    values = np.full((50, 60), 4095, np.uint16)
    values[10:20, 30:45] = 100
    assert measured(values, None, described(photometric="MONOCHROME1")).box == (10, 30, 19, 44)


@pytest.mark.parametrize(("columns", "empty"), [(slice(2, 25), True), (slice(20, 50), False), (slice(35, 60), True)])
def test_laterally_empty(columns, empty):
    values = np.zeros((50, 60), np.uint16)
    values[5:45, columns] = 900
    assert measured(values).laterally_empty == empty


def test_constant_images_have_no_foreground():
    made = measured(np.full((40, 40), 7, np.uint16))
    assert made.constant and made.box is None and not made.laterally_empty
    assert (made.modal_fraction, made.entropy, made.noise, made.sharpness) == (1.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("top", "stored", "signed", "share"),
    [
        (4095, 12, False, 0.1),
        (4000, 12, False, 0.0),
        (2047, 12, True, 0.1),
        (255, 16, False, 0.1),
        (65535, 16, False, 0.1),
    ],
)
def test_saturation(top, stored, signed, share):
    values = np.full((10, 10), 3, np.int32 if signed else np.uint16)
    values[0] = top
    assert measured(values, None, described(bits_stored=stored, signed=signed)).saturated_fraction == share


def scene(seed: int, size: int = 128) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.uniform(0, 4000, (size, size)).astype(np.float32), (0, 0), size / 12) * 8


def bits_apart(one: Measures, other: Measures) -> int:
    return ((one.perceptual_hash ^ other.perceptual_hash) & (1 << 64) - 1).bit_count()


def test_the_perceptual_hash_tells_images_that_look_alike_from_others():
    image = scene(1)
    first = measured(image.astype(np.uint16))
    noisy = image + np.random.default_rng(9).normal(0, 30, image.shape)
    larger = cv2.resize(image, (300, 260))
    alike = [noisy, image * 0.5 + 200, larger]
    assert max(bits_apart(first, measured(other.clip(0).astype(np.uint16))) for other in alike) <= 6
    assert min(bits_apart(first, measured(scene(seed).astype(np.uint16))) for seed in range(2, 12)) >= 16


def test_not_finite_pixels_are_left_out():
    values = np.array([[1.0, np.nan, 3.0], [np.inf, 5.0, -np.inf]], "<f4")
    made = measured(values)
    assert (made.values, made.minimum, made.maximum, made.mean, made.finite) == (3, 1.0, 5.0, 3.0, False)
    nothing = measured(np.full((3, 3), np.nan, "<f8"))
    assert nothing.values == 0 and not nothing.finite


def test_colours_are_measured_over_all_samples_and_grey():
    values = np.random.default_rng(3).integers(0, 256, (40, 40, 3), np.uint8)
    made = measured(values, None, described(samples=3))
    assert made.values == 4800 and made.mean == pytest.approx(values.mean())
    grey = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
    assert made.sharpness == pytest.approx(laplacian(grey))


@pytest.mark.parametrize(
    ("unit", "band"),
    [
        (-901, "air"), (-900, "lung"), (-501, "lung"), (-500, ""), (-191, ""), (-190, "fat"), (-31, "fat"),
        (-30, "soft_tissue"), (149, "soft_tissue"), (150, "bone"), (2999, "bone"), (3000, "metal"),
    ],
)  # fmt: skip
def test_a_band_begins_at_its_edge(unit, band):
    made = measured(np.full((2, 2), unit + 1024, np.int16), HU)
    assert made.hu_fractions == [float(name == band) for name in HU_BANDS]
