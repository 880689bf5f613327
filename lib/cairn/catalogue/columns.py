"""A table's typed columns as BSON, and back: NULL is absent, everything else comes back as it was.

Dates and moments are BSON dates, which have milliseconds: a moment between two of them is
``{"at": <date>, "microseconds": n}``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from bson.datetime_ms import DatetimeMS

from cairn.tables.contract import Column

_DAY_MS = 86_400_000
AT, MICROSECONDS = "at", "microseconds"


def to_blocks(batch: pa.RecordBatch, columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return one block a row: column name to BSON value, without NULLs.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Rows with at least these columns.
    columns : sequence of Column
        What the blocks hold, in order.
    """
    blocks: list[dict[str, Any]] = [{} for _ in range(batch.num_rows)]
    for column in columns:
        values = batch.column(batch.schema.get_field_index(column.name))
        if values.null_count == batch.num_rows:
            continue
        convert = _to_bson(column.type)
        for block, value in zip(blocks, _plain(values).to_pylist(), strict=True):
            if value is not None:
                block[column.name] = value if convert is None else convert(value)
    return blocks


def _plain(values: pa.Array) -> pa.Array:
    """Return dates and moments as the numbers that they are counted in."""
    kind = values.type
    if pa.types.is_date32(kind):
        return values.cast(pa.int32())
    if pa.types.is_timestamp(kind):
        return values.cast(pa.int64())
    if pa.types.is_list(kind) and pa.types.is_date32(kind.value_type):
        return values.cast(pa.list_(pa.int32()))
    return values


def _to_bson(kind: pa.DataType) -> Callable[[Any], Any] | None:
    if pa.types.is_date32(kind):
        return _date
    if pa.types.is_timestamp(kind):
        return _moment
    if pa.types.is_list(kind) and pa.types.is_date32(kind.value_type):
        return lambda days: [None if day is None else _date(day) for day in days]
    return None


def _date(day: int) -> DatetimeMS:
    return DatetimeMS(day * _DAY_MS)


def _moment(microseconds: int) -> Any:
    at, rest = DatetimeMS(microseconds // 1000), microseconds % 1000
    return {AT: at, MICROSECONDS: rest} if rest else at


def to_array(column: Column, values: Sequence[Any]) -> pa.Array:
    """Return the values of one column of many blocks as Arrow, None where a block lacks it.

    Raises
    ------
    pyarrow.ArrowException, TypeError, ValueError, KeyError
        When a value is not of the column's type.
    """
    kind = column.type
    if pa.types.is_date32(kind):
        return pa.array([_day(value) for value in values], pa.int32()).cast(kind)
    if pa.types.is_timestamp(kind):
        return pa.array([_microseconds(value) for value in values], pa.int64()).cast(kind)
    if pa.types.is_list(kind) and pa.types.is_date32(kind.value_type):
        days = [None if value is None else [_day(part) for part in value] for value in values]
        return pa.array(days, pa.list_(pa.int32())).cast(kind)
    return pa.array(values, kind)


def _day(value: Any) -> int | None:
    return None if value is None else int(value) // _DAY_MS


def _microseconds(value: Any) -> int | None:
    if isinstance(value, dict):
        return int(value[AT]) * 1000 + int(value[MICROSECONDS])
    return None if value is None else int(value) * 1000
