"""Cells: text columns to typed ones, whole columns at a time.

Each function takes a string column, already without the source's words for nothing, and returns the typed column
and a mask of the cells that hold something which cannot be read; those are NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Mask = npt.NDArray[np.bool_]
Typed = tuple[pa.Array, Mask]

# ICD-10 as Scottish extracts hold it: letter, two digits, up to three characters, X as filler, then blanks and the
# dagger or asterisk (A180 D, I5000D, J91X A). A morphology or ICD-10-CM code may be longer than five characters.
_ICD10 = r"^(?P<code>[A-Z][0-9][0-9A-Z](?:[0-9]{1,3})?)(?:X{1,2})?(?P<rest>-?)\s*(?P<suffix>[DA])?$"
_ICD9 = r"^-(?:[0-9]{3,6}|[VE][0-9]{2,5})$"
_OPCS = r"^(?P<code>[A-Z][0-9]{2}[0-9X]?|[0-9]{3,4})(?P<pair>[A-Z][0-9]{2}[0-9X]?)?$"
_BNF = r"^(?:[0-9]{6}[0-9A-Z]{9}|[0-9]{4,11}|[0-9]{1,2}(?:\.[0-9]{1,2}){1,3})$"
_READ = r"^[0-9A-Za-z][0-9A-Za-z.]{4}(?:[0-9A-Za-z]{2})?$"
_NUMBER = (
    r"^\s*(?P<operator><=|>=|=<|=>|<|>|~|=)?\s*(?P<number>[+\-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+\-]?[0-9]+)?)"
    r"\s*(?P<unit>[^\d\s<>=.].*)?$"
)


def _bad(before: pa.Array, after: pa.Array) -> Mask:
    """Return where a value was there and is not any more."""
    lost = pc.and_(pc.is_valid(before), pc.is_null(after))
    return np.asarray(lost.to_numpy(zero_copy_only=False), dtype=bool)


def _part(values: pa.Array, pattern: str, name: str) -> pa.Array:
    """Return a named group of a pattern, NULL where the pattern does not match or the group is empty."""
    group = pc.struct_field(pc.extract_regex(values, pattern), name)
    return pc.if_else(pc.equal(group, ""), pa.scalar(None, pa.string()), group)


def text(values: pa.Array) -> Typed:
    """Return text as it is."""
    return values, np.zeros(len(values), dtype=bool)


def code(values: pa.Array) -> Typed:
    """Return codes in upper case without blanks around them."""
    return text(pc.utf8_upper(values))


def icd10(values: pa.Array) -> Typed:
    """Return ICD-10 codes without dot, filler and suffix; ICD-9 ones with the minus that marks them."""
    plain = pc.replace_substring(pc.utf8_upper(values), ".", "")
    ninth = pc.fill_null(pc.match_substring_regex(plain, _ICD9), False)
    made = pc.if_else(ninth, plain, _part(plain, _ICD10, "code"))
    return made, _bad(values, made)


def icd10_suffix(values: pa.Array) -> Typed:
    """Return D (dagger) or A (asterisk) of ICD-10 codes."""
    return text(_part(pc.replace_substring(pc.utf8_upper(values), ".", ""), _ICD10, "suffix"))


def opcs4(values: pa.Array) -> Typed:
    """Return the first OPCS-4 code (or OPCS-3: digits alone) of a cell, without dot."""
    made = _part(pc.replace_substring_regex(pc.utf8_upper(values), r"[.\s]", ""), _OPCS, "code")
    return made, _bad(values, made)


def opcs4_pair(values: pa.Array) -> Typed:
    """Return the second code of a pair that is joined to eight characters."""
    return text(_part(pc.replace_substring_regex(pc.utf8_upper(values), r"[.\s]", ""), _OPCS, "pair"))


def bnf(values: pa.Array) -> Typed:
    """Return BNF item codes, appliance codes and local ones with dots."""
    upper = pc.utf8_upper(values)
    made = pc.if_else(pc.match_substring_regex(upper, _BNF), upper, pa.scalar(None, pa.string()))
    return made, _bad(values, made)


def read(values: pa.Array) -> Typed:
    """Return Read v2 codes: five characters, dots kept, case kept."""
    padded = pc.if_else(pc.less(pc.utf8_length(values), 5), pc.utf8_rpad(values, 5, "."), values)
    made = pc.if_else(pc.match_substring_regex(padded, _READ), padded, pa.scalar(None, pa.string()))
    return made, _bad(values, made)


def number(values: pa.Array) -> Typed:
    """Return the number of a cell, whatever operator or unit is glued to it (``<0.1``, ``70ML``, ``+80``)."""
    found = pc.replace_substring_regex(_part(values, _NUMBER, "number"), r"^\+", "")
    made = pc.cast(found, pa.float64())
    finite = pc.if_else(pc.is_finite(made), made, pa.scalar(None, pa.float64()))
    return finite, _bad(values, finite)


def measured(values: pa.Array) -> Typed:
    """Return the number of a result; one in words has none, and is no fault."""
    return text(number(values)[0])


_RANGE = r"^\s*(?P<low>-?[0-9.]*)\s*[{\-–]\s*(?P<high>-?[0-9.]*)\s*$"


def range_low(values: pa.Array) -> Typed:
    """Return the lower limit of a range in one cell (``3.5{5.3``, ``3.5-5.3``)."""
    return measured(_part(values, _RANGE, "low"))


def range_high(values: pa.Array) -> Typed:
    """Return the upper limit of a range in one cell."""
    return measured(_part(values, _RANGE, "high"))


def integer(values: pa.Array) -> Typed:
    """Return whole numbers; ``12.0`` is one."""
    decimal, _ = number(values)
    whole = pc.and_(pc.equal(decimal, pc.floor(decimal)), pc.less(pc.abs(decimal), 2.0**53))
    held = pc.if_else(pc.fill_null(whole, False), decimal, pa.scalar(None, pa.float64()))
    # Beyond 2**53 a float would change the number: those are read as digits.
    plain = pc.match_substring_regex(values, r"^[+\-]?[0-9]{1,18}$")
    digits = pc.if_else(
        pc.fill_null(plain, False), pc.replace_substring_regex(values, r"^\+", ""), pa.scalar(None, pa.string())
    )
    made = pc.coalesce(pc.cast(digits, pa.int64()), pc.cast(held, pa.int64()))
    return made, _bad(values, made)


def operator(values: pa.Array) -> Typed:
    """Return the operator before a number, or alone in its column."""
    alone = pc.if_else(
        pc.is_in(values, pa.array(["<", ">", "<=", ">=", "=<", "=>", "~", "="])), values, pa.scalar(None, pa.string())
    )
    made = pc.coalesce(alone, _part(values, _NUMBER, "operator"))
    made = pc.replace_substring(pc.replace_substring(made, "=<", "<="), "=>", ">=")
    return text(pc.if_else(pc.equal(made, "="), pa.scalar(None, pa.string()), made))


def unit(values: pa.Array) -> Typed:
    """Return what is glued to a number, without blanks around it."""
    return text(pc.utf8_trim_whitespace(_part(values, _NUMBER, "unit")))


def timestamp(values: pa.Array, formats: Sequence[str]) -> Typed:
    """Return moments by the first form that fits; days that the calendar lacks are none."""
    made = pa.nulls(len(values), pa.timestamp("us"))
    for form in formats:
        parsed = pc.strptime(values, format=form, unit="us", error_is_null=True)
        made = pc.coalesce(made, _that_prints_alike(values, parsed, form))
    return made.cast(pa.timestamp("us", tz="UTC")), _bad(values, made)


def _that_prints_alike(values: pa.Array, parsed: pa.Array, form: str) -> pa.Array:
    """Return moments whose text comes back: strptime takes 31 February for 3 March on some platforms."""
    back = pc.strftime(parsed, format=form.replace("%S", "%S"))
    # Arrow prints seconds with their fraction.
    back = pc.replace_substring_regex(back, r"(:\d\d)\.0+", r"\1") if "%S" in form else back
    bare = pc.replace_substring_regex(values, r"(^|[^0-9])0+(\d)", r"\1\2")
    same = pc.equal(bare, pc.replace_substring_regex(back, r"(^|[^0-9])0+(\d)", r"\1\2"))
    return pc.if_else(pc.fill_null(same, False), parsed, pa.scalar(None, parsed.type))


def date(values: pa.Array, formats: Sequence[str]) -> Typed:
    """Return dates by the first form that fits; a time of day is left out."""
    made, bad = timestamp(values, formats)
    return pc.cast(pc.cast(made, pa.timestamp("us")), pa.date32(), safe=False), bad


def category(values: pa.Array, meanings: dict[str, str | bool | None]) -> Typed:
    """Return what each value means; one that is not listed is bad."""
    known = pa.array(list(meanings), pa.string())
    place = pc.index_in(values, value_set=known)
    made = pc.take(pa.array([None if m is None else str(m) for m in meanings.values()], pa.string()), place)
    listed = pc.is_valid(place)
    bad = pc.and_(pc.is_valid(values), pc.invert(listed))
    return made, np.asarray(bad.to_numpy(zero_copy_only=False), dtype=bool)


_FLAGS: dict[str, str | bool | None] = {
    **dict.fromkeys(("1", "Y", "y", "YES", "Yes", "yes", "true", "TRUE", "True", "T", "1.0"), True),
    **dict.fromkeys(("0", "N", "n", "NO", "No", "no", "false", "FALSE", "False", "F", "0.0"), False),
}


def flag(values: pa.Array, meanings: dict[str, str | bool | None]) -> Typed:
    """Return yes or no, by the mapping's list or by the usual words."""
    words, bad = category(values, {key: None if v is None else str(v) for key, v in (meanings or _FLAGS).items()})
    return pc.if_else(pc.is_valid(words), pc.equal(words, "True"), pa.scalar(None, pa.bool_())), bad


PLAIN: dict[str, Callable[[pa.Array], Typed]] = {
    "text": text,
    "code": code,
    "icd10": icd10,
    "icd10_suffix": icd10_suffix,
    "opcs4": opcs4,
    "opcs4_pair": opcs4_pair,
    "bnf": bnf,
    "read": read,
    "number": number,
    "measured": measured,
    "range_low": range_low,
    "range_high": range_high,
    "integer": integer,
    "operator": operator,
    "unit": unit,
}
"""Functions that need nothing but the values, by kind."""

CODES = {
    "number": "EHR_NUMBER",
    "integer": "EHR_NUMBER",
    "date": "EHR_DATE",
    "timestamp": "EHR_DATE",
    "category": "EHR_VALUE_UNKNOWN",
    "flag": "EHR_VALUE_UNKNOWN",
}
"""Code of a cell that could not be read, by kind; EHR_CODE for code systems."""
