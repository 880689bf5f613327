"""Cohorts of the made-up people: files, loader, persons, definition, both engines; against the truth.

The truth is told from the generator's own histories by plain loops (:mod:`cairn.synthetic.question_truth`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from record_world import ROOT, images_of, made_tables
from sqlite_engine import comparable, connect, run_stepwise

from cairn.cohort import codelists, memory, reading
from cairn.synthetic.histories import history
from cairn.synthetic.people import person
from cairn.synthetic.plans import PLANS, planned
from cairn.synthetic.question_truth import QUESTIONS
from cairn.synthetic.record_truth import COHORTS

CONF = ROOT / "conf"
LISTS = codelists.load_all(CONF / "codelists")
PEOPLE = 600
DEFINITIONS = [name.replace("_", "-") for name in COHORTS]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """The tables as analysts get them, but for pseudonyms and shifts, and the truth."""
    out = tmp_path_factory.mktemp("truth")
    tables = made_tables(out, PEOPLE)
    return tables, pq.read_table(out / "truth" / "cohorts.parquet").to_pylist()


@pytest.mark.parametrize("name", DEFINITIONS)
def test_cohort_is_the_truth_by_both_engines(world, name: str):
    tables, truth = world
    checked = reading.read(CONF / "cohorts" / f"{name}.yaml", LISTS)
    members, attrition = run_stepwise(checked, connect(tables))
    few = {**tables, "person": [p for n, p in enumerate(tables["person"]) if n % 4 == 0]}  # the slow one is slow
    slow = memory.resolve(checked, few)
    kept = {p["person_id"] for p in few["person"]}
    assert comparable(slow.members) == comparable([m for m in members if m["person_id"] in kept])
    own = [t for t in truth if t["cohort"] == name.replace("-", "_")]
    wanted = {(t["chi"], t["series_instance_uid"], str(t["index_date"])) for t in own}
    persons = {t["chi"] for t in own}
    assert len(persons) >= 3 and len(wanted) == len(own)
    found = {(m["person_id"], m.get("series_instance_uid"), str(m["index_date"])) for m in members}
    assert found == wanted
    assert attrition[0] == len(tables["person"]) and attrition[-1] == len(persons)
    assert attrition == sorted(attrition, reverse=True)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_planted_people_fit_and_just_miss(plan):
    """Each row of a question's table is used, and rows of both kinds are told apart by the truth."""
    fits, misses = set(), set()
    for index in range(PEOPLE):
        images = images_of(index)
        chosen = planned(1, person(1, index), images)
        if chosen and chosen[0] in plan.variants:
            kept = bool(COHORTS[plan.name](history(1, person(1, index), images), images))
            (fits if kept else misses).add(chosen[0])
    assert fits | misses == set(plan.variants)
    assert fits and misses - fits


def test_every_question_is_told_in_the_page():
    page = Path(ROOT / "docs" / "cohort-questions.md").read_text("utf-8")
    shown = set(re.findall(r"conf/cohorts/([a-z-]+)\.yaml", page))
    assert shown == {name.replace("_", "-") for name in (*QUESTIONS, "lung_cancer_ct", "dementia_after_scan")}
    for name in shown:
        text = (CONF / "cohorts" / f"{name}.yaml").read_text("utf-8")
        assert text in page, f"{name}: the page shows another definition"
