"""Values as real archives hold them: bytes → text in the header, typed value, finding.

Each row of a table is one file with one element. The text is what the VARIANT must hold (docs/header.md: as written,
less its padding); the typed value is the column's; the code is the finding, of which there is at most one.
"""

from __future__ import annotations

import datetime
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent))

from header_checks import cell, findings, header_tree, the_kernel
from header_oracle import key_of
from made_headers import element, small_file

from cairn.dicom.kernel import HeaderKernel
from cairn.errors import CONDITIONS

LONG_AGO, FAR = datetime.date(1, 1, 1), datetime.date(9999, 12, 31)


@pytest.fixture(scope="module")
def kernel() -> HeaderKernel:
    return the_kernel()


def seen(kernel: HeaderKernel, tag: int, vr: str, value: bytes, column: str) -> tuple[Any, Any, str | None]:
    """Return header value, typed value and code of the one element of a file."""
    batch = kernel.parse([small_file(element(tag, vr, value))])
    assert batch.failures == []
    found = findings(batch)
    assert len(found) <= 1
    assert all(place == f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for _, place in found)
    return header_tree(batch, 0)[key_of(tag)], cell(batch, column), found[0][0] if found else None


DS = [
    (b".123", ".123", 0.123, None),
    (b"5\0", "5", 5.0, None),
    (b" 0000012.", "0000012.", 12.0, None),
    (b"-.123", "-.123", -0.123, None),
    (b"3.40282347e+038", "3.40282347e+038", 3.40282347e38, None),
    (b"+1.5 ", "+1.5", 1.5, None),
    (b"-0", "-0", -0.0, None),
    (b"1.5E5", "1.5E5", 150000.0, None),
    (b"", None, None, None),
    (b"    ", None, None, None),
    (b"1,5", "1,5", None, "VALUE_NOT_DS"),
    (b"1_0", "1_0", None, "VALUE_NOT_DS"),
    (b"nan", "nan", None, "VALUE_NOT_DS"),
    (b"inf", "inf", None, "VALUE_NOT_DS"),
    (b"0x1p3", "0x1p3", None, "VALUE_NOT_DS"),
    (b"1 5", "1 5", None, "VALUE_NOT_DS"),
    (b"1e", "1e", None, "VALUE_NOT_DS"),
    (b".", ".", None, "VALUE_NOT_DS"),
    (b"5\0junk", "5\0junk", None, "VALUE_NOT_DS"),
    (b"1.5 mm", "1.5 mm", None, "VALUE_NOT_DS"),
    (b"\xb2", "²", None, "VALUE_NOT_DS"),
    (b"1.5\\2.5", ["1.5", "2.5"], 1.5, "VALUE_TOO_MANY"),
]


@pytest.mark.parametrize(("raw", "text", "value", "code"), DS, ids=lambda x: repr(x)[:24])
def test_decimal_string(kernel: HeaderKernel, raw: bytes, text: Any, value: Any, code: str | None) -> None:
    assert repr(seen(kernel, 0x00180050, "DS", raw, "slice_thickness")) == repr((text, value, code))


IS = [
    (b"12.0", "12.0", 12, None),
    (b"12.", "12.", 12, None),
    (b"+123", "+123", 123, None),
    (b"0012", "0012", 12, None),
    (b" 12 ", "12", 12, None),
    (b"12\0", "12", 12, None),
    (b"-0", "-0", 0, None),
    (b"4294967296", "4294967296", 2**32, None),
    (b"9223372036854775807", "9223372036854775807", 2**63 - 1, None),
    (b"-9223372036854775808", "-9223372036854775808", -(2**63), None),
    (b"9223372036854775808", "9223372036854775808", None, "VALUE_NOT_IS"),
    (b"-9223372036854775809", "-9223372036854775809", None, "VALUE_NOT_IS"),
    (b"99999999999999999999999999999999", "9" * 32, None, "VALUE_NOT_IS"),
    (b"12.5", "12.5", None, "VALUE_NOT_IS"),
    (b"1A", "1A", None, "VALUE_NOT_IS"),
    (b"0x10", "0x10", None, "VALUE_NOT_IS"),
    (b"-", "-", None, "VALUE_NOT_IS"),
    (b"", None, None, None),
    (b"  ", None, None, None),
    (b"1\\2", ["1", "2"], 1, "VALUE_TOO_MANY"),
]


@pytest.mark.parametrize(("raw", "text", "value", "code"), IS, ids=lambda x: repr(x)[:24])
def test_integer_string(kernel: HeaderKernel, raw: bytes, text: Any, value: Any, code: str | None) -> None:
    assert seen(kernel, 0x00200013, "IS", raw, "instance_number") == (text, value, code)


DA = [
    (b"20100305", "20100305", datetime.date(2010, 3, 5), None),
    (b"2010.03.05", "2010.03.05", datetime.date(2010, 3, 5), None),  # ACR-NEMA, PS3.5 6.2 note
    (b"20100305 ", "20100305", datetime.date(2010, 3, 5), None),
    (b" 20100305", " 20100305", datetime.date(2010, 3, 5), None),
    (b"20000229", "20000229", datetime.date(2000, 2, 29), None),
    (b"00010101", "00010101", LONG_AGO, None),
    (b"99991231", "99991231", FAR, None),
    (b"19000229", "19000229", None, "VALUE_NOT_DA"),
    (b"00000000", "00000000", None, "VALUE_NOT_DA"),
    (b"20101301", "20101301", None, "VALUE_NOT_DA"),
    (b"20100230", "20100230", None, "VALUE_NOT_DA"),
    (b"2010-03-05", "2010-03-05", None, "VALUE_NOT_DA"),
    (b"201003", "201003", None, "VALUE_NOT_DA"),
    (b"20100301-20100305", "20100301-20100305", None, "VALUE_NOT_DA"),
    (b"", None, None, None),
    (b"        ", None, None, None),
    (b"20100305\\20100306", ["20100305", "20100306"], datetime.date(2010, 3, 5), "VALUE_TOO_MANY"),
]


@pytest.mark.parametrize(("raw", "text", "value", "code"), DA, ids=lambda x: repr(x)[:24])
def test_date(kernel: HeaderKernel, raw: bytes, text: Any, value: Any, code: str | None) -> None:
    assert seen(kernel, 0x00080020, "DA", raw, "study_date") == (text, value, code)


TM = [
    (b"101112.345678", "101112.345678", "10:11:12.345678", None),
    (b"101112", "101112", "10:11:12", None),
    (b"1011", "1011", "10:11:00", None),
    (b"10", "10", "10:00:00", None),
    (b"10:11:12", "10:11:12", "10:11:12", None),
    (b"10:11", "10:11", "10:11:00", None),
    (b"235960", "235960", "23:59:60", None),  # a leap second, PS3.5 6.2
    (b"101112 \0", "101112", "10:11:12", None),
    (b"240000", "240000", None, "VALUE_NOT_TM"),
    (b"106000", "106000", None, "VALUE_NOT_TM"),
    (b"101161", "101161", None, "VALUE_NOT_TM"),
    (b"1", "1", None, "VALUE_NOT_TM"),
    (b"10-11", "10-11", None, "VALUE_NOT_TM"),
    (b"noon", "noon", None, "VALUE_NOT_TM"),
    (b"", None, None, None),
    (b"10\\11", ["10", "11"], "10:00:00", "VALUE_TOO_MANY"),
]


@pytest.mark.parametrize(("raw", "text", "value", "code"), TM, ids=lambda x: repr(x)[:24])
def test_time(kernel: HeaderKernel, raw: bytes, text: Any, value: Any, code: str | None) -> None:
    assert seen(kernel, 0x00080030, "TM", raw, "study_time") == (text, value, code)


def utc(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=datetime.UTC)  # type: ignore[arg-type, misc]


DT = [
    (b"20200102030405.123456", "20200102030405.123456", utc(2020, 1, 2, 3, 4, 5, 123456), None),
    (b"20200102030405.5", "20200102030405.5", utc(2020, 1, 2, 3, 4, 5, 500000), None),
    (b"20200102030405+0100", "20200102030405+0100", utc(2020, 1, 2, 2, 4, 5), None),
    (b"20200101000000+0530", "20200101000000+0530", utc(2019, 12, 31, 18, 30), None),
    (b"20200102030405-0500", "20200102030405-0500", utc(2020, 1, 2, 8, 4, 5), None),
    (b"2020", "2020", utc(2020, 1, 1), None),
    (b"202002", "202002", utc(2020, 2, 1), None),
    (b"2020010203 ", "2020010203", utc(2020, 1, 2, 3), None),
    (b"20200230", "20200230", None, "VALUE_NOT_DT"),
    (b"202013", "202013", None, "VALUE_NOT_DT"),
    (b"20200102250000", "20200102250000", None, "VALUE_NOT_DT"),
    (b"20200102030405+9999", "20200102030405+9999", None, "VALUE_NOT_DT"),
    (b"2020-01-02T03:04:05Z", "2020-01-02T03:04:05Z", None, "VALUE_NOT_DT"),
    (b"", None, None, None),
]


@pytest.mark.parametrize(("raw", "text", "value", "code"), DT, ids=lambda x: repr(x)[:24])
def test_date_time(kernel: HeaderKernel, raw: bytes, text: Any, value: Any, code: str | None) -> None:
    assert seen(kernel, 0x0008002A, "DT", raw, "acquisition_date_time") == (text, value, code)


TEXT = [
    # vr, tag, column, bytes, header, typed, code
    ("AS", 0x00101010, "patient_age", b"45", "45", "45", None),
    ("AS", 0x00101010, "patient_age", b"045y", "045y", "045y", None),
    ("UI", 0x0020000D, "study_instance_uid", b"1.2.3\0", "1.2.3", "1.2.3", None),
    ("UI", 0x0020000D, "study_instance_uid", b"1.2.3 ", "1.2.3", "1.2.3", None),
    ("UI", 0x0020000D, "study_instance_uid", b"1.02.3", "1.02.3", "1.02.3", None),
    ("UI", 0x0020000D, "study_instance_uid", b".1.2", ".1.2", ".1.2", None),
    ("PN", 0x00100010, "patient_name", b"A^B=C=D=E", "A^B=C=D=E", "A^B=C=D=E", None),
    ("PN", 0x00100010, "patient_name", b"A^B^^^", "A^B^^^", "A^B^^^", None),
    ("PN", 0x00100010, "patient_name", b" A ^B= ", " A ^B=", " A ^B=", None),
    ("PN", 0x00100010, "patient_name", b"A\\B", ["A", "B"], "A", "VALUE_TOO_MANY"),
    ("LO", 0x00081030, "study_description", b"x" * 80, "x" * 80, "x" * 80, None),
    ("LO", 0x00081030, "study_description", b"a\0b", "a\0b", "a\0b", None),
    ("LO", 0x00081030, "study_description", b"\0a\x07", "\0a\x07", "\0a\x07", None),
    ("LO", 0x00081030, "study_description", b" a ", " a", " a", None),
    ("LO", 0x00081030, "study_description", b"", None, None, None),
    ("LO", 0x00081030, "study_description", b"\\b", ["", "b"], None, "VALUE_TOO_MANY"),
    ("CS", 0x00080060, "modality", b"REG\\MR", ["REG", "MR"], "REG", "VALUE_TOO_MANY"),
    ("CS", 0x00080060, "modality", b" CT ", " CT", " CT", None),
    ("CS", 0x00080008, "image_type", b"DERIVED\\\\AXIAL", ["DERIVED", "", "AXIAL"], ["DERIVED", "", "AXIAL"], None),
    ("CS", 0x00080008, "image_type", b"", None, None, None),
    ("LT", 0x00204000, "image_comments", b" a\\b\r\nc \0", " a\\b\r\nc", " a\\b\r\nc", None),
    ("AE", 0x00020016, "source_application_entity_title", b"  A B ", "A B", "A B", None),
    ("DS", 0x00200032, "image_position_patient", b"1\\-2.5\\ 3", ["1", "-2.5", "3"], [1.0, -2.5, 3.0], None),
    ("DS", 0x00200032, "image_position_patient", b"1\\x\\3", ["1", "x", "3"], [1.0, None, 3.0], "VALUE_NOT_DS"),
    ("DS", 0x00200032, "image_position_patient", b"1\\\\3", ["1", "", "3"], [1.0, None, 3.0], None),
    ("US", 0x00280010, "rows", struct.pack("<2H", 7, 8), [7, 8], 7, "VALUE_TOO_MANY"),
    ("US", 0x00280010, "rows", b"\1", b"\1", None, "VALUE_LENGTH"),
    ("OB", 0x00280010, "rows", b"\1\0", b"\1\0", None, "VALUE_WRONG_VR"),
    ("LO", 0x00280010, "rows", b"512 ", "512", 512, None),
    ("UN", 0x00280010, "rows", b"\1\0", 1, 1, None),
    ("FD", 0x00180050, "slice_thickness", struct.pack("<d", 0.1), 0.1, 0.1, None),
    ("SQ", 0x00081140, "modality", b"", [], None, None),
    ("SV", 0x0072007E, "modality", struct.pack("<q", -(2**63)), -(2**63), None, None),
    ("UV", 0x00720083, "modality", struct.pack("<Q", 2**64 - 1), 2**64 - 1, None, None),
    ("AT", 0x00280009, "frame_increment_pointer", struct.pack("<2H", 0x18, 0x1063), "00181063", ["00181063"], None),
]


@pytest.mark.parametrize(("vr", "tag", "column", "raw", "text", "value", "code"), TEXT, ids=lambda x: repr(x)[:24])
def test_other_values(
    kernel: HeaderKernel, vr: str, tag: int, column: str, raw: bytes, text: Any, value: Any, code: str | None
) -> None:
    assert seen(kernel, tag, vr, raw, column) == (text, value, code)


CHARACTER_SETS = [
    # declared, bytes, header, code
    (None, b"\xe4", "ä", "CHARSET_UNDECLARED"),
    (None, "ä".encode(), "ä", "CHARSET_UNDECLARED_UTF8"),
    (b"", "ä".encode(), "ä", "CHARSET_UNDECLARED_UTF8"),
    (b"ISO_IR 6", b"\xe4", "ä", "CHARSET_UNDECLARED"),
    (b"ISO_IR 100", b"\xe4", "ä", None),
    (b"ISO_IR 192", "ä😀".encode(), "ä😀", None),
    (b"ISO_IR 192", b"a\xe4", "a\ufffd", "CHARSET_BROKEN"),
    (b"GB18030 ", "王".encode("gb18030"), "王", None),
    (b"ISO_IR 13", b"\xd4\xcf", "ﾔﾏ", None),
    (b"\\ISO 2022 IR 87", b"Y=\x1b$B;3ED\x1b(B", "Y=山田", None),  # PS3.5 H.3
    (b"\\ISO 2022 IR 149", b"\x1b$)C\xfb\xf3", "洪", None),  # PS3.5 I.2
    (b"ISO 2022 IR 6\\ISO 2022 IR 58", b"\x1b$)A\xcd\xf5", "王", None),  # PS3.5 K.2
]


@pytest.mark.parametrize(("declared", "raw", "text", "code"), CHARACTER_SETS, ids=lambda x: repr(x)[:24])
def test_character_sets(kernel: HeaderKernel, declared: bytes | None, raw: bytes, text: str, code: str | None) -> None:
    own = b"" if declared is None else element(0x00080005, "CS", declared)
    batch = kernel.parse([small_file(own + element(0x00100010, "PN", raw))])
    assert header_tree(batch, 0)["PatientName"] == text
    assert cell(batch, "patient_name") == text
    assert findings(batch) == ([(code, "(0010,0010)")] if code else [])


DECIMALS = st.from_regex(r"[+-]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?", fullmatch=True)
HALF_WAYS = [  # hardest for doubles: half-way between two, subnormal, largest, more digits than count
    "9007199254740993",
    "9007199254740992.99999999999999999999",
    "2.2250738585072011e-308",
    "2.4703282292062328e-324",
    "2.4703282292062327e-324",
    "1.7976931348623157e308",
    "1.7976931348623159e308",
    "4.9406564584124654e-324",
    "0.3e-323",
    "179769313486231580793728971405301e276",
    "6929495644600919.5",
    "8.5e22",
    "1e23",
    "1.e+0",
    "123456789012345678901234567890",
]


@settings(max_examples=60)
@given(texts=st.lists(DECIMALS, min_size=1, max_size=40))
@example(texts=HALF_WAYS)
def test_doubles_round_as_python_does(texts: list[str]) -> None:
    batch = the_kernel().parse([small_file(element(0x00180050, "DS", text.encode())) for text in texts])
    values = batch.table["slice_thickness"].to_pylist()
    assert [(text, repr(value)) for text, value in zip(texts, values, strict=True)] == [
        (text, repr(float(text))) for text in texts
    ]


@settings(max_examples=60)
@given(numbers=st.lists(st.integers(-(2**66), 2**66), min_size=1, max_size=40))
def test_integers_end_where_bigint_does(numbers: list[int]) -> None:
    batch = the_kernel().parse([small_file(element(0x00200013, "IS", str(number).encode())) for number in numbers])
    fitting = [number if -(2**63) <= number < 2**63 else None for number in numbers]
    assert batch.table["instance_number"].to_pylist() == fitting
    codes = [[code for code, _ in findings(batch, row)] for row in range(len(numbers))]
    assert codes == [[] if number is not None else ["VALUE_NOT_IS"] for number in fitting]


@settings(max_examples=40)
@given(days=st.lists(st.dates(), min_size=1, max_size=40))
def test_every_day_of_the_calendar(days: list[datetime.date]) -> None:
    texts = [f"{day.year:04}{day.month:02}{day.day:02}" for day in days]
    batch = the_kernel().parse([small_file(element(0x00080020, "DA", text.encode())) for text in texts])
    assert batch.table["study_date"].to_pylist() == days


def test_duplicates_the_last_wins_and_is_told(kernel: HeaderKernel) -> None:
    batch = kernel.parse([small_file(element(0x00081030, "LO", b"a") + element(0x00081030, "LO", b"b"))])
    assert header_tree(batch, 0)["StudyDescription"] == "b"
    assert cell(batch, "study_description") == "b"
    assert findings(batch) == [("DUPLICATE_TAG", "(0008,1030)")]


def test_an_empty_first_path_gives_way_to_the_next(kernel: HeaderKernel) -> None:
    own = element(0x00080018, "UI", b"")
    meta = element(0x00020003, "UI", b"9.9\0")
    batch = kernel.parse([small_file(own, meta=meta, sop_instance_uid=b"")])
    assert cell(batch, "sop_instance_uid") == "9.9"


@pytest.mark.parametrize("raw", [b"00010101000000+1400", b"99991231235959-1200"])
def test_a_moment_that_leaves_the_calendar_in_utc_is_none(kernel: HeaderKernel, raw: bytes) -> None:
    """Python, pandas and Spark's collect raise on timestamps outside the years 1 to 9999."""
    assert seen(kernel, 0x0008002A, "DT", raw, "acquisition_date_time") == (raw.decode(), None, "VALUE_NOT_DT")


def test_an_unsigned_number_beyond_bigint_is_not_negative(kernel: HeaderKernel) -> None:
    assert seen(kernel, 0x00280010, "UV", b"\xff" * 8, "rows")[1] is None


@pytest.mark.parametrize(("raw", "value", "code"), [(b"101112", "10:11:12", None), (b"noon", None, "VALUE_NOT_TM")])
def test_times_in_a_list_are_checked_as_single_ones_are(
    kernel: HeaderKernel, raw: bytes, value: str | None, code: str | None
) -> None:
    assert seen(kernel, 0x00181201, "TM", raw, "time_of_last_calibration")[1:] == ([value], code)


def test_a_list_of_tags_that_cannot_be_is_none(kernel: HeaderKernel) -> None:
    assert seen(kernel, 0x00280009, "AT", b"abc", "frame_increment_pointer") == (b"abc", None, "VALUE_LENGTH")


def test_a_set_that_nobody_knows_is_told(kernel: HeaderKernel) -> None:
    own = element(0x00080005, "CS", b"NO SUCH SET ") + element(0x00081030, "LO", b"\xc3\xa4")
    assert findings(kernel.parse([small_file(own)])) != []


def test_undeclared_text_in_a_code_string_is_told(kernel: HeaderKernel) -> None:
    """docs/header.md makes no exception for VRs of the default repertoire; the kernel says nothing of them."""
    assert seen(kernel, 0x00180015, "CS", "Schädel".encode(), "body_part_examined")[2] is not None


def test_codes_of_findings_are_conditions() -> None:
    """cairn.errors promises a message and a remedy for every code in a row."""
    told = {row[-1] for rows in (DS, IS, DA, TM, DT, TEXT) for row in rows if row[-1]}
    assert told | {"CHARSET_BROKEN", "CHARSET_UNDECLARED", "CHARSET_UNDECLARED_UTF8", "DUPLICATE_TAG"} <= set(
        CONDITIONS
    )
