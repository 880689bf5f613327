"""The registry finds every contract, and the data dictionary is made from it."""

from pathlib import Path

import pyarrow as pa

from cairn.spark.schema import create_table_sql, sql_type
from cairn.tables import dictionary
from cairn.tables.contract import VARIANT
from cairn.tables.registry import contract, contracts

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_tables_of_this_capability_are_there():
    wanted = {"archive_entry", "header_blob", "instance", "quarantine", "run", "run_batch"}
    assert {f"identifiable.{name}" for name in wanted} <= contracts().keys()
    assert contract("identifiable.header_blob").key == ("uri",)


def test_every_contract_has_spark_types_and_comments():
    for made in contracts().values():
        text = create_table_sql(made, "/a b/c")
        assert all(column.comment for column in made.columns)
        assert text.count("COMMENT ") == len(made.columns) + 1


def test_types_of_the_dictionary_are_those_of_sql():
    for made in contracts().values():
        for column in made.columns:
            shown = dictionary.type_name(column.type).replace(" ", "").upper()
            assert shown == sql_type(column.type).replace("`", "").replace(" ", "").upper(), column.name


def test_a_variant_within_a_list_is_still_one():
    assert sql_type(pa.list_(VARIANT)) == "ARRAY<VARIANT>"


def test_the_page_is_current():
    page = (DOCS / "data-dictionary.md").read_text()
    assert page == dictionary.page(), "run python -m cairn.tables.dictionary > docs/data-dictionary.md"
