"""The rewriter's actions over columns: Arrow arrays in, Arrow arrays out, each distinct value treated once.

They are the same pure functions as the file rewriter's, so that a table and a file agree. No Spark here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from cairn.deid.free_text import DESCRIPTOR, packaged_scrubber
from cairn.deid.identity import chi_of, person_of
from cairn.deid.pseudonyms import Pseudonyms
from cairn.deid.values import generalised_age

OLDEST = 89
"""Ages above it are so rare that they identify (HIPAA 45 CFR 164.514(b)(2)(i)(C))."""


def each_distinct(values: pa.Array, function: Callable[[str], object], kind: pa.DataType) -> pa.Array:
    """Return `function` of every value, NULL for NULL; called once per distinct value."""
    encoded = pc.dictionary_encode(values)
    made = pa.array([None if value is None else function(value) for value in encoded.dictionary.to_pylist()], kind)
    return made.take(encoded.indices)


def pseudonymise_person(values: pa.Array, pseudonyms: Pseudonyms) -> pa.Array:
    """Return the ``person_id`` of CHIs, however they are spaced; other numbers are persons of no known issuer."""
    return each_distinct(values, lambda text: pseudonyms.person(chi_of(text) or person_of(text, "")), pa.string())


def pseudonymise_uid(values: pa.Array, pseudonyms: Pseudonyms) -> pa.Array:
    """Return the UIDs that stand for UIDs; an empty one becomes NULL."""
    return each_distinct(values, lambda text: pseudonyms.uid(text) if text.strip(" \0") else None, pa.string())


def shift_date(dates: pa.Array, persons: pa.Array, pseudonyms: Pseudonyms) -> pa.Array:
    """Return dates (or timestamps) moved by the days of the person that stands beside each.

    Parameters
    ----------
    dates : pyarrow.Array of date32 or timestamp
        What moves.
    persons : pyarrow.Array of string
        CHIs; a date without a person becomes NULL, for nobody's shift is no shift.
    pseudonyms : Pseudonyms
        Made of the keys.
    """
    days = each_distinct(persons, lambda text: pseudonyms.days(chi_of(text) or person_of(text, "")), pa.int64())
    if pa.types.is_date32(dates.type):
        moved = pc.add(dates.cast(pa.int32()).cast(pa.int64()), days)
        inside = pc.and_(pc.greater_equal(moved, _FIRST_DAY), pc.less_equal(moved, _LAST_DAY))
        return pc.if_else(inside, moved, pa.scalar(None, pa.int64())).cast(pa.int32()).cast(pa.date32())
    moved = pc.add(dates.cast(pa.timestamp("us", dates.type.tz)).cast(pa.int64()), pc.multiply(days, _DAY))
    return moved.cast(pa.timestamp("us", dates.type.tz))


_DAY = 86_400_000_000
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31, days from 1970


def generalise_age(values: pa.Array) -> pa.Array:
    """Return ages with everything over 89 years as one.

    Parameters
    ----------
    values : pyarrow.Array
        DICOM's age strings (``045Y``; over 89 years ``090Y``, NULL when malformed) or whole years (over 89: 90).
    """
    if pa.types.is_integer(values.type):
        return pc.if_else(pc.greater(values, OLDEST), pa.scalar(OLDEST + 1, values.type), values)
    return each_distinct(values, _age, pa.string())


def _age(text: str) -> str | None:
    made = generalised_age(text.encode("latin-1", "replace"))
    return None if made is None else made.decode("latin-1").strip(" \0")


def generalise_postcode(values: pa.Array) -> pa.Array:
    """Return the outward code of UK postcodes (``EH16`` of ``EH16 4SA``); NULL for what is no postcode.

    Source: Royal Mail, Programmers' Guide to the Postcode Address File: outward code, space, digit and two letters.
    """
    return each_distinct(values, _outward, pa.string())


def _outward(text: str) -> str | None:
    squeezed = re.sub(r"\s", "", text.upper())
    found = re.fullmatch(r"([A-Z]{1,2}\d[A-Z\d]?)(\d[A-Z]{2})", squeezed)
    if found:
        return found[1]
    return squeezed if re.fullmatch(r"[A-Z]{1,2}\d[A-Z\d]?", squeezed) else None


def scrub_text(values: pa.Array, kind: str = DESCRIPTOR) -> pa.Array:
    """Return texts without what identifies anybody; nobody's own values are known here (:mod:`cairn.deid.free_text`).

    Parameters
    ----------
    values : pyarrow.Array of string
        Free text.
    kind : str
        ``descriptor`` or ``prose``.
    """
    scrubber = packaged_scrubber()
    return each_distinct(values, lambda text: scrubber.scrub(text, None, kind).text, pa.string())
