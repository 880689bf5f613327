"""Bringing an existing Delta table up to its contract. Only :mod:`cairn.spark.store` uses this."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql.types import StructField, StructType

from cairn.errors import CairnError
from cairn.spark.schema import FINGERPRINT, fingerprint, literal, quoted, schema_sql, sql_type, table_properties
from cairn.tables.contract import Contract


def follow(spark: SparkSession, contract: Contract) -> None:
    """Add new columns, and let comments, clustering and properties follow; nothing is written when nothing differs.

    A column that the contract no longer has stays, with its rows' values, as long as it may be NULL.

    Raises
    ------
    CairnError
        CONTRACT_BROKEN when a column has another type, or a left-over column may not be NULL.
    """
    existing = {field.name: field for field in spark.table(contract.full_name).schema}
    _refuse_other_types(contract, existing)
    _add_columns(spark, contract, existing)
    _follow_comments(spark, contract, existing)
    _follow_properties(spark, contract)
    marked = f"{literal(FINGERPRINT)} = {literal(fingerprint(contract))}"  # last: a killed attempt is made again
    spark.sql(f"ALTER TABLE {contract.full_name} SET TBLPROPERTIES ({marked})")


def _refuse_other_types(contract: Contract, existing: dict[str, StructField]) -> None:
    schema = StructType.fromDDL(schema_sql(contract))
    assert isinstance(schema, StructType)
    for wanted in schema:
        found = existing.get(wanted.name)
        if found is not None and found.dataType.simpleString() != wanted.dataType.simpleString():
            kinds = f"{found.dataType.simpleString()}, not {wanted.dataType.simpleString()}"
            raise CairnError("CONTRACT_BROKEN", table=contract.full_name, why=f"its column {wanted.name} is {kinds}")
    names = {column.name for column in contract.columns}
    for field in existing.values():
        if field.name not in names and not field.nullable:
            why = f"its column {field.name} may not be NULL and the contract no longer has it"
            raise CairnError("CONTRACT_BROKEN", table=contract.full_name, why=why)


def _add_columns(spark: SparkSession, contract: Contract, existing: dict[str, StructField]) -> None:
    added = []
    previous = ""
    for column in contract.columns:
        if column.name not in existing:
            place = f" AFTER {quoted(previous)}" if previous else " FIRST"
            added.append(f"{quoted(column.name)} {sql_type(column.type)} COMMENT {literal(column.comment)}{place}")
        previous = column.name
    if added:
        spark.sql(f"ALTER TABLE {contract.full_name} ADD COLUMNS ({', '.join(added)})")


def _follow_comments(spark: SparkSession, contract: Contract, existing: dict[str, StructField]) -> None:
    for column in contract.columns:
        found = existing.get(column.name)
        if found is not None and found.metadata.get("comment", "") != column.comment:
            comment = literal(column.comment)
            spark.sql(f"ALTER TABLE {contract.full_name} ALTER COLUMN {quoted(column.name)} COMMENT {comment}")


def _follow_properties(spark: SparkSession, contract: Contract) -> None:
    detail = spark.sql(f"DESCRIBE DETAIL {contract.full_name}").first()
    assert detail is not None
    differing = {k: v for k, v in table_properties(contract).items() if detail["properties"].get(k) != v}
    if differing:
        pairs = ", ".join(f"{literal(k)} = {literal(v)}" for k, v in differing.items())
        spark.sql(f"ALTER TABLE {contract.full_name} SET TBLPROPERTIES ({pairs})")
    follow_clustering(spark, contract.full_name, contract)
    if (detail["description"] or "") != contract.comment:
        spark.sql(f"COMMENT ON TABLE {contract.full_name} IS {literal(contract.comment)}")


def follow_clustering(spark: SparkSession, table: str, contract: Contract) -> None:
    """Cluster a table, named as SQL does, by its contract's columns, when it is not."""
    detail = spark.sql(f"DESCRIBE DETAIL {table}").first()
    assert detail is not None
    if tuple(detail["clusteringColumns"] or ()) != contract.clustered_by:
        columns = ", ".join(quoted(name) for name in contract.clustered_by)
        spark.sql(f"ALTER TABLE {table} CLUSTER BY {f'({columns})' if columns else 'NONE'}")
