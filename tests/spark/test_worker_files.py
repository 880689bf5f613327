"""Files that workers write are, row by row, what Spark would have written; and Delta treats them alike."""

import datetime
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from cairn.errors import CairnError
from cairn.spark.delta_log import Token
from cairn.spark.schema import schema_sql
from cairn.spark.storage import Folder, disk_faults
from cairn.spark.worker_files import FileWriter, write_file
from cairn.tables.contract import FINDINGS, VARIANT, Column, Contract

MOMENT = pa.timestamp("us", tz="UTC")
LONG = "ä" * 40
COLUMNS = (
    Column("uri", pa.string(), "Key."),
    Column("name", pa.string(), "Text with statistics: long, not ASCII, NULL."),
    Column("day", pa.date32(), "A day."),
    Column("moment", MOMENT, "A moment."),
    Column("number", pa.int64(), "A whole number."),
    Column("real", pa.float64(), "A number."),
    Column("flag", pa.bool_(), "A truth.", nullable=False),
    Column("bytes", pa.binary(), "Bytes."),
    Column("numbers", pa.list_(pa.float64()), "Several numbers."),
    Column("findings", FINDINGS, "Findings."),
    Column("counts", pa.map_(pa.string(), pa.int64()), "Counts."),
    Column("empty", pa.string(), "Always NULL."),
    Column("header", VARIANT, "A VARIANT."),
)
PROBE = Contract(
    "identifiable",
    "probe",
    "one probe",
    ("uri",),
    COLUMNS,
    "A table with every type.",
    clustered_by=("name", "day"),
    statistics=("number", "moment"),
)
METADATA = b"\x01\x01\x00\x03abc"  # version 1, one name: abc


def variant(number):
    """The VARIANT of ``{"abc": number}``: an object of one field with an int8."""
    return {"value": bytes([0x02, 1, 0, 0, 2, 0x0C, number]), "metadata": METADATA}


def rows(count=6):
    made = []
    for n in range(count):
        empty = n % 3 == 2
        made.append(
            {
                "uri": f"file:///ä b/{n}",
                "name": [LONG + "z", "", None, LONG + "a", "Z", "\U0010ffff" * 40][n % 6],
                "day": None if empty else datetime.date(1500 + 100 * (n % 6), 2, 28),
                "moment": None if empty else datetime.datetime(1583 + n % 6, 1, 1, 0, 0, 0, 999_999, datetime.UTC),
                "number": None if empty else n - 2**62,
                "real": None if empty else n / 7,
                "flag": n % 2 == 0,
                "bytes": None if empty else bytes(range(n % 200)),
                "numbers": None if empty else [0.1, None, 3.0][: n % 4],
                "findings": None if empty else [{"code": "X", "place": None}] * (n % 2),
                "counts": None if empty else [("a", n)],
                "empty": None,
                "header": None if empty else variant(n % 100),
            }
        )
    return made


def table(count=6):
    return pa.Table.from_pylist(rows(count), schema=PROBE.arrow_schema)


def add_files(store, data, name="a.parquet", version=1):
    store.ensure(PROBE)
    add = write_file(PROBE, data, store.folder(PROBE), name, 1_700_000_000_000)
    return store.commit_files(PROBE, [add], Token("test", version))


def shown(frame):
    """All rows as plain values, VARIANT as JSON, in order."""
    return sorted(
        tuple(map(repr, row))
        for row in frame.withColumn("header", F.expr("to_json(header)")).select(*PROBE.arrow_schema.names).collect()
    )


def test_rows_read_back_as_those_that_spark_writes(store, spark):
    add_files(store, table())
    through_files = shown(store.read(PROBE))
    plain = [{**row, "header": None, "counts": dict(row["counts"]) if row["counts"] else None} for row in rows()]
    schema = schema_sql(PROBE)
    frame = spark.createDataFrame(plain, schema)
    json_text = F.expr("parse_json(concat('{\"abc\":', (number + 4611686018427387904), '}'))")
    frame = frame.withColumn("header", F.when(F.col("number").isNotNull(), json_text))
    store.replace(PROBE, frame)
    assert shown(store.read(PROBE)) == through_files
    assert len(through_files) == 6


def test_the_table_lives_on_as_any_other(store, spark):
    add_files(store, table(60))
    first = store.version(PROBE)
    name = PROBE.full_name
    spark.sql(f"UPDATE {name} SET number = 7 WHERE uri LIKE '%/3'")
    spark.sql(f"DELETE FROM {name} WHERE uri LIKE '%/4'")
    source = store.read(PROBE).where("uri LIKE '%/5'").withColumn("name", F.lit("merged"))
    store.upsert(PROBE, source.union(source.withColumn("uri", F.lit("new"))))
    changes = {
        row["_change_type"]: row["count"] for row in store.changes(PROBE, 1).groupBy("_change_type").count().collect()
    }
    assert changes == {
        "insert": 61,
        "update_preimage": 2,
        "update_postimage": 2,
        "delete": 1,
    }
    spark.sql(f"OPTIMIZE {name}")
    after = store.read(PROBE)
    assert after.count() == 60
    assert after.where("number = 7 AND uri LIKE '%/3'").count() == 1
    assert after.where("name = 'merged'").count() == 2
    assert store.read(PROBE, version=first).count() == 60
    assert shown(store.read(PROBE, version=first).where("uri LIKE '%/30'")) == shown(after.where("uri LIKE '%/30'"))
    assert after.where("variant_get(header, '$.abc', 'int') = 13").count() == 1


@pytest.mark.parametrize(
    ("condition", "matching"),
    [
        (f"name = '{LONG}z'", 1),
        (f"name = '{LONG}a'", 1),
        (f"name > '{LONG}'", 3),
        ("name = ''", 1),
        ("name IS NULL", 1),
        ("name = 'nobody'", 0),
        ("day = DATE'1500-02-28'", 1),
        ("day > DATE'2001-01-01'", 0),
        ("number = -4611686018427387900", 1),
        ("number < -4611686018427387904", 0),
        ("moment >= TIMESTAMP'1587-01-01 00:00:00.999999Z'", 1),
        ("moment > TIMESTAMP'1589-01-01 00:00:00Z'", 0),
    ],
)
def test_skipping_files_loses_no_row(probe_table, condition, matching):
    found = probe_table.where(condition)
    assert found.count() == matching


@pytest.fixture(scope="module")
def probe_table(spark, tmp_path_factory):
    """One file a row, so that a bound that is wrong loses exactly that row."""
    from spark_support import forget, made_settings

    from cairn.spark.store import Store

    forget(spark)
    store = Store(spark, made_settings(tmp_path_factory.mktemp("skipping")))
    data = table()
    for n in range(data.num_rows):
        add_files(store, data.slice(n, 1), f"{n}.parquet", version=n)
    yield store.read(PROBE)
    forget(spark)


def test_conditions_read_only_the_files_that_may_match(probe_table):
    assert len(probe_table.inputFiles()) == 6
    assert probe_table.where("number > 5").inputFiles() == []
    assert len(probe_table.where("number = -4611686018427387900").inputFiles()) == 1
    assert len(probe_table.where(f"name = '{LONG}z'").inputFiles()) == 2  # both long names share a prefix
    assert len(probe_table.where("day = DATE'1500-02-28'").inputFiles()) == 1


def test_a_file_with_no_rows(store):
    add_files(store, table(0))
    assert store.read(PROBE).count() == 0


def test_row_groups_are_bounded_and_the_footer_is_sparks(tmp_path):
    folder = Folder(str(tmp_path))
    data = table(3000)
    add = json.loads(write_file(PROBE, data, folder, "x.parquet", 1, row_group_bytes=50_000))["add"]
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert add["size"] == os.path.getsize(tmp_path / "x.parquet")
    assert file.metadata.num_row_groups >= data.nbytes // 60_000
    assert max(file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)) < 1000
    assert file.metadata.metadata[b"org.apache.spark.version"]
    assert b"ARROW:schema" not in file.metadata.metadata
    assert json.loads(add["stats"])["numRecords"] == 3000
    leaf = file.schema.column(file.schema.names.index("metadata"))
    assert leaf.max_definition_level == 1  # required within an optional group


def broken(change):
    data = table()
    if change == "order":
        return data.select(list(reversed(data.column_names)))
    if change == "missing":
        return data.drop_columns(["real"])
    if change == "extra":
        return data.append_column("more", pa.array([1] * 6))
    if change == "type":
        return data.set_column(4, pa.field("number", pa.int32()), pa.array([1] * 6, pa.int32()))
    flags = pa.array([True, None] * 3)
    return data.set_column(6, PROBE.arrow_schema.field("flag"), flags)


@pytest.mark.parametrize("change", ["order", "missing", "extra", "type", "null"])
def test_rows_that_break_the_contract_are_refused_and_leave_no_file(tmp_path, change):
    words = {"order": "order", "missing": "real", "extra": "more", "type": "int32", "null": "NULL in column flag"}
    with pytest.raises(CairnError, match=words[change]) as caught:
        write_file(PROBE, broken(change), Folder(str(tmp_path)), "x.parquet", 1)
    assert caught.value.code == "CONTRACT_BROKEN"
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_used_once(tmp_path):
    folder = Folder(str(tmp_path))
    write_file(PROBE, table(), folder, "x.parquet", 1)
    before = (tmp_path / "x.parquet").read_bytes()
    with pytest.raises(FileExistsError):
        FileWriter(PROBE, folder, "x.parquet", 1).close()
    assert (tmp_path / "x.parquet").read_bytes() == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_full_disk_has_its_code():
    with pytest.raises(CairnError) as caught, disk_faults("the zone"), open("/dev/full", "wb", buffering=0) as stream:
        stream.write(b"x")
    assert (caught.value.code, caught.value.exit_code) == ("NO_DISK", 4)
    with pytest.raises(FileNotFoundError), disk_faults("the zone"):
        os.stat("/dev/none/such")
