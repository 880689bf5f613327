"""The ten worked questions on Spark: definitions and the page's statements, against the truth of the made-up people."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cohort_zone import as_rows, write
from record_world import ROOT, Tables, made_tables
from spark_support import forget, made_settings

from cairn.cohort.codelists import load_all
from cairn.pipelines.cohort_definition import load
from cairn.pipelines.cohort_run import carried_out
from cairn.spark.store import Store

LISTS = load_all(ROOT / "conf" / "codelists")
PAGE = (ROOT / "docs" / "cohort-questions.md").read_text("utf-8")
QUESTIONS = re.findall(r"conf/cohorts/([a-z-]+)\.yaml.*?```sql\n(.*?)```", PAGE, re.DOTALL)
PEOPLE = 600


@pytest.fixture(scope="module")
def world(spark, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """A zone with the made-up people, and who belongs to which cohort."""
    out = tmp_path_factory.mktemp("questions")
    tables: Tables = made_tables(out, PEOPLE)
    forget(spark)
    store = Store(spark, made_settings(out / "warehouse"))
    write(store, tables)
    truth: dict[str, set[tuple[str, str | None, str]]] = {}
    for row in pq.read_table(out / "truth" / "cohorts.parquet").to_pylist():
        member = row["chi"], row["series_instance_uid"], str(row["index_date"])
        truth.setdefault(row["cohort"].replace("_", "-"), set()).add(member)
    yield store, truth
    forget(spark)


def members(rows) -> set[tuple[str, str | None, str]]:  # type: ignore[no-untyped-def]
    found = [(row["person_id"], row.get("series_instance_uid"), str(row["index_date"])) for row in rows]
    assert len(set(found)) == len(found)
    return set(found)


QUICK = ("interval-breast-cancer", "diabetes-mr")


def test_the_page_has_ten_questions():
    assert len(QUESTIONS) == len({name for name, _ in QUESTIONS}) == 10


@pytest.mark.parametrize(
    ("name", "statement"),
    [pytest.param(n, s, id=n, marks=() if n in QUICK else pytest.mark.slow) for n, s in QUESTIONS],
)
def test_definition_and_statement_find_the_truth(world, name: str, statement: str):
    store, truth = world
    with carried_out(store, load(Path(ROOT / "conf" / "cohorts" / f"{name}.yaml"), LISTS, {}).steps) as resolved:
        assert members(as_rows(resolved.members)) == truth[name]
    assert members(as_rows(store.spark.sql(statement))) == truth[name]
