"""The SQL, run by SQLite, against the in-memory engine: specification tables, and definitions that hypothesis makes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from made_definitions import LISTS, D, cohorts, person, scan, stay, worlds
from sqlite_engine import comparable, connect, run

from cairn.cohort import memory, reading
from cairn.cohort.checking import check
from cairn.cohort.model import Cohort

WORLD: dict[str, list[dict[str, Any]]] = {
    "person": [
        person("a"),
        person("b", dt.date(1971, 1, 5), "M"),
        person("c", None, None),
        person("d", dt.date(1950, 6, 1), "M", registered_to=D(20)),
        person("e", dt.date(1980, 12, 31), "F", registered_from=D(5)),
    ],
    "smr01": [
        stay("a", 10, "I639"), stay("a", 10, "I64"), stay("a", 30, "I10", other_conditions=["E119", "I630"]),
        stay("b", 5, "I619"), stay("b", 12, "J449", None), stay("b", 4, None), stay("c", 12, "I64"),
        stay("d", 0, "I10"), stay("d", 9, "I633"), stay("e", 12, "I6"), stay("e", None, "I639"), stay(None, 3, "I639"),
    ],
    "prescribing": [
        {"record_id": "r1", "person_id": "a", "event_date": D(9), "bnf_code": "0208020Z0"},
        {"record_id": "r2", "person_id": "a", "event_date": D(10), "bnf_code": "0208020Z0"},
        {"record_id": "r3", "person_id": "b", "event_date": D(-360), "bnf_code": "0205051R0"},
    ],
    "series": [
        scan("a", 10, "A1"), scan("a", 13, "A2", slice_thickness=1.0), scan("a", 14, "B1", "MR"),
        scan("b", 5, "C1", localizer=True), scan("b", 7, "C2", contrast=None), scan("c", 12, "D1", slice_thickness=5.0),
        scan("d", 40, "E1", "MR", series_description="ax T2 FLAIR"),
        scan("d", 8, "E2", series_description="HEAD 1.0 soft"),
    ],
}  # fmt: skip


def text(where: str = "", persons: str = "", images: str = "") -> str:
    where = f', where: "{where}"' if where else ""
    return (
        f"cohort: t\nversion: 1\nsets:\n  stays: {{from: smr01{where}}}\n  scans: {{from: series}}\n"
        f"  drugs: {{from: prescribing}}\npersons:\n{persons}\n{images}\n"
    ).replace("persons:\n\n", "")


def both(definition: str) -> memory.Result:
    """Return what both engines say."""
    checked = reading.parse(definition, LISTS)
    slow = memory.resolve(checked, WORLD)
    members, attrition = run(checked, connect(WORLD))
    assert comparable(members) == comparable(slow.members)
    assert attrition == slow.attrition
    return slow


# condition on a stay, record ids by person, day and code
CONDITIONS = [
    ("main_condition in codes.stroke", "a.10.I639 a.10.I64 b.5.I619 c.12.I64 d.9.I633 e.None.I639"),
    ("main_condition not in codes.stroke", "a.30.I10 b.12.J449 d.0.I10 e.12.I6"),
    ("not main_condition = I64", "a.10.I639 a.30.I10 b.5.I619 b.12.J449 d.0.I10 d.9.I633 e.12.I6 e.None.I639"),
    ("main_condition is null", "b.4.None"),
    ("main_condition like 'I6_'", "a.10.I64 c.12.I64"),
    ("main_condition like 'i6%'", ""),
    ("main_condition matches '^I6[13]'", "a.10.I639 b.5.I619 d.9.I633 e.None.I639"),
    ("other_conditions in codes.stroke", "a.30.I10"),
    ("other_conditions = E119 and main_condition = I10", "a.30.I10"),
    ("other_conditions is null and main_condition = I10", "d.0.I10"),
    ("admission_date between 2020-01-01 and 2020-01-06", "b.5.I619 b.4.None d.0.I10"),
    ("admission_date > 2020-01-13 or main_condition in (J449, 'I6')", "a.30.I10 b.12.J449 e.12.I6"),
    ("discharge_date is null", "b.12.J449 e.None.I639"),
]


@pytest.mark.parametrize(("where", "expected"), CONDITIONS)
def test_conditions(where: str, expected: str):
    people = {record.split(".")[0] for record in expected.split()}
    made = both(text(where, "  - having: stays"))
    assert {member["person_id"] for member in made.members} == people
    checked = reading.parse(text(where), LISTS)
    engine = memory._Engine(checked, WORLD)
    engine.run()
    assert {row["record_id"] for row in engine._sets["stays"]} == set(expected.split())


STROKE = "  - having: {first: stays}\n    as: stroke\n"
# rules after the first stroke, persons left
RULES = [
    ("", "a b c d"),
    ("  - {age_at: stroke, at_least: 50}", "a d"),
    ("  - {age_at: stroke, at_most: 59}", "a b"),  # born on 29 February: 60 only on 1 March
    ("  - {age_at: stroke, at_least: 49, at_most: 49}", "b"),
    ("  - {having: drugs, within: 365 days before stroke}", "a b"),
    ("  - {having: drugs, within: 2 to 400 days before stroke}", "b"),
    ("  - {having: drugs, within: on stroke}", "a"),
    ("  - {having: drugs, at_least: 2}", "a"),
    ("  - {not_having: drugs, at_least: 2}", "b c d"),
    ("  - {not_having: drugs}", "c d"),
    ("  - {having: scans, within: 0 to 3 days after stroke}", "a b c"),
    ("  - {having: scans, within: during stroke}", "a b c"),
    ("  - {having: scans, within: 2 days of stroke}", "a b c d"),
    ("  - {having: scans, within: before stroke}", "d"),
    ("  - {having: scans, within: after stroke}", "a b d"),
    ("  - {having: scans, within: 1 week after stroke}", "a b c"),
    ("  - where: sex = M", "b d"),
    ("  - where: not sex = M", "a"),
    ("  - where: birth_year < 1961", "a d"),
    ("  - observed: 2 to 11 days after stroke", "a b c d"),
    ("  - observed: 2 to 12 days after stroke", "a b c"),
    ("  - any_of: [{where: sex = M}, {having: drugs}]", "a b d"),
    (
        "  - {having: {last: scans}, as: late, within: after stroke}\n  - {having: drugs, within: 5 days before late}",
        "a",
    ),
]


@pytest.mark.parametrize(("rules", "expected"), RULES)
def test_rules(rules: str, expected: str):
    made = both(text("main_condition in codes.stroke", STROKE + rules))
    assert sorted(member["person_id"] for member in made.members) == expected.split()


def test_equal_days_go_by_the_key_and_rows_without_a_day_are_no_anchor():
    made = both(text("", "  - having: {second: stays}\n    as: later"))
    assert {m["person_id"]: m["index_date"] for m in made.members} == {"a": D(10), "b": D(5), "d": D(9)}


@pytest.mark.parametrize(("pick", "persons"), [("first", []), ("last", ["a"])])
def test_of_rows_of_one_day_first_and_last_differ_by_the_key(pick: str, persons: list[str]):
    world = {
        "person": [person("a")],
        "smr01": [stay("a", 0, "I64", 0, record_id="1"), stay("a", 0, "I64", 5, record_id="2")],
        "series": [scan("a", 3, "A1")],
    }
    rules = f"  - having: {{{pick}: stays}}\n    as: chosen\n  - {{having: scans, within: during chosen}}"
    checked = reading.parse(text("", rules), LISTS)
    slow = memory.resolve(checked, world)
    assert [member["person_id"] for member in slow.members] == persons
    members, attrition = run(checked, connect(world))
    assert comparable(members) == comparable(slow.members) and attrition == slow.attrition


# images, UIDs that are taken
IMAGES = [
    ("images: {from: scans}", "A1 A2 B1 C1 C2 D1 E1 E2"),
    ("images: {from: scans, pick: first per person}", "A1 C1 D1 E2"),
    ("images: {from: scans, pick: last per person}", "B1 C2 D1 E1"),
    ("images: {from: scans, pick: first per study}", "A1 B1 C1 D1 E2"),
    ("images: {from: scans, pick: nearest per person}", "A1 C1 D1 E2"),
    ("images: {from: scans, within: 3 days after stroke, pick: last per person}", "A2 C2 D1"),
    ("images: {from: scans, pick: best per person, order: slice_thickness}", "A2 C1 D1 E1"),
    ("images: {from: scans, pick: best per person, order: [modality descending, slice_thickness]}", "B1 C1 D1 E1"),
]


@pytest.mark.parametrize(("images", "expected"), IMAGES)
def test_images(images: str, expected: str):
    made = both(text("main_condition in codes.stroke", STROKE, images))
    assert sorted(member["series_instance_uid"] for member in made.members) == sorted(expected.split())


def test_sets_of_sets_and_windows_between_sets():
    definition = """
cohort: t
version: 1
sets:
  strokes: {from: smr01, where: main_condition in codes.stroke}
  early: {from: strokes, where: admission_date <= 2020-01-11}
  late: {except: [strokes, early]}
  again: {union: [early, late, strokes]}
  both: {intersect: [strokes, early]}
  near: {from: series, where: modality = CT, within: 3 days after early}
persons:
  - having: both
  - having: again
  - not_having: late
images: {from: near}
"""
    made = both(definition)
    assert sorted(m["series_instance_uid"] for m in made.members) == ["A1", "A2", "C1", "C2"]
    engine = memory._Engine(reading.parse(definition, LISTS), WORLD)
    engine.run()
    kept = {name: sorted(row.get("record_id") or row["series_instance_uid"] for row in rows)
            for name, rows in engine._sets.items()}  # fmt: skip
    assert kept["early"] == ["a.10.I639", "a.10.I64", "b.5.I619", "d.9.I633"]
    assert kept["late"] == ["c.12.I64", "e.None.I639"]
    assert (kept["again"], kept["both"]) == (kept["strokes"], kept["early"])
    assert kept["near"] == ["A1", "A2", "C1", "C2"]


def test_words_mean_the_same_to_both():
    for where in ("thin_slice", "body_region = head", "not contrast_given", "mr_weighting in (FLAIR, T2)",
                  "plane = axial", "not plane is null", "kernel_class != soft", "view is null"):  # fmt: skip
        both(f'cohort: t\nversion: 1\nsets: {{s: {{from: series, where: "{where}"}}}}\npersons: [{{having: s}}]\n')


def test_omop_concepts_with_descendants():
    world = {
        "person": [person("a"), person("b"), person("c")],
        "omop_drug_exposure": [
            {"record_id": n, "person_id": n, "drug_concept_id": c, "drug_exposure_start_date": D(0)}
            for n, c in (("a", 7), ("b", 101), ("c", 8))
        ],
        "omop_concept_ancestor": [
            {"ancestor_concept_id": 100, "descendant_concept_id": 101},
            {"ancestor_concept_id": 200, "descendant_concept_id": 8},
        ],
    }
    definition = (
        "cohort: t\nversion: 1\nsets: {s: {from: omop_drug_exposure, where: drug_concept_id in codes.nsaid}}\n"
        "persons: [{having: s}]\n"
    )
    checked = reading.parse(definition, LISTS)
    slow = memory.resolve(checked, world)
    assert [member["person_id"] for member in slow.members] == ["a", "b"]
    members, attrition = run(checked, connect(world))
    assert comparable(members) == comparable(slow.members) and attrition == slow.attrition


# Definitions that hypothesis makes ----------------------------------------------------------------------------------


@settings(max_examples=400)
@given(worlds, cohorts())
def test_made_definitions_give_equal_results(world: dict[str, Any], cohort: Cohort):
    world = {**world, "smr01": [{**row, "record_id": f"{n:02d}"} for n, row in enumerate(world["smr01"])]}
    checked = check(cohort, LISTS)
    slow = memory.resolve(checked, world)
    members, attrition = run(checked, connect(world))
    assert comparable(members) == comparable(slow.members)
    assert attrition == slow.attrition
