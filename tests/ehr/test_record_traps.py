"""Every trap of Scottish extracts, as a row in and the row out."""

import datetime as dt
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.ehr import cells, deliveries
from cairn.ehr.deliveries import in_force, load
from cairn.ehr.mapping import Mapping, load_all
from cairn.ehr.rows import Delivery, typed, unmapped_columns
from cairn.errors import CairnError

CONF = Path(__file__).resolve().parents[2] / "conf" / "ehr"
FIRST = Delivery("2024-01.csv", dt.date(2024, 1, 31))
SECOND = Delivery("2024-02.csv", dt.date(2024, 2, 29))
ANNA, BEN = "0101336489", "0211165794"


@pytest.fixture(scope="module")
def mappings() -> dict[str, Mapping]:
    return load_all(CONF)


def one(mapping: Mapping, **cells_of_row: str) -> dict[str, Any]:
    """Return the typed row of one row, which must not be quarantined."""
    made = typed(pa.table({name: [value] for name, value in cells_of_row.items()}), mapping, FIRST)
    assert made.quarantined.to_pylist() == []
    return dict(made.typed.to_pylist()[0])


def smr01(mappings: dict[str, Mapping], **cells_of_row: str) -> dict[str, Any]:
    usual = {"URI": "1", "UPI_NUMBER": ANNA, "ADMISSION_DATE": "2019/03/01 00:00:00"}
    return one(mappings["smr01"], **{**usual, **cells_of_row})


# how a diagnosis is written, code, suffix
DIAGNOSES = [
    ("I10X", "I10", None),
    ("J81X", "J81", None),
    ("I639", "I639", None),
    ("I63.9", "I639", None),
    ("M8907", "M8907", None),
    ("A180 D", "A180", "D"),
    ("I5000D", "I5000", "D"),
    ("J91X A", "J91", "A"),
    ("F03", "F03", None),  # deaths: no filler
    ("i639 ", "I639", None),
    ("-7850", "-7850", None),  # ICD-9
    ("-74428", "-74428", None),
    ("-V589", "-V589", None),
    ("", None, None),
    ("NULL", None, None),
]


@pytest.mark.parametrize(("written", "code", "suffix"), DIAGNOSES)
def test_diagnoses(mappings, written: str, code: str | None, suffix: str | None):
    row = smr01(mappings, MAIN_CONDITION=written)
    assert (row["main_condition"], row["main_condition_suffix"], row["findings"]) == (code, suffix, [])


def test_a_diagnosis_that_is_none_is_null_and_found(mappings):
    row = smr01(mappings, MAIN_CONDITION="stroke")
    assert row["main_condition"] is None
    assert row["findings"] == [{"code": "EHR_CODE", "place": "main_condition"}]


@pytest.mark.parametrize(
    ("written", "first", "second"),
    [
        ("K401", "K401", None),
        ("K40.1", "K401", None),
        ("K401Z281", "K401", "Z281"),
        ("K401 Z281", "K401", "Z281"),
        ("1234", "1234", None),
    ],
)
def test_operations(written: str, first: str, second: str | None):
    values = pa.array([written])
    assert (cells.opcs4(values)[0].to_pylist(), cells.opcs4_pair(values)[0].to_pylist()) == ([first], [second])


@pytest.mark.parametrize("code", ["0601011A0BBADAC", "20120000100", "2.2.8"])
def test_bnf_codes(code: str):
    made, bad = cells.bnf(pa.array([code, "aspirin"]))
    assert (made.to_pylist(), bad.tolist()) == ([code, None], [False, True])


def test_read_codes_keep_case_and_dots():
    assert cells.read(pa.array(["44g..", "44G..", "42W4.", "44g"]))[0].to_pylist() == [
        "44g..",
        "44G..",
        "42W4.",
        "44g..",
    ]


# text, operator, number, unit
RESULTS = [
    ("<0.1", "<", 0.1, None),
    ("> 60", ">", 60.0, None),
    ("70ML", None, 70.0, "ML"),
    ("9OP", None, 9.0, "OP"),
    ("+80", None, 80.0, None),
    ("=<5", "<=", 5.0, None),
    ("-3.5", None, -3.5, None),
    (".5", None, 0.5, None),
    ("1e3", None, 1000.0, None),
    ("Haemolysed", None, None, None),
    ("1.2.3", None, None, None),
    ("12/80", None, 12.0, "/80"),
]


@pytest.mark.parametrize(("text", "operator", "number", "unit"), RESULTS)
def test_results_are_taken_apart(text: str, operator: str | None, number: float | None, unit: str | None):
    values = pa.array([text])
    got = [function(values)[0].to_pylist()[0] for function in (cells.operator, cells.number, cells.unit)]
    assert got[1] == number
    assert (got[0], got[2]) == (operator, unit) or number is None


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2019/03/01 00:00:00", dt.date(2019, 3, 1)),
        ("2019-03-01", dt.date(2019, 3, 1)),
        ("01/03/2019", dt.date(2019, 3, 1)),
        ("20190301", dt.date(2019, 3, 1)),
    ],
)
def test_forms_of_dates(mappings, written: str, day: dt.date):
    assert smr01(mappings, ADMISSION_DATE=written)["admission_date"] == day


@pytest.mark.parametrize("written", ["31/02/2019", "2019-13-01", "soon", "1/3/19 pm", "99999999"])
def test_dates_that_the_calendar_lacks_go_to_quarantine(mappings, written: str):
    table = pa.table({"URI": ["1"], "UPI_NUMBER": [ANNA], "ADMISSION_DATE": [written]})
    made = typed(table, mappings["smr01"], FIRST)
    assert made.quarantined.to_pylist() == [{"row": 1, "code": "EHR_DATE", "field": "admission_date"}]
    assert len(made.typed) == 0


@given(st.dates(dt.date(1850, 1, 1), dt.date(2100, 1, 1)))
def test_every_date_comes_back_in_every_form(day: dt.date):
    for form in ("%Y/%m/%d %H:%M:%S", "%Y-%m-%d", "%d/%m/%Y", "%Y%m%d", "%d%m%Y"):
        made, bad = cells.date(pa.array([day.strftime(form)]), [form])
        assert made.to_pylist() == [day] and not bad.any()


def test_chi_without_its_zero_is_the_same_person(mappings):
    assert smr01(mappings, UPI_NUMBER="101336489")["patient_id"] == ANNA


# number, code of the quarantined row
PEOPLE = [
    ("", "CHI_MISSING"),
    ("null", "CHI_MISSING"),
    ("4612345678", "CHI_DATE"),
    ("0101010000", "CHI_CHECK_DIGIT"),
    ("12345", "CHI_TOO_SHORT"),
    ("AB1234", "CHI_NOT_DIGITS"),
]


@pytest.mark.parametrize(("number", "code"), PEOPLE)
def test_rows_without_a_person_are_quarantined(mappings, number: str, code: str):
    table = pa.table({"CHI": [number], "PAID_DATE": ["31/01/2020"], "PI_BNF_Item_Code": ["0212000B0AAAAAA"]})
    made = typed(table.rename_columns(["UPI_NUMBER", "PAID_DATE", "PI_BNF_Item_Code"]), mappings["prescribing"], FIRST)
    assert made.quarantined.to_pylist() == [{"row": 1, "code": code, "field": "patient_id"}]


def test_a_prescription_is_dated_by_what_is_known(mappings):
    names = {"UPI_NUMBER": BEN, "PRESC_DATE": "", "DISP_DATE": "", "PAID_DATE": "31/01/2020"}
    row = one(mappings["prescribing"], **names, PI_BNF_Item_Code="0212000B0AAAAAA", Dispensed_Quantity="70ML")
    assert row["event_date"] == dt.date(2020, 1, 31) and row["prescribed_date"] is None
    assert (row["quantity"], row["quantity_unit"]) == (70.0, "ML")


def test_appointments_not_kept_are_rows(mappings):
    usual = {"UPI_NUMBER": ANNA, "CLINIC_DATE": "2019/03/01 00:00:00", "SPECIALTY": "A1", "LOCATION": "N102H"}
    assert one(mappings["smr00"], **usual, CLINIC_TYPE="1", CLINIC_ATTENDANCE="8")["attended"] is False
    assert one(mappings["smr00"], **usual, CLINIC_TYPE="1", CLINIC_ATTENDANCE="1")["attended"] is True
    assert one(mappings["smr00"], **{**usual, "CLINIC_DATE": "010319"}, CLINIC_TYPE="1")["clinic_date"] == dt.date(
        2019, 3, 1
    )


def test_babies_stand_in_lists_and_99_weeks_is_nothing(mappings):
    row = one(
        mappings["smr02"], URI="1", UPI_NUMBER=ANNA, ADMISSION_DATE="2019-03-01", ESTIMATED_GESTATION="99",
        NUM_OF_BIRTHS_THIS_PREGNANCY="2", SEX_BABY_1="1", SEX_BABY_2="2", SEX_BABY_3="", BIRTHWEIGHT_BABY_1="2500",
        BABY_CI_CHI_NUMBER_BABY_1="101336489",
    )  # fmt: skip
    assert (row["gestation_weeks"], row["births"], row["baby_sexes"]) == (None, 2, ["M", "F"])
    assert (row["birth_weights"], row["baby_chis"]) == (["2500"], [ANNA])


def test_an_open_mental_health_stay_has_no_discharge(mappings):
    row = one(
        mappings["smr04"], URI="1", UPI_NUMBER=ANNA, ADMISSION_DATE="2019-03-01", DISCHARGE_DATE="NULL",
        MANAGEMENT_OF_PATIENT="A", ADMISSION_DIAGNOSIS_1="F03X", ADMISSION_DIAGNOSIS_2="",
    )  # fmt: skip
    assert (row["discharge_date"], row["inpatient"], row["admission_conditions"]) == (None, True, ["F03"])


def test_newer_names_of_the_cancer_registry(mappings):
    row = one(
        mappings["smr06"], upi_number=ANNA, tumour_no="2", date_incidence_combined="2019-03-01",
        tumour_site_icd10_4char_code="C349", DEATH_CERTIFICATE_ONLY="0",
    )  # fmt: skip
    assert (row["site"], row["tumour_no"], row["death_certificate_only"]) == ("C349", "2", False)


def test_deaths_of_both_names_with_causes_once(mappings):
    older = {
        "PRIMARY_CAUSE_OF_DEATH": "I10",
        "SECONDARY_CAUSE_OF_DEATH_0": "I639",
        "SECONDARY_CAUSE_OF_DEATH_1": "I639",
    }
    row = one(mappings["deaths"], CHI=ANNA, DATE_OF_DEATH="20190301", **older)
    assert (row["underlying_cause"], row["other_causes"]) == ("I10", ["I639"])


def test_laboratory_in_four_shapes(mappings):
    tayside = one(
        mappings["laboratory_tayside_fife"], CHI=ANNA, datetimesampled="01/03/2019 09:30:00", readcodevalue="44G..",
        quantityvalue="0.1", arithmeticcomparator="<", quantityunit="HARRY", hb_extract="T",
    )  # fmt: skip
    assert (tayside["comparator"], tayside["value"], tayside["unit"], tayside["board"]) == ("<", 0.1, None, "T")
    glasgow = one(
        mappings["laboratory_glasgow"], CHI=ANNA, sampledate="01/03/2019 00:00:00", clinicalcodevalue="NA  ",
        quantityvalue="140", rangelowvalue="-32768",
    )  # fmt: skip
    assert (glasgow["test_code"], glasgow["value"], glasgow["range_low"], glasgow["findings"]) == (
        "NA",
        140.0,
        None,
        [],
    )
    lothian = one(
        mappings["laboratory_lothian"], CHI=ANNA, specimencollectiondate="2019-03-01", testitemcode="GLU",
        value="No Numeric Result",
    )  # fmt: skip
    assert (lothian["value"], lothian["read_code"]) == (None, None)
    grampian = one(
        mappings["laboratory_grampian"], CHI=ANNA, sample_date="2019-03-01T10:00:00", read_code="44h1.",
        result=">90", reference_range="3.5{5.3", test_units=".",
    )  # fmt: skip
    assert (grampian["range_low"], grampian["range_high"], grampian["comparator"]) == (3.5, 5.3, ">")
    assert grampian["unit"] is None


def test_register_sex_and_alias(mappings):
    row = one(mappings["chi_register"], chi=BEN, chi_num_of_curr_record="101336489", sex="2", date_of_birth="01011933")
    assert (row["current_chi"], row["sex"], row["birth_date"]) == (ANNA, "F", dt.date(1933, 1, 1))
    odd = one(mappings["chi_register"], chi=BEN, sex="X")
    assert odd["sex"] is None and odd["findings"] == [{"code": "EHR_VALUE_UNKNOWN", "place": "sex"}]


def _load(text: bytes, mapping: Mapping, delivery: Delivery = FIRST) -> tuple[pa.Table, list[dict[str, Any]]]:
    made = list(load(io.BytesIO(text), mapping, delivery))
    bad = [row for part in made for row in part.quarantined.to_pylist()]
    tables = [part.typed for part in made]
    return (pa.concat_tables(tables) if tables else pa.table({})), bad


HEADER = b"URI,UPI_NUMBER,ADMISSION_DATE,MAIN_CONDITION\r\n"
LINE = "{uri},0101336489,2019-03-0{day},I639\r\n"


def test_bom_gzip_delimiter_and_encoding(mappings):
    text = HEADER + LINE.format(uri=1, day=1).encode()
    for body in (text, b"\xef\xbb\xbf" + text, gzip.compress(text)):
        rows, bad = _load(body, mappings["smr01"])
        assert (len(rows), bad) == (1, [])
    other = mappings["radiology_report"].model_copy(update={"delimiter": "|", "encoding": "cp1252"})
    body = 'CHI|ACCESSION_NUMBER|EXAM_DATE|REPORT_TEXT|REPORT_STATUS\n0101336489|A1|2019-03-01|"café\nsecond line"|F\n'
    rows, bad = _load(body.encode("cp1252"), other)
    assert rows["report"].to_pylist() == ["café\nsecond line"] and bad == []


def test_bytes_outside_the_encoding_are_found(mappings):
    body = b"CHI,ACCESSION_NUMBER,EXAM_DATE,REPORT_TEXT,REPORT_STATUS\n0101336489,A1,2019-03-01,caf\xe9,F\n"
    rows, bad = _load(body, mappings["radiology_report"])
    assert rows["findings"].to_pylist() == [[{"code": "EHR_ENCODING", "place": "report"}]] and bad == []


def test_rows_of_another_width_are_counted_and_numbered(mappings):
    lines = [LINE.format(uri=n, day=n) for n in range(1, 6)]
    lines[1] = "2,0101336489\r\n"
    lines[3] = "4,bad,2019-03-04,I639\r\n"
    rows, bad = _load(HEADER + "".join(lines).encode(), mappings["smr01"])
    assert rows["delivery_row"].to_pylist() == [1, 3, 5]
    assert sorted((row["row"], row["code"]) for row in bad) == [(2, "EHR_ROW_WIDTH"), (4, "CHI_NOT_DIGITS")]


def test_numbers_of_rows_hold_across_blocks(mappings, monkeypatch):
    monkeypatch.setattr(deliveries, "BLOCK_BYTES", 200)
    wrong = {2, 7, 8, 40, 99, 100}
    lines = [f"{n},0101336489\n" if n in wrong else LINE.format(uri=n, day=1) for n in range(1, 101)]
    rows, bad = _load(HEADER + "".join(lines).encode(), mappings["smr01"])
    assert [int(uri) for uri in rows["uri"].to_pylist()] == rows["delivery_row"].to_pylist()
    assert {row["row"] for row in bad} == wrong and len(bad) == len(wrong)


def test_an_empty_delivery_and_one_of_a_header_alone(mappings):
    assert _load(b"", mappings["smr01"]) == (pa.table({}), [])
    assert _load(HEADER, mappings["smr01"])[1] == []


def test_late_corrected_and_repeated_deliveries(mappings):
    def rows(delivery: Delivery, *codes: str) -> pa.Table:
        lines = "".join(f"{n},0101336489,2019-03-01,{code}\n" for n, code in enumerate(codes))
        return _load(HEADER + lines.encode(), mappings["smr01"], delivery)[0]

    first, second = rows(FIRST, "I639", "I10X"), rows(SECOND, "I64X", "I10X", "J81X")
    expected = ["I10", "I64", "J81"]
    for order in ([first, second], [second, first], [first, second, first, second]):
        made = in_force(pa.concat_tables(order))
        assert sorted(made["main_condition"].to_pylist()) == expected
        assert made["delivered_on"].to_pylist() == [SECOND.delivered_on] * 3


def test_equal_items_of_one_delivery_are_several_but_a_repeated_delivery_adds_none(mappings):
    line = b"0211165794,01/02/2020,0212000B0AAAAAA\n"
    body = b"UPI_NUMBER,PRESC_DATE,PI_BNF_Item_Code\n" + 2 * line
    first = _load(body, mappings["prescribing"], FIRST)[0]
    again = _load(body, mappings["prescribing"], SECOND)[0]
    assert len(in_force(pa.concat_tables([first, again]), keyed=False)) == 2


def test_rows_in_are_rows_out_and_quarantined(mappings):
    people = [ANNA, BEN, "", "0101010000", "x"] * 40
    table = pa.table({
        "URI": [str(n) for n in range(200)], "UPI_NUMBER": people,
        "ADMISSION_DATE": ["2019-03-01", "31/02/2019", "2019-03-01", "2019-03-01"] * 50,
    })  # fmt: skip
    made = typed(table, mappings["smr01"], FIRST)
    assert len(made.typed) + len(made.quarantined) == 200
    assert made.typed.schema == mappings["smr01"].contract.arrow_schema
    assert set(made.typed["delivery_row"].to_pylist()).isdisjoint(made.quarantined["row"].to_pylist())


def test_a_source_without_a_needed_column_is_refused_by_name(mappings):
    with pytest.raises(CairnError, match=r"lacks ADMISSION_DATE.*ADMISION_DATE") as refused:
        typed(pa.table({"URI": ["1"], "UPI_NUMBER": [ANNA], "ADMISION_DATE": [""]}), mappings["smr01"], FIRST)
    assert refused.value.exit_code == 2


def test_columns_that_the_mapping_does_not_know_are_told(mappings):
    assert unmapped_columns(mappings["chi_register"], ["CHI", "forename", "shoe_size"]) == ["shoe_size"]


@pytest.mark.parametrize("copies", [1, 5])
def test_values_that_repeat_come_out_as_those_that_do_not(mappings, copies: int):
    """Repeated values are converted once; which cells are bad must not move."""
    codes = ["I63.9", "stroke", None, "I10X", "?", ""]
    dates = ["2019-03-01", "31/02/2019", "", None, "01/03/2019", "x"]
    table = pa.table({
        "URI": [str(n) for n in range(6 * copies)], "UPI_NUMBER": [ANNA] * 6 * copies,
        "ADMISSION_DATE": ["2019-03-01"] * 6 * copies,
        "MAIN_CONDITION": pa.array(codes * copies, pa.string()),
        "DISCHARGE_DATE": pa.array(dates * copies, pa.string()),
    })  # fmt: skip
    rows = typed(table, mappings["smr01"], FIRST).typed
    day = dt.date(2019, 3, 1)
    assert rows["main_condition"].to_pylist() == ["I639", None, None, "I10", None, None] * copies
    assert rows["discharge_date"].to_pylist() == [day, None, None, None, day, None] * copies
    found = [sorted(finding["place"] for finding in row) for row in rows["findings"].to_pylist()]
    assert found == [[], ["discharge_date", "main_condition"], [], [], ["main_condition"], ["discharge_date"]] * copies
