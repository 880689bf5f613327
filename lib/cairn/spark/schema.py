"""Spark SQL types, derived from a contract's Arrow types. No pyspark here: the types are text."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from cairn.tables.contract import VARIANT, Column, Contract

SIMPLE: dict[pa.DataType, str] = {
    pa.string(): "STRING",
    pa.binary(): "BINARY",
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP",
    VARIANT: "VARIANT",
}


def sql_type(kind: pa.DataType) -> str:
    """Return the Spark SQL type of an Arrow type.

    Raises
    ------
    TypeError
        If no Delta type holds it exactly (e.g. a timestamp without UTC).
    """
    if kind in SIMPLE:
        return SIMPLE[kind]
    if pa.types.is_decimal128(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_list(kind):
        return f"ARRAY<{sql_type(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"MAP<{sql_type(kind.key_type)},{sql_type(kind.item_type)}>"
    if pa.types.is_struct(kind):
        return "STRUCT<" + ",".join(f"{quoted(field.name)}:{sql_type(field.type)}" for field in kind) + ">"
    raise TypeError(f"no Spark type for Arrow type {kind}")


def quoted(name: str) -> str:
    """Return a column or table name in backquotes."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def is_required(contract: Contract, column: Column) -> bool:
    """Whether the contract forbids NULL in a column: key columns, and those declared so."""
    return not column.nullable or column.name in contract.key


def column_sql(contract: Contract, column: Column, comment: bool = True) -> str:
    """Return ``name TYPE [NOT NULL] [COMMENT '…']``."""
    required = " NOT NULL" if is_required(contract, column) else ""
    said = f" COMMENT {literal(column.comment)}" if comment else ""
    return f"{quoted(column.name)} {sql_type(column.type)}{required}{said}"


def schema_sql(contract: Contract) -> str:
    """Return the whole schema as DDL, e.g. for ``createDataFrame`` or ``mapInArrow``."""
    return ", ".join(column_sql(contract, column, comment=False) for column in contract.columns)


def table_properties(contract: Contract) -> dict[str, str]:
    """Return the Delta properties that every table of a contract has.

    Without statistics columns no column gets any (Delta's default, the first 32 columns, would put long values
    of identifiers into the log for nothing).
    """
    return {
        "delta.enableChangeDataFeed": "true",
        "delta.enableDeletionVectors": "true",
        "delta.dataSkippingStatsColumns": ",".join(contract.statistics_columns or contract.key),
    }


def create_schema_sql(zone: str) -> str:
    """Return the ``CREATE SCHEMA`` of a zone.

    Without a location on purpose: Spark's in-memory catalog removes a schema's folder when somebody drops it.
    """
    return f"CREATE SCHEMA IF NOT EXISTS {quoted(zone)}"


FINGERPRINT = "cairn.contract"
"""Table property with the fingerprint of the contract that the table follows."""


def fingerprint(contract: Contract) -> str:
    """Return a digest of all that a Delta table takes from its contract: columns, comments, clustering, properties."""
    properties = sorted(table_properties(contract).items())
    return hashlib.sha256(f"{_definition(contract)}{properties}".encode()).hexdigest()[:32]


def create_table_sql(contract: Contract, location: str, unnamed: bool = False) -> str:
    """Return the ``CREATE TABLE`` of a contract: types, NOT NULL, comments, clustering, properties.

    Parameters
    ----------
    contract : Contract
        The table.
    location : str
        Its root.
    unnamed : bool
        Whether the catalog shall not know of it.
    """
    properties = {**table_properties(contract), FINGERPRINT: fingerprint(contract)}
    listed = ", ".join(f"{literal(k)} = {literal(v)}" for k, v in properties.items())
    if unnamed:
        return f"{_definition(contract, f'delta.{quoted(location)}')}\nTBLPROPERTIES ({listed})"
    return f"{_definition(contract)}\nLOCATION {literal(location)}\nTBLPROPERTIES ({listed})"


def _definition(contract: Contract, name: str = "") -> str:
    columns = ",\n  ".join(column_sql(contract, column) for column in contract.columns)
    clustering = ", ".join(quoted(name) for name in contract.clustered_by)
    return (
        f"CREATE TABLE IF NOT EXISTS {name or contract.full_name} (\n  {columns}\n) USING DELTA\n"
        + (f"CLUSTER BY ({clustering})\n" if clustering else "")
        + f"COMMENT {literal(contract.comment)}"
    )
