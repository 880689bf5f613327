"""What a span of time means in days, and how a report says it."""

import pytest

from cairn.cohort.window import Window, parse

SPANS = [
    ("365 days before stroke", (-365, -1), "1 to 365 days before stroke"),
    ("1 day before stroke", (-1, -1), "1 day before stroke"),
    ("0 to 3 days before stroke", (-3, 0), "from 3 days before stroke to its day"),
    ("2 to 400 days before stroke", (-400, -2), "2 to 400 days before stroke"),
    ("3 days after stroke", (0, 3), "from the day of stroke to 3 days after"),
    ("1 to 1 day after stroke", (1, 1), "1 day after stroke"),
    ("2 to 2 weeks after stroke", (14, 14), "14 days after stroke"),
    ("1 to 3 days after stroke", (1, 3), "1 to 3 days after stroke"),
    ("5 days of stroke", (-5, 5), "from 5 days before to 5 days after stroke"),
    ("0 days of stroke", (0, 0), "on the day of stroke"),
    ("on stroke", (0, 0), "on the day of stroke"),
    ("before stroke", (None, -1), "before stroke"),
    ("after stroke", (1, None), "after stroke"),
]


@pytest.mark.parametrize(("text", "limits", "words"), SPANS)
def test_a_span_in_days_and_in_words(text, limits, words):
    found = parse(text)
    assert ((found.low, found.high), found.words()) == (limits, words)


def test_an_open_span_that_does_not_begin_at_once_says_so():
    assert Window("stroke", None, -30).words() == "at least 30 days before stroke"
    assert Window("stroke", 7, None).words() == "at least 7 days after stroke"
    assert Window("stroke", None, 0).words() == "at least 0 days before stroke"
    assert parse("during stay").words() == "during stay"
