"""Per-file statistics as Delta keeps them in its log: what lets a query skip a file, so they must be true.

A wrong minimum loses rows in queries. Where no true bound can be written (a NaN, a date that JSON's reader does not
take) there is none, and the file is simply never skipped. Source: Delta protocol, "Per-file Statistics".
"""

from __future__ import annotations

import datetime
import json
import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cairn.tables.contract import Contract

PREFIX = 32  # characters of a string bound, as in Delta (delta.dataSkippingStringPrefixLength)
LAST_CHARACTER = "\U0010ffff"  # sorts behind every other, also as UTF-8 bytes
MILLISECOND = datetime.timedelta(milliseconds=1)


class FileStatistics:
    """Running statistics of one file, over the contract's statistics columns.

    Parameters
    ----------
    contract : Contract
        Names the columns.
    """

    def __init__(self, contract: Contract) -> None:
        self._names = contract.statistics_columns or contract.key
        self._rows = 0
        self._nulls = dict.fromkeys(self._names, 0)
        self._bounds: dict[str, tuple[Any, Any] | None] = {}

    def add(self, table: pa.Table) -> None:
        """Take the rows of one row group."""
        self._rows += table.num_rows
        for name in self._names:
            column = table.column(name)
            self._nulls[name] += column.null_count
            if column.null_count < len(column):
                self._widen(name, _bounds(column))

    def _widen(self, name: str, found: tuple[Any, Any] | None) -> None:
        known = self._bounds.get(name, found)
        if known is None or found is None:
            self._bounds[name] = None
        else:
            self._bounds[name] = min(known[0], found[0]), max(known[1], found[1])

    def as_json(self) -> str:
        """Return the ``stats`` text of the file's ``add`` action."""
        shown = {name: _written(bounds) for name, bounds in self._bounds.items() if bounds is not None}
        return json.dumps(
            {
                "numRecords": self._rows,
                "minValues": {name: pair[0] for name, pair in shown.items() if pair is not None},
                "maxValues": {name: pair[1] for name, pair in shown.items() if pair is not None},
                "nullCount": self._nulls,
                "tightBounds": True,
            },
            ensure_ascii=False,
        )


def _bounds(column: pa.ChunkedArray) -> tuple[Any, Any] | None:
    """Return minimum and maximum of a column that is not all NULL, or None when no true bound can be told."""
    kind = column.type
    if pa.types.is_string(kind):
        found = pc.min_max(column.cast(pa.binary()))  # Spark orders strings by their UTF-8 bytes
        return found["min"].as_py(), found["max"].as_py()
    if pa.types.is_floating(kind):
        finite = pc.all(pc.is_finite(column)).as_py()
        return _min_max(column) if finite else None
    if pa.types.is_integer(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _min_max(column)
    return None


def _min_max(column: pa.ChunkedArray) -> tuple[Any, Any] | None:
    found = pc.min_max(column)
    try:
        return found["min"].as_py(), found["max"].as_py()
    except (ValueError, OverflowError):  # a year outside 1..9999
        return None


def _written(bounds: tuple[Any, Any]) -> tuple[Any, Any] | None:
    """Return the bounds as JSON values: never above the true minimum, never below the true maximum."""
    low, high = bounds
    if isinstance(low, bytes):
        return _string_bounds(low, high)
    if isinstance(low, datetime.datetime):
        return _moment(low), _moment(high, up=True)
    if isinstance(low, datetime.date):
        return low.isoformat(), high.isoformat()
    if isinstance(low, float) and not (math.isfinite(low) and math.isfinite(high)):
        return None
    return low, high


def _string_bounds(low: bytes, high: bytes) -> tuple[str, str] | None:
    try:
        return low.decode()[:PREFIX], truncated_maximum(high.decode())
    except UnicodeDecodeError:
        return None


def truncated_maximum(text: str) -> str:
    """Return a short string that sorts at or behind `text`: its prefix and the last character of Unicode.

    A prefix whose next character is that last one is lengthened, so that the result never sorts before `text`.
    """
    end = PREFIX
    while end < len(text) and text[end] == LAST_CHARACTER:
        end += 1
    return text if len(text) <= end else text[:end] + LAST_CHARACTER


def _moment(moment: datetime.datetime, up: bool = False) -> str:
    """Return a timestamp in milliseconds, UTC; rounded down, or up for a maximum."""
    whole = moment.astimezone(datetime.UTC).replace(microsecond=moment.microsecond // 1000 * 1000)
    if up and whole < moment and whole <= datetime.datetime.max.replace(tzinfo=datetime.UTC) - MILLISECOND:
        whole += MILLISECOND
    return whole.strftime("%Y-%m-%dT%H:%M:%S.").rjust(20, "0") + f"{whole.microsecond // 1000:03d}Z"
