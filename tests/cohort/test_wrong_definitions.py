"""Wrong definitions, each with the line, the place and the nearest right name that its message must tell."""

from pathlib import Path

import pytest

from cairn.cohort import codelists, reading
from cairn.errors import CairnError

LISTS = codelists.load_all(Path(__file__).resolve().parents[2] / "conf" / "codelists")

GOOD = """cohort: good
version: 1
title: A good one
parameters: {days: 30}
sets:
  strokes: {from: smr01, where: main_condition in codes.stroke}
  drugs: {from: prescribing, where: bnf_code in codes.anticoagulants}
  scans: {from: series, where: "modality = CT and thin_slice"}
persons:
  - having: {first: strokes}
    as: stroke
  - age_at: stroke
    at_least: 50
  - having: drugs
    within: ${days} days before stroke
images: {from: scans, within: 3 days after stroke, pick: first per person}
controls: {per_case: 1, exact: [sex], not_in: strokes}
split: {train: 80, test: 20}
"""

# text of the good one, what stands there instead, line, place, part of the message
WRONG = [
    ("version: 1", "verson: 1", 2, "verson", "Did you mean 'version'?"),
    ("version: 1", "version: one", 2, "version", "whole number"),
    ("version: 1", "version: 0", 2, "version", "1 or more"),
    ("cohort: good", "cohort: Good One", 1, "cohort", "lower-case"),
    ("from: smr01", "from: smr1", 6, "sets.strokes", "Did you mean 'smr01'?"),
    ("from: smr01", "form: smr01", 6, "sets.strokes.form", "Did you mean 'from'?"),
    ("main_condition in codes.stroke", "main_conditions in codes.stroke", 6, "sets.strokes", "'main_condition'?"),
    ("codes.stroke", "codes.strokes", 6, "sets.strokes", "Did you mean 'stroke'?"),
    ("main_condition in codes.stroke", "main_condition in", 6, "sets.strokes.where", "ends where"),
    ("main_condition in codes.stroke", "main_condition > I63", 6, "sets.strokes", "for numbers and dates"),
    ("main_condition in codes.stroke", "admission_date = soon", 6, "sets.strokes", "admission_date is a date"),
    (
        "main_condition in codes.stroke",
        "admission_date = 2020-02-30",
        6,
        "sets.strokes.where",
        "no day of the calendar",
    ),
    ("main_condition in codes.stroke", "main_condition", 6, "sets.strokes", "not yes or no"),
    ("main_condition in codes.stroke", "specialty = 11", 6, "sets.strokes", "put 11 in quotes"),
    ("main_condition in codes.stroke", "thin_slice", 6, "sets.strokes", "is said of series"),
    ("main_condition in codes.stroke", "chi is null", 6, "sets.strokes", "no column 'chi'"),
    ("main_condition in codes.stroke", "main_condition matches '('", 6, "sets.strokes", "regular expression"),
    ("main_condition in codes.stroke", "age_in_years between 60 and 50", 6, "sets.strokes", "nothing lies between"),
    ("main_condition in codes.stroke", "age_in_years in codes.stroke", 6, "sets.strokes", "codes of text"),
    ("modality = CT and thin_slice", "thin_slices", 8, "sets.scans", "Did you mean 'thin_slice'?"),
    ("modality = CT and thin_slice", "thin_slice = 1", 8, "sets.scans", "yes or no"),
    ("modality = CT and thin_slice", "body_region = hed", 8, "sets.scans", "Did you mean 'head'?"),
    ("modality = CT and thin_slice", "modality == CT", 8, "sets.scans.where", "a value"),
    ("modality = CT and thin_slice", "modality = CT; localizer", 8, "sets.scans.where", "not understood"),
    ("first: strokes", "frist: strokes", 10, "persons[1].having", "Did you mean 'first'?"),
    ("first: strokes", "first: stroks", 10, "persons[1]", "Did you mean 'strokes'?"),
    ("  - having: drugs", "  - havin: drugs", 14, "persons[3]", "Did you mean 'having'?"),
    ("age_at: stroke", "age_at: strke", 12, "persons[2]", "Did you mean 'stroke'?"),
    ("at_least: 50", "at_least: 500", 12, "persons[2]", "years old"),
    ("at_least: 50", "at_lest: 50", 13, "persons[2].at_lest", "Did you mean 'at_least'?"),
    ("${days} days before stroke", "${day} days before stroke", 9, "persons", "Did you mean 'days'?"),
    ("${days} days before stroke", "1 year before stroke", 15, "persons[3].within", "days and weeks"),
    ("${days} days before stroke", "9 to 3 days before stroke", 15, "persons[3].within", "ends before it starts"),
    ("${days} days before stroke", "0 days before stroke", 15, "persons[3].within", "say 'on'"),
    ("${days} days before stroke", "long before stroke", 15, "persons[3].within", "no span of time"),
    ("${days} days before stroke", "3 days before admission", 14, "persons[3]", "no rule above names"),
    ("from: scans", "from: drugs", 16, "images", "no studies, series or instances"),
    ("first per person", "frist per person", 16, "images.pick", "Did you mean 'first'?"),
    ("first per person", "best per person", 16, "images", "go together"),
    ("first per person", "first per patient", 16, "images.pick", "per person or per study"),
    ("exact: [sex]", "exact: [sexx]", 17, "controls", "Did you mean 'sex'?"),
    ("not_in: strokes", "not_in: stroke", 17, "controls", "Did you mean 'strokes'?"),
    ("test: 20", "test: 30", 18, "split", "100"),
    ("test: 20", "test: 20, balanced_by: sexx", 18, "split", "Did you mean 'sex'?"),
    ("title: A good one", "cohort: again", 3, "cohort", "said twice"),
    ("    as: stroke\n", "", 10, "persons[1]", "gets a name"),
]


def test_the_good_one_is_good():
    assert reading.parse(GOOD, LISTS).cohort.name == "good"


@pytest.mark.parametrize(("old", "new", "line", "place", "message"), WRONG)
def test_wrong(old: str, new: str, line: int, place: str, message: str):
    assert GOOD.count(old) >= 1
    with pytest.raises(CairnError) as refused:
        reading.parse(GOOD.replace(old, new, 1), LISTS, "c.yaml")
    said = str(refused.value)
    assert refused.value.code == "COHORT_RULE" and refused.value.exit_code == 2
    assert f"c.yaml:{line}: {place}:" in said
    assert message in said


def test_files_that_are_no_definition(tmp_path: Path):
    for text in ("a: [", "- 1\n- 2", ""):
        with pytest.raises(CairnError, match="COHORT_UNREADABLE"):
            reading.parse(text, LISTS)
    with pytest.raises(CairnError, match="COHORT_UNREADABLE"):
        reading.read(tmp_path / "none.yaml", LISTS)


def test_parameters_replace_and_unknown_ones_are_refused():
    one, other = (reading.parse(GOOD, LISTS, parameters={"days": days}) for days in (30, 60))
    assert one.hash == reading.parse(GOOD, LISTS).hash != other.hash
    with pytest.raises(CairnError, match="'days'"):
        reading.parse(GOOD, LISTS, parameters={"day": 1})


# change, whether the meaning and so the hash changes
CHANGES = [
    (("title: A good one", "title: Another"), False),
    (("cohort: good\n", "# a comment\ncohort: good\n"), False),
    (("  - age_at: stroke\n    at_least: 50", "  - {at_least: 50, age_at: stroke}"), False),
    (("modality = CT and thin_slice", "modality  =  'CT' and (thin_slice)"), False),
    (("version: 1", "version: 2"), True),
    (("at_least: 50", "at_least: 51"), True),
    (("codes.stroke", "codes.ischaemic_stroke"), True),
    (("first per person", "last per person"), True),
]


@pytest.mark.parametrize(("change", "differs"), CHANGES)
def test_the_hash_is_of_the_meaning(change: tuple[str, str], differs: bool):
    assert (reading.parse(GOOD.replace(*change, 1), LISTS).hash != reading.parse(GOOD, LISTS).hash) == differs


def test_another_code_changes_the_hash():
    grown = codelists.CodeList("stroke", 1, "", ("G46",), LISTS["stroke"].prefixes)
    assert reading.parse(GOOD, {**LISTS, "stroke": grown}).hash != reading.parse(GOOD, LISTS).hash


# file, part of the message
LIST_FAULTS = [
    ("code,system\nI63,icd10\n", "version"),
    ("# version: 1\ncode\nI63\n", "columns code and system"),
    ("# version: 1\ncode,system\nI63,icd11\n", "Did you mean 'icd10'?"),
    ("# version: 1\ncode,system\nI*3,icd10\n", "may stand at its end"),
    ("# version: 1\ncode,system\nabc,omop\n", "no OMOP concept"),
    ("# version: 1\ncode,system\n", "no codes"),
]


@pytest.mark.parametrize(("text", "message"), LIST_FAULTS)
def test_wrong_code_lists(tmp_path: Path, text: str, message: str):
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(CairnError, match="CODELIST_UNREADABLE") as refused:
        codelists.load(path)
    assert message in str(refused.value)


def test_codes_are_compared_as_the_loader_writes_them(tmp_path: Path):
    path = tmp_path / "list.csv"
    path.write_text(
        "# version: 3\ncode,system,term\nI63.9,icd10,x\ni10X,icd10,y\nK40.*,opcs4,z\n44G..,read,w\n7,omop,v\n"
    )
    made = codelists.load(path)
    held = {code: made.holds(code) for code in ("I639", "I10", "I63", "K401", "44G..", "44g..", 7, None)}
    assert held == {
        "I639": True,
        "I10": True,
        "I63": False,
        "K401": True,
        "44G..": True,
        "44g..": False,
        7: True,
        None: None,
    }
    assert made.version == 3
