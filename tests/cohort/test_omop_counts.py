"""The public counts of the GiBleed sample, from definitions."""

import pytest
from omop_sample import LISTS, PUBLISHED, SAMPLE, definition_text, sample_tables
from sqlite_engine import connect, run_stepwise

from cairn.cohort import reading
from cairn.cohort.codelists import CodeList


@pytest.fixture(scope="module")
def database():
    if not SAMPLE.exists():
        pytest.skip("no shared data: set CAIRN_SHARED")
    return connect(sample_tables())


def _persons(database, sets: str, rules: str) -> int:
    members, _ = run_stepwise(reading.parse(definition_text(sets, rules), LISTS), database)
    return len({member["person_id"] for member in members})


@pytest.mark.parametrize(("sets", "rules", "persons"), PUBLISHED)
def test_published_cohorts(database, sets: str, rules: str, persons: int):
    assert _persons(database, sets, rules) == persons


# concept of an outcome, its published persons
NEGATIVE_CONTROLS = {4278672: 510, 4134304: 442, 40480160: 56, 4230399: 132}


@pytest.mark.parametrize(("concept", "persons"), NEGATIVE_CONTROLS.items())
def test_negative_controls(database, concept: int, persons: int):
    lists = {"outcome": CodeList("outcome", 1, "", (str(concept),), ())}
    text = """cohort: c
version: 1
sets: {s: {from: omop_condition_occurrence, where: condition_concept_id in codes.outcome}}
persons: [{having: s}]
"""
    members, _ = run_stepwise(reading.parse(text, lists), database)
    assert len(members) == persons
