"""The suites beside the contracts: one for every table, about columns and tables that there are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cairn.quality.conditions import columns_of
from cairn.tables.deidentified import DEIDENTIFIED_INSTANCE
from cairn.tables.instance import INSTANCE
from cairn.tables.quality import TODAY, Between, NoAddress, NotNull, SameColumns, Steady, Unique
from cairn.tables.quality_suites import AFTER, BEFORE, suites
from cairn.tables.registry import contracts

LEDGER = {"run", "run_batch", "quality", "extract", "extract_item", "withdrawal"}
"""Written by every run, a check among them: what they hold is no data that crosses."""


def test_every_table_of_data_has_a_suite() -> None:
    without = {name for name in contracts() if name not in suites()}
    assert {name.partition(".")[2] for name in without} == LEDGER


@pytest.mark.parametrize("suite", suites().values(), ids=lambda suite: suite.contract.full_name)
def test_a_suite_is_about_columns_and_tables_that_there_are(suite) -> None:  # type: ignore[no-untyped-def]
    names = set(suite.contract.arrow_schema.names)
    for one in suite.expectations:
        assert set(columns_of(one, suite.contract)) <= names
        if isinstance(one, Steady):
            assert set(one.nulls) <= names
    assert {suite.modality, suite.date} - {""} <= names
    for one in suite.related:
        for side in (one.left, *one.right):
            assert set(side.columns) <= set(contracts()[side.table].arrow_schema.names)
            assert len(side.columns) == len(one.left.columns)
    assert len(set(suite.expectations)) == len(suite.expectations)


def test_what_follows_from_a_contract() -> None:
    own = suites()[INSTANCE.full_name].expectations
    assert own[:2] == (SameColumns(), Unique(("uri",)))
    assert {one.column for one in own if isinstance(one, NotNull)} == {"uri", "content_version", "run", "is_primary"}
    assert NoAddress() not in own


def test_no_table_of_the_deidentified_zone_may_hold_an_address_or_a_date_bound_by_today() -> None:
    for name, suite in suites().items():
        assert (NoAddress() in suite.expectations) == name.startswith("deidentified.")
    beyond = suites()[DEIDENTIFIED_INSTANCE.full_name].expectations
    assert not [one for one in beyond if isinstance(one, Between) and one.high == TODAY]
    assert [one.column for one in beyond if isinstance(one, Between)][:2] == ["rows", "columns"]


def test_every_table_is_looked_at_after_its_stage_and_before_it_crosses() -> None:
    assert set().union(*AFTER.values()) == set(suites())
    asked = set().union(*BEFORE.values())
    assert set(suites()) - asked == {"identifiable.crossing"}


def test_the_digest_follows_what_a_suite_says() -> None:
    suite = suites()[INSTANCE.full_name]
    assert suite.digest == suites()[INSTANCE.full_name].digest
    assert replace(suite, expectations=suite.expectations[:-1]).digest != suite.digest
