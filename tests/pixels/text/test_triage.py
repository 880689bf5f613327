"""The cheap look: sees lines of glyphs on any number type, at any contrast, and nothing in noise or anatomy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.pixels.text.glyphs import components
from cairn.pixels.text.triage import Line, is_text, lines
from cairn.synthetic import phantoms
from cairn.synthetic.text_ink import PACKAGED, ink

TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8")


def written(background: np.ndarray, text: str, colour: float, font: str = "hershey", height: int = 14, at=(40, 30)):
    """Return a copy of the background with a line of text on it, hard edged."""
    made = background.copy()
    drawn = ink(text, font, height) >= 96
    made[at[0] : at[0] + drawn.shape[0], at[1] : at[1] + drawn.shape[1]][drawn] = colour
    return made


def seen(values: np.ndarray) -> list[Line]:
    return [line for line in lines(values) if is_text(line)]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dark", [False, True])
def test_every_number_type_and_both_polarities(kind, dark):
    low, high = (-50, 50) if kind[0] != "u" else (5, 105)
    background = np.full((128, 300), high if dark else low, kind)
    found = seen(written(background, "MACDONALD 0101", low if dark else high))
    assert found and all(line.upright for line in found if line.glyphs > 6)
    assert {line.dark for line in found if line.glyphs > 6} == {dark}
    best = max(found, key=lambda line: line.glyphs)
    assert abs(best.y - 40) <= 2 and abs(best.x - 30) <= 6


@pytest.mark.parametrize("font", PACKAGED)
@pytest.mark.parametrize("height", [8, 12, 20, 40])
def test_every_font_and_height(font, height):
    background = np.zeros((160, 640), np.uint16)
    assert seen(written(background, "DOB 14/02/1976", 900, font, height))


def test_one_grey_level_is_enough_on_even_ground():
    assert seen(written(np.full((128, 300), 2000, np.uint16), "MACDONALD", 2001))


@pytest.mark.parametrize("turn", [1, 3])
def test_a_line_along_a_column(turn):
    turned = np.rot90(written(np.zeros((128, 300), np.uint16), "MACDONALD 0101", 500), turn)
    assert any(not line.upright and line.glyphs > 6 for line in seen(np.ascontiguousarray(turned)))


def test_colours_that_have_the_same_brightness():
    frame = np.zeros((128, 300, 3), np.uint8)
    frame[...] = (0, 150, 0)
    frame[..., 0] = written(frame[..., 0], "MACDONALD 0101", 255)
    assert seen(frame)


def test_large_text_in_a_large_image():
    assert seen(written(np.zeros((900, 1500), np.uint16), "MACDONALD", 4000, "outline-hard", 70, (200, 100)))


@pytest.mark.parametrize("made", [phantoms.ct_slice, phantoms.mr_slice])
@pytest.mark.parametrize("variant", range(phantoms.VARIANTS))
def test_anatomy_is_no_text(made, variant):
    assert not seen(made(512, variant))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["poisson", "normal", "binary"]), st.sampled_from([128, 256]))
def test_noise_is_no_text(seed, kind, side):
    rng = np.random.default_rng(seed)
    noise = {
        "poisson": lambda: rng.poisson(3, (side, side)).astype(np.uint16),
        "normal": lambda: rng.normal(1000, 20, (side, side)).astype(np.int16),
        "binary": lambda: (rng.random((side, side)) < 0.02).astype(np.uint8),
    }[kind]()
    # A few single pixels on a grid may stand in line by chance; seldom do many of one height.
    assert not [line for line in seen(noise) if line.glyphs >= 7]


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(TYPES),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 3]),
)
def test_any_shape_and_content_is_taken(shape, kind, seed, samples):
    rng = np.random.default_rng(seed)
    values = rng.integers(-100 if kind[0] != "u" else 0, 100, (*shape, samples) if samples else shape).astype(kind)
    assert isinstance(lines(values), list)


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(1, 30), st.integers(1, 30)), st.floats(0.05, 0.8), st.integers(0, 2**32 - 1))
def test_components_are_those_of_opencv(shape, share, seed):
    rng = np.random.default_rng(seed)
    hat = np.where(rng.random(shape) < share, rng.integers(1, 1000, shape), 0).astype(np.uint16)
    boxes, areas, peaks, colours = components(hat, np.zeros(shape, np.float32), hat * 2, np.float32(1), np.float32(0.5))
    count, labels, stats, _ = cv2.connectedComponentsWithStats((hat > 0).astype(np.uint8), connectivity=8)
    expected = {(*map(int, stats[k]), int(hat[labels == k].max())) for k in range(1, count)}
    assert {(*map(int, box), int(area), int(peak)) for box, area, peak in zip(boxes, areas, peaks, strict=True)} \
        == expected  # fmt: skip
    assert len(boxes) == count - 1 and np.array_equal(colours, peaks * 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(value):
    frame = written(np.zeros((128, 300), np.float32), "MACDONALD", 5)
    frame[3:9, :] = value
    assert isinstance(lines(frame), list)
