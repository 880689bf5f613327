"""Judging counts: every kind of expectation by great-expectations, drift, completeness; results hold no value."""

from __future__ import annotations

import datetime as dt
import json

import pyarrow as pa
import pytest

from cairn.quality.conditions import ADDRESS, broken, is_null, pass_of, year_sql
from cairn.quality.judging import judge, judge_zone
from cairn.quality.measures import Measures, Slice
from cairn.quality.verdict import Limits, Verdict
from cairn.tables.contract import Column, Contract
from cairn.tables.quality import (
    TODAY,
    WARNING,
    Between,
    Complete,
    Expectation,
    Holds,
    NoAddress,
    NotNull,
    OneOf,
    Related,
    SameColumns,
    Side,
    Steady,
    Suite,
    Unique,
    made_suite,
)

TODAY_IS = dt.date(2026, 3, 1)
LIMITS = Limits(rows_fall=0.1, share_moves=0.2, nulls_move=0.05, slice_rows=20)
TABLE = Contract(
    "identifiable",
    "thing",
    "one thing",
    ("id",),
    (
        Column("id", pa.string(), "Its id."),
        Column("modality", pa.string(), "Modality."),
        Column("day", pa.date32(), "Day."),
        Column("size", pa.float64(), "Size."),
        Column("sizes", pa.list_(pa.float64()), "Sizes."),
        Column("other", pa.map_(pa.string(), pa.int64()), "Counts.", nullable=False),
    ),
    "Things.",
)
NAMES = tuple(TABLE.arrow_schema.names)


def suite(*expectations: Expectation) -> Suite:
    return Suite(TABLE, expectations, "modality", "day")


def counted(one: Suite, *slices: tuple[str, int | None, int, dict[str, int]], columns=NAMES, repeated=0, related=None):  # type: ignore[no-untyped-def]
    """Measures of a suite, by slices of modality, year, rows and the conditions that hold for some rows."""
    conditions = pass_of(one, columns, TODAY_IS).conditions
    told = [Slice(m, year, rows, tuple(at.get(c, 0) for c in conditions)) for m, year, rows, at in slices]
    assert {c for *_, at in slices for c in at} <= set(conditions)
    return Measures(tuple(columns), conditions, tuple(told), repeated, related or {})


def verdicts(one: Suite, measures: Measures, baseline=None) -> list[Verdict]:  # type: ignore[no-untyped-def]
    return judge(one, measures, baseline or {}, LIMITS, TODAY_IS)


def rule(expectation: Expectation, faults: int, rows: int = 100, nulls: int = 0) -> Verdict:
    """The verdict on an expectation over one row that some rows break."""
    one = suite(expectation)
    at = {broken(expectation, TABLE, TODAY_IS): faults}
    if not isinstance(expectation, Holds | NoAddress | NotNull):
        at[is_null(expectation.column)] = nulls  # type: ignore[union-attr]
    (verdict,) = verdicts(one, counted(one, ("CT", 2020, rows, at)))
    return verdict


@pytest.mark.parametrize(
    "expectation",
    [
        NotNull("size"),
        Between("size", 0, 5),
        Between("day", "1970-01-01", TODAY),
        OneOf("modality", ("CT", "MR")),
        Holds("size", "the size is even", "size % 2 = 0", ("size",)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_an_expectation_over_rows(expectation: Expectation) -> None:
    assert rule(expectation, 0).success
    failed = rule(expectation, 1)
    assert not failed.success and failed.closes
    assert (failed.observed, failed.highest, failed.rows) == (1, 0, 100)


@pytest.mark.parametrize(("faults", "success"), [(5, True), (6, False)])
def test_a_share_may_break_it(faults: int, success: bool) -> None:
    for one in (OneOf("modality", ("CT",), 0.95), Between("size", 0, None, 0.95)):
        assert rule(one, faults).success == success
    assert rule(OneOf("modality", ("CT",), 0.95), 3, 100, nulls=50).success is False  # of 50 values


def test_a_warning_does_not_close() -> None:
    failed = rule(Between("size", 0, 5, severity=WARNING), 9)
    assert not failed.success and not failed.closes


@pytest.mark.parametrize("key", [("id",), ("id", "modality")])
def test_a_key(key: tuple[str, ...]) -> None:
    one = suite(Unique(key))
    assert verdicts(one, counted(one, ("CT", 2020, 9, {})))[0].success
    (failed,) = verdicts(one, counted(one, ("CT", 2020, 9, {}), repeated=4))
    assert (failed.expectation, failed.column, failed.observed, failed.success) == ("unique", ", ".join(key), 4, False)


@pytest.mark.parametrize(
    ("columns", "told"),
    [(NAMES, ""), (NAMES[1:], "id"), ((*NAMES, "secret"), "secret"), ((*NAMES[1:], "secret"), "id, secret")],
)
def test_the_columns(columns: tuple[str, ...], told: str) -> None:
    one = suite(SameColumns())
    (verdict,) = verdicts(one, counted(one, ("CT", 2020, 9, {}), columns=columns))
    assert (verdict.success, verdict.column) == (not told, told)


def test_what_a_missing_column_would_say_is_left_out() -> None:
    one = made_suite(TABLE, Between("size", 0, 5), modality="modality", date="day", nulls=("size",))
    have = tuple(name for name in NAMES if name != "size")
    told = verdicts(one, counted(one, ("CT", 2020, 30, {}), columns=have))
    assert "size" not in {verdict.column for verdict in told if verdict.expectation != "columns"}
    assert [verdict.expectation for verdict in told if not verdict.success] == ["columns"]


def test_completeness_is_that_of_the_worst_large_year() -> None:
    one, null = suite(Complete("size", 0.8, ("CT", "US"))), is_null("size")
    slices = [
        ("CT", 2019, 50, {null: 1}),
        ("CT", 2020, 40, {null: 12}),
        ("CT", 2021, 5, {null: 5}),
        ("MR", 2020, 50, {null: 50}),
        ("CT", None, 30, {null: 30}),
    ]
    (verdict,) = verdicts(one, counted(one, *slices))
    assert (verdict.scope, verdict.rows, verdict.success, verdict.closes) == ("CT", 125, False, False)
    assert verdict.observed == pytest.approx(0.7)
    assert "2020" in verdict.statement
    small = [("US", 2019, 15, {null: 1}), ("US", 2020, 15, {null: 1})]
    (verdict,) = verdicts(one, counted(one, *small))
    assert verdict.success and verdict.observed == pytest.approx(28 / 30)
    assert verdicts(one, counted(one, ("US", 2019, 15, {null: 15}))) == []


def test_drift_of_rows_modalities_and_nulls() -> None:
    one, null = suite(Steady(("size",))), is_null("size")
    first = verdicts(one, counted(one, ("CT", 2020, 60, {null: 3}), ("MR", 2020, 40, {}), ("US", 2020, 10, {})))
    assert all(verdict.success for verdict in first)
    baseline = {(verdict.expectation, verdict.column, verdict.scope): verdict.observed for verdict in first}
    same = verdicts(one, counted(one, ("CT", 2020, 54, {null: 7}), ("MR", 2021, 40, {}), ("US", 2020, 5, {})), baseline)
    assert [(v.expectation, v.scope) for v in same if not v.success] == []
    gone = verdicts(one, counted(one, ("CT", 2020, 120, {null: 20})), baseline)
    failed = {(v.expectation, v.column, v.scope): v.closes for v in gone if not v.success}
    assert failed == {
        ("steady_rows", "modality", "MR"): True,  # US had too few rows before
        ("steady_share", "modality", "CT"): False,
        ("steady_share", "modality", "MR"): False,
        ("steady_nulls", "size", ""): False,
    }
    less = verdicts(one, counted(one, ("CT", 2020, 58, {}), ("MR", 2020, 40, {})), baseline)
    assert [(v.expectation, v.scope, v.lowest) for v in less if v.closes] == [("steady_rows", "", 99)]


def test_a_relation() -> None:
    related = Related(
        "refers", "every id is one of there", Side(TABLE.full_name, ("id",)), (Side("identifiable.x", ("id",)),)
    )
    one = suite(related)
    assert verdicts(one, counted(one, ("CT", 2020, 9, {}))) == []  # its table does not exist
    (failed,) = verdicts(one, counted(one, ("CT", 2020, 9, {}), related={related: 2}))
    assert (failed.observed, failed.closes, failed.scope) == (2, True, "identifiable.x")


def test_a_zone_with_tables_that_nobody_released() -> None:
    assert judge_zone("deidentified", []).success
    failed = judge_zone("deidentified", ["copy"])
    assert failed.closes and "copy" in failed.statement


def test_results_are_great_expectations_own_and_hold_no_value() -> None:
    result = json.loads(rule(Between("size", 0, 5, 0.99), 7).result)
    assert result["expectation_config"]["type"] == "expect_column_values_to_be_between"
    assert result["expectation_config"]["severity"] == "critical"
    numbers = {"element_count", "unexpected_count", "unexpected_percent", "missing_count", "missing_percent"}
    percents = {"unexpected_percent_total", "unexpected_percent_nonmissing"}
    assert result["result"].keys() == numbers | percents
    assert result["result"]["unexpected_count"] == 7


def test_conditions_name_columns_and_limits() -> None:
    assert broken(Between("sizes", 0, 5), TABLE, TODAY_IS) == "exists(`sizes`, x -> x < 0 OR x > 5)"
    assert broken(Between("day", None, TODAY), TABLE, TODAY_IS) == "`day` > DATE'2026-03-01'"
    assert broken(OneOf("modality", ("a'b",)), TABLE, TODAY_IS) == "`modality` NOT IN ('a\\'b')"
    assert "`id`, `modality`" in broken(NoAddress(), TABLE, TODAY_IS) and ADDRESS in broken(
        NoAddress(), TABLE, TODAY_IS
    )
    assert year_sql("") == "CAST(NULL AS INT)"
