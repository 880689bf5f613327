"""The Community Health Index number, Scotland's person number: cleaning and checking.

Ten digits: date of birth (ddmmyy), two digits, a digit that is odd for males and even for females, a check digit by
modulus 11; where a date's numbers are used up, the check digit of new ones is by modulus 10 (Luhn). A number is
accepted by either scheme unless one is asked for. Columns are checked as a whole; no Python object is made per row.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

VALID = "VALID"
MISSING, BLANK, TOO_SHORT, TOO_LONG = "CHI_MISSING", "CHI_BLANK", "CHI_TOO_SHORT", "CHI_TOO_LONG"
NOT_DIGITS, BAD_DATE, CHECK_DIGIT = "CHI_NOT_DIGITS", "CHI_DATE", "CHI_CHECK_DIGIT"
VERDICTS = (VALID, MISSING, BLANK, TOO_SHORT, TOO_LONG, NOT_DIGITS, BAD_DATE, CHECK_DIGIT)
BOTH_SCHEMES = (11, 10)

_WEIGHTS = np.arange(10, 1, -1)
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
# What a spreadsheet or a data frame makes of the number: 101336489.0, 1.01336489E8.
_FLOAT = r"^(\d{9,10})\.0*$"
_SCIENTIFIC = r"^\d(\.\d{1,9})?[eE]\+?0?[89]$"
_NULL_WORDS = ("null", "none", "na", "n/a", "nan", "unknown")


def modulus_11_digit(stem: str) -> str | None:
    """Return the modulus 11 check digit of nine digits, None for a stem that is never issued."""
    total = sum(int(digit) * weight for digit, weight in zip(stem, range(10, 1, -1), strict=True))
    check = (11 - total % 11) % 11
    return None if check == 10 else str(check)


def modulus_10_digit(stem: str) -> str:
    """Return the modulus 10 (Luhn) check digit of nine digits; every stem has one."""
    total = sum(sum(divmod(2 * int(n), 10)) if i % 2 == 0 else int(n) for i, n in enumerate(stem))
    return str(-total % 10)


def normalise(values: pa.Array) -> pa.Array:
    """Return numbers as they should have been written; what is no number stays as it is, without blanks around it.

    Blanks and hyphens between digits go, a float's ``.0`` and exponent too, words for nothing become NULL, and nine
    digits get back the zero that a spreadsheet took. Eight digits stay: two zeros are never lost from a date.

    Parameters
    ----------
    values : pyarrow.Array
        Strings.
    """
    text = pc.utf8_trim(pc.cast(values, pa.string()), " \t\r\n\0\u00a0\ufeff'\"")
    text = pc.if_else(pc.is_in(pc.utf8_lower(text), pa.array(_NULL_WORDS)), pa.scalar(None, pa.string()), text)
    text = _without_exponent(pc.replace_substring_regex(text, _FLOAT, r"\1"))
    joined = pc.replace_substring_regex(text, r"[ \-\x{00a0}]", "")
    digits = pc.fill_null(pc.match_substring_regex(joined, r"^\d+$"), False)
    joined = pc.if_else(pc.equal(pc.utf8_length(joined), 9), pc.binary_join_element_wise("0", joined, ""), joined)
    return pc.if_else(digits, joined, text)


def _without_exponent(text: pa.Array) -> pa.Array:
    """Return numbers in scientific notation written out; digits that the notation lost cannot be had back."""
    scientific = pc.fill_null(pc.match_substring_regex(text, _SCIENTIFIC), False)
    if not pc.any(scientific).as_py():
        return text
    whole = pc.cast(pc.cast(pc.filter(text, scientific), pa.float64()), pa.int64(), safe=False)
    return pc.replace_with_mask(text, scientific, pc.cast(whole, pa.string()))


def check(values: pa.Array, schemes: tuple[int, ...] = BOTH_SCHEMES) -> pa.Array:
    """Return a verdict for each number, as written: call :func:`normalise` first where it may need it.

    Parameters
    ----------
    values : pyarrow.Array
        Strings.
    schemes : tuple of int
        Check digits that count: 11, 10, or both.

    Returns
    -------
    pyarrow.Array
        Strings out of :data:`VERDICTS`, the first that fits in the order blank, no digits, length, date, check digit.
    """
    values = pc.cast(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values, pa.string())
    length = pc.utf8_length(values)
    digits = pc.match_substring_regex(values, r"^[0-9]*$")
    codes = np.full(len(values), VERDICTS.index(VALID))
    ten = _mask(pc.and_(digits, pc.equal(length, 10)))
    if ten.any():
        codes[ten] = _check_digits(_matrix(pc.filter(values, pa.array(ten))), schemes)
    codes[_mask(pc.greater(length, 10))] = VERDICTS.index(TOO_LONG)
    codes[_mask(pc.less(length, 10))] = VERDICTS.index(TOO_SHORT)
    codes[_mask(pc.invert(digits))] = VERDICTS.index(NOT_DIGITS)
    codes[_mask(pc.equal(pc.utf8_trim_whitespace(values), ""))] = VERDICTS.index(BLANK)
    codes[_mask(pc.is_null(values))] = VERDICTS.index(MISSING)
    return pa.array(np.array(VERDICTS, dtype=object)[codes], pa.string())


def _mask(condition: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(condition, False).to_numpy(zero_copy_only=False), dtype=bool)


def _matrix(ten_digits: pa.Array) -> npt.NDArray[np.int64]:
    """Return (rows, 10) digits of strings that are ten digits long."""
    flat = np.frombuffer(b"".join(ten_digits.cast(pa.binary(10)).to_pylist()), dtype=np.uint8)
    return flat.reshape(-1, 10).astype(np.int64) - ord("0")


def _check_digits(digits: npt.NDArray[np.int64], schemes: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Return the verdicts of (rows, 10) digits."""
    day, month, year = (digits[:, i] * 10 + digits[:, i + 1] for i in (0, 2, 4))
    last = _MONTH_DAYS[np.where(month <= 12, month, 0)]
    # 1900 was no leap year and 2000 was one, so 29 February 00 is of 2000; else the centuries agree.
    dated = (day >= 1) & (day <= last) & ((month != 2) | (day < 29) | (year % 4 == 0))
    right = np.zeros(len(digits), dtype=bool)
    if 11 in schemes:
        right |= -(digits[:, :9] @ _WEIGHTS) % 11 == digits[:, 9]
    if 10 in schemes:
        doubled = 2 * digits[:, 0:9:2]
        total = (doubled - 9 * (doubled > 9)).sum(axis=1) + digits[:, 1:9:2].sum(axis=1)
        right |= -total % 10 == digits[:, 9]
    verdicts = np.where(right, VERDICTS.index(VALID), VERDICTS.index(CHECK_DIGIT))
    return np.where(dated, verdicts, VERDICTS.index(BAD_DATE))


def check_one(text: str | None, schemes: tuple[int, ...] = BOTH_SCHEMES) -> str:
    """Return the verdict of one number as written."""
    return str(check(pa.array([text], pa.string()), schemes)[0].as_py())


def is_chi(ten: str) -> bool:
    """Return whether ten digits are a CHI: a date, and a check digit by modulus 11 or 10; cheap for single numbers."""
    if len(ten) != 10 or not (ten.isascii() and ten.isdigit()):
        return False
    try:
        dt.date(2000 + int(ten[4:6]), int(ten[2:4]), int(ten[:2]))
    except ValueError:
        return False
    return ten[9] in (modulus_11_digit(ten[:9]), modulus_10_digit(ten[:9]))


def sex_of(values: pa.Array) -> pa.Array:
    """Return ``M`` or ``F`` by the ninth digit of valid numbers, NULL elsewhere."""
    odd = pc.is_in(pc.utf8_slice_codeunits(values, 8, 9), pa.array(list("13579")))
    valid = pc.equal(check(values), VALID)
    return pc.if_else(valid, pc.if_else(odd, "M", "F"), pa.scalar(None, pa.string()))


def birth_date(chi: str, not_after: dt.date | None = None, not_before: dt.date | None = None) -> dt.date | None:
    """Return the date of birth that a number tells, None where its century stays open.

    Parameters
    ----------
    chi : str
        A valid number; it does not hold the century.
    not_after, not_before : datetime.date, optional
        An event of the person (nobody is born after it), and the earliest date that can be meant.
    """
    candidates = []
    for century in (1800, 1900, 2000):
        try:
            born = dt.date(century + int(chi[4:6]), int(chi[2:4]), int(chi[:2]))
        except ValueError:
            continue
        if (not_after is None or born <= not_after) and (not_before is None or born >= not_before):
            candidates.append(born)
    return candidates[0] if len(candidates) == 1 else None


def verdict_counts(values: pa.Array) -> dict[str, Any]:
    """Return how many numbers got each verdict, by verdict; for reports that name no number."""
    return {row["values"]: row["counts"] for row in pc.value_counts(check(values)).to_pylist()}
