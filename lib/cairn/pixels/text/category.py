"""What a text is: the patient's own value, a date, a number, a laterality marker, a measurement, an annotation, other.

Own values are those of the file's own header, however the device wrote them: names in any order, numbers with or
without blanks, dates in any order of their parts. Recognition confuses letters, so a long value may differ a little.
"""

from __future__ import annotations

import datetime
import difflib
import re
import unicodedata
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from cairn.pixels.description import UNREADABLE, header_dataset

OWN_VALUE, DATE, NUMBER, LATERALITY = "own_value", "date", "number", "laterality"
MEASUREMENT, ANNOTATION, OTHER = "measurement", "annotation", "other"
CATEGORIES = (OWN_VALUE, DATE, NUMBER, LATERALITY, MEASUREMENT, ANNOTATION, OTHER)

IDENTIFYING = (
    "PatientID", "OtherPatientIDs", "PatientAddress", "PatientTelephoneNumbers", "AccessionNumber", "StudyID",
    "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "AdmissionID",
    "IssuerOfPatientID", "PatientBirthName", "PatientMotherBirthName", "RequestingService",
)  # fmt: skip
DATES = ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
LEAST_LETTERS = 3
"""Shorter words of a name are no sign of it: they stand in any text."""

_LATERAL = re.compile(r"\(?(?:[LRAPHFIS]|[LR]T|LEFT|RIGHT|LINKS|RECHTS|AP|PA|LAT|SUP|INF|ANT|POST|ERECT|SUPINE)\)?")
_UNITS = (
    r"(?:mm|cm|m|ml|mL|cc|l|HU|kV|kVp|mA|mAs|ms|s|sec|Hz|kHz|MHz|dB|bpm|%|deg|°|mGy|mSv|cm/s|m/s|cm2|mm2|cm²|mm²|ml/min|g|kg"
    r"|T|mmHg|fps|Gy|MBq)"
)
_MEASURED = re.compile(rf"[A-Za-z0-9 .:=~]{{0,12}}?[-+]?\d+(?:[.,]\d+)? ?{_UNITS}\b.{{0,6}}")
_DATE = re.compile(
    r"(?<!\d)(?:\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)?\d\d|(?:19|20)\d\d[-/. ]\d{1,2}[-/. ]\d{1,2}"
    r"|\d{1,2}[- ./]?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[- .,/]*(?:19|20)?\d\d"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* \d{1,2},? (?:19|20)\d\d)(?!\d)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+#]?[\d .,:/x×*()]+")
_ANNOTATION = re.compile(
    r"\b(?:W[LW]?|L|C|FOV|TE|TR|TI|FA|SE|IM|IMG|SER|SL|THK|ZOOM|KV|MA|MAS|MI|TIS|TIB|TIC|GAIN|DR|FR|FPS|2D|3D|CF|PW|CW"
    r"|MM|GEN|RES|MAP|DEPTH|FREQ|FRAME|SLICE|SCAN|ECHO|CONTRAST|WINDOW|LEVEL|MPR|MIP|AX|AXIAL|COR|CORONAL|SAG|SAGITTAL"
    r"|SPIN|TILT|POS|LOC|DFOV|STND|BONE|SOFT|KERNEL|PHASE|DELAY|DOSE|CTDI|CTDIVOL|DLP|TOTAL)\b",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """Return the text without accents, in capitals, words apart by one blank."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+", bare.upper()))


@dataclass(frozen=True)
class OwnValues:
    """The identifying values of one header, ready to be compared.

    Attributes
    ----------
    words : frozenset of str
        Words of names.
    values : frozenset of str
        Numbers, places and dates without blanks.
    """

    words: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()

    def within(self, text: str) -> bool:
        """Whether the text holds one of them."""
        words = plain(text).split()
        joined = "".join(words)
        if any(_alike(word, own) for own in self.words for word in words):
            return True
        return any(own in joined or _alike(joined, own) for own in self.values) or any(
            len(own) > 4 and own in joined for own in self.words
        )


def _alike(word: str, own: str) -> bool:
    """Whether a word is a value, a letter in five confused by recognition."""
    if word == own:
        return True
    if len(own) < 5 or abs(len(word) - len(own)) > len(own) // 5:
        return False
    return difflib.SequenceMatcher(None, word, own, autojunk=False).ratio() >= 1 - (len(own) // 5 + 0.01) / len(own)


def own_values(header: bytes) -> OwnValues:
    """Return the identifying values of a header.

    Parameters
    ----------
    header : bytes
        The entry up to its pixel data, a deflated one inflated; a header that pydicom cannot read has none.
    """
    dataset = header_dataset(np.frombuffer(header, np.uint8), len(header))
    if dataset is None:
        return OwnValues()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _own(dataset)
    except UNREADABLE:
        return OwnValues()


def _own(dataset: Dataset) -> OwnValues:
    words: set[str] = set()
    values: set[str] = set()
    for element in dataset.iterall():
        if element.VR == "PN":
            names = plain(" ".join(_texts(element.value)).replace("^", " ").replace("=", " ")).split()
            words.update(name for name in names if len(name) >= LEAST_LETTERS)
    for keyword in IDENTIFYING:
        values.update(plain(text).replace(" ", "") for text in _texts(dataset.get(keyword)))
    for keyword in DATES:
        values.update(spelling for text in _texts(dataset.get(keyword)) for spelling in spellings(text))
    return OwnValues(frozenset(words), frozenset(value for value in values if len(value) >= 4))


def _texts(value: object) -> Iterable[str]:
    if value is None:
        return ()
    many = value if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [value]
    return [str(one) for one in many]  # type: ignore[attr-defined]


def spellings(date: str) -> set[str]:
    """Return the ways to write a DA value, without anything between the parts."""
    try:
        day = datetime.datetime.strptime(date.strip()[:8], "%Y%m%d").date()
    except ValueError:
        return set()
    ways = ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%d%m%y", "%d%b%Y", "%d%b%y", "%b%d%Y", "%d%B%Y")
    made = {day.strftime(way).upper() for way in ways}
    return made | {f"{day.day}{day.month}{day.year}", f"{day.day}{day:%b}{day.year}".upper()}


def category(text: str, own: OwnValues) -> str:
    """Return the category of a text; one of :data:`CATEGORIES`."""
    bare = text.strip()
    if own.within(bare):
        return OWN_VALUE
    if _DATE.search(bare):
        return DATE
    if _LATERAL.fullmatch(bare.upper()):
        return LATERALITY
    if _MEASURED.fullmatch(bare):
        return MEASUREMENT
    if _NUMBER.fullmatch(bare):
        return NUMBER
    if _ANNOTATION.search(bare):
        return ANNOTATION
    return OTHER
