"""Who belongs to some cohorts of the made-up people, told from the histories themselves: no table, no query.

Each cohort is a question of a real study in its plainest form. People who opted out belong to none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cairn.synthetic.histories import Event, History, Image

Member = dict[str, Any]


def _events(history: History, kinds: str, *prefixes: str) -> list[Event]:
    found = [e for e in history.events if e.kind in kinds.split() and e.code.startswith(prefixes)]
    return sorted(found, key=lambda event: (event.day, event.number))


def _age(born: dt.date, day: dt.date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _first(images: Iterable[Image]) -> Image | None:
    return min(images, key=lambda image: (image.day, image.series_uid), default=None)


def _member(history: History, day: dt.date, image: Image | None = None) -> Member:
    return {
        "person": history.person.index,
        "chi": history.person.chi,
        "index_date": day,
        "study_instance_uid": image.study_uid if image else None,
        "series_instance_uid": image.series_uid if image else None,
    }


def _stroke_ct(history: History, images: Sequence[Image]) -> Member | None:
    """First thin plain CT 0 to 3 days after the first ischaemic stroke, at 50 or older, anticoagulated."""
    strokes = _events(history, "smr01", "I63")
    if not strokes or _age(history.person.birth_date, strokes[0].day) < 50:
        return None
    day = strokes[0].day
    if not any(1 <= (day - e.day).days <= 365 for e in _events(history, "prescribing", "020802")):
        return None
    wanted = _first(
        i for i in images
        if i.modality == "CT" and not i.contrast and not i.localizer and i.spacing is not None and i.spacing <= 1.5
        and 0 <= (i.day - day).days <= 3
    )  # fmt: skip
    return _member(history, day, wanted) if wanted else None


def _dementia_after_scan(history: History, images: Sequence[Image]) -> Member | None:
    """First CT or MR of people whose first dementia diagnosis came more than 30 days after it."""
    scan = _first(i for i in images if i.modality in ("CT", "MR") and not i.localizer)
    dementia = _events(history, "smr01 smr04", "F00", "F01", "F02", "F03", "G30")
    if scan is None or not dementia or (dementia[0].day - scan.day).days <= 30:
        return None
    return _member(history, dementia[0].day, scan)


def _lung_cancer_ct(history: History, images: Sequence[Image]) -> Member | None:
    """Latest CT in the year before the first lung cancer was found."""
    cancers = _events(history, "smr06", "C33", "C34")
    if not cancers:
        return None
    day = cancers[0].day
    before = [i for i in images if i.modality == "CT" and not i.localizer and 1 <= (day - i.day).days <= 365]
    latest = _first(i for i in before if i.day == max(b.day for b in before))
    return _member(history, day, latest) if latest else None


def _coronary_death(history: History, images: Sequence[Image]) -> Member | None:
    """Coronary death within five years (1826 days) of the first infarction."""
    infarctions = _events(history, "smr01", "I21", "I22")
    deaths = _events(history, "deaths", "I20", "I21", "I22", "I23", "I24", "I25")
    if not infarctions or not deaths or not 0 <= (deaths[0].day - infarctions[0].day).days <= 1826:
        return None
    return _member(history, infarctions[0].day)


def _imaged_twice(history: History, images: Sequence[Image]) -> Member | None:
    """First CT or MR series, of people with one on at least two days."""
    scans = [i for i in images if i.modality in ("CT", "MR") and not i.localizer]
    first = _first(scans)
    return _member(history, first.day, first) if first and len({i.day for i in scans}) >= 2 else None


COHORTS: dict[str, Callable[[History, Sequence[Image]], Member | None]] = {
    "stroke_ct": _stroke_ct,
    "dementia_after_scan": _dementia_after_scan,
    "lung_cancer_ct": _lung_cancer_ct,
    "coronary_death": _coronary_death,
    "imaged_twice": _imaged_twice,
}


def members(history: History, images: Sequence[Image]) -> list[Member]:
    """Return the cohorts that a person belongs to, with index date and image."""
    if history.opted_out:
        return []
    found = ((name, tell(history, images)) for name, tell in COHORTS.items())
    return [{"cohort": name, **member} for name, member in found if member is not None]
