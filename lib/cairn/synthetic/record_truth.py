"""Who belongs to some cohorts of the made-up people, told from the histories themselves: no table, no query.

Each cohort is a question of a real study in its plainest form; the longer ones are in
:mod:`cairn.synthetic.question_truth`. People who opted out belong to none.
"""

from __future__ import annotations

from collections.abc import Sequence

from cairn.synthetic.histories import History
from cairn.synthetic.images import Image
from cairn.synthetic.question_truth import QUESTIONS, Tell
from cairn.synthetic.truth_terms import Member, age_on, events_of, first_image, member


def _stroke_ct(history: History, images: Sequence[Image]) -> list[Member]:
    """First thin plain CT 0 to 3 days after the first ischaemic stroke, at 50 or older, anticoagulated."""
    strokes = events_of(history, "smr01", "I63")
    if not strokes or age_on(history.person.birth_date, strokes[0].day) < 50:
        return []
    day = strokes[0].day
    if not any(1 <= (day - e.day).days <= 365 for e in events_of(history, "prescribing", "020802")):
        return []
    wanted = first_image(
        i for i in images
        if i.modality == "CT" and not i.contrast and not i.localizer and i.spacing is not None and i.spacing <= 1.5
        and 0 <= (i.day - day).days <= 3
    )  # fmt: skip
    return [member(history, day, wanted)] if wanted else []


def _dementia_after_scan(history: History, images: Sequence[Image]) -> list[Member]:
    """First CT or MR of people whose first dementia diagnosis came more than 30 days after it."""
    scan = first_image(i for i in images if i.modality in ("CT", "MR") and not i.localizer)
    dementia = events_of(history, "smr01 smr04", "F00", "F01", "F02", "F03", "G30")
    if scan is None or not dementia or (dementia[0].day - scan.day).days <= 30:
        return []
    return [member(history, scan.day, scan)]


def _lung_cancer_ct(history: History, images: Sequence[Image]) -> list[Member]:
    """Latest CT in the year before the first lung cancer was found."""
    cancers = events_of(history, "smr06", "C33", "C34")
    if not cancers:
        return []
    day = cancers[0].day
    before = [i for i in images if i.modality == "CT" and not i.localizer and 1 <= (day - i.day).days <= 365]
    latest = first_image(i for i in before if i.day == max(b.day for b in before))
    return [member(history, day, latest)] if latest else []


def _coronary_death(history: History, images: Sequence[Image]) -> list[Member]:
    """Coronary death within five years (1826 days) of the first infarction."""
    infarctions = events_of(history, "smr01", "I21", "I22")
    deaths = events_of(history, "deaths", "I20", "I21", "I22", "I23", "I24", "I25")
    if not infarctions or not deaths or not 0 <= (deaths[0].day - infarctions[0].day).days <= 1826:
        return []
    return [member(history, infarctions[0].day)]


def _imaged_twice(history: History, images: Sequence[Image]) -> list[Member]:
    """First CT or MR series, of people with one on at least two days."""
    scans = [i for i in images if i.modality in ("CT", "MR") and not i.localizer]
    first = first_image(scans)
    return [member(history, first.day, first)] if first and len({i.day for i in scans}) >= 2 else []


COHORTS: dict[str, Tell] = {
    "stroke_ct": _stroke_ct,
    "dementia_after_scan": _dementia_after_scan,
    "lung_cancer_ct": _lung_cancer_ct,
    "coronary_death": _coronary_death,
    "imaged_twice": _imaged_twice,
    **QUESTIONS,
}


def members(history: History, images: Sequence[Image]) -> list[Member]:
    """Return the cohorts that a person belongs to, with index date and image."""
    if history.opted_out:
        return []
    return [{"cohort": name, **found} for name, tell in COHORTS.items() for found in tell(history, images)]
