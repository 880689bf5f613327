"""What histories and truth need to know of an image."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Image:
    """One made-up series.

    Parameters
    ----------
    study_uid, series_uid : str
        Its UIDs.
    person : int
        Whose: the index.
    day : datetime.date
        Of the study.
    modality, description : str
        As its header writes them.
    contrast, localizer, original : bool
        What kind of series it is.
    spacing : float or None
        Distance of slices in millimetres.
    region : str
        Body Part Examined (0018,0015); empty where the header has none.
    """

    study_uid: str
    series_uid: str
    person: int
    day: dt.date
    modality: str
    contrast: bool
    localizer: bool
    original: bool
    spacing: float | None
    description: str
    region: str = ""
