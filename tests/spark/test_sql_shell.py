"""The SQL shell: splits, reads, refuses to write."""

import io

import pyarrow as pa
import pytest

from cairn.errors import CairnError
from cairn.spark.delta_log import Token
from cairn.spark.sql_shell import aligned, converse, run, statements
from cairn.tables.contract import Column, Contract

THING = Contract(
    "identifiable",
    "thing",
    "one thing",
    ("uri",),
    (Column("uri", pa.string(), "Key."), Column("size", pa.int64(), "Bytes.")),
    "Things.",
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("select 1; select 2", (["select 1"], "select 2")),
        ("select ';' ; -- a; b\nselect `;`;", (["select ';'", "-- a; b\nselect `;`"], "")),
        ("select 'it\\'s;' /* ; */;;", (["select 'it\\'s;' /* ; */"], "")),
        ("select 'open;", ([], "select 'open;")),
        ("", ([], "")),
    ],
)
def test_statements_end_at_semicolons_outside_quotes(text, wanted):
    assert statements(text) == wanted


def test_numbers_stand_right_and_null_is_empty():
    assert aligned(["name", "n"], [("a", 10), (None, 2)]) == ["name   n", "----  --", "a     10", "       2"]


@pytest.fixture
def thing(store):
    store.ensure(THING)
    store.append_rows(THING, [{"uri": "a", "size": 1}, {"uri": "b", "size": 2}], Token("t", 1), 0)
    return store


def test_queries_and_harmless_commands_run(thing, spark):
    for statement, said in {
        "select uri, size from identifiable.thing order by 1": "a       1",
        "with t as (select max(size) as m from identifiable.thing) select m from t": "2",
        "show tables in identifiable": "thing",
        "describe identifiable.thing": "Bytes.",
        "explain select 1": "Physical Plan",
        "create temporary view v as select 3": "(0 rows)",
        "select * from v": "3",
        "use identifiable": "(0 rows)",
    }.items():
        out = io.StringIO()
        run(spark, statement, 10, out)
        assert said in out.getvalue(), statement
    spark.sql("use default")
    spark.catalog.dropTempView("v")


def test_a_long_answer_is_cut_and_says_so(spark):
    out = io.StringIO()
    assert run(spark, "select id from range(5)", 3, out) == 3
    assert "(3 rows, more not shown)" in out.getvalue()


@pytest.mark.parametrize(
    "statement",
    [
        "delete from identifiable.thing",
        "update identifiable.thing set size = 0",
        "insert into identifiable.thing values ('c', 3)",
        "with s as (select 'c', 3) insert into identifiable.thing select * from s",
        "merge into identifiable.thing t using identifiable.thing s on t.uri = s.uri when matched then delete",
        "drop table identifiable.thing",
        "drop schema identifiable cascade",
        "create table identifiable.other as select 1",
        "create view other as select 1",
        "alter table identifiable.thing add columns (x int)",
        "truncate table identifiable.thing",
        "vacuum identifiable.thing retain 0 hours",
        "optimize identifiable.thing",
        "restore table identifiable.thing to version as of 0",
        "insert overwrite directory '/tmp/x' using parquet select * from identifiable.thing",
        "add jar '/tmp/x.jar'",
    ],
)
def test_whatever_writes_is_refused(thing, spark, statement):
    version = thing.version(THING)
    with pytest.raises(CairnError) as caught:
        run(spark, statement, 10, io.StringIO())
    assert caught.value.code == "SQL_WRITES"
    assert thing.version(THING) == version


def test_a_mistake_is_one_sentence(spark):
    with pytest.raises(CairnError) as caught:
        run(spark, "select nothing from identifiable.absent", 10, io.StringIO())
    assert caught.value.code == "SQL_FAILED"
    assert "\n" not in str(caught.value)


def test_a_conversation_goes_on_after_a_mistake(spark, monkeypatch):
    said = iter(["select", "1 as one;", "selekt 2;", "", "select 3 as three;", "exit", "never read"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(said))
    out, err = io.StringIO(), io.StringIO()
    assert converse(spark, 10, out, err) == 2
    assert "one" in out.getvalue() and "three" in out.getvalue()
    assert "SQL_FAILED" in err.getvalue()
