"""What kept values are looked through for before they are scrubbed: forms that nearly no header has, at little cost.

This is done to the header of every file, so the forms are looked for by plain searches in the header's outline, in
which every digit is a 9 and every letter an A. Only where an outline is found, a pattern looks at the bytes.
"""

from __future__ import annotations

import re

_NUMBER_BEFORE = frozenset({b"%d" % digit for digit in range(10)} | {b"."})
_TEN_DIGITS = re.compile(rb"\d{6}[ -]?\d{4}(?![\d.])")
_MAIL = re.compile(rb"[\w.+-]@[\w-]{1,63}\.")
_MONTHS = b"JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_DATES = re.compile(
    rb"(?<![\d.])(?:[12][09]\d\d([-/.])[01]?\d\1[0-3]?\d(?![\d.])"  # 2020-03-17, but no part of a UID
    rb"|[0-3]?\d([-/.])[0-3]?\d\2[12][09]\d\d(?!\d|\.\d)"
    rb"|[0-3]?\d(?:ST|ND|RD|TH)?[ -]?(?:" + _MONTHS + rb")[A-Z]{0,6}[ ,-]{0,2}[12][09]\d\d(?!\d))"
)
_YEARS = re.compile(rb"(?<![\d.])0?(?:9\d|1[01]\d)[ -]?Y(?:(?:EA)?RS?|/?O)?(?![A-Z])")
_AGED = re.compile(rb"AGED?[ :]{1,2}(?:9\d|1[01]\d)(?!\d)")


def _outlined(code: int) -> int:
    character = chr(code)
    if character.isdecimal() and code < 128:
        return ord("9")
    if character.isalpha() and code < 128:
        return ord("A")
    # Lengths and tags of elements are no blanks, beside which VRs would look like words before numbers.
    return {"-": ord("-"), "/": ord("-"), ".": ord(".")}.get(character, ord(" ") if 32 <= code < 127 else ord("#"))


_OUTLINE = bytes(_outlined(code) for code in range(256))
_ENDING = ("9.9.9999", "9.99.9999", "A9999", "A 9999", "A-9999", "A  9999")
_DATED = (
    *(form.encode() for form in ("9999-9", "9-9999", " 9999.9", "#9999.9")),
    *(f"{form}{end}".encode() for form in _ENDING for end in " #"),
)


def suspicious(raw: bytes) -> bool:
    """Whether bytes hold ten digits that could be a CHI, a mail address, a date or an age: then texts are looked at."""
    for found in _TEN_DIGITS.finditer(raw):
        if raw[max(found.start() - 1, 0) : found.start()] not in _NUMBER_BEFORE:
            return True
    at = raw.find(b"@")
    while at >= 0:
        if _MAIL.match(raw, max(at - 1, 0)):
            return True
        at = raw.find(b"@", at + 1)
    return tells_time(raw)


def tells_time(raw: bytes) -> bool:
    """Whether bytes hold a whole date, or an age over 89, as people write them."""
    outline, upper = b" %b#" % raw.translate(_OUTLINE), raw.upper()
    if any(form in outline for form in _DATED) and _DATES.search(upper):
        return True
    at = upper.find(b"Y")
    while at >= 0:
        if upper[max(at - 1, 0)] in b"0123456789 -" and _YEARS.search(upper, max(at - 6, 0), at + 5):
            return True
        at = upper.find(b"Y", at + 1)
    return b"AGE" in upper and _AGED.search(upper) is not None
