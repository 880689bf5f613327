"""The store: creates, extends, refuses, and writes each thing once."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from cairn.errors import CairnError
from cairn.spark.delta_log import Token
from cairn.spark.schema import schema_sql
from cairn.spark.upkeep import compact
from cairn.tables.contract import Column, Contract

KEYED = (
    Column("uri", pa.string(), "Address of the entry's file."),
    Column("state", pa.string(), "State.", nullable=False),
    Column("size", pa.int64(), "Bytes."),
    Column("counts", pa.map_(pa.string(), pa.int64()), "Counts."),
)


def contract(columns=KEYED, **changed):
    given = {"comment": "A table's comment.", "clustered_by": ("state",), "statistics": ("uri",), **changed}
    return Contract("identifiable", "thing", "one thing", ("uri",), columns, **given)


THING = contract()


def frame(spark, *rows, schema=None):
    return spark.createDataFrame([(*row, {"n": 1}) for row in rows], schema or schema_sql(THING))


def test_ensure_says_in_delta_what_the_contract_says(store, spark):
    store.ensure(THING)
    detail = spark.sql("DESCRIBE DETAIL identifiable.thing").first()
    assert detail["clusteringColumns"] == ["state"]
    assert detail["description"] == "A table's comment."
    assert detail["properties"]["delta.enableChangeDataFeed"] == "true"
    assert detail["properties"]["delta.enableDeletionVectors"] == "true"
    assert detail["properties"]["delta.dataSkippingStatsColumns"] == "state,uri"
    fields = {field.name: field for field in store.read(THING).schema}
    assert [name for name, field in fields.items() if not field.nullable] == ["uri", "state"]
    assert fields["uri"].metadata["comment"] == "Address of the entry's file."


def test_ensure_again_writes_nothing(store):
    store.ensure(THING)
    version = store.version(THING)
    store.ensure(THING)
    assert store.version(THING) == version == 0


def test_a_grown_contract_grows_its_table(store, spark):
    store.ensure(THING)
    store.append(THING, frame(spark, ("a", "present", 1)))
    more = (*KEYED[:2], Column("kind", pa.string(), "Kind."), *KEYED[2:])
    recommented = tuple(Column("size", pa.int64(), "Bytes, new.") if c.name == "size" else c for c in more)
    grown = contract(recommented, statistics=("uri", "kind"), clustered_by=("kind",), comment="New.")
    store.ensure(grown)
    row = store.read(grown).first()
    assert store.read(grown).columns == ["uri", "state", "kind", "size", "counts"]
    assert (row["uri"], row["kind"], row["size"]) == ("a", None, 1)
    detail = spark.sql("DESCRIBE DETAIL identifiable.thing").first()
    assert detail["clusteringColumns"] == ["kind"]
    assert detail["description"] == "New."
    assert detail["properties"]["delta.dataSkippingStatsColumns"] == "kind,uri"
    assert store.read(grown).schema["size"].metadata["comment"] == "Bytes, new."
    version = store.version(grown)
    store.ensure(grown)
    assert store.version(grown) == version


def test_a_changed_type_is_refused(store):
    store.ensure(THING)
    other = tuple(Column("size", pa.string(), "Bytes.") if c.name == "size" else c for c in KEYED)
    with pytest.raises(CairnError, match="size is bigint, not string"):
        store.ensure(contract(other))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda f: f.drop("size"), "columns size are missing"),
        (lambda f: f.withColumn("more", F.lit(1)), "columns more are not in it"),
        (lambda f: f.withColumn("size", F.lit("x")), "column size is string, not bigint"),
        (lambda f: f.union(f), r"\(uri\) is not unique"),
        (lambda f: f.withColumn("state", F.lit(None).cast("string")), "NULL in column state"),
    ],
)
@pytest.mark.parametrize("way", ["append", "upsert", "replace"])
def test_a_frame_that_breaks_the_contract_is_refused(store, spark, change, why, way):
    store.ensure(THING)
    with pytest.raises(CairnError, match=why) as caught:
        getattr(store, way)(THING, change(frame(spark, ("a", "present", 1))))
    assert caught.value.code == "CONTRACT_BROKEN"
    assert store.version(THING) == 0


def test_append_with_a_token_happens_once(store, spark):
    store.ensure(THING)
    for version in (1, 1, 2, 1):
        store.append(THING, frame(spark, (f"v{version}", "present", 1)), Token("job", version))
    assert sorted(row["uri"] for row in store.read(THING).collect()) == ["v1", "v2"]


def test_upsert_touches_only_what_differs(store, spark):
    store.ensure(THING)
    store.append(THING, frame(spark, ("a", "present", 1), ("b", "present", None)))
    version = store.version(THING)
    store.upsert(THING, frame(spark, ("a", "present", 1), ("b", "present", None)))
    assert store.changes(THING, version + 1).count() == 0 if store.version(THING) > version else True
    before = store.version(THING)
    store.upsert(THING, frame(spark, ("b", "gone", 2), ("c", "present", 3), ("a", "present", 1)))
    changes = sorted((r["uri"], r["_change_type"]) for r in store.changes(THING, before + 1).collect())
    assert changes == [("b", "update_postimage"), ("b", "update_preimage"), ("c", "insert")]


def test_upsert_ignores_columns_that_are_no_change(store, spark):
    store.ensure(THING)
    store.append(THING, frame(spark, ("a", "present", 1)))
    store.upsert(THING, frame(spark, ("a", "present", 2)), ignore=("size",))
    assert store.read(THING).first()["size"] == 1


def test_a_table_that_is_replaced_stays_clustered(store, spark):
    store.ensure(THING)
    store.append(THING, frame(spark, ("a", "present", 1)))
    store.replace(THING, frame(spark, ("b", "gone", 2)), Token("job", 1))
    assert [row["uri"] for row in store.read(THING).collect()] == ["b"]
    assert spark.sql("DESCRIBE DETAIL identifiable.thing").first()["clusteringColumns"] == ["state"]


def test_delete_keys_twice(store, spark):
    store.ensure(THING)
    store.append(THING, frame(spark, ("a", "present", 1), ("b", "present", 2)))
    keys = spark.createDataFrame([("a",), ("a",), ("z",)], "uri string")
    store.delete_keys(THING, keys)
    store.delete_keys(THING, keys)
    assert [row["uri"] for row in store.read(THING).collect()] == ["b"]


def test_a_missing_table_names_the_job(store):
    with pytest.raises(CairnError) as caught:
        store.read(THING)
    assert caught.value.code == "TABLE_MISSING"
    assert store.version(THING) is None


def test_rows_from_the_driver(store):
    store.ensure(THING)
    row = {"uri": "a", "state": "present", "size": 1, "counts": {"x": 2}}
    assert store.append_rows(THING, [row], Token("t", 1), 0) == 1
    assert store.read(THING).first().asDict() == row


def test_tables_are_found_again_by_a_new_catalog(store, spark, settings):
    from spark_support import forget

    from cairn.spark import session

    store.ensure(THING)
    store.append(THING, frame(spark, ("a", "present", 1)))
    forget(spark)
    session.register(spark, settings)
    assert spark.sql("SELECT uri FROM identifiable.thing").first()["uri"] == "a"


def test_dropping_a_schema_leaves_the_files(store, spark, settings):
    from spark_support import forget

    store.ensure(THING)
    store.append(THING, frame(spark, ("a", "present", 1)))
    forget(spark)
    assert store.exists(THING)
    assert store.read(THING).count() == 1


def test_a_table_without_files_is_known_as_empty_and_filled_without_a_merge(store, spark):
    store.ensure(THING)
    assert store.is_empty(THING)
    before = store.version(THING)
    store.delete_keys(THING, frame(spark, ("a", "present", 1)))
    assert store.version(THING) == before, "there was nothing to delete"
    store.upsert(THING, frame(spark, ("a", "present", 1), ("b", "present", 2)))
    assert not store.is_empty(THING)
    store.upsert(THING, frame(spark, ("b", "gone", 2), ("c", "present", 3)))
    assert sorted((r["uri"], r["state"]) for r in store.read(THING).collect()) == [
        ("a", "present"), ("b", "gone"), ("c", "present")
    ]  # fmt: skip
    assert [r["operation"] for r in spark.sql("DESCRIBE HISTORY identifiable.thing").collect()] == [
        "MERGE", "WRITE", "CREATE TABLE"
    ]  # fmt: skip


def test_an_empty_table_still_refuses_repeated_keys_and_null(store, spark):
    store.ensure(THING)
    with pytest.raises(CairnError, match="is not unique"):
        store.upsert(THING, frame(spark, ("a", "present", 1), ("a", "present", 2)))
    nullable = schema_sql(THING).replace(" NOT NULL", "")
    with pytest.raises(CairnError, match="NULL in column state"):
        store.upsert(THING, frame(spark, ("a", None, 1), schema=nullable), unique=True)
    assert store.is_empty(THING)


def test_rows_that_come_and_rows_that_go_are_one_commit_also_with_maps(store, spark):
    store.ensure(THING)
    store.merge(THING, frame(spark, ("a", "present", 1), ("b", "present", 2)), frame(spark, ("z", "present", 1)))
    before = store.version(THING)
    store.merge(THING, frame(spark, ("a", "present", 1), ("c", "present", 3)), frame(spark, ("b", "present", 2)))
    assert store.version(THING) == before + 1
    assert sorted(r["uri"] for r in store.read(THING).collect()) == ["a", "c"]
    changes = store.changes(THING, before + 1).select("uri", "_change_type").collect()
    assert sorted(map(tuple, changes)) == [("b", "delete"), ("c", "insert")], "an equal row with a map is not touched"


def test_a_table_that_was_emptied_keeps_its_clustering_when_it_is_filled_anew(store, spark):
    store.ensure(THING)
    store.append(THING, frame(spark, ("a", "present", 1)))
    store.replace(THING, frame(spark, ("b", "present", 1)))
    store.replace(THING, frame(spark, ("c", "present", 1)).limit(0))
    store.replace(THING, frame(spark, ("d", "present", 1)))
    assert [r["uri"] for r in store.read(THING).collect()] == ["d"]
    assert spark.sql("DESCRIBE DETAIL identifiable.thing").first()["clusteringColumns"] == ["state"]


def test_what_spark_writes_is_compressed_as_the_workers_compress(store, spark):
    store.ensure(THING)
    for number in (1, 2):
        store.append(THING, frame(spark, (f"a{number}", "present", 1)))
    compact(store, THING, 1 << 28)
    footers = [pq.read_metadata(path) for path in Path(store.folder(THING).path).glob("*.parquet")]
    assert len(footers) > 2, "the two that were appended, and the one that both became"
    groups = [footer.row_group(number) for footer in footers for number in range(footer.num_row_groups)]
    assert {group.column(place).compression for group in groups for place in range(group.num_columns)} == {"ZSTD"}
