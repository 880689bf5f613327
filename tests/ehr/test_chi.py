"""The CHI against the published vectors, the schemes' own words, and what spreadsheets do to it."""

import csv
import datetime as dt
import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.deid.identity import chi_of
from cairn.ehr import chi

SHARED = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared"))
PHS_WORDS = {
    "Valid CHI": chi.VALID,
    "Invalid date": chi.BAD_DATE,
    "Invalid checksum": chi.CHECK_DIGIT,
    "Invalid character(s) present": chi.NOT_DIGITS,
    "Too few characters": chi.TOO_SHORT,
    "Too many characters": chi.TOO_LONG,
    "Missing (Blank)": chi.BLANK,
    "Missing (NA)": chi.MISSING,
}


def test_published_vectors_by_modulus_11():
    path = SHARED / "ehr" / "chi_vectors.csv"
    if not path.exists():
        pytest.skip("no shared data: set CAIRN_SHARED")
    rows = list(csv.DictReader(path.open()))
    assert rows
    got = chi.check(pa.array([row["chi"] for row in rows]), schemes=(11,)).to_pylist()
    assert got == [PHS_WORDS[row["expected"]] for row in rows]


# number, modulus 11 alone, modulus 10 alone
SCHEMES = [
    ("0211165794", True, False),
    ("0101336489", True, False),
    ("0402070763", True, False),
    ("0101011237", True, True),
    ("0101500056", False, True),
    ("0101010000", False, False),
    ("1009701234", False, True),
    ("0101201234", False, True),
]


@pytest.mark.parametrize(("number", "eleven", "ten"), SCHEMES)
def test_schemes_apart_and_together(number: str, eleven: bool, ten: bool):
    verdicts = {True: chi.VALID, False: chi.CHECK_DIGIT}
    assert chi.check_one(number, (11,)) == verdicts[eleven]
    assert chi.check_one(number, (10,)) == verdicts[ten]
    assert chi.check_one(number) == verdicts[eleven or ten]
    assert chi.is_chi(number) == (eleven or ten)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        (" 0101336489 ", "0101336489"),
        ("101336489", "0101336489"),  # a spreadsheet took the zero
        ("101336489.0", "0101336489"),  # and a data frame made a float of it
        ("1.01336489E8", "0101336489"),
        ("1.01336489E+08", "0101336489"),
        ("010133 6489", "0101336489"),
        ("010133-6489", "0101336489"),
        ("0 1 0 1 3 3 6 4 8 9", "0101336489"),
        ("01336489", "01336489"),  # eight digits are too short, not two zeros short
        ("'0101336489", "0101336489"),
        ("\ufeff0101336489", "0101336489"),
        ("null", None),
        ("NULL", None),
        ("A123456", "A123456"),
        ("", ""),
        (None, None),
    ],
)
def test_normalised(written: str | None, normal: str | None):
    assert chi.normalise(pa.array([written], pa.string())).to_pylist() == [normal]


@pytest.mark.parametrize("placeholder", ["4612345678", "4112345678", "4601010000"])
def test_placeholders_have_an_impossible_day(placeholder: str):
    assert chi.check_one(placeholder) == chi.BAD_DATE


def test_the_leap_day_of_00_is_of_2000():
    stem = "290200123"
    assert chi.check_one(stem + chi.modulus_10_digit(stem), (10,)) == chi.VALID
    assert chi.birth_date(stem + "0") == dt.date(2000, 2, 29)


def test_modulus_11_loses_about_91_stems_of_a_date():
    lost = [chi.modulus_11_digit(f"010170{tail:03d}") for tail in range(1000)].count(None)
    assert 90 <= lost <= 92


digits = st.text("0123456789", min_size=10, max_size=10)
plausible = st.builds(
    lambda day, month, year, tail: f"{day:02d}{month:02d}{year:02d}{tail:04d}",
    st.integers(0, 32),
    st.integers(0, 13),
    st.integers(0, 99),
    st.integers(0, 9999),
)


@given(st.lists(digits | plausible, max_size=50))
def test_columns_and_single_numbers_agree(numbers: list[str]):
    whole = chi.check(pa.array(numbers, pa.string())).to_pylist()
    assert [verdict == chi.VALID for verdict in whole] == [chi.is_chi(number) for number in numbers]


@given(plausible, st.integers(0, 8), st.integers(1, 9))
def test_modulus_11_finds_every_single_wrong_digit(number: str, place: int, step: int):
    check = chi.modulus_11_digit(number[:9])
    if check is None or chi.check_one(number[:9] + check, (11,)) != chi.VALID:
        return
    wrong = str((int(number[place]) + step) % 10)
    changed = number[:place] + wrong + number[place + 1 : 9] + check
    assert chi.check_one(changed, (11,)) != chi.VALID


def test_odd_is_male():
    assert chi.sex_of(pa.array(["0101336489", "0211165794", "0101010000"])).to_pylist() == ["F", "M", None]


def test_century_needs_a_bound():
    assert chi.birth_date("0101336489", not_after=dt.date(2020, 1, 1), not_before=dt.date(1900, 1, 1)) == dt.date(
        1933, 1, 1
    )
    assert chi.birth_date("0402070763", not_after=dt.date(2020, 1, 1), not_before=dt.date(1900, 1, 1)) is None
    assert chi.birth_date("0402070763", not_after=dt.date(2000, 1, 1), not_before=dt.date(1900, 1, 1)) == dt.date(
        1907, 2, 4
    )


def test_chunked_columns_and_counts():
    values = pa.chunked_array([["0101336489"], ["0101010000", None]])
    assert chi.check(values).to_pylist() == [chi.VALID, chi.CHECK_DIGIT, chi.MISSING]
    assert chi.verdict_counts(values) == {chi.VALID: 1, chi.CHECK_DIGIT: 1, chi.MISSING: 1}


def test_images_and_records_have_one_rule():
    for number, eleven, ten in SCHEMES:
        assert (chi_of(number) is not None) == (eleven or ten)
    assert chi_of("010133 6489") == "0101336489"
