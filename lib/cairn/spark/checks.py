"""What is checked of a frame before it is written. Only :mod:`cairn.spark.store` uses this."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from cairn.spark.schema import quoted


def schema_fault(given: StructType, wanted: StructType) -> str:
    """Return why a frame's schema is not the contract's, or an empty string."""
    have = {field.name: field.dataType for field in given}
    need = {field.name: field.dataType for field in wanted}
    if missing := sorted(need.keys() - have.keys()):
        return f"columns {', '.join(missing)} are missing"
    if extra := sorted(have.keys() - need.keys()):
        return f"columns {', '.join(extra)} are not in it"
    for name, kind in need.items():
        if have[name].simpleString() != kind.simpleString():
            return f"column {name} is {have[name].simpleString()}, not {kind.simpleString()}"
    return ""


def guarded_column(name: str, required: bool) -> Column:
    """Return a column that raises on NULL where none may be.

    Delta checks NOT NULL columns itself, except those that came by evolution.
    """
    value = F.col(quoted(name))
    refusal = F.raise_error(F.lit(f"[CONTRACT_BROKEN] NULL in column {name}"))
    return F.when(value.isNull(), refusal).otherwise(value).alias(name) if required else value


def has_repeated_keys(frame: DataFrame, key: Sequence[str]) -> bool:
    """Whether a key occurs twice."""
    return not frame.groupBy(*key).count().where("count > 1").isEmpty()
