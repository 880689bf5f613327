"""Which series an examination has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cairn.synthetic import cross_sectional, documents, enhanced, projection
from cairn.synthetic.cross_sectional import Plan
from cairn.synthetic.encoding import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_LS,
    RLE,
    Syntax,
)
from cairn.synthetic.modules import SeriesContext, Study
from cairn.synthetic.phantoms import SMALL
from cairn.synthetic.reference import Model, draw_model, draw_series_description, models
from cairn.synthetic.series import Built, fits

BLANK_BODY_PART = 0.46
"""Share of CT series without BodyPartExamined, as published."""

THINNING = 6
"""Real series are this many times longer than small ones."""

SYNTAXES = (EXPLICIT, IMPLICIT, JPEG_2000, RLE, JPEG_LS, JPEG_BASELINE, DEFLATED, BIG_ENDIAN)
_SYNTAX_WEIGHTS = (60, 80, 88, 92, 95, 97, 99, 100)
UNDEFINED_LENGTHS = Syntax(EXPLICIT.uid, undefined_sequences=True)

Series = tuple[Built, Syntax]


class Examination:
    """Makes the series of one study, numbered in order.

    Parameters
    ----------
    study : Study
        The study.
    model : Model
        The main device.
    every : bool
        True makes every kind of series once, with few instances; False draws as in reality.
    """

    def __init__(self, study: Study, model: Model, every: bool) -> None:
        self.study, self.model, self.every = study, model, every
        self.draws = study.draws("examination")
        self._number = 0

    def wanted(self, probability: float) -> bool:
        """Return whether a series of that likelihood is made."""
        drawn = self.draws.chance(probability)
        return self.every or drawn

    def count(self, low: int = 3) -> int:
        """Return how many instances a series of the device has."""
        if self.every:
            return low
        real = max(low, round(self.model.instances * self.draws.number(0.5, 1.5)))
        return real if self.study.pixel_size > SMALL else max(low, min(40, real // THINNING))

    def next(self, modality: str, count: int, description: str | None = None) -> SeriesContext:
        """Return the context of the next series; a description is drawn unless one is given."""
        self._number += 1
        drawn = draw_series_description(self.study.draws("description", self._number), modality)
        blank = modality == "CT" and self.study.draws("body", self._number).chance(BLANK_BODY_PART)
        text = drawn.text if description is None else description
        known = next((m for m in (self.model,) if m.modality == modality), None)
        model = known or (draw_model(self.draws, modality) if models(modality) else self.model)
        body = "" if blank else drawn.body or ("CHEST" if modality == "CT" else "")
        return SeriesContext(self.study, self._number, model, modality, text, body, count)

    def syntax(self, built: Built) -> Syntax:
        """Draw a transfer syntax that the series can have."""
        drawn = self.study.draws("syntax", built.context.number).weighted(SYNTAXES, _SYNTAX_WEIGHTS)
        if built.pixels is None and drawn in (BIG_ENDIAN, DEFLATED):
            return EXPLICIT
        if drawn is EXPLICIT and built.context.model.maker in ("SIEMENS", "PHILIPS"):
            return UNDEFINED_LENGTHS
        return drawn if fits(built.pixels, drawn) else EXPLICIT


def _documents_about(exam: Examination, main: Built) -> Iterator[Built]:
    """Yield what radiologists add to a series of slices."""
    if exam.wanted(0.3):
        yield projection.secondary_capture(exam.next("SC", 1, "Dose Report"))
    if exam.wanted(0.35):
        yield documents.report(exam.next("SR", 1, "Report"), main)
    if exam.wanted(0.1):
        yield documents.key_object(exam.next("KO", 1, "Key images"), main)
    if exam.wanted(0.1):
        yield documents.presentation_state(exam.next("PR", 1, "Annotations"), main)


def _ct(exam: Examination) -> Iterator[Built]:
    exam_contrast = exam.draws.chance(0.5)
    yield cross_sectional.ct(exam.next("CT", 2, "Localizers"), Plan("CORONAL", localizer=True))
    count = exam.count()
    gap = (count // 2,) if exam.draws.chance(0.05) else ()
    main = cross_sectional.ct(exam.next("CT", count), Plan(contrast=exam_contrast, missing=gap))
    yield main
    if exam.wanted(0.05):
        yield cross_sectional.ct(exam.next("CT", exam.count(4), "AXIAL GAPS"), Plan(missing=(2,)))
    if exam.wanted(0.03):
        yield cross_sectional.ct(exam.next("CT", exam.count(4), "AXIAL"), Plan(irregular=True, contrast=True))
    if exam.wanted(0.4):
        yield cross_sectional.ct(exam.next("CT", exam.count(), "SAG MPR"), Plan("SAGITTAL", derived=True))
    if exam.wanted(0.4):
        yield cross_sectional.ct(exam.next("CT", exam.count(), "COR MPR"), Plan("CORONAL", derived=True))
    if exam.wanted(0.05):
        yield documents.structure_set(exam.next("RTSTRUCT", 1, "Plan"), main)
    if exam.wanted(0.03):
        yield enhanced.segmentation(exam.next("SEG", 1, "Lung mask"), main)
    yield from _documents_about(exam, main)


def _mr(exam: Examination) -> Iterator[Built]:
    yield cross_sectional.mr(exam.next("MR", 3, "Localizer"), Plan("SAGITTAL", localizer=True))
    main = cross_sectional.mr(exam.next("MR", exam.count()), Plan(weighting="T2"))
    yield main
    for weighting, orientation, share in (
        ("T1", "SAGITTAL", 0.7),
        ("FLAIR", "CORONAL", 0.4),
        ("DWI", "OBLIQUE", 0.4),
        ("TOF", "AXIAL", 0.15),
    ):
        if exam.wanted(share):
            contrast = weighting == "T1" and exam.draws.chance(0.3)
            yield cross_sectional.mr(
                exam.next("MR", exam.count()), Plan(orientation, weighting=weighting, contrast=contrast)
            )
    if exam.wanted(0.02):
        yield documents.spectroscopy(exam.next("MR", 1, "svs_se_135"))
    yield from _documents_about(exam, main)


def _pt(exam: Examination) -> Iterator[Built]:
    yield cross_sectional.ct(exam.next("CT", exam.count(), "CT WB LOW DOSE"), Plan())
    main = cross_sectional.pt(exam.next("PT", exam.count()), Plan())
    yield main
    yield from _documents_about(exam, main)


def _us(exam: Examination) -> Iterator[Built]:
    yield projection.ultrasound(exam.next("US", exam.count(2)))
    yield projection.ultrasound(exam.next("US", 1), frames=6)


def _radiograph(exam: Examination) -> Iterator[Built]:
    yield projection.radiograph(exam.next(exam.study.modality, exam.draws.integer(1, 2)))


def _mammogram(exam: Examination) -> Iterator[Built]:
    yield projection.mammogram(exam.next("MG", 4))


def _run(exam: Examination) -> Iterator[Built]:
    yield projection.run(exam.next(exam.study.modality, 2))


def _nm(exam: Examination) -> Iterator[Built]:
    yield projection.nuclear_medicine(exam.next("NM", 1))


def _enhanced(exam: Examination) -> Iterator[Built]:
    for modality, orientation in (("CT", "AXIAL"), ("MR", "SAGITTAL")):
        frames = exam.next(modality, enhanced.FRAMES, f"ENHANCED {modality}")
        yield enhanced.enhanced(frames, Plan(orientation))


def _papers(exam: Examination) -> Iterator[Built]:
    yield documents.electrocardiogram(exam.next("ECG", 1, "12-lead resting"))
    yield documents.encapsulated_pdf(exam.next("DOC", 1, "Request form"))


def _syntaxes(exam: Examination) -> Iterator[Built]:
    for syntax in SYNTAXES:
        if syntax is not JPEG_BASELINE:
            yield cross_sectional.ct(exam.next("CT", 2, "AXIAL"), Plan())
    yield projection.ultrasound(exam.next("US", 2))
    yield projection.run(exam.next("XA", 1))


_RECIPES: dict[str, Callable[[Examination], Iterator[Built]]] = {
    "CT": _ct,
    "MR": _mr,
    "PT": _pt,
    "US": _us,
    "CR": _radiograph,
    "DX": _radiograph,
    "MG": _mammogram,
    "XA": _run,
    "RF": _run,
    "NM": _nm,
    "enhanced": _enhanced,
    "papers": _papers,
    "syntaxes": _syntaxes,
}

CATALOGUE = tuple(_RECIPES)
"""Recipes that every archive has once, whatever its scale; those named after a modality are also drawn."""


def main_modality(recipe: str) -> str:
    """Return the modality that a study by that recipe counts as."""
    return {"enhanced": "MR", "papers": "ECG", "syntaxes": "CT"}.get(recipe, recipe)


def examine(recipe: str, study: Study, model: Model, every: bool) -> Iterator[Series]:
    """Yield the series of a study with the transfer syntax of each.

    Parameters
    ----------
    recipe : str
        One of :data:`CATALOGUE`.
    study, model, every
        See :class:`Examination`.
    """
    exam = Examination(study, model, every)
    singled = iter([*(s for s in SYNTAXES if s is not JPEG_BASELINE), JPEG_BASELINE, JPEG_BASELINE])
    for built in _RECIPES[recipe](exam):
        yield built, next(singled) if recipe == "syntaxes" else exam.syntax(built)
