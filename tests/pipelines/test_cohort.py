"""`cohort count` on Spark: the steps held against the slow engine, controls against the matching by hand."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from cohort_zone import Rows, as_rows, people, write, zone_contract
from spark_support import forget, made_settings
from sqlite_engine import comparable

from cairn.cohort import memory
from cairn.cohort.codelists import load_all
from cairn.cohort.matching import match
from cairn.cohort.reading import parse
from cairn.cohort.sql import Step, compiled
from cairn.errors import CairnError
from cairn.pipelines.cohort_controls import matched
from cairn.pipelines.cohort_count import Counts, count_lines, shown
from cairn.pipelines.cohort_definition import Definition, explain_lines, load, step_words
from cairn.pipelines.cohort_export import count
from cairn.pipelines.cohort_run import Persons, carried_out, current_versions, persons_by, persons_in
from cairn.spark.store import Store

ROOT = Path(__file__).resolve().parents[2]
COHORTS = ROOT / "conf" / "cohorts"
LISTS = load_all(ROOT / "conf" / "codelists")
ALL = """cohort: every
version: 1
sets:
  scans: {from: series, where: modality = CT}
  stays: {from: smr01, where: other_conditions = E119 or main_condition like 'I6%'}
  near: {from: scans, within: 90 days of stays}
  late: {from: stays, where: admission_date > 2015-06-01}
  early: {except: [stays, late]}
persons:
  - having: {last: stays}
    as: stay
  - any_of:
      - {having: scans, within: 200 days of stay}
      - {not_having: early}
      - {where: sex = F and birth_year < 1970}
  - observed: 100 days before stay
images: {from: near, pick: best per study, order: [slice_thickness, series_description descending]}
split: {train: 60, test: 40}
"""
PERSONS = """cohort: persons
version: 2
sets:
  stays: {from: smr01}
persons:
  - having: stays
    at_least: 2
"""


def definition(text: str) -> Definition:
    checked = parse(text, LISTS)
    return Definition("definition", text, {}, checked, compiled(checked).steps)


def named(name: str) -> Definition:
    if name in ("every", "persons"):
        return definition(ALL if name == "every" else PERSONS)
    return load(COHORTS / f"{name}.yaml", LISTS, {})


@pytest.fixture(scope="module")
def rows() -> Rows:
    return people(150)


@pytest.fixture(scope="module")
def zone(spark, rows: Rows, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    forget(spark)
    store = Store(spark, made_settings(tmp_path_factory.mktemp("cohort") / "ware house"))
    write(store, rows)
    yield store
    forget(spark)


NAMES = ("every", "persons", *(path.stem for path in sorted(COHORTS.glob("*.yaml"))))


QUICK = ("every", "dementia-after-scan")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_spark_says_what_the_slow_engine_says(zone: Store, rows: Rows, name: str):
    made = named(name)
    slow = memory.resolve(made.checked, rows)
    with carried_out(zone, made.steps) as resolved:
        assert comparable(as_rows(resolved.members)) == comparable(slow.members)
        assert [step.count for step in resolved.attrition()] == slow.attrition
    assert slow.attrition[0] == 150


@pytest.mark.parametrize("name", [pytest.param("every", marks=pytest.mark.slow), "stroke-ct"])
def test_the_statement_that_explain_prints_runs(zone: Store, rows: Rows, name: str):
    made = named(name)
    text = "\n".join(explain_lines(made)).partition("\n\n")[2]
    found = [{k: v for k, v in row.items() if k != "_place"} for row in as_rows(zone.spark.sql(text))]
    assert comparable(found) == comparable(memory.resolve(made.checked, rows).members)


def test_the_steps_leave_nothing_behind(zone: Store):
    with carried_out(zone, named("persons").steps) as resolved:
        assert resolved.frames["persons_1"].is_cached
    assert not resolved.frames["persons_1"].is_cached
    assert not any(table.isTemporary for table in zone.spark.catalog.listTables())


CONTROLS = """cohort: matched
version: 1
sets:
  strokes: {from: smr01, where: main_condition in codes.ischaemic_stroke}
  dead: {from: deaths}
persons:
  - having: {first: strokes}
    as: stroke
  - age_at: stroke
    at_least: 60
"""
# what a control must equal and be near in
MATCHES = [
    "controls: {per_case: 2, exact: [sex], caliper: {birth_year: 3}, not_in: [strokes, dead]}",
    "controls: {per_case: 1, exact: [sex, birth_year], not_in: strokes}",
    "controls: {per_case: 1}",
]


@pytest.mark.parametrize("controls", [MATCHES[0], *(pytest.param(m, marks=pytest.mark.slow) for m in MATCHES[1:])])
def test_controls_are_those_of_the_matching(zone: Store, rows: Rows, controls: str):
    made = definition(CONTROLS + controls)
    wanted = made.checked.cohort.controls
    assert wanted is not None
    everybody = [{**p, "birth_year": p["birth_date"].year if p["birth_date"] else None} for p in rows["person"]]
    own = {member["person_id"] for member in memory.resolve(made.checked, rows).members}
    out = set()
    if "strokes" in wanted.not_in:
        out |= {r["person_id"] for r in rows["smr01"] if (r["main_condition"] or "").startswith("I63")}
    if "dead" in wanted.not_in:
        out |= {r["person_id"] for r in rows["deaths"]}
    cases = [p for p in everybody if p["person_id"] in own]
    pool = [p for p in everybody if p["person_id"] not in own | out]
    expected = match(cases, pool, wanted.exact, wanted.per_case, wanted.caliper, "matched/1")
    with carried_out(zone, made.steps) as resolved:
        pairs = matched(resolved, made.checked)
        assert pairs is not None
        found = [(row["case_id"], row["person_id"]) for row in pairs.collect()]
    assert len(expected) > 3
    assert sorted(found) == sorted(expected)
    assert max(Counter(control for _, control in found).values()) == 1


def test_count_shows_no_small_number(zone: Store, rows: Rows):
    made = named("stroke-ct")
    slow = memory.resolve(made.checked, rows)
    assert slow.attrition[1] > 10 and slow.attrition[-1] <= 10  # else this shows nothing
    told = count(zone, made)
    assert told.steps[0][1] == 150
    assert all(
        n is None or (n % 10 == 0 and abs(n - true) < 30)
        for (_, n), true in zip(told.steps, slow.attrition, strict=True)
    )
    assert all(n is None for (_, n), true in zip(told.steps, slow.attrition, strict=True) if true <= 10)
    assert (told.members, told.controls, set(told.split.values())) == (None, None, {None})
    text = "\n".join(count_lines(told, made))
    assert text.count("small") == 6 + sum(n is None for _, n in told.steps)
    assert not {str(n) for n in slow.attrition if n < 150} & set(re.findall(r"\d+", text.replace("10 or fewer", "")))


def test_a_set_of_persons_has_one_key_however_it_is_asked_for(zone: Store):
    spark = zone.spark
    some = spark.createDataFrame([("a",), ("b",), ("b",), ("c",)], "person_id string")
    same = spark.createDataFrame([("c", "x"), ("a", "y"), ("b", "x")], "person_id string, other string")
    assert persons_in(some) == persons_in(same) == Persons(3, persons_in(some).key)
    assert persons_in(some.where("person_id != 'a'")).key != persons_in(some).key
    assert persons_in(some.where("false")) == Persons(0, "0")
    a, b = (persons_in(same.where(f"person_id {test} 'a'")) for test in ("=", "!="))
    assert persons_in(same).without(a) == b
    by = persons_by(same.unionByName(same), same["other"])
    assert by == {"x": persons_in(same.where("other = 'x'")), "y": a}


def test_equal_sets_are_shown_alike(zone: Store):
    other = PERSONS.replace("persons:\n", "persons:\n  - having: stays\n")
    steps = [count(zone, definition(text)).steps[-1][1] for text in (PERSONS, other)]
    assert steps[0] == steps[1]


def test_counts_without_controls_and_split(zone: Store, rows: Rows):
    made = named("persons")
    told = count(zone, made)
    slow = memory.resolve(made.checked, rows)
    assert told.members is not None and abs(told.members - len(slow.members)) < 10
    assert (told.controls, told.split) == (None, {})


def test_parts_of_a_split_are_not_hidden_alone():
    parts = {"train": Persons(60, "1"), "validation": Persons(4, "2"), "test": Persons(30, "3")}
    told = shown(Counts([Persons(500, "4"), Persons(90, "5")], 90, parts, 20), ["all", "last"])
    assert told.split == {"train": 60, "validation": None, "test": None}
    assert (told.members, told.controls) == (90, 20)


def test_a_missing_table_is_named_with_the_job_that_makes_it(store: Store):
    with pytest.raises(CairnError, match=r"deidentified\.person does not exist yet. Run ehr and deidentify first"):
        current_versions(store, ["person"])
    with pytest.raises(CairnError, match="TABLE_MISSING") as refused, carried_out(store, named("stroke-ct").steps):
        pass
    assert refused.value.exit_code == 2
    with pytest.raises(CairnError, match="Run deidentify first"):
        current_versions(store, ["series"])


def test_a_table_older_than_its_contract_is_told_of(zone: Store, capfd: pytest.CaptureFixture[str]):
    steps = [Step("members", "members", "SELECT p.person_id FROM deidentified.person p WHERE p.`new_column` = 1")]
    with pytest.raises(CairnError, match=r"COHORT_COLUMN.*new_column") as refused, carried_out(zone, steps):
        pass
    assert refused.value.exit_code == 2
    assert "new_column" not in "".join(capfd.readouterr())  # pyspark logs the whole query unless told otherwise


def test_a_version_that_is_no_longer_kept_is_told_of(zone: Store, rows: Rows):
    made = named("persons")
    gone = {"person": 1, "ehr_smr01": 999}
    with pytest.raises(CairnError, match="COHORT_VERSION_GONE"), carried_out(zone, made.steps, gone):
        pass
    write(zone, {"person": rows["person"][:1]}, 2)  # a version of its own, whose file goes
    folder = zone.folder(zone_contract("person"))
    folder.remove(next(name for name in folder.names() if "test-person-2" in name))
    with pytest.raises(CairnError, match="COHORT_VERSION_GONE"), carried_out(zone, made.steps) as resolved:
        resolved.attrition()
    zone.spark.sql(f"RESTORE TABLE delta.`{folder.path}` TO VERSION AS OF 1").collect()
    with carried_out(zone, made.steps) as resolved:
        assert resolved.attrition()[0].count == 150


def test_every_counted_step_has_words():
    for name in NAMES:
        made = named(name)
        assert len(step_words(made.checked)) == len(memory.resolve(made.checked, people(3)).attrition)
