"""What a structured report says, item by item (PS3.3 C.17.3): out of de-identified bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pydicom
from pydicom.dataset import Dataset

REPORTS = "1.2.840.10008.5.1.4.1.1.88."
"""SOP classes of structured reports (PS3.4 B.5)."""

_VALUES = ("TextValue", "PersonName", "Date", "Time", "DateTime", "UID")
_DEEPEST = 64


def report_items(header: bytes) -> Iterator[dict[str, Any]]:
    """Yield the content items of a report.

    Parameters
    ----------
    header : bytes
        A DICOM file, de-identified.

    Yields
    ------
    dict
        Columns of ``deidentified.report_text`` from ``item`` on; a value that pydicom cannot read is left out.
    """
    dataset = pydicom.dcmread(io.BytesIO(header), force=True, stop_before_pixels=True)
    yield from _items(dataset, ())


def _items(dataset: Dataset, place: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    if len(place) >= _DEEPEST:
        return
    for number, item in enumerate(_sequence(dataset, "ContentSequence"), start=1):
        here = (*place, number)
        yield {"item": ".".join(map(str, here)), **_columns(item)}
        yield from _items(item, here)


def _columns(item: Dataset) -> dict[str, Any]:
    concept = _first(item, "ConceptNameCodeSequence")
    coded = _first(item, "ConceptCodeSequence")
    measured = _first(item, "MeasuredValueSequence")
    words = next((text for name in _VALUES if (text := _text(item, name))), None)
    number = _text(measured, "NumericValue")
    return {
        "relationship_type": _text(item, "RelationshipType"),
        "value_type": _text(item, "ValueType"),
        "concept_code": _text(concept, "CodeValue"),
        "concept_scheme": _text(concept, "CodingSchemeDesignator"),
        "concept": _text(concept, "CodeMeaning"),
        "text": words or _text(coded, "CodeMeaning") or number,
        "code": _text(coded, "CodeValue"),
        "code_scheme": _text(coded, "CodingSchemeDesignator"),
        "number": _number(number),
        "unit": _text(_first(measured, "MeasurementUnitsCodeSequence"), "CodeValue"),
    }


def _sequence(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    try:
        found = dataset.get(keyword)
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, OverflowError):
        return ()  # pydicom raises any of these for bytes that are no sequence
    return found if isinstance(found, pydicom.Sequence) else ()


def _first(dataset: Dataset | None, keyword: str) -> Dataset | None:
    return next(iter(_sequence(dataset, keyword)), None) if dataset is not None else None


def _text(dataset: Dataset | None, keyword: str) -> str | None:
    if dataset is None:
        return None
    try:
        value = dataset.get(keyword)
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, OverflowError):
        return None
    if value is None or isinstance(value, (bytes, pydicom.Sequence)):
        return None
    return str(value).strip() or None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
