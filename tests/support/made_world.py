"""A made-up archive with its truth, and the tables that were made of it: made once for all tests of the pipelines."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pyarrow.parquet as pq
from spark_support import forget, made_settings

from cairn.pipelines.archive_to_tables import Done, run_stages
from cairn.pipelines.job import Job
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.synthetic.archive import synthesise


@dataclass
class World:
    """A made-up archive, its truth, the store that holds its tables, and what the run said."""

    archive: Path
    entries: dict[str, dict]
    series: list[dict]
    job: Job
    done: Done

    @property
    def store(self) -> Store:
        return self.job.store

    def path(self, uri: str) -> str:
        """Return an entry's path as the truth names it."""
        start = self.archive.as_uri() + "/"
        assert uri.startswith(start)
        return unquote_to_bytes(uri.removeprefix(start)).decode("utf-8", "surrogateescape")

    def by_path(self, contract, *columns: str, where: str = "true") -> dict[str, dict]:
        """Return a table's rows by path."""
        rows = self.store.read(contract).where(where).select("uri", *columns).collect()
        found = {self.path(row["uri"]): row.asDict() for row in rows}
        assert len(found) == len(rows)
        return found


def make_world(spark, folder: Path) -> World:  # type: ignore[no-untyped-def]
    """Make up an archive and run every stage on it."""
    synthesise(folder / "out", scale=0.1, seed=3)
    truth = pq.read_table(folder / "out" / "truth" / "entries.parquet").to_pylist()
    settings = made_settings(folder / "warehouse")
    forget(spark)
    job = Job(Store(spark, settings), Folder(str(folder / "scratch")).make(), clock(), sys.stderr)
    done = run_stages(job, [str(folder / "out" / "archive")])
    entries = {row["raw_path"].decode("utf-8", "surrogateescape"): row for row in truth}
    assert len(entries) == len(truth)
    series = pq.read_table(folder / "out" / "truth" / "series.parquet").to_pylist()
    return World(folder / "out" / "archive", entries, series, job, done)


def clock():
    """Return a clock that starts on a fixed day and ticks a second at each look."""
    moment = [1_800_000_000.0]

    def tick() -> float:
        moment[0] += 1
        return moment[0]

    return tick
