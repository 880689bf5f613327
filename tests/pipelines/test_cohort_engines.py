"""Definitions that hypothesis makes: Spark says what the in-memory engine says, members and attrition.

No rule of a definition looks at two persons, so sixty made-up persons are as many worlds. The tables are views in
memory: what Delta adds is tested with the definitions that people wrote.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from cohort_zone import Rows, as_rows, full, zone_contract
from made_definitions import LISTS, D, made_cohorts, person, scan, stay
from pyspark.sql import SparkSession
from sqlite_engine import comparable

from cairn.cohort import memory
from cairn.cohort.catalogue import sources
from cairn.cohort.checking import check
from cairn.cohort.model import Cohort
from cairn.cohort.sql import compiled

PARTS = 3
COUNT = 400 if "CAIRN_TEST_SEARCH" in os.environ else 60
CODES = ("I639", "I64", "I61", "I10", "J449", None)
PREFIX = "made_"
QUICKER = {"spark.sql.shuffle.partitions": "1", "spark.sql.adaptive.enabled": "false"}


def _one(draw: random.Random, who: str) -> Rows:
    own = person(who, draw.choice((None, D(-25000), D(-10895))), draw.choice((None, "F", "M")))
    own["registered_to"] = draw.choice((None, D(4), D(9)))
    days = [draw.choice((None, *range(-3, 13))) for _ in range(draw.randrange(6))]
    stays = [
        stay(who, day, draw.choice(CODES), draw.choice((None, 0, 5)), record_id=f"{who}.{number}",
             other_conditions=draw.choice((None, [], ["I639"], ["I10", "J449"])))
        for number, day in enumerate(days)
    ]  # fmt: skip
    scans = [
        scan(who, draw.randrange(-3, 13), f"{who}.{number}", draw.choice(("CT", "MR")),
             study_instance_uid=f"{who}{number % 2}", slice_thickness=draw.choice((None, 1.0, 3.0)))
        for number in range(draw.randrange(5))
    ]  # fmt: skip
    return {"person": [own], "smr01": stays, "series": scans}


def made_rows() -> Rows:
    """Return sixty persons of all kinds that the definitions tell apart."""
    draw = random.Random(4)
    rows: Rows = {"person": [], "smr01": [], "series": []}
    for number in range(60):
        for name, listed in _one(draw, f"p{number:02d}").items():
            rows[name] += listed
    return rows


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> Iterator[Rows]:
    """The rows, and views of them for Spark."""
    made = made_rows()
    before = {name: spark.conf.get(name) for name in QUICKER}
    for name, value in QUICKER.items():
        spark.conf.set(name, value)
    for name, listed in made.items():
        table = sources()[name].table.removeprefix("deidentified.")
        contract = zone_contract(table)
        used = {key for row in listed for key in row} | {"kvp"}
        schema = pa.schema([(column.name, column.type) for column in contract.columns if column.name in used])
        frame = pa.Table.from_pylist([full(contract, row) for row in listed], schema)
        spark.createDataFrame(frame).coalesce(1).persist().createOrReplaceTempView(f"{PREFIX}{table}")
    yield made
    for name in made:
        view = f"{PREFIX}{sources()[name].table.removeprefix('deidentified.')}"
        spark.table(view).unpersist()
        spark.catalog.dropTempView(view)
    for name, value in before.items():
        spark.conf.set(name, value)


def by_spark(spark: SparkSession, cohort: Cohort) -> tuple[list[dict[str, Any]], list[int]]:
    """Return members and attrition as Spark finds them."""
    made = compiled(check(cohort, LISTS))
    members, attrition = (
        as_rows(spark.sql(text.replace("deidentified.", PREFIX))) for text in (made.members, made.attrition)
    )
    return list(members), [row["persons"] for row in sorted(attrition, key=lambda row: row["step"])]


@pytest.fixture(scope="module")
def made() -> list[Cohort]:
    return made_cohorts(COUNT)


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))])
def test_made_definitions_give_equal_results(spark: SparkSession, rows: Rows, made: list[Cohort], part: int):
    some = 0
    own = made[part::PARTS]
    for cohort in own:
        members, attrition = by_spark(spark, cohort)
        slow = memory.resolve(check(cohort, LISTS), rows)
        assert comparable(members) == comparable(slow.members), cohort
        assert attrition == slow.attrition, cohort
        some += bool(members)
    assert len(own) >= COUNT // PARTS and some > len(own) / 5  # else nothing was compared
