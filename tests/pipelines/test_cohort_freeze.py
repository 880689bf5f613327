"""`cohort freeze`: the same list for ever, a new number for what differs, nothing that counts of a run that died."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from pathlib import Path

import pytest
from cohort_zone import Rows, as_rows, people, write, zone_contract
from pyspark.sql import functions as F
from spark_support import forget, made_settings
from sqlite_engine import comparable

from cairn.cohort import memory
from cairn.cohort.codelists import load_all
from cairn.cohort.reading import parse
from cairn.cohort.sql import compiled
from cairn.errors import CairnError
from cairn.pipelines import cohort_freeze
from cairn.pipelines.cohort_count import counted
from cairn.pipelines.cohort_definition import Definition
from cairn.pipelines.cohort_freeze import Frozen, find_frozen, freeze, made_again, members_of, parts_before
from cairn.pipelines.cohort_run import carried_out
from cairn.pipelines.job import Job
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.cohort import ATTRITION, COHORT, COHORT_MEMBER
from cairn.tables.run import RUN

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("person", "smr01", "series")
LISTS = load_all(ROOT / "conf" / "codelists")
TEXT = """cohort: strokes
version: 1
title: Scans around a stroke
sets:
  strokes: {from: smr01, where: main_condition in codes.ischaemic_stroke}
  scans: {from: series, where: modality = CT and not localizer}
persons:
  - having: {first: strokes}
    as: stroke
  - age_at: stroke
    at_least: 40
images: {from: scans, within: 200 days of stroke}
controls: {per_case: 1, exact: [sex], caliper: {birth_year: 5}, not_in: strokes}
split: {train: 70, test: 30}
"""


def definition(text: str = TEXT) -> Definition:
    checked = parse(text, LISTS)
    return Definition("definition", text, {}, checked, compiled(checked).steps)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return people(120)


@pytest.fixture(scope="module")
def job(spark, rows: Rows, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("freeze")
    forget(spark)
    store = Store(spark, made_settings(folder / "ware house"))
    write(store, {name: rows[name] for name in TABLES})
    ticks = itertools.count(1_800_000_000)
    yield Job(store, Folder(str(folder / "scratch")).make(), lambda: float(next(ticks)), io.StringIO())
    forget(spark)


def frozen_now(job: Job, text: str = TEXT) -> Frozen:
    return freeze(job.store, job.run("cohort"), definition(text))


@pytest.fixture(scope="module")
def first(job: Job) -> Frozen:
    return frozen_now(job)


def test_the_list_is_what_the_slow_engine_says(job: Job, first: Frozen, rows: Rows):
    assert (first.number, first.is_new) == (1, True)
    slow = memory.resolve(definition().checked, rows)
    found = as_rows(members_of(job.store, "strokes", 1).where("role = 'case'"))
    told = [{name: row[name] for name in slow.members[0]} for row in found]
    assert comparable(told) == comparable(slow.members)
    assert all(row["member"] == row["series_instance_uid"] and row["case_id"] is None for row in found)
    assert (first.members, first.persons.count) == (len(slow.members), slow.attrition[-1])
    steps = job.store.read(ATTRITION).where("cohort = 'strokes' and cohort_version = 1").orderBy("step").collect()
    assert [row["persons"] for row in steps] == slow.attrition
    assert steps[2]["description"] == "at least 40 years old at stroke"


def test_a_control_has_its_case_that_ones_index_date_and_its_own_part(job: Job, first: Frozen):
    members = as_rows(members_of(job.store, "strokes", 1))
    index = {row["person_id"]: row["index_date"] for row in members if row["role"] == "case"}
    controls = [row for row in members if row["role"] == "control"]
    persons = {row["person_id"] for row in controls}
    assert len(persons) == first.controls and len(persons) > 5
    for row in controls:
        assert row["person_id"] not in index
        assert row["index_date"] == index[row["case_id"]] is not None
        assert row["split"] == memory.part_of("strokes", row["person_id"], {"train": 70, "test": 30})


def test_controls_have_their_images_about_the_dates_of_their_cases(job: Job, first: Frozen, rows: Rows):
    controls = as_rows(members_of(job.store, "strokes", 1).where("role = 'control'"))
    pairs = sorted({(row["case_id"], row["person_id"]) for row in controls})
    expected = memory.control_images(definition().checked, rows, pairs)
    found = [row for row in controls if row["series_instance_uid"]]
    assert comparable([{name: row[name] for name in expected[0]} for row in found]) == comparable(expected)
    assert all(row["member"] == row["series_instance_uid"] for row in found)
    without = [row for row in controls if not row["series_instance_uid"]]
    assert {row["person_id"] for row in without}.isdisjoint(row["person_id"] for row in found)
    assert all(row["member"] == row["person_id"] for row in without) and found and without


def test_what_it_rests_on_is_kept(job: Job, first: Frozen):
    row = find_frozen(job.store, "strokes")
    assert row["definition"] == TEXT and row["definition_hash"] == definition().checked.hash
    assert row["table_versions"] == {f"deidentified.{t}": 1 for t in ("ehr_smr01", "person", "series")}
    assert [(c["name"], c["prefixes"]) for c in row["codelists"]] == [("ischaemic_stroke", ["I63"])]
    assert cohort_freeze.definition_of(row).checked.hash == definition().checked.hash
    run = job.store.read(RUN).where(F.col("run") == row["run"]).collect()[0]
    assert (run["status"], run["versions_read"]["deidentified.series"]) == ("done", 1)


def test_frozen_twice_nothing_changes(job: Job, first: Frozen):
    before = [job.store.version(table) for table in (COHORT, COHORT_MEMBER, ATTRITION)]
    again = frozen_now(job)
    assert again == Frozen(**{**vars(first), "is_new": False})
    assert [job.store.version(table) for table in (COHORT, COHORT_MEMBER, ATTRITION)] == before


def test_new_data_make_a_new_list_and_the_first_one_stays(job: Job, first: Frozen):
    old = as_rows(members_of(job.store, "strokes", 1))
    more = people(40, seed=2, prefix="q")
    write(job.store, {name: more[name] for name in TABLES}, 2)
    second = frozen_now(job)
    assert (second.number, second.is_new) == (2, True)
    assert second.members > first.members and second.list_hash != first.list_hash
    assert comparable(as_rows(members_of(job.store, "strokes", 1))) == comparable(old)
    assert made_again(job.store, find_frozen(job.store, "strokes", 1)) == first.list_hash
    assert made_again(job.store, find_frozen(job.store, "strokes", 2)) == second.list_hash


@pytest.mark.slow
def test_data_that_the_list_loses_are_lost_in_the_new_one_only(job: Job, first: Frozen):
    gone = members_of(job.store, "strokes", 1).where("role = 'case'").select("series_instance_uid").limit(3)
    job.store.delete_keys(zone_contract("series"), gone)
    third = frozen_now(job)
    assert third.is_new
    assert made_again(job.store, find_frozen(job.store, "strokes", 1)) == first.list_hash


@pytest.mark.slow
def test_another_definition_makes_a_new_list(job: Job, first: Frozen):
    latest = find_frozen(job.store, "strokes")["cohort_version"]
    changed = frozen_now(job, TEXT.replace("at_least: 40", "at_least: 60"))
    assert (changed.number, changed.is_new) == (latest + 1, True)
    assert frozen_now(job, TEXT.replace("title: Scans around a stroke", "title: Other words")).number == latest


@pytest.mark.slow
def test_a_run_that_died_before_its_end_leaves_nothing_that_counts(job: Job, first: Frozen, monkeypatch):
    text = TEXT.replace("cohort: strokes", "cohort: dies").replace("at_least: 40", "at_least: 50")

    def dies(*_: object) -> dict[str, object]:
        raise CairnError("STAGE_FAILED", stage="cohort", why="it was killed")

    with monkeypatch.context() as patch, pytest.raises(CairnError):
        patch.setattr(cohort_freeze, "_cohort_row", dies)
        frozen_now(job, text)
    assert job.store.read(COHORT_MEMBER).where("cohort = 'dies'").count() > 0
    with pytest.raises(CairnError, match="COHORT_NOT_FROZEN"):
        find_frozen(job.store, "dies")
    done = frozen_now(job, text)
    assert done.number == 1
    rows = job.store.read(COHORT_MEMBER).where("cohort = 'dies'")
    assert rows.where("role = 'case'").count() == done.members
    assert rows.where("role = 'control'").select("person_id").distinct().count() == done.controls
    assert rows.count() == rows.select("member").distinct().count()
    assert job.store.read(ATTRITION).where("cohort = 'dies'").count() == 4


@pytest.mark.slow
def test_a_cohort_of_persons(job: Job, first: Frozen):
    done = frozen_now(job, "cohort: people\nversion: 1\nsets:\n  s: {from: smr01}\npersons:\n  - having: s\n")
    members = as_rows(members_of(job.store, "people", 1))
    assert done.members == done.persons.count == len(members) and done.controls is None
    assert all(row["member"] == row["person_id"] and row["index_date"] is None for row in members)


def test_what_is_not_frozen_is_refused_with_what_is(job: Job, first: Frozen):
    with pytest.raises(CairnError, match=r"\(99\); frozen versions: 1, ") as refused:
        find_frozen(job.store, "strokes", 99)
    assert refused.value.exit_code == 2


BALANCED = TEXT.replace("cohort: strokes", "cohort: balanced").replace("test: 30}", "test: 30, balanced_by: sex}")


def parts(job: Job, number: int) -> dict[str, tuple[str, str]]:
    """Return role and part of each person of a list."""
    return {
        row["person_id"]: (row["role"], row["split"]) for row in members_of(job.store, "balanced", number).collect()
    }


@pytest.mark.slow
def test_a_balanced_split_is_as_asked_in_each_stratum_and_stays_when_the_cohort_grows(job: Job):
    more = people(100, seed=2, prefix="b")
    frozen_now(job, BALANCED)
    before = parts(job, 1)
    write(job.store, {name: more[name] for name in TABLES}, 77)
    sexes = {row["person_id"]: row["sex"] for row in job.store.read(zone_contract("person")).collect()}
    assert frozen_now(job, BALANCED).number == 2
    after = parts(job, 2)
    both = before.keys() & after.keys()
    assert len(after) > len(before) > len(both) / 2 > 5
    assert all(before[person][1] == after[person][1] for person in both)
    for found in (before, after):
        for stratum in {(role, sexes[person]) for person, (role, _) in found.items()}:
            own = [part for person, (role, part) in found.items() if (role, sexes[person]) == stratum]
            # Who was a control and is a case now keeps the part: a person or two beside what the sequence leaves.
            assert abs(own.count("train") - 0.7 * len(own)) <= 4, (stratum, len(own))
    cases = [part for role, part in after.values() if role == "case"]
    made = definition(BALANCED)
    with carried_out(job.store, made.steps) as resolved:
        found = counted(resolved, made.checked, parts_before(job.store, made.checked)).split
    assert {part: n.count for part, n in found.items()} == Counter(cases)
    for number in (1, 2):
        row = find_frozen(job.store, "balanced", number)
        assert made_again(job.store, row) == row["list_hash"]
