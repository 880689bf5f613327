"""What the text of a numeric or date value means: compiled parsers for DS, IS, DA, TM and DT.

Each takes bounds in a byte buffer, already stripped of padding, and returns a status with its value. They accept what
routine archives hold (PS3.5 6.2 and its retired forms) and nothing else.
"""

from __future__ import annotations

import numpy as np

from cairn.dicom.compiled import compiled

GOOD, BAD, SLOW = 0, 1, 2
"""Status of a value: parsed, not of its VR, or a number that needs Python's own float() to be rounded right."""

_POWERS = np.array([10.0**k for k in range(23)])
_DAYS_BEFORE_YEAR_ONE = 719162
_MICROSECONDS_A_DAY = 86_400_000_000
# 0001-01-01T00:00:00 and 9999-12-31T23:59:59.999999 UTC: Python, pandas and Spark's collect() raise beyond them.
_FIRST_MICROSECOND, _LAST_MICROSECOND = -62_135_596_800_000_000, 253_402_300_799_999_999


@compiled
def parse_double(buf: np.ndarray, a: int, b: int) -> tuple[int, float]:
    """Parse a DS: sign, digits, point, exponent (PS3.5 6.2).

    A mantissa below 2**53 times or over a power of ten up to 10**22 is exact in one rounding (Clinger 1990); anything
    else comes back as :data:`SLOW`.
    """
    p, negative = a, False
    if p < b and (buf[p] == 43 or buf[p] == 45):
        negative = buf[p] == 45
        p += 1
    mantissa, digits, scale, seen_point, lost = np.int64(0), 0, 0, False, False
    while p < b:
        c = buf[p]
        if 48 <= c <= 57:
            digits += 1
            if mantissa < 900_000_000_000_000_000:
                mantissa = mantissa * 10 + np.int64(c - 48)
                scale -= 1 if seen_point else 0
            else:
                lost = True
        elif c == 46 and not seen_point:
            seen_point = True
        else:
            break
        p += 1
    if digits == 0:
        return BAD, 0.0
    exponent = 0
    if p < b and (buf[p] == 69 or buf[p] == 101):
        p += 1
        minus = False
        if p < b and (buf[p] == 43 or buf[p] == 45):
            minus = buf[p] == 45
            p += 1
        if p == b:
            return BAD, 0.0
        while p < b and 48 <= buf[p] <= 57:
            if exponent < 100_000:
                exponent = exponent * 10 + np.int64(buf[p] - 48)
            p += 1
        if minus:
            exponent = -exponent
    if p < b:
        return BAD, 0.0
    scale += exponent
    if lost or mantissa >= 9_007_199_254_740_992 or scale > 22 or scale < -22:
        if mantissa == 0 and not lost:
            return GOOD, -0.0 if negative else 0.0
        return SLOW, 0.0
    value = np.float64(mantissa)
    value = value * _POWERS[scale] if scale >= 0 else value / _POWERS[-scale]
    return GOOD, -value if negative else value


@compiled
def parse_integer(buf: np.ndarray, a: int, b: int) -> tuple[int, int]:
    """Parse an IS: sign and digits; a fraction of zeros (``12.0``) is forgiven. Beyond int64: :data:`BAD`."""
    p, negative = a, False
    if p < b and (buf[p] == 43 or buf[p] == 45):
        negative = buf[p] == 45
        p += 1
    value, digits = np.uint64(0), 0
    while p < b and 48 <= buf[p] <= 57:
        digit = np.uint64(buf[p] - 48)
        if value > (np.uint64(9223372036854775808) - digit) // np.uint64(10):
            return BAD, 0
        value = value * np.uint64(10) + digit
        digits += 1
        p += 1
    if digits == 0:
        return BAD, 0
    if p < b and buf[p] == 46:
        p += 1
        while p < b and buf[p] == 48:
            p += 1
    if p < b or (not negative and value == np.uint64(9223372036854775808)):
        return BAD, 0
    return GOOD, -np.int64(value) if negative else np.int64(value)


@compiled
def days_from_civil(year: int, month: int, day: int) -> int:
    """Return days since 1970-01-01 of a proleptic Gregorian date (Hinnant, chrono-compatible low-level date algorithms)."""
    y = year - (1 if month <= 2 else 0)
    era = (y if y >= 0 else y - 399) // 400
    of_era = y - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@compiled
def _digits(buf: np.ndarray, a: int, count: int, b: int) -> int:
    """Return the number in exactly `count` digits at `a`, or -1."""
    if a + count > b:
        return -1
    value = 0
    for i in range(a, a + count):
        if not 48 <= buf[i] <= 57:
            return -1
        value = value * 10 + np.int64(buf[i] - 48)
    return value


@compiled
def _date_is_real(year: int, month: int, day: int) -> bool:
    if year < 1 or month < 1 or month > 12 or day < 1:
        return False
    longest = 31
    if month in (4, 6, 9, 11):
        longest = 30
    elif month == 2:
        longest = 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return day <= longest


@compiled
def parse_date(buf: np.ndarray, a: int, b: int) -> tuple[int, int]:
    """Parse a DA: ``YYYYMMDD``, or ``YYYY.MM.DD`` as ACR-NEMA wrote it. Value: days since 1970-01-01."""
    dotted = b - a == 10 and buf[a + 4] == 46 and buf[a + 7] == 46
    if not dotted and b - a != 8:
        return BAD, 0
    gap = 1 if dotted else 0
    year, month, day = _digits(buf, a, 4, b), _digits(buf, a + 4 + gap, 2, b), _digits(buf, a + 6 + 2 * gap, 2, b)
    if not _date_is_real(year, month, day):
        return BAD, 0
    return GOOD, days_from_civil(year, month, day)


@compiled
def parse_time(buf: np.ndarray, a: int, b: int) -> tuple[int, int, int, int, int, int]:
    """Parse a TM: ``HH[MM[SS[.F]]]``, with colons as ACR-NEMA wrote it.

    Returns
    -------
    tuple of int
        (status, hour, minute, second, microsecond, digits of the fraction). Second 60 is a leap second (PS3.5 6.2).
    """
    p = a
    part = (np.int64(0), np.int64(0), np.int64(0))
    for i in range(3):
        if i > 0:
            if p == b or buf[p] == 46:
                break
            if buf[p] == 58:
                p += 1
        number = _digits(buf, p, 2, b)
        if number < 0:
            return BAD, 0, 0, 0, 0, 0
        part = (
            number if i == 0 else part[0],
            number if i == 1 else part[1],
            number if i == 2 else part[2],
        )
        p += 2
    micro, width = 0, 0
    if p < b and buf[p] == 46:
        p += 1
        while p < b and 48 <= buf[p] <= 57:
            if width < 6:
                micro = micro * 10 + np.int64(buf[p] - 48)
                width += 1
            p += 1
        for _ in range(6 - width):
            micro *= 10
    if p < b or part[0] > 23 or part[1] > 59 or part[2] > 60:
        return BAD, 0, 0, 0, 0, 0
    return GOOD, part[0], part[1], part[2], micro, width


@compiled
def parse_datetime(buf: np.ndarray, a: int, b: int) -> tuple[int, int]:
    """Parse a DT: ``YYYY[MM[DD[HH[MM[SS[.F]]]]]][&ZZXX]``. Value: microseconds since 1970-01-01T00:00:00Z.

    Parts that are left out count as their lowest value; a time without offset is taken as UTC. A moment that is before
    the year 1 or after 9999 in UTC is none.
    """
    offset, stop = np.int64(0), b
    if b - a >= 9 and (buf[b - 5] == 43 or buf[b - 5] == 45):
        hours, minutes = _digits(buf, b - 4, 2, b), _digits(buf, b - 2, 2, b)
        if hours < 0 or minutes < 0 or hours > 14 or minutes > 59:
            return BAD, 0
        offset = (hours * 60 + minutes) * 60_000_000
        if buf[b - 5] == 45:
            offset = -offset
        stop = b - 5
    year = _digits(buf, a, 4, stop)
    month, day = np.int64(1), np.int64(1)
    if stop - a >= 6:
        month = _digits(buf, a + 4, 2, stop)
    if stop - a >= 8:
        day = _digits(buf, a + 6, 2, stop)
    if not _date_is_real(year, month, day) or stop - a in (5, 7):
        return BAD, 0
    value = days_from_civil(year, month, day) * _MICROSECONDS_A_DAY
    if stop - a > 8:
        status, hour, minute, second, micro, _ = parse_time(buf, a + 8, stop)
        if status != GOOD:
            return BAD, 0
        value += ((hour * 60 + minute) * 60 + second) * 1_000_000 + micro
    value -= offset
    if value < _FIRST_MICROSECOND or value > _LAST_MICROSECOND:
        return BAD, 0
    return GOOD, value
