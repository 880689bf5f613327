"""Judging what was counted: each expectation becomes one of great-expectations', which gets the numbers it asks for.

great-expectations names the metrics that an expectation needs; they are answered with what Cairn counted in its one
pass, and great-expectations judges them, so that verdicts, results and pages are its own. It never sees the data, so
no value can get into a result: the lists of unexpected values that it asks for are empty.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import great_expectations.expectations as gx
from great_expectations.expectations.expectation import Expectation as Judge

from cairn.quality.conditions import broken, is_null, judgeable, texts_of
from cairn.quality.measure_expectation import MEASURE, ExpectMeasureToBeBetween
from cairn.quality.measures import Measures
from cairn.quality.verdict import Baseline, Limits, Verdict
from cairn.tables.quality import (
    ERROR,
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
    Steady,
    Suite,
    Unique,
)


def judge(suite: Suite, measures: Measures, baseline: Baseline, limits: Limits, today: datetime.date) -> list[Verdict]:
    """Judge a table.

    Parameters
    ----------
    suite : Suite
        What must hold.
    measures : Measures
        What was counted.
    baseline : mapping
        What the last run without an error observed; empty: drift is recorded, not judged.
    limits : Limits
        How much may change.
    today : datetime.date
        The day of the check.
    """
    judging = _Judging(suite, measures, baseline, limits, today)
    return [verdict for one in judgeable(suite, measures.columns) for verdict in judging.of(one)]


def judge_zone(zone: str, strange: list[str]) -> Verdict:
    """Judge a zone by the names of its tables that no contract knows: such a table was released by nobody."""
    says, detail = f"Every table of the zone {zone} has a contract: tables without one", ", ".join(strange)
    measure = ExpectMeasureToBeBetween(statement=says, detail=detail or None, max_value=0, severity=_severity(ERROR))
    success, result = judged(measure, {MEASURE: len(strange)})
    told = says + (f" ({detail})" if detail else "")
    count = len(strange)
    return Verdict(f"{zone}.*", "tables", "", "", ERROR, count, float(count), None, 0.0, success, told, result)


class _Judging:
    """The judgement of one table."""

    def __init__(
        self, suite: Suite, measures: Measures, baseline: Baseline, limits: Limits, today: datetime.date
    ) -> None:
        self._suite, self._measures, self._baseline = suite, measures, baseline
        self._limits, self._today = limits, today

    def of(self, one: Expectation) -> Iterator[Verdict]:
        if isinstance(one, SameColumns):
            yield self._columns(one)
        elif isinstance(one, Unique):
            yield self._unique(one)
        elif isinstance(one, NotNull | Between | OneOf | Holds | NoAddress):
            yield from self._rowwise(one)
        elif isinstance(one, Complete):
            yield from self._complete(one)
        elif isinstance(one, Steady):
            yield from self._steady(one)
        elif one in self._measures.related:
            yield self._related(one)

    def _columns(self, one: SameColumns) -> Verdict:
        contract, have = self._suite.contract, set(self._measures.columns)
        released = [c.name for c in contract.columns if contract.zone != "deidentified" or c.rule != "drop"]
        missing, strange = sorted(set(released) - have), sorted(have - set(released))
        told = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"not released: {', '.join(strange)}"] * bool(
            strange
        )
        says = f"The table has the {len(released)} columns of its contract and no other"
        return self._number(
            "columns", ", ".join(missing + strange), "", one.severity, len(missing + strange), says, 0, told
        )

    def _unique(self, one: Unique) -> Verdict:
        repeated, key = self._measures.repeated, ", ".join(one.columns)
        judge: Judge
        if len(one.columns) == 1:
            judge = gx.ExpectColumnValuesToBeUnique(column=key, severity=_severity(one.severity))
        else:
            judge = gx.ExpectCompoundColumnsToBeUnique(column_list=list(one.columns), severity=_severity(one.severity))
        counts = self._counts(0, repeated)
        return self._verdict("unique", key, "", one.severity, repeated, judge, counts, f"({key}) is unique", 0)

    def _rowwise(self, one: NotNull | Between | OneOf | Holds | NoAddress) -> Iterator[Verdict]:
        contract, severity = self._suite.contract, _severity(one.severity)
        if isinstance(one, NoAddress):
            if names := texts_of(contract):
                count = self._measures.count(broken(one, contract, self._today))
                says = f"No address of an archive's entry is in any of the {len(names)} columns of text"
                yield self._number("no_address", "", "", one.severity, count, says, 0)
            return
        if isinstance(one, Holds):
            yield self._holds(one)
            return
        nulls = self._measures.count(is_null(one.column))
        faults = self._measures.count(broken(one, contract, self._today))
        share = {"column": one.column, "mostly": one.least, "severity": severity}
        judge: Judge
        if isinstance(one, NotNull):
            name, says, judge = "not_null", "has a value", gx.ExpectColumnValuesToNotBeNull(**share)
        elif isinstance(one, OneOf):
            name, says = "one_of", f"is one of {len(one.values)} codes"
            judge = gx.ExpectColumnValuesToBeInSet(**share, value_set=list(one.values))
        else:
            low, high = (self._today.isoformat() if bound == TODAY else bound for bound in (one.low, one.high))
            name, says = "between", f"lies between {low} and {high}"
            judge = gx.ExpectColumnValuesToBeBetween(**share, min_value=low, max_value=high)
        highest = math.floor((self._measures.rows - (0 if name == "not_null" else nulls)) * (1 - one.least))
        says = f"{one.column} {says}{_mostly(one.least)}"
        counts = self._counts(nulls, faults)
        yield self._verdict(name, one.column, "", one.severity, faults, judge, counts, says, highest)

    def _holds(self, one: Holds) -> Verdict:
        faults = self._measures.count(broken(one, self._suite.contract, self._today))
        judged = self._measures.rows - self._measures.count(f"({one.sql}) IS NULL")
        highest = math.floor(judged * (1 - one.least))
        says = f"{one.says}{_mostly(one.least)}: rows in which it does not"
        return self._number("holds", one.column, one.says, one.severity, faults, says, highest)

    def _complete(self, one: Complete) -> Iterator[Verdict]:
        condition, least_rows = is_null(one.column), self._limits.slice_rows
        for modality in sorted(one.modalities or self._measures.by_modality()):
            years = self._measures.by_year(modality, condition)
            if sum(rows for rows, _ in years.values()) < least_rows:
                continue
            large = {year: pair for year, pair in years.items() if year is not None and pair[0] >= least_rows}
            whole = {None: tuple(map(sum, zip(*years.values(), strict=True)))}
            shares = {year: 1 - nulls / rows for year, (rows, nulls) in (large or whole).items()}
            year, share = min(shares.items(), key=lambda pair: (pair[1], pair[0] or 0))
            told = [f"{year}, the least of {len(shares)} years"] if year else ["all years together"]
            says = f"{one.column} is there in {one.least:.0%} or more of the rows of {modality} of every year: share"
            number = (one.severity, float(share), says, None, told, one.least)
            yield self._number("complete", one.column, modality, *number, rows=sum(rows for rows, _ in years.values()))

    def _related(self, one: Related) -> Verdict:
        count = self._measures.related[one]
        others = ", ".join(side.table for side in one.right if side.table != self._suite.contract.full_name)
        says = f"{one.says[0].upper()}{one.says[1:]}: rows of which that is not so"
        column = ", ".join(one.left.columns)
        return self._number(one.name, column, others or one.left.table, one.severity, count, says, 0)

    def _steady(self, one: Steady) -> Iterator[Verdict]:
        rows, fall = self._measures.rows, self._limits.rows_fall
        before = self._baseline.get(("steady_rows", "", ""))
        lowest = None if before is None else math.ceil(before * (1 - fall))
        judge = gx.ExpectTableRowCountToBeBetween(min_value=lowest, severity=_severity(one.severity))
        says = _against("Rows of the table", before)
        yield self._verdict(
            "steady_rows", "", "", one.severity, rows, judge, {"table.row_count": rows}, says, None, lowest
        )
        yield from self._steady_modalities(one)
        for column in one.nulls:
            if column in self._measures.columns and rows:
                share = self._measures.count(is_null(column)) / rows
                before = self._baseline.get(("steady_nulls", column, ""))
                highest = None if before is None else min(1.0, before + self._limits.nulls_move)
                says = _against(f"Share of rows without {column}", before)
                yield self._number("steady_nulls", column, "", WARNING, share, says, highest)

    def _steady_modalities(self, one: Steady) -> Iterator[Verdict]:
        column, total = self._suite.modality, self._measures.rows
        if not column or column not in self._measures.columns:
            return
        counts = self._measures.by_modality()
        known = {scope for name, where, scope in self._baseline if (name, where) == ("steady_rows", column)}
        for modality in sorted(known | counts.keys()):
            count = counts.get(modality, 0)
            before = self._baseline.get(("steady_rows", column, modality))
            enough = before is not None and before >= self._limits.slice_rows
            lowest = math.ceil(before * (1 - self._limits.rows_fall)) if enough and before is not None else None
            says = _against(f"Rows of {modality}", before)
            yield self._number("steady_rows", column, modality, one.severity, count, says, None, (), lowest)
            share = count / total if total else 0.0
            before = self._baseline.get(("steady_share", column, modality))
            bounds = (None, None) if before is None else self._moved(before)
            says = _against(f"Share of {modality}", before)
            yield self._number("steady_share", column, modality, WARNING, share, says, bounds[1], (), bounds[0])

    def _moved(self, before: float) -> tuple[float, float]:
        return max(0.0, before - self._limits.share_moves), min(1.0, before + self._limits.share_moves)

    def _counts(self, nulls: int, faults: int) -> dict[str, Any]:
        """Return the counts by the ends of great-expectations' names of metrics."""
        rows = self._measures.rows
        return {
            "table.row_count": rows,
            "filtered_row_count": rows,
            "nonnull.unexpected_count": nulls,
            "unexpected_count": faults,
            "unexpected_values": [],
        }

    def _number(
        self,
        name: str,
        column: str,
        scope: str,
        severity: str,
        value: float,
        says: str,
        highest: float | None,
        told: list[str] | tuple[str, ...] = (),
        lowest: float | None = None,
        rows: int | None = None,
    ) -> Verdict:
        detail = "; ".join(told)
        judge = ExpectMeasureToBeBetween(
            column=(column.partition(",")[0] or None) if name != "columns" else None,
            statement=says,
            detail=detail or None,
            min_value=lowest,
            max_value=highest,
            severity=_severity(severity),
        )
        says += f" ({detail})" if detail else ""
        return self._verdict(name, column, scope, severity, value, judge, {MEASURE: value}, says, highest, lowest, rows)

    def _verdict(
        self,
        name: str,
        column: str,
        scope: str,
        severity: str,
        value: float,
        judge: Judge,
        numbers: Mapping[str, Any],
        says: str,
        highest: float | None,
        lowest: float | None = None,
        rows: int | None = None,
    ) -> Verdict:
        success, result = judged(judge, numbers)
        count = self._measures.rows if rows is None else rows
        table = self._suite.contract.full_name
        bounds = (lowest, highest)
        return Verdict(table, name, column, scope, severity, count, float(value), *bounds, success, says, result)


def judged(judge: Judge, numbers: Mapping[str, Any]) -> tuple[bool, str]:
    """Let great-expectations judge numbers.

    Parameters
    ----------
    judge : Expectation
        One of great-expectations'.
    numbers : mapping of str to number
        By the whole name of a metric, or by its last parts.

    Returns
    -------
    (bool, str)
        Whether it passed, and great-expectations' result as JSON.
    """
    wanted = judge.get_validation_dependencies(runtime_configuration=_format())
    metrics = {one.id: _metric(name, numbers) for name, one in wanted.metric_configurations.items()}
    result = judge.metrics_validate(metrics, runtime_configuration=_format())
    return bool(result.success), json.dumps(result.to_json_dict(), sort_keys=True)


def _format() -> dict[str, Any]:
    return {"result_format": {"result_format": "BASIC", "exclude_unexpected_values": True}}


def _metric(name: str, numbers: Mapping[str, Any]) -> Any:
    """Return the number with the longest name that a metric's name ends in."""
    return numbers[max((known for known in numbers if name.endswith(known)), key=len)]


def _severity(severity: str) -> str:
    """Return great-expectations' word for it."""
    return {ERROR: "critical", WARNING: "warning"}[severity]


def _mostly(least: float) -> str:
    return "" if least == 1 else f" in {least:.1%} of the rows or more"


def _against(what: str, before: float | None) -> str:
    if before is None:
        return f"{what}; no run before to compare with"
    return f"{what}; before: " + (f"{before:,.0f}" if what.startswith("Rows") else f"{before:.2%}")
