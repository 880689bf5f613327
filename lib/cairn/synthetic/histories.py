"""Made-up health histories that agree with a person's images.

A history is a list of events in the generator's own terms; :mod:`cairn.synthetic.record_files` writes them in the
layouts of Scottish extracts, and :mod:`cairn.synthetic.record_truth` tells from them who belongs to some cohorts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from cairn.synthetic.draws import Draws
from cairn.synthetic.images import Image
from cairn.synthetic.people import Person
from cairn.synthetic.plans import planned

LAST_DAY = dt.date(2024, 12, 31)
OPT_OUT_EVERY = 25
OPT_OUT_OFFSET = 11

STROKE, ANTICOAGULANTS = ("I630", "I633", "I634", "I639"), ("0208020Z0AAABAB", "0208020Y0AAAAAA", "0208020V0AAACAC")
DEMENTIA, LUNG_CANCER, INFARCTION = ("F00X", "F019", "F03X", "G309"), ("C340", "C341", "C349"), ("I210", "I214", "I219")
_OTHER_CONDITIONS = ("I10X", "J449", "E119", "S7200", "K359", "N390", "R074", "J181", "M170", "A180 D", "-7850", "R69X")
_OTHER_DRUGS = ("0212000B0AAAAAA", "0205051R0AAADAD", "0407010H0AAAMAM", "0601022B0AAABAB", "20120000100")
_OTHER_CANCERS = ("C509", "C61X", "C189", "C443", "D059")
_TESTS = (("44h1.", "SODIUM", 139, "mmol/L"), ("42W5.", "HBA1C", 45, "mmol/mol"), ("44J3.", "CREAT", 80, "umol/L"))


@dataclass(frozen=True)
class Event:
    """One thing that happened to a person.

    Parameters
    ----------
    kind : str
        smr00, smr01, smr02, smr04, smr06, prescribing, deaths, laboratory or radiology_report.
    number : int
        Number of the event within the person.
    day, until : datetime.date
        When it began and ended; equal for events of a day.
    code : str
        What it was, as its layout writes it.
    more : tuple of str
        Further codes; for reports study UID, modality and finding.
    """

    kind: str
    number: int
    day: dt.date
    until: dt.date
    code: str
    more: tuple[str, ...] = ()


@dataclass
class History:
    """All that happened to one person."""

    person: Person
    opted_out: bool
    events: list[Event] = field(default_factory=list)

    def add(self, kind: str, day: dt.date, code: str, days: int = 0, more: tuple[str, ...] = ()) -> None:
        """Add an event, unless it would lie outside the person's life or after the last delivery."""
        end = self.person.death_date or LAST_DAY
        if self.person.birth_date <= day <= min(end, LAST_DAY):
            until = min(day + dt.timedelta(days=days), end, LAST_DAY)
            self.events.append(Event(kind, len(self.events), day, until, code, more))


def history(seed: int, person: Person, images: Sequence[Image]) -> History:
    """Return one person's history.

    Parameters
    ----------
    seed : int
        The archive's seed.
    person : Person
        Whose.
    images : sequence of Image
        Series of the person.

    Returns
    -------
    History
        The same for the same arguments on every machine.
    """
    made = History(person, person.index % OPT_OUT_EVERY == OPT_OUT_OFFSET)
    draws = Draws(seed, "history", person.index)
    studies = sorted({(image.day, image.study_uid, image.modality) for image in images})
    plan = planned(seed, person, images)
    for day, study, modality in studies:
        finding = plan[0].finding if plan and plan[1].study_uid == study else ""
        made.add("radiology_report", day, "", more=(study, modality, finding))
    scans = [day for day, _, modality in studies if modality in ("CT", "MR")]
    if scans:
        plain = [i.day for i in images if i.modality == "CT" and not i.contrast and (i.spacing or 9) <= 1.5]
        _stroke(made, draws, draws.choice(plain or scans), 0.85 if plain else 0.4)
        _cancer(made, draws, draws.choice(scans))
        _dementia(made, draws, draws.choice(scans))
    _background(made, draws)
    _heart(made, draws)
    if plan:
        for kind, days, code, more in plan[0].events:
            made.add(kind, plan[1].day + _days(days), code, more=more)
    if person.death_date is not None and person.death_date <= LAST_DAY:
        _death(made, draws)
    return made


def _days(count: int) -> dt.timedelta:
    return dt.timedelta(days=count)


def _stroke(made: History, draws: Draws, scan: dt.date, chance: float) -> None:
    if not draws.chance(chance):
        return
    day = scan - _days(draws.integer(0, 4))
    if draws.chance(0.8):
        for _ in range(draws.integer(1, 4)):
            made.add("prescribing", day - _days(draws.integer(1, 450)), draws.choice(ANTICOAGULANTS))
    made.add("smr01", day, draws.choice(STROKE), draws.integer(1, 30), ("I10X",))
    if draws.chance(0.2):  # a second consultant's episode of the same stay
        made.add("smr01", day + _days(1), draws.choice(STROKE), 7)


def _cancer(made: History, draws: Draws, scan: dt.date) -> None:
    if draws.chance(0.25):
        made.add("smr06", scan + _days(draws.integer(-200, 500)), draws.choice(LUNG_CANCER))
    if draws.chance(0.15):
        made.add("smr06", scan + _days(draws.integer(-2000, 1500)), draws.choice(_OTHER_CANCERS))


def _dementia(made: History, draws: Draws, scan: dt.date) -> None:
    if draws.chance(0.35):
        day = scan + _days(draws.integer(-1500, 2500))
        made.add(draws.choice(("smr01", "smr04")), day, draws.choice(DEMENTIA), draws.integer(3, 200))


def _heart(made: History, draws: Draws) -> None:
    end = made.person.death_date
    if draws.chance(0.3):
        day = _any_day(draws) if end is None else end - _days(draws.integer(1, 4000))
        made.add("smr01", day, draws.choice(INFARCTION), draws.integer(2, 9))


def _any_day(draws: Draws) -> dt.date:
    return dt.date(2009, 4, 1) + _days(draws.integer(0, 15 * 365))


def _background(made: History, draws: Draws) -> None:
    for _ in range(draws.integer(0, 3)):
        made.add("smr00", _any_day(draws), "", more=(draws.choice(("1", "1", "1", "8")),))
    for _ in range(draws.integer(0, 3)):
        code = draws.choice(_OTHER_CONDITIONS)
        made.add("smr01", _any_day(draws), code, draws.integer(0, 14), (draws.choice(_OTHER_CONDITIONS),))
    for _ in range(draws.integer(0, 6)):
        made.add("prescribing", _any_day(draws), draws.choice(_OTHER_DRUGS))
    for _ in range(draws.integer(0, 4)):
        read, local, middle, unit = draws.choice(_TESTS)
        shown = f"{'<' if draws.chance(0.05) else ''}{draws.integer(middle // 2, middle * 2)}"
        made.add("laboratory", _any_day(draws), read, more=(local, shown, unit))
    if made.person.sex == "F" and draws.chance(0.3):
        day = made.person.birth_date + _days(draws.integer(19 * 365, 41 * 365))
        made.add("smr02", day, "O80X", 3, (str(draws.integer(36, 42)), str(draws.integer(2400, 4300))))


def _death(made: History, draws: Draws) -> None:
    day = made.person.death_date
    if day is None:
        return
    had = [event for event in made.events if event.code in (*INFARCTION, *STROKE, *LUNG_CANCER)]
    cause = draws.choice(had).code if had and draws.chance(0.7) else draws.choice(("I259", "J440", "C259", "F03"))
    made.add("deaths", day, cause, more=(draws.choice(("I10", "E119")), "I10"))
