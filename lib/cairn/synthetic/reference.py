"""Real frequencies of makers, models and descriptions, as shipped in ``data/`` (see its README)."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from cairn.synthetic.draws import Draws


@dataclass(frozen=True)
class Model:
    """One combination of modality, maker and model.

    Parameters
    ----------
    modality, manufacturer, name : str
        As the headers write them; maker and name may be empty.
    series : int
        Series counted in the NCI IDC index: the weight.
    instances : float
        Median instances of a series.
    """

    modality: str
    manufacturer: str
    name: str
    series: int
    instances: float

    @property
    def maker(self) -> str:
        """Family of makers that share private blocks and habits: GE, SIEMENS, PHILIPS, TOSHIBA or OTHER."""
        upper = self.manufacturer.upper()
        if upper.startswith("GE"):
            return "GE"
        return next((family for family in ("SIEMENS", "PHILIPS", "TOSHIBA", "CANON") if family in upper), "OTHER")


@dataclass(frozen=True)
class Description:
    """A real SeriesDescription or StudyDescription with its weight and, for series, the BodyPartExamined seen."""

    modality: str
    text: str
    series: int
    body: str = ""


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("cairn.synthetic").joinpath("data", name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def models(modality: str = "") -> tuple[Model, ...]:
    """Return all models, or those of one modality."""
    rows = (row for row in _rows("devices.csv") if modality in ("", row["Modality"]))
    return tuple(
        Model(
            row["Modality"],
            row["Manufacturer"],
            row["ManufacturerModelName"],
            int(row["series"]),
            float(row["instances"]),
        )
        for row in rows
    )


@cache
def series_descriptions(modality: str) -> tuple[Description, ...]:
    """Return the commonest real series descriptions of one modality."""
    return tuple(
        Description(modality, row["text"], int(row["series"]), row["body"])
        for row in _rows("series_descriptions.csv")
        if row["Modality"] == modality
    )


@cache
def study_descriptions(modality: str) -> tuple[Description, ...]:
    """Return the commonest real study descriptions of one modality."""
    rows = (row for row in _rows("study_descriptions.csv") if row["Modality"] == modality)
    return tuple(Description(modality, row["text"], int(row["series"])) for row in rows)


@cache
def _cumulative(table: Callable[[str], tuple[Model | Description, ...]], modality: str) -> tuple[int, ...]:
    return tuple(itertools.accumulate(item.series for item in table(modality)))


def draw_model(draws: Draws, modality: str = "") -> Model:
    """Draw a model with the weight of its series, among all modalities or within one."""
    return draws.weighted(models(modality), _cumulative(models, modality))


def draw_series_description(draws: Draws, modality: str) -> Description:
    """Draw a real series description with its weight; an empty one where none is known."""
    if not series_descriptions(modality):
        return Description(modality, "", 0)
    return draws.weighted(series_descriptions(modality), _cumulative(series_descriptions, modality))


def draw_study_description(draws: Draws, modality: str) -> str:
    """Draw a real study description with its weight; an empty one where none is known."""
    if not study_descriptions(modality):
        return ""
    return draws.weighted(study_descriptions(modality), _cumulative(study_descriptions, modality)).text
