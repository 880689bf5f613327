"""What the typed columns of one entry should be, from the expected tree of its header.

Values are parsed by pydicom's own value types and Python's numbers, one at a time. A value that cannot be is None
(architecture, section 5); its text stays in the tree.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
from header_oracle import Tree
from pydicom.valuerep import DA, DT

from cairn.tables.contract import Column

UTC = datetime.UTC
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
DATE = re.compile(r"\d{8}|\d{4}\.\d\d\.\d\d", re.ASCII)
MOMENT = re.compile(r"\d{4}(\d\d){0,5}(?P<dot>\.\d{1,})?([+-]\d{4})?", re.ASCII)
TIME = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d))?)?(\.\d*)?", re.ASCII)
LARGEST = 2**63


def double(value: Any) -> float | None:
    """Return a DS, FL, FD or other number as DOUBLE."""
    if isinstance(value, str):
        return float(value) if DECIMAL.fullmatch(value) else None
    return float(value) if isinstance(value, int | float) else None


def whole(value: Any) -> int | None:
    """Return an IS or binary integer as BIGINT; a fraction of zeros is none."""
    if isinstance(value, str):
        number = int(Decimal(value)) if WHOLE.fullmatch(value) else LARGEST
    else:
        number = value if isinstance(value, int) else LARGEST
    return number if -LARGEST <= number < LARGEST else None


def date(value: Any) -> datetime.date | None:
    """Return a DA as DATE, the form of ACR-NEMA with its full stops included."""
    text = value.strip(" ") if isinstance(value, str) else ""
    if not DATE.fullmatch(text):
        return None
    try:
        return datetime.date.fromordinal(DA(text).toordinal())
    except ValueError:
        return None


def moment(value: Any) -> datetime.datetime | None:
    """Return a DT as TIMESTAMP: in UTC where it states an offset, else as written."""
    text = value.strip(" ") if isinstance(value, str) else ""
    if not MOMENT.fullmatch(text):
        return None
    text = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        found = DT(text)
        found = datetime.datetime.combine(found.date(), found.timetz())  # a plain one, for comparison
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def time(value: Any) -> str | None:
    """Return a TM as text, ``HH:MM:SS`` and the fraction as written, at most six digits."""
    found = TIME.fullmatch(value.strip(" ")) if isinstance(value, str) else None
    if found is None:
        return None
    hour, minute, second = (int(part or 0) for part in found.groups()[:3])
    if hour > 23 or minute > 59 or second > 60:
        return None
    fraction = (found[4] or "")[:7]
    return f"{hour:02}:{minute:02}:{second:02}{fraction if len(fraction) > 1 else ''}"


def text(value: Any) -> str | None:
    """Return a text VR as STRING."""
    return value if isinstance(value, str) else None


PARSERS = {pa.float64(): double, pa.int64(): whole, pa.date32(): date, pa.timestamp("us", tz="UTC"): moment}
FITTING = {pa.float64(): (str, int, float), pa.int64(): (str, int)}  # all others come from text only


def found_at(tree: Tree, path: str) -> Any:
    """Return the value at a path, through the first item of each sequence; None when there is none."""
    *sequences, keyword = path.split(".")
    for sequence in sequences:
        items = tree.get(sequence)
        if not isinstance(items, list) or not items or not isinstance(items[0], dict):
            return None
        tree = items[0]
    return tree.get(keyword)


def expected_cell(tree: Tree, column: Column, times: frozenset[str]) -> Any:
    """Return the value of one column.

    Parameters
    ----------
    tree : dict
        Expected header.
    column : Column
        One with paths.
    times : frozenset of str
        Keywords of VR TM, whose column is text in a form of its own.
    """
    many = pa.types.is_list(column.type)
    single = column.type.value_type if many else column.type
    for path in column.paths:
        value = found_at(tree, path)
        if value is None or isinstance(value, dict):
            continue
        is_time = path.rsplit(".", 1)[-1] in times
        parse = PARSERS.get(single, time if is_time else text)
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, FITTING.get(single, (str,))) for part in parts):
            return None  # the file's VR holds no such values: no list of NULLs
        values = [parse(part) for part in parts]
        if not values:
            return None
        first = None if values[0] == "" else values[0]
        return values if many else first
    return None


def expected_row(tree: Tree, columns: Sequence[Column], times: frozenset[str]) -> dict[str, Any]:
    """Return all columns that have paths, by name; parameters as in :func:`expected_cell`."""
    return {column.name: expected_cell(tree, column, times) for column in columns if column.paths}
