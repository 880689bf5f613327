"""The public counts of the GiBleed sample on Spark: the definitions that tests/cohort runs on SQLite."""

from __future__ import annotations

import pytest
from cohort_zone import full, write, zone_contract
from omop_sample import LISTS, PUBLISHED, SAMPLE, definition_text, sample_tables
from spark_support import forget, made_settings

from cairn.cohort.reading import parse
from cairn.cohort.sql import compiled
from cairn.pipelines.cohort_run import carried_out
from cairn.spark.delta_log import Token
from cairn.spark.store import Store


@pytest.fixture(scope="module")
def zone(spark, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    if not SAMPLE.exists():
        pytest.skip("no shared data: set CAIRN_SHARED")
    forget(spark)
    store = Store(spark, made_settings(tmp_path_factory.mktemp("omop")))
    tables = sample_tables()
    ancestors = zone_contract("ehr_omop_concept_ancestor")  # no table that sets are made from
    store.ensure(ancestors)
    rows = [full(ancestors, row) for row in tables.pop("omop_concept_ancestor")]
    store.append_rows(ancestors, rows, Token("test/ancestors", 1), 1)
    write(store, tables)
    yield store
    forget(spark)


@pytest.mark.slow
@pytest.mark.parametrize(("sets", "rules", "persons"), PUBLISHED)
def test_published_cohorts(zone: Store, sets: str, rules: str, persons: int):
    with carried_out(zone, compiled(parse(definition_text(sets, rules), LISTS)).steps) as resolved:
        found = resolved.members.select("person_id").distinct().count()
        assert (found, resolved.attrition()[-1].count) == (persons, persons)
