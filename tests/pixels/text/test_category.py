"""Categories of texts, held against a header in all the ways in which devices write its values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pixel_sample import made_file

from cairn.pixels.text.category import CATEGORIES, OwnValues, category, own_values, spellings

HEADER = made_file(
    b"\0" * 8, rows=2, columns=2, PatientName="MacDonald^Catriona^Anne", PatientID="0101011237",
    PatientBirthDate="19010101", StudyDate="20231105", AccessionNumber="RHS 4711-23",
    InstitutionName="Largo Law Hospital", ReferringPhysicianName="Ó Súilleabháin^Seán",
)  # fmt: skip
OWN = own_values(HEADER)

TEXTS = [
    ("MACDONALD, CATRIONA", "own_value"),
    ("Catriona", "own_value"),
    ("MACD0NALD", "own_value"),  # a letter confused
    ("macdonald:catriona", "own_value"),
    ("O SUILLEABHAIN", "own_value"),
    ("CHI 0101011237", "own_value"),
    ("010101 1237", "own_value"),
    ("DOB: 01/01/1901", "own_value"),
    ("01-Jan-1901", "own_value"),
    ("05.11.2023", "own_value"),
    ("Acc RHS4711-23", "own_value"),
    ("Largo Law Hospital", "own_value"),
    ("12/03/1999", "date"),
    ("3 Mar 2001", "date"),
    ("2001-12-31", "date"),
    ("L", "laterality"),
    ("RT", "laterality"),
    ("(R)", "laterality"),
    ("ERECT", "laterality"),
    ("12.5 mm", "measurement"),
    ("FR 33Hz", "measurement"),
    ("120 kV", "measurement"),
    ("27/120", "number"),
    ("3", "number"),
    ("W 400 L 40", "annotation"),
    ("Zoom 1.5", "annotation"),
    ("PHILIPS", "other"),
    ("THOMSON, JEAN", "other"),  # of another person: no value of this header
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_categories(text, expected):
    assert category(text, OWN) == expected
    assert expected in CATEGORIES


@pytest.mark.parametrize("text", [text for text, expected in TEXTS if expected == "own_value"])
def test_without_the_header_nothing_is_own(text):
    assert category(text, OwnValues()) != "own_value"


@given(st.text(max_size=40))
def test_every_text_has_a_category(text):
    assert category(text, OWN) in CATEGORIES


@given(st.binary(max_size=300))
def test_a_header_that_nobody_can_read_has_no_values(data):
    assert isinstance(own_values(data), OwnValues)


def test_values_of_a_deflated_header_are_found_in_its_inflated_bytes():
    deflated = HEADER.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99", 1)
    assert deflated != HEADER and own_values(HEADER) == OWN
    longer = HEADER.index(b"\x02\x00\x10\x00UI") + 6
    stated = HEADER[longer : longer + 2]
    assert int.from_bytes(stated, "little") == 20
    inflated = deflated[:longer] + (22).to_bytes(2, "little") + deflated[longer + 2 :]
    assert own_values(inflated).values >= OWN.values


def test_spellings_of_a_date():
    assert {"19010102", "02011901", "02JAN1901", "020101"} <= spellings("19010102")
    assert spellings("not a date") == set()
