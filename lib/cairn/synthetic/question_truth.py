"""The truth of the worked questions in docs/cohort-questions.md: who belongs, told from histories and images.

What a code list or an imaging word says is said here again, on purpose in other terms: beginnings of codes as the
layouts write them, regions as the generator knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cairn.synthetic.histories import Event, History
from cairn.synthetic.images import Image
from cairn.synthetic.truth_terms import Member, age_on, days_between, events_of, first_image, member

Tell = Callable[[History, Sequence[Image]], list[Member]]

DEMENTIA = ("F00", "F01", "F02", "F03", "G30")
STROKE = ("I61", "I62", "I63", "I64")
CORONARY = ("I20", "I21", "I22", "I23", "I24", "I25")
FRACTURE = ("S22", "S32", "S52", "S72")
FINDINGS = ("white matter", "small vessel", "lacun", "atroph")
HEAD, TRUNK = ("HEAD", "BRAIN"), ("CHEST", "ABDOMEN", "PELVIS", "LSPINE")
EVER = 100_000
"""Days: longer than any life."""


def _scans(images: Iterable[Image], modalities: str, *regions: str) -> list[Image]:
    kinds = modalities.split()
    return [i for i in images if i.modality in kinds and not i.localizer and (not regions or i.region in regions)]


def _childhood_ct(history: History, images: Sequence[Image]) -> list[Member]:
    """First CT before the 22nd birthday, and a cancer (not of the skin) more than two years later, none before."""
    scan = first_image(_scans(images, "CT"))
    if scan is None or age_on(history.person.birth_date, scan.day) > 21:
        return []
    cancers = [e for e in events_of(history, "smr06", "C") if not e.code.startswith("C44")]
    late = days_between(scan.day, cancers, 731, EVER)
    return [member(history, scan.day, scan)] if late and not days_between(scan.day, cancers, -EVER, 730) else []


def _coronary_ct(history: History, images: Sequence[Image]) -> list[Member]:
    """First CT of the heart, no infarction up to its day, and infarction or coronary death within 1826 days."""
    scan = first_image(_scans(images, "CT", "HEART"))
    infarctions = events_of(history, "smr01", "I21", "I22")
    if scan is None or days_between(scan.day, infarctions, -EVER, 0):
        return []
    outcome = [*infarctions, *events_of(history, "deaths", *CORONARY)]
    return [member(history, scan.day, scan)] if days_between(scan.day, outcome, 1, 1826) else []


def _tells(report: Event) -> bool:
    """Return whether a report tells of vessel disease: its finding names it and does not deny it."""
    finding = report.more[2].lower()
    return any(word in finding for word in FINDINGS) and not finding.startswith("no ")


def _vessel_report(history: History, images: Sequence[Image]) -> list[Member]:
    """First report of vessel disease in a CT or MR; stroke or dementia in the ten years after, none up to it."""
    reports = [e for e in events_of(history, "radiology_report", "") if e.more[1] in ("CT", "MR") and _tells(e)]
    if not reports:
        return []
    day = reports[0].day
    bad = [*events_of(history, "smr01", *STROKE), *events_of(history, "smr01 smr04", *DEMENTIA)]
    if days_between(day, bad, -EVER, 0) or not days_between(day, bad, 1, 3650):
        return []
    return [member(history, day)]


def _stroke_dementia(history: History, images: Sequence[Image]) -> list[Member]:
    """The nearest CT or MR of the head within 7 days of the first stroke; dementia from 91 days after, not before."""
    strokes = events_of(history, "smr01", *STROKE)
    if not strokes:
        return []
    day = strokes[0].day
    dementia = events_of(history, "smr01 smr04", *DEMENTIA)
    if days_between(day, dementia, -EVER, 90) or not days_between(day, dementia, 91, 3650):
        return []
    near = [i for i in _scans(images, "CT MR", *HEAD) if abs((i.day - day).days) <= 7]
    best = min(near, key=lambda i: (abs((i.day - day).days), i.day, i.series_uid), default=None)
    return [member(history, day, best)] if best else []


def _is_diabetic(test: Event) -> bool:
    local, shown, _ = test.more
    return local == "HBA1C" and not shown.startswith("<") and float(shown) >= 48


def _diabetes_mr(history: History, images: Sequence[Image]) -> list[Member]:
    """MR of the head with the thinnest slices of the first day, diabetes by drugs or HbA1c before, no dementia yet."""
    scans = _scans(images, "MR", *HEAD)
    first = first_image(scans)
    if first is None:
        return []
    drugs = events_of(history, "prescribing", "0601")
    tests = [e for e in events_of(history, "laboratory", "") if _is_diabetic(e)]
    twice = sum(e.day < first.day for e in drugs) >= 2
    dementia = events_of(history, "smr01 smr04", *DEMENTIA)
    if not (twice or days_between(first.day, tests, -EVER, -1)) or days_between(first.day, dementia, -EVER, 0):
        return []
    own = [i for i in scans if i.day == first.day]
    return [member(history, first.day, min(own, key=lambda i: (i.spacing or EVER, i.series_uid)))]


def _xray_to_ct(history: History, images: Sequence[Image]) -> list[Member]:
    """First CT of the chest within 14 days of the first chest X-ray; lung cancer found within 90 days of that."""
    film = first_image(_scans(images, "CR DX", "CHEST"))
    if film is None:
        return []
    cancers = events_of(history, "smr06", "C33", "C34")
    if not days_between(film.day, cancers, 0, 90) or days_between(film.day, cancers, -EVER, -1):
        return []
    near = [i for i in _scans(images, "CT", "CHEST") if 0 <= (i.day - film.day).days <= 14]
    scan = first_image(near)
    return [member(history, film.day, scan)] if scan else []


def _interval_breast_cancer(history: History, images: Sequence[Image]) -> list[Member]:
    """All mammograms of the last screening 91 to 1095 days before a breast cancer, none in the 90 days before it."""
    cancers = events_of(history, "smr06", "C50", "D05")
    if history.person.sex != "F" or not cancers:
        return []
    found = cancers[0].day
    films = _scans(images, "MG")
    before = {i.day for i in films if 91 <= (found - i.day).days <= 1095}
    late = any(0 <= (found - i.day).days <= 90 for i in films)
    if late or not before or not 50 <= age_on(history.person.birth_date, max(before)) <= 74:
        return []
    return [member(history, found, film) for film in films if film.day == max(before)]


def _fracture_ct(history: History, images: Sequence[Image]) -> list[Member]:
    """First CT of the trunk at 50 or older, no fracture and no bone drug before, a fracture in the five years after."""
    scan = first_image(_scans(images, "CT", *TRUNK))
    if scan is None or age_on(history.person.birth_date, scan.day) < 50:
        return []
    fractures, drugs = events_of(history, "smr01", *FRACTURE), events_of(history, "prescribing", "0606")
    if days_between(scan.day, fractures, -EVER, 0) or days_between(scan.day, drugs, -365, -1):
        return []
    return [member(history, scan.day, scan)] if days_between(scan.day, fractures, 1, 1826) else []


QUESTIONS: dict[str, Tell] = {
    "childhood_ct": _childhood_ct,
    "coronary_ct": _coronary_ct,
    "vessel_report": _vessel_report,
    "stroke_dementia": _stroke_dementia,
    "diabetes_mr": _diabetes_mr,
    "xray_to_ct": _xray_to_ct,
    "interval_breast_cancer": _interval_breast_cancer,
    "fracture_ct": _fracture_ct,
}
