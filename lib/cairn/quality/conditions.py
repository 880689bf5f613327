"""What an expectation counts: conditions over one row, as SQL.

All conditions of a table are counted in one pass (:mod:`cairn.spark.measuring`); the same texts name the counts
afterwards. They hold names of columns and limits, never a value out of a row.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import pyarrow as pa

from cairn.tables.contract import Contract
from cairn.tables.quality import (
    TODAY,
    Between,
    Complete,
    Expectation,
    Holds,
    NoAddress,
    NotNull,
    OneOf,
    Steady,
    Suite,
    Unique,
)
from cairn.tables.quality_codes import MODALITIES

ADDRESS = "(?m)^(file|s3[an]?|abfss?|wasbs?|adl|gs|gcs|hdfs|viewfs|local):/"
"""How the address of an archive's entry begins (:mod:`cairn.archive.address`), at the start of any line."""

NO_MODALITY, OTHER_MODALITY = "none", "other"
FIRST_YEAR, LAST_YEAR = 1970, 2100


@dataclass(frozen=True)
class Pass:
    """What one pass over a table counts.

    Parameters
    ----------
    contract : Contract
        The table.
    key : tuple of str
        Columns by which repeated rows are counted; empty: they are not.
    conditions : tuple of str
        SQL; of each the rows for which it is true are counted.
    modality, year : str
        SQL by which rows are told apart.
    """

    contract: Contract
    key: tuple[str, ...]
    conditions: tuple[str, ...]
    modality: str
    year: str


def quoted(name: str) -> str:
    """Return a column's name as SQL takes it."""
    return "`" + name.replace("`", "``") + "`"


def is_null(column: str) -> str:
    """Return the condition that a column is NULL."""
    return f"{quoted(column)} IS NULL"


def broken(one: Expectation, contract: Contract, today: datetime.date) -> str:
    """Return the condition that a row breaks an expectation over one row; NULL counts as not broken."""
    if isinstance(one, NotNull):
        return is_null(one.column)
    if isinstance(one, Between):
        return _of_each(contract, one.column, lambda value: _outside(value, one, today))
    if isinstance(one, OneOf):
        codes = ", ".join(_literal(code) for code in one.values)
        return _of_each(contract, one.column, lambda value: f"{value} NOT IN ({codes})")
    if isinstance(one, Holds):
        return f"NOT ({one.sql})"
    if isinstance(one, NoAddress):
        texts = ", ".join(quoted(name) for name in texts_of(contract))
        return f"concat_ws('\\n', {texts}) RLIKE {_literal(ADDRESS)}"
    raise TypeError(type(one).__name__)


def _of_each(contract: Contract, column: str, condition) -> str:  # type: ignore[no-untyped-def]
    """Return a condition on a column, or on any value of an array."""
    if pa.types.is_list(contract.column(column).type):
        return f"exists({quoted(column)}, x -> {condition('x')})"
    return str(condition(quoted(column)))


def _outside(value: str, one: Between, today: datetime.date) -> str:
    low, high = (_bound(bound, today) for bound in (one.low, one.high))
    return " OR ".join([f"{value} < {low}"] * (low != "") + [f"{value} > {high}"] * (high != ""))


def _bound(bound: float | str | None, today: datetime.date) -> str:
    if bound is None:
        return ""
    if isinstance(bound, str):
        return f"DATE'{today.isoformat() if bound == TODAY else bound}'"
    return repr(bound)


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def texts_of(contract: Contract) -> tuple[str, ...]:
    """Return the columns of text, and of lists of text."""
    return tuple(column.name for column in contract.columns if column.type in (pa.string(), pa.list_(pa.string())))


def columns_of(one: Expectation, contract: Contract) -> tuple[str, ...]:
    """Return the columns of the suite's table that an expectation reads in the pass."""
    if isinstance(one, Unique):
        return one.columns
    if isinstance(one, Holds):
        return one.columns
    if isinstance(one, NoAddress):
        return texts_of(contract)
    if isinstance(one, Steady):
        return ()  # each of its columns by itself
    return (one.column,) if isinstance(one, NotNull | Between | OneOf | Complete) else ()


def judgeable(suite: Suite, present: Collection[str]) -> tuple[Expectation, ...]:
    """Return the expectations whose columns the table has; a missing one is told by the list of columns."""
    return tuple(one for one in suite.expectations if set(columns_of(one, suite.contract)) <= set(present))


def counted(one: Expectation, contract: Contract, present: Collection[str], today: datetime.date) -> Iterator[str]:
    """Yield the conditions that an expectation needs to have counted."""
    if isinstance(one, NotNull | Complete):
        yield is_null(one.column)
    elif isinstance(one, Between | OneOf):
        yield is_null(one.column)
        yield broken(one, contract, today)
    elif isinstance(one, Holds):
        yield f"({one.sql}) IS NULL"
        yield broken(one, contract, today)
    elif isinstance(one, NoAddress) and texts_of(contract):
        yield broken(one, contract, today)
    elif isinstance(one, Steady):
        yield from (is_null(name) for name in one.nulls if name in present)


def pass_of(suite: Suite, present: Collection[str], today: datetime.date) -> Pass:
    """Return what one pass over a table has to count for its suite.

    Parameters
    ----------
    suite : Suite
        The table's.
    present : collection of str
        Columns that the table really has.
    today : datetime.date
        The day of the check.
    """
    wanted = judgeable(suite, present)
    conditions = (text for one in wanted for text in counted(one, suite.contract, present, today))
    key = next((one.columns for one in wanted if isinstance(one, Unique)), ())
    return Pass(
        suite.contract,
        key,
        tuple(dict.fromkeys(conditions)),
        modality_sql(suite.modality if suite.modality in present else ""),
        year_sql(suite.date if suite.date in present else ""),
    )


def modality_sql(column: str) -> str:
    """Return a row's modality as SQL: one of the standard's, ``none``, or ``other``, so that no value gets out."""
    if not column:
        return "''"
    known = ", ".join(_literal(code) for code in MODALITIES)
    name = quoted(column)
    none, other = _literal(NO_MODALITY), _literal(OTHER_MODALITY)
    return f"CASE WHEN {name} IS NULL THEN {none} WHEN {name} IN ({known}) THEN {name} ELSE {other} END"


def year_sql(column: str) -> str:
    """Return a row's year as SQL; NULL when it cannot be one of an image."""
    if not column:
        return "CAST(NULL AS INT)"
    year = f"year({quoted(column)})"
    return f"CASE WHEN {year} BETWEEN {FIRST_YEAR} AND {LAST_YEAR} THEN {year} END"
