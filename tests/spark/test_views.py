"""Views: every one can be asked where its tables are, says what it means, and is missing where they are not."""

from __future__ import annotations

import datetime as dt

from cohort_zone import people, write
from spark_support import forget

from cairn.spark.session import register, register_views
from cairn.spark.views import VIEWS, views_of
from cairn.tables.registry import contract


def test_every_view_can_be_asked(store, spark) -> None:  # type: ignore[no-untyped-def]
    wanted = {(zone, table) for view in VIEWS for zone in view.zones for table in view.tables}
    store.ensure(*(contract(f"{zone}.{table}") for zone, table in sorted(wanted)))
    register_views(spark, store.settings)
    for view in VIEWS:
        for zone in view.zones:
            assert spark.table(f"{zone}.{view.name}").count() == 0, view.name


def test_a_view_counts_what_its_name_says(store, spark) -> None:  # type: ignore[no-untyped-def]
    rows = people(12, seed=4)
    write(store, rows)
    forget(spark)
    register(spark, store.settings)
    register_views(spark, store.settings)
    expected: dict[tuple[str, int], int] = {}
    for row in rows["series"]:
        key = row["modality"], row["study_date"].year
        expected[key] = expected.get(key, 0) + 1
    told = spark.table("deidentified.v_modality_year").collect()
    assert {(row["modality"], row["year"]): row["series"] for row in told} == expected
    assert isinstance(rows["series"][0]["study_date"], dt.date)


def test_a_view_without_its_tables_is_not_there() -> None:
    assert not views_of("deidentified", {"study"})
    assert not [sql for sql in views_of("deidentified", {"series", "run"}) if "v_run" in sql]
