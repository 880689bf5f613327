"""What the imaging words say of one series, by the in-memory engine: for measuring them and for looking a case up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from cairn.cohort.checking import Checked, check
from cairn.cohort.memory import fulfils
from cairn.cohort.model import Cohort
from cairn.cohort.vocabulary import words


@cache
def _nothing() -> Checked:
    """Return a definition without code lists: the words use none."""
    return check(Cohort("words", 1, "", {}), {})


def says(word: str, series: Mapping[str, Any]) -> str | None:
    """Return what a word says of a series: its value, ``yes`` for a word of yes or no, None for nothing.

    Parameters
    ----------
    word : str
        A name of :func:`cairn.cohort.vocabulary.words`.
    series : mapping
        Columns of ``series`` as far as they are known; others count as NULL.
    """
    values = words()[word].values
    return next((value for value, condition in values if fulfils(_nothing(), condition, series)), None)
