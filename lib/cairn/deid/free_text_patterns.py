"""What identifies by its form: numbers, dates, addresses, titles with names. One pattern a kind, each with its name."""

from __future__ import annotations

import re

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_STREET = (
    r"(?:street|road|rd|avenue|ave|drive|place|crescent|terrace|lane|wynd|brae|court|gardens|square|close|grove|loan"
    r"|vennel|quadrant|mews)"
)
_KIND = (
    r"(?:general|royal|community|university|district|memorial|maternity|dental|state|city|county|children['’]?s|sick"
    r"|cottage|joint|cancer|eye|national|women['’]?s)"
)
_ROMAN = r"(?:I{1,3}|IV|VI{0,3}|IX|XI{0,2})"
_SURNAME = (
    r"(?:LONG|SHORT|SMALL|LITTLE|SHARP|HARD|GOOD|BEST|BRIGHT|EARLY|DAY|GROSS|MARK|MAY|READ|RING|WARD|WEEKS|BAKER|BARRETT"
    r"|BELL|COBB|ERNST|EWING|GRAVES|MORTON|POTTS|PARKINSON|WILLIS|TURNER|LOW|GOLD|SILVER|STEEL|STREET|SALT|MAJOR)"
)
_NAME = r"[A-Z][\w'’-]*"
_FOLLOWING = rf"\.?,?\s+(?:{_NAME}\.?\s*){{1,3}}"

PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("mail", re.compile(r"[\w.+-]+@[A-Za-z][\w-]*(?:\.[\w-]+)*")),
    ("url", re.compile(r"(?i)\b(?:https?://|ftp://|www\.)\S+|\b[\w-]+\.(?:scot|co\.uk|ac\.uk|gov\.uk|nhs\.uk|nhs\.net)\b\S*")),
    ("uid", re.compile(r"(?<![\w.])\d+(?:\.\d+){4,}(?![\w.])")),
    # Ten digits as a CHI is written (six and four; date, three, one) and as an NHS number is (three, three, four).
    ("person_number", re.compile(r"(?<!\d)\d{6}[ ./-]{0,2}\d{4}(?!\d)")),
    ("person_number", re.compile(r"(?<![\d.])\d{2}([ ./-])\d{2}\1\d{2}[ ./-]?(?:\d{4}|\d{3}[ ./-]\d)(?!\d)")),
    ("person_number", re.compile(r"(?<!\d)\d(?: \d){9}(?!\d)")),
    ("person_number", re.compile(r"(?i)\b(?:chi|nhs|hospital|unit|mrn|patient|case|record)\W{0,2}(?:no|nr|num|number|id|#)?\W{0,3}(?=[\w/-]*\d{3})[\w/-]+")),
    # Whole dates before phones, of which they may hold a part.
    ("date", re.compile(r"(?<![\d.])(?:19|20)\d{2}([-/. \\,])\d{1,2}\1\d{1,2}(?![\d.]\d)")),
    ("date", re.compile(r"(?<![\d.])\d{1,2}([-/. :\\,])\d{1,2}\1(?:19|20)\d{2}(?!\d)")),
    ("date", re.compile(rf"(?<![\d.]){_DAY}([-/. ]){_ROMAN}\1(?:19|20)?\d{{2}}(?!\d)")),
    # Two figures for the year: three numbers with blanks between them may be a row of other numbers.
    ("date", re.compile(rf"(?<![\d.])(?<!\d[ .,]){_DAY}([ \\,]{{1,2}})(?:0?[1-9]|1[0-2])\1\d{{2}}(?!\d|[.,]\d|[ ]?mm|[ ]\d)")),
    ("date", re.compile(r"(?<![\d./])(?:0?[1-9]|1[0-2])[/.-](?:19\d{2}|20[0-3]\d)(?!\d|\.\d)")),
    ("date", re.compile(r"(?<![\d./-])(?!24/7)(?:1[3-9]|2\d|3[01])/(?:0?[1-9]|1[0-2])(?![\d/-]|\.\d)")),
    ("phone", re.compile(r"(?<![\d.])(?:\+\d{1,3}[ -]?(?:\(0\))?|\(?0)\d{1,4}\)?(?:[ -]?\d{2,4}){2,3}(?!\d)")),
    ("phone", re.compile(r"(?i)\b(?:tel(?:ephone)?|phone|ext(?:ension|n)?|bleep|page[r]?|dect|fax|mob(?:ile)?)\W{0,3}(?:no\W{0,2})?\d[\d ()+-]{2,}")),
    ("phone", re.compile(r"(?i)(?<![\w.])(?<!\d )x ?\d{4,5}(?!\w|\.\d)|(?<!\w)# ?\d{4,6}(?!\w)")),
    ("local_phone", re.compile(r"(?<![\d.,])(?<!\d[ -])[2-9]\d{2}[ -]\d{4}(?!\d|\.\d|[ -]\d)")),
    ("nhs_number", re.compile(r"(?<![\d.])\d{3}([ .-])\d{3}\1\d{4}(?![\d.])")),
    ("date", re.compile(rf"(?<![\d.]){_DAY}([-/.])(?:0?[1-9]|1[0-2])\1\d{{2}}(?!\d|\.\d|[ ]?mm)")),
    ("date", re.compile(rf"(?i)(?<![\w.]){_DAY}(?:st|nd|rd|th)?[ ./-]*(?:of )?{_MONTH}(?![a-z])[ .,/-]*(?:'?\d{{2,4}})?(?!\d)")),
    ("date", re.compile(rf"(?i)\b{_MONTH}[ .,/-]*{_DAY}(?:st|nd|rd|th)?\b(?:[ .,/-]*'?\d{{2,4}})?(?!\d)")),
    ("date", re.compile(rf"(?i)\b{_MONTH}[ .,/'-]*(?:19|20)\d{{2}}(?!\d)")),
    ("date", re.compile(rf"(?i)\b{_MONTH} ?['’-] ?\d{{2}}(?!\d)")),
    # A year alone; 2000 is a b value far more often.
    ("date", re.compile(r"(?<![\d.])(?:19\d{2}|200[1-9]|20[1-3]\d)(?!\d|\.\d)")),
    ("age", re.compile(r"(?i)(?<![\d.])(?:9\d|1[01]\d)[ -]*(?:y(?:ea)?rs?|y/?o|years?[ -]old|y)\b")),
    ("age", re.compile(r"(?i)\bag(?:e|ed)\W{0,3}(?:9\d|1[01]\d)(?!\d)")),
    ("age", re.compile(r"(?i)\b(?:9\d|1[01]\d) ?[MF]\b|\b[MF] ?/ ?(?:9\d|1[01]\d)\b|\bninety(?:[ -]\w+)?\b")),
    ("age", re.compile(r"\b0(?:9\d|1[01]\d)Y\b|\b1[01]\dY\b")),
    ("postcode", re.compile(r"(?i)\b[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}\b(?!\w)")),
    ("postcode", re.compile(r"\b(?:AB|DD|DG|EH|FK|HS|IV|KA|KW|KY|ML|PH|TD|ZE)[1-9]\d?\b")),
    ("address", re.compile(rf"(?i)\b(?:flat\s+\w+,?\s+)?\d{{1,4}}[a-z]?,?\s+(?:[a-z'’]+\s+){{1,3}}{_STREET}\b")),
    ("address", re.compile(r"(?i)\bward\W{1,2}\w*\d\w*")),
    ("address", re.compile(r"(?i)\b(?:flat|apartment)\s+\d+\w?\b")),
    ("hospital", re.compile(r"(?i)\b(?:royal )?hospital for (?:sick )?children(?: and young people)?\b|\bsick (?:children|kids)(?:['’]?s)?\b")),
    ("hospital", re.compile(rf"(?i)\b(?:(?:borders|forth valley|mid|west|north|south|east|st|saint) )?(?:{_KIND} ){{1,3}}(?:hospital|infirmary|hospice|centre|pavilion)\b")),
    ("hospital", re.compile(r"(?i)\b(?:borders|forth valley|vale of leven|law|city|state) (?:general|royal|hospital)\b")),
    ("hospital", re.compile(r"(?i)\b(?:st|saint)\.? [a-z]{3,}['’]s\b")),
    # MR and DR in capitals are modalities; what follows them is looked up word by word anyway.
    ("title", re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Sister|Nurse|Sir|Lady|Lord|Rev|Master){_FOLLOWING}")),
    ("title", re.compile(rf"\b(?:MRS|MISS|PROF|PROFESSOR|SISTER|NURSE|CONSULTANT|Consultant|Radiographer|RADIOGRAPHER)[.:,]?\s+(?:{_NAME}\.?\s*){{1,2}}(?=[^a-z]|$)")),
    ("title", re.compile(rf"(?i:\b(?:reported|dictated|referred|requested|signed|verified|authori[sz]ed|typed|seen|discussed|performed|examined) (?:by|with)\b)[ :.]*(?:{_NAME}[.,]?\s*){{1,3}}(?=[^a-z]|$)")),
    ("title", re.compile(rf"(?i:\bcc\b|\bref(?:erring)?\b|\boperator\b|\bname\b|\bpatient\b)\s*[:.]\s*(?:{_NAME}[.,]?\s*){{1,3}}(?=[^a-z]|$)")),
    # At the end a word that is also a surname is one: MR LONG, but not MR LONG AXIS.
    ("title", re.compile(rf"\b(?:MR|DR|MS)\.? {_SURNAME}(?=\W*(?:$|[,;:()\[\]]))")),
    ("dotted_initials", re.compile(r"(?<![\w.])(?:[A-Z]\.[ ]?){1,2}[A-Z]\.?(?!\w|\.\w)")),
    ("initials", re.compile(r"(?i:\b(?:reported|dictated|typed|signed|verified|checked|seen|rep|dict|initials)\b)[ .:]*(?i:by\b)?[ .:]*[A-Z]{2,3}(?: ?/ ?[A-Za-z]{2,3})?(?=\W*$)")),
    ("initials", re.compile(r"(?<![\w/])[A-Z]{2,3} ?/ ?[a-z]{2,3}(?=[)\]. ]*$)")),
)  # fmt: skip
"""Names of rules and their patterns, in the order in which they are applied."""


def is_nhs_number(text: str) -> bool:
    """Whether ten digits, however spaced, have an NHS number's check digit (NHS Data Dictionary, modulus 11)."""
    digits = [int(letter) for letter in text if letter.isdigit()]
    total = sum(digit * (10 - place) for place, digit in enumerate(digits[:9]))
    return len(digits) == 10 and digits[9] == (11 - total % 11) % 11


_ABBREVIATIONS = frozenset(
    ("AP", "AE", "CT", "CSF", "DE", "FS", "IM", "ST", "SE", "DR", "DVT", "EUA", "FB", "GA", "GI", "GU", "IAM", "IV", "IVC", "IVU", "LA", "LLL", "LUL", "LV",
     "MR", "MRI", "NAD", "NG", "OA", "PA", "PE", "PET", "RA", "RLL", "RML", "RUL", "RV", "SI", "SOB", "SOL", "SVC", "TB",
     "TE", "TI", "TIA", "TMJ", "TR", "US", "UTI", "XR", "LHS", "RHS", "IMV", "BP", "KUB", "LIF", "RIF", "LUQ", "RUQ",
     "CXR", "AXR", "NR", "NM", "CR", "DX", "MG", "UK", "AM", "PM", "IE", "EG", "LT", "RT", "LS", "CS", "TS")
)  # fmt: skip


def is_local_phone(text: str) -> bool:
    """Whether three figures and four are no pair of b values, which are multiples of 50."""
    first, second = (int(part) for part in re.split(r"[ -]", text))
    return bool(first % 50 or second % 50)


def is_initials(text: str) -> bool:
    """Whether letters with stops are none of the abbreviations that are written so."""
    return "." in text and re.sub(r"[. ]", "", text).upper() not in _ABBREVIATIONS


CHECKS = {"nhs_number": is_nhs_number, "local_phone": is_local_phone, "dotted_initials": is_initials}
"""By rule, what a match must fulfil besides: three numbers in a row may be b values."""
