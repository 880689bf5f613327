"""Histories planted on purpose: for a question of a study, people who fit it and people who just miss it.

Left to chance hardly anybody has a cancer 730 days after a scan, where 731 would count. So each person whose images
suit a question may get one row of its table: events at so many days from the image, written beside what else happens
to them. Nothing here decides who belongs to a cohort; :mod:`cairn.synthetic.question_truth` tells that from all events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cairn.synthetic.draws import Draws
from cairn.synthetic.images import Image
from cairn.synthetic.people import Person

Planted = tuple[str, int, str, tuple[str, ...]]
"""Kind of event, days from the image, code, further codes."""


@dataclass(frozen=True)
class Variant:
    """One row of a question's table: what happens, and what the report of the image finds."""

    events: tuple[Planted, ...]
    finding: str = ""


@dataclass(frozen=True)
class Plan:
    """A question: which image its events are told from, and its table."""

    name: str
    image: Callable[[Person, Sequence[Image]], Image | None]
    variants: tuple[Variant, ...]


def _by(
    pick: Callable[..., Image], modalities: str, *regions: str
) -> Callable[[Person, Sequence[Image]], Image | None]:
    """Return what picks the first or last image of a kind."""
    kinds = modalities.split()

    def choose(person: Person, images: Sequence[Image]) -> Image | None:
        fit = [i for i in images if i.modality in kinds and not i.localizer and (not regions or i.region in regions)]
        return pick(fit, key=lambda i: (i.day, i.series_uid), default=None)

    return choose


def _of_the_young(person: Person, images: Sequence[Image]) -> Image | None:
    """Return the first CT when it was near the 22nd birthday or before."""
    image = _by(min, "CT")(person, images)
    return image if image and (image.day - person.birth_date).days < 23 * 365 else None


def _v(text: str, finding: str = "") -> Variant:
    """Read ``kind days code``, events separated by semicolons; a test of HbA1c has its value for a code."""
    events: list[Planted] = []
    for part in text.split(";"):
        kind, days, code = part.split()
        if kind == "hba1c":
            events.append(("laboratory", int(days), "42W5.", ("HBA1C", code, "mmol/mol")))
        else:
            events.append((kind, int(days), code, ()))
    return Variant(tuple(events), finding)


PLANS = (
    Plan("childhood_ct", _of_the_young, (
        _v("smr06 731 C910"), _v("smr06 730 C910"), _v("smr06 900 C443"), _v("smr06 900 D059"),
        _v("smr06 -1 C719; smr06 800 C910"), _v("smr06 1000 C819"),
    )),
    Plan("coronary_ct", _by(min, "CT", "HEART"), (
        _v("smr01 1 I214"), _v("smr01 1826 I219"), _v("smr01 1827 I219"), _v("smr01 0 I219"),
        _v("smr01 -400 I210; smr01 100 I214"), _v("smr01 30 I200"),
    )),
    Plan("vessel_report", _by(min, "CT MR", "HEAD", "BRAIN"), (
        _v("smr01 200 I639", "Moderate white matter change."), _v("smr04 300 F019", "Old lacunar infarct."),
        _v("smr01 200 I639", "No white matter change."), _v("smr01 0 I64X", "Small vessel disease."),
        _v("smr01 -1 I639; smr01 500 I639", "Generalised atrophy."), _v("smr01 1 I619", "Hippocampal atrophy."),
        _v("smr01 200 G459", "Small vessel disease."),
    )),
    Plan("stroke_dementia", _by(max, "CT MR", "HEAD", "BRAIN"), (
        _v("smr01 -2 I619; smr04 89 F019"), _v("smr01 -2 I639; smr04 88 F019"), _v("smr01 -8 I639; smr01 200 F03X"),
        _v("smr01 7 I64X; smr01 300 F03X"), _v("smr01 -2 G459; smr04 200 F019"), _v("smr01 -2 I639; smr01 -300 F03X"),
    )),
    Plan("diabetes_mr", _by(min, "MR", "HEAD", "BRAIN"), (
        _v("prescribing -30 0601022B0AAABAB; prescribing -1 0601022B0AAABAB"),
        _v("prescribing -30 0601022B0AAABAB; prescribing 0 0601022B0AAABAB"),
        _v("prescribing -30 0602010V0AABZBZ; prescribing -1 0602010V0AABZBZ"),
        _v("hba1c -10 48"), _v("hba1c -10 47"), _v("hba1c -10 <48"), _v("hba1c 0 80"),
        _v("hba1c -10 60; smr04 0 F00X"),
    )),
    Plan("xray_to_ct", _by(min, "CR DX", "CHEST"), (
        _v("smr06 90 C341"), _v("smr06 91 C341"), _v("smr06 40 C450"), _v("smr06 0 C349"),
        _v("smr06 -1 C341; smr06 30 C343"),
    )),
    Plan("interval_breast_cancer", _by(max, "MG"), (
        _v("smr06 91 C509"), _v("smr06 90 C509"), _v("smr06 1095 C504"), _v("smr06 1096 C509"), _v("smr06 200 D051"),
        _v("smr06 200 C443"),
    )),
    Plan("fracture_ct", _by(min, "CT", "CHEST", "ABDOMEN", "PELVIS", "LSPINE"), (
        _v("smr01 1826 S7200"), _v("smr01 1827 S7200"), _v("smr01 100 S5250"), _v("smr01 100 S8260"),
        _v("prescribing -365 0606020A0AAABAB; smr01 100 S3200"), _v("smr01 -2000 S2200; smr01 100 S7200"),
        _v("prescribing -366 0606020A0AAABAB; smr01 100 S3200"), _v("prescribing 0 0606020A0AAABAB; smr01 99 S3200"),
    )),
    Plan("lung_cancer_ct", _by(min, "CT"), (
        _v("smr06 1 C341"), _v("smr06 365 C341"), _v("smr06 366 C341"), _v("smr06 0 C341"),
    )),
    Plan("dementia_after_scan", _by(min, "CT MR"), (_v("smr04 30 F03X"), _v("smr04 31 F03X"), _v("smr01 0 G309"))),
)  # fmt: skip
"""Questions with people who fit and people who just miss: a day, a code, the order of two things."""
RARE = ("childhood_ct", "coronary_ct", "xray_to_ct", "interval_breast_cancer", "fracture_ct")
"""Questions whose images few people have: who has them gets one of these."""


def planned(seed: int, person: Person, images: Sequence[Image]) -> tuple[Variant, Image] | None:
    """Return what is planted for a person and the image that its days count from; None without images that suit.

    Parameters
    ----------
    seed : int
        The archive's seed.
    person : Person
        Who.
    images : sequence of Image
        The person's series.
    """
    suiting = [(plan, image) for plan in PLANS if (image := plan.image(person, images)) is not None]
    rare = [(plan, image) for plan, image in suiting if plan.name in RARE]
    if not suiting:
        return None
    draws = Draws(seed, "plan", person.index)
    plan, image = draws.choice(rare or suiting)
    return draws.choice(plan.variants), image
