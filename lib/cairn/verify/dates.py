"""Dates within texts, in the spellings that people and programs have for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH = rf"({'|'.join(_MONTHS)})[A-Z]*"
_GAP, _NUMBER_GAP = r"[\s,./_'’-]*", r"[\s./:_-]+"
_TH = r"(?:ST|ND|RD|TH)?(?:\s+OF)?"
_YEAR = r"((?:19|20)\d{2}|\d{2})"
_FLAGS = re.IGNORECASE | re.ASCII

_COMPACT = re.compile(r"(?<![\d.])(\d{8})(?=(?:\d{4}|\d{6})?(?!\d))")
_YEAR_FIRST = re.compile(r"(?<![\d.])(\d{4})\D{1,3}(\d{1,2})\D{1,3}(\d{1,2})(?!\d)")
_YEAR_LAST = re.compile(rf"(?<![\d.])(\d{{1,2}}){_NUMBER_GAP}(\d{{1,2}}){_NUMBER_GAP}{_YEAR}(?!\d)")
_DAY_NAME = re.compile(rf"(?<!\d)(\d{{1,2}}){_TH}{_GAP}{_MONTH}{_GAP}{_YEAR}(?!\d)", _FLAGS)
_NAME_DAY = re.compile(rf"(?<![A-Z]){_MONTH}{_GAP}(\d{{1,2}}){_TH}{_GAP}{_YEAR}(?!\d)", _FLAGS)
_YEAR_NAME = re.compile(rf"(?<!\d)(\d{{4}}){_GAP}{_MONTH}{_GAP}(\d{{1,2}})(?!\d)", _FLAGS)


def dates_in(text: str) -> frozenset[str]:
    """Return every date that a text may mean, as ``yyyymmdd``.

    Day and month are taken both ways where both are numbers, and a year of two digits in both centuries: it is the
    caller who knows which date is looked for.
    """
    return frozenset(
        f"{year:04d}{month:02d}{day:02d}"
        for years, month, day in _readings(text)
        for year in years
        if 1 <= month <= 12 and 1 <= day <= 31
    )


def _readings(text: str) -> Iterator[tuple[tuple[int, ...], int, int]]:
    for (eight,) in (found.groups() for found in _COMPACT.finditer(text)):
        yield (int(eight[:4]),), int(eight[4:6]), int(eight[6:])
        yield (int(eight[4:]),), int(eight[2:4]), int(eight[:2])
        yield (int(eight[4:]),), int(eight[:2]), int(eight[2:4])
    for year, month, day in (found.groups() for found in _YEAR_FIRST.finditer(text)):
        yield _years(year), int(month), int(day)
    for day, month, year in (found.groups() for found in _YEAR_LAST.finditer(text)):
        yield _years(year), int(month), int(day)
        yield _years(year), int(day), int(month)
    for day, month, year in (found.groups() for found in _DAY_NAME.finditer(text)):
        yield _years(year), _month(month), int(day)
    for month, day, year in (found.groups() for found in _NAME_DAY.finditer(text)):
        yield _years(year), _month(month), int(day)
    for year, month, day in (found.groups() for found in _YEAR_NAME.finditer(text)):
        yield _years(year), _month(month), int(day)


def _years(text: str) -> tuple[int, ...]:
    return (int(text),) if len(text) == 4 else (1900 + int(text), 2000 + int(text))


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].upper()) + 1
