"""What identifies anybody, known or not: numbers and addresses that have a form of their own."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

_TEN = re.compile(r"(?<![\d.])(\d{2})[ /.-]?(\d{2})[ /.-]?(\d{2})[ -]?(\d{3})[ -]?(\d)(?![\d]|\.\d)")
_NHS = re.compile(r"(?<![\d.])(\d{3})[ -](\d{3})[ -](\d{4})(?![\d]|\.\d)")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_PHONE = re.compile(r"(?<![\d.])(?:\+44[ -]?|0)(?:1\d{2,3}|2\d|3\d{2}|7\d{3})[ -]?\d{3}[ -]?\d{3,4}(?![\d]|\.\d)")
_POSTCODE = re.compile(r"(?<![A-Z0-9])[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}(?![A-Z0-9])")

CHI, NHS_NUMBER, MAIL, PHONE, POSTCODE = "chi", "nhs_number", "mail", "phone", "postcode"


def patterns_in(text: str) -> Iterator[str]:
    """Yield the names of the patterns that a text matches.

    A CHI needs a date and a check digit by modulus 11 or 10, an NHS number its blanks and its check digit: one number
    of ten digits in about sixty looks like a CHI by chance. Postcodes count with their blank and in capitals only,
    since scanners' codes look like them otherwise.
    """
    if any(_is_chi("".join(found.groups())) for found in _TEN.finditer(text)):
        yield CHI
    if any(_modulus_11("".join(found.groups())) for found in _NHS.finditer(text)):
        yield NHS_NUMBER
    for name, pattern in ((MAIL, _MAIL), (PHONE, _PHONE), (POSTCODE, _POSTCODE)):
        if pattern.search(text):
            yield name


def _is_chi(ten: str) -> bool:
    try:
        datetime.date(2000 + int(ten[4:6]), int(ten[2:4]), int(ten[:2]))
    except ValueError:
        return False
    return _modulus_11(ten) or _luhn(ten)


def _modulus_11(ten: str) -> bool:
    """NHS Data Dictionary, NHS NUMBER: weights 10 to 2, check digit 11 minus the remainder, 11 counts as 0."""
    rest = 11 - sum(int(digit) * (10 - place) for place, digit in enumerate(ten[:9])) % 11
    return int(ten[9]) == rest % 11 and rest != 10


def _luhn(ten: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(ten)):
        number = int(digit) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0
