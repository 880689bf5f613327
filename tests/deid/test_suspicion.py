"""What makes that kept texts are looked at: the quick search agrees with the patterns, and plain headers pass it."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.deid.suspicion import suspicious, tells_time


@pytest.mark.parametrize("before", [b"", b"x ", b"LO\x0a\0", b"on "])
@pytest.mark.parametrize("behind", [b"", b" y", b"\0\x08\0", b","])
@given(day=st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31)))
def test_a_written_date_is_found_wherever_it_stands(before: bytes, behind: bytes, day: dt.date) -> None:
    forms = [f"{day:%Y-%m-%d}", f"{day:%d/%m/%Y}", f"{day.day}.{day.month}.{day.year}", f"{day:%Y.%m.%d}",
             f"{day.day} {day:%b} {day.year}", f"{day:%d-%B-%Y}", f"{day.day}th {day:%B} {day.year}", f"{day:%d%b%Y}",
             f"{day:%d %B, %Y}"]  # fmt: skip
    for form in forms:
        assert tells_time(before + form.encode() + behind), form


@pytest.mark.parametrize("age", [b"095Y", b"93 years", b"aged 93", b"101yo", b"Age: 99", b"90-y", b"AGE 110"])
def test_ages_over_89_are_found(age: bytes) -> None:
    for text in (age, b"LO\x04\0" + age + b"\0\x10\0", b"seen " + age + b" ago"):
        assert tells_time(text)


@pytest.mark.parametrize(
    "text",
    [b"045Y", b"aged 45", b"2.25.199012121212121", b"1.2.840.10008.5.1.4.1.1.2", b"syngo MR 2004A 4VA25A",
     b"1.1.2.1990.3",
     b"DA\x08\x0020200317", b"IMAGE 9", b"5.1.20", b"ORIGINAL\\PRIMARY\\AXIAL", b"SLICE 2001", b"B30f 1990"],
)  # fmt: skip
def test_what_is_in_every_header_is_none(text: bytes) -> None:
    assert not suspicious(text)
