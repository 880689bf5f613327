"""Boxes: joining loses no pixel, growing adds what stands in the line and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.pixels.text.boxes import TextBox, bridged, clipped, covered, grown, merged, shared
from cairn.pixels.text.triage import Line

RECTANGLES = st.tuples(*[st.integers(-20, 60)] * 2, *[st.integers(1, 50)] * 2)


def box(rectangle, confidence=0.9, text="A"):
    return TextBox(1, 1, *rectangle, text, confidence, "engine")


def line(x, y, width, height, upright=True):
    return Line(x, y, width, height, 4, upright, False, 0.0, 0.0, 100.0, 200.0)


def mask(rectangles):
    made = np.zeros((140, 140), bool)
    for x, y, width, height in rectangles:
        made[y + 20 : y + 20 + height, x + 20 : x + 20 + width] = True
    return made


@given(st.lists(RECTANGLES, max_size=8))
def test_joined_boxes_cover_what_their_parts_covered(rectangles):
    joined = merged([box(rectangle, confidence=0.5 + i / 20) for i, rectangle in enumerate(rectangles)])
    assert not (mask(rectangles) & ~mask([one.rectangle for one in joined])).any()
    assert len(joined) <= len(rectangles)


@given(RECTANGLES, RECTANGLES)
def test_shared_pixels_are_counted(one, other):
    assert shared(one, other) == (mask([one]) & mask([other])).sum()


@given(RECTANGLES, st.integers(0, 5))
def test_clipped_boxes_lie_in_the_image(rectangle, margin):
    x, y, width, height = clipped(rectangle, 40, 30, margin)
    assert x >= 0 and y >= 0 and width >= 0 and height >= 0
    if width and height:
        assert x + width <= 30 and y + height <= 40


def test_the_surest_text_stays():
    kept = merged([box((0, 0, 50, 10), 0.6, "MACD0NALD"), box((1, 0, 50, 11), 0.95, "MACDONALD")])
    assert [(one.text, one.rectangle) for one in kept] == [("MACDONALD", (0, 0, 51, 11))]


@pytest.mark.parametrize("other", [(0, 20, 50, 10), (60, 0, 50, 10)])
def test_different_lines_stay_apart(other):
    assert len(merged([box((0, 0, 50, 10)), box(other)])) == 2


GROWS = [
    # run of glyphs, whether the box (100, 100, 80, 16) takes it in
    (line(185, 103, 30, 11), True),  # goes on to the right
    (line(60, 103, 35, 11), True),  # began earlier
    (line(240, 103, 30, 11), False),  # too far
    (line(185, 125, 30, 11), False),  # the next line
    (line(185, 90, 30, 45), False),  # much higher
    (line(185, 106, 10, 3), False),  # much lower
    (line(185, 103, 11, 30, upright=False), False),  # along a column
]


@pytest.mark.parametrize(("run", "grows"), GROWS)
def test_a_box_grows_along_its_line(run, grows):
    after = grown(box((100, 100, 80, 16)), [run])
    assert (after.rectangle != (100, 100, 80, 16)) is grows
    if grows:
        assert covered((run.x, run.y, run.width, run.height), [after.rectangle]) == 1


def test_a_box_grows_over_several_runs():
    after = grown(box((100, 100, 80, 16)), [line(230, 103, 20, 11), line(185, 103, 30, 11)])
    assert after.x + after.width == 250


@pytest.mark.parametrize(
    ("right", "joined"),
    [
        ((60, 10, 40, 20), True),  # a word's gap
        ((95, 12, 40, 14), True),  # a short word between them is lost
        ((120, 10, 40, 20), False),  # another column
        ((60, 28, 40, 20), False),  # the next line
        ((60, 10, 12, 40), False),  # it stands upright
        ((60, 16, 40, 3), False),  # a rule
    ],
)
def test_boxes_of_one_line_are_joined_over_a_lost_word(right: tuple[int, int, int, int], joined: bool) -> None:
    one = TextBox(1, 1, 10, 10, 40, 20, text="Ben", confidence=0.9, engine="e")
    other = TextBox(1, 1, *right, text="Hospital", confidence=0.6, engine="e")
    made = bridged([other, one])
    assert (len(made) == 1) == joined
    if joined:
        assert (made[0].text, made[0].confidence) == ("Ben Hospital", 0.6)
        assert covered(one.rectangle, [made[0].rectangle]) == covered(other.rectangle, [made[0].rectangle]) == 1
