"""Tables that leave: the same bytes for the same rows in whatever order, read by Parquet's and Delta's readers."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cairn.spark import delivered_table
from cairn.spark.delivered_table import write_table
from cairn.spark.storage import Folder

ID = "11111111-2222-5333-8444-555555555555"
ROWS = [(f"p{n % 7}", n, n / 3, [n, None], None if n % 5 else "ä") for n in range(200)]
COLUMNS = "person_id string, number bigint, share double, many array<bigint>, text string"


def written(spark, folder: Path, rows: list, partitions: int) -> dict[str, bytes]:  # type: ignore[no-untyped-def]
    frame = spark.createDataFrame(rows, COLUMNS).repartition(partitions)
    count = write_table(frame, Folder(str(folder)), ID, {"number": "Which."}, "A table.")
    assert count == len(rows)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".crc"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("rows_per_file", [500_000, 60])
def test_equal_rows_equal_bytes_and_both_readers_agree(spark, tmp_path, monkeypatch, rows_per_file: int) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(delivered_table, "ROWS_PER_FILE", rows_per_file)
    first = written(spark, tmp_path / "a", ROWS, 1)
    assert written(spark, tmp_path / "b c", ROWS[::-1], 5) == first
    assert written(spark, tmp_path / "a", ROWS[50:] + ROWS[:50], 3) == first, "what was there is replaced"
    assert len(first) == 2 if rows_per_file > 200 else len(first) > 3
    delta = spark.read.format("delta").load(str(tmp_path / "a"))
    told = sorted(tuple(row) for row in delta.collect())
    assert told == sorted(ROWS)
    assert (
        sorted(tuple(row.values()) for row in pq.read_table(tmp_path / "a", columns=delta.columns).to_pylist()) == told
    )
    assert delta.schema["number"].metadata == {"comment": "Which."}
    log = [json.loads(line) for line in first["_delta_log/00000000000000000000.json"].splitlines()]
    assert {action["add"]["modificationTime"] for action in log if "add" in action} == {0}


def test_a_table_without_rows_is_one_all_the_same(spark, tmp_path) -> None:  # type: ignore[no-untyped-def]
    made = written(spark, tmp_path / "empty", [], 2)
    assert spark.read.format("delta").load(str(tmp_path / "empty")).count() == 0
    assert pq.read_table(tmp_path / "empty" / "part-00000.parquet").column_names[:2] == ["person_id", "number"]
    adds = [json.loads(line) for line in made["_delta_log/00000000000000000000.json"].splitlines()]
    assert [next(iter(action)) for action in adds] == ["protocol", "metaData", "add"]
