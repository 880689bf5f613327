"""Hold what the kernel made of a batch against the oracle, entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import pyarrow as pa
from column_oracle import expected_row
from header_oracle import Tree, compare, expected_header
from pydicom.datadict import DicomDictionary
from pyspark.sql.types import VariantVal
from variant_decoder import decoded

from cairn.dicom.kernel import HeaderKernel, KernelLimits, ParsedBatch
from cairn.tables.instance import INSTANCE

# Open: times in lists are text as written, neither checked nor in the form of single ones (test_header_values.py).
OPEN_COLUMNS = {"time_of_last_calibration"}


@cache
def the_kernel() -> HeaderKernel:
    """Return the kernel with the instance table's columns and default limits; one for all tests of a process."""
    return HeaderKernel(INSTANCE.columns, KernelLimits())


@cache
def time_keywords() -> frozenset[str]:
    return frozenset(entry[4] for entry in DicomDictionary.values() if entry[0] == "TM")


def header_tree(batch: ParsedBatch, row: int) -> Tree:
    """Return the decoded VARIANT of one row; Spark's reader and the strict one must agree on it."""
    cell = batch.table["header"][row].as_py()
    tree = decoded(cell["value"], cell["metadata"])
    assert compare(without_decimals(VariantVal(cell["value"], cell["metadata"]).toPython()), tree) == []
    return tree


def without_decimals(tree: Any) -> Any:
    """Return a tree of Spark's with its decimals, which hold integers above BIGINT (VR UV), as int."""
    if isinstance(tree, dict):
        return {key: without_decimals(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [without_decimals(value) for value in tree]
    return int(tree) if isinstance(tree, Decimal) and tree == int(tree) else tree


def findings(batch: ParsedBatch, row: int = 0) -> list[tuple[str, str]]:
    """Return the findings of one row as pairs of code and place."""
    return [(found["code"], found["place"]) for found in batch.table["findings"][row].as_py()]


def cell(batch: ParsedBatch, name: str, row: int = 0) -> Any:
    """Return a typed value; moments outside the years 1 to 9999 as microseconds, since Python has no such datetime."""
    scalar = batch.table[name][row]
    try:
        return scalar.as_py()
    except OverflowError:
        return scalar.cast(pa.int64()).as_py()


def differences(batch: ParsedBatch, row: int, data: bytes) -> list[str]:
    """Return every difference of one row, VARIANT and typed columns, from what pydicom makes of the entry."""
    expected = expected_header(data)
    columns = [column for column in INSTANCE.columns if column.paths and column.name not in OPEN_COLUMNS]
    out = compare(header_tree(batch, row), expected, "header")
    for name, value in expected_row(expected, columns, time_keywords()).items():
        out += compare(cell(batch, name, row), value, f"column {name}")
    return out


def all_differences(kernel: HeaderKernel, headers: Sequence[bytes]) -> list[str]:
    """Return the differences of a whole batch in which every header must have a row."""
    batch = kernel.parse(headers)
    assert batch.failures == []
    assert batch.rows.tolist() == list(range(len(headers)))
    return [f"[{i}] {line}" for i, data in enumerate(headers) for line in differences(batch, i, data)]
