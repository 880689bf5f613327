"""The few things that the truth of every cohort is told in: events by code, ages, the first image, a member.

Plain loops over the generator's own objects: no table, no query, nothing of the cohort language.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from cairn.synthetic.histories import Event, History
from cairn.synthetic.images import Image

Member = dict[str, Any]


def events_of(history: History, kinds: str, *prefixes: str) -> list[Event]:
    """Return a person's events of some kinds whose code begins so, by day.

    Parameters
    ----------
    history : History
        The person's.
    kinds : str
        Kinds of events, separated by blanks.
    *prefixes : str
        Beginnings of codes.
    """
    found = [e for e in history.events if e.kind in kinds.split() and e.code.startswith(prefixes)]
    return sorted(found, key=lambda event: (event.day, event.number))


def age_on(born: dt.date, day: dt.date) -> int:
    """Return completed years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def days_between(start: dt.date, events: Iterable[Event], low: int, high: int) -> bool:
    """Return whether any event lies so many days after a day, both ends included; negative is before."""
    return any(low <= (event.day - start).days <= high for event in events)


def first_image(images: Iterable[Image]) -> Image | None:
    """Return the first image by day, of one day the one with the least UID."""
    return min(images, key=lambda image: (image.day, image.series_uid), default=None)


def member(history: History, day: dt.date, image: Image | None = None) -> Member:
    """Return a row of the truth: the person, the index date, the image if the cohort selects any."""
    return {
        "person": history.person.index,
        "chi": history.person.chi,
        "index_date": day,
        "study_instance_uid": image.study_uid if image else None,
        "series_instance_uid": image.series_uid if image else None,
    }
