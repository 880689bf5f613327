"""All stages on a standalone cluster, killed at several moments and run again: the tables of an undisturbed run."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import whole_run
from pyspark.sql import functions as F
from spark_support import forget, wait_for

from cairn.pipelines.archive_to_tables import run_stages
from cairn.pipelines.job import Job
from cairn.spark import intents
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.synthetic.archive import synthesise
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.series import SERIES
from cairn.tables.study import STUDY_TABLE

TABLES = (ARCHIVE_ENTRY, HEADER_BLOB, INSTANCE, QUARANTINE, PIXEL_STATISTICS, TEXT_SEARCH, BURNED_IN_TEXT, SERIES,
          STUDY_TABLE)  # fmt: skip
OF_THE_RUN = {"run", "first_seen_run", "last_seen_run", "worker_seconds", "seconds"}
KILLS = [("file:instance", None), ("wrote:instance", "header_blob"), ("wrote:series", "pixel_statistics")]
"""When driver and JVM are killed; and the table during whose writing an executor, then a worker is."""


@pytest.fixture
def start(tmp_path):
    """Start runs of all stages; none of them outlives the test."""
    runs = []

    def start(master, point, archive):
        folders = [str(tmp_path / "killed"), str(tmp_path / f"scratch {len(runs)}")]
        command = [sys.executable, whole_run.__file__, *folders, point, master, archive]
        runs.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()
        run.wait()


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.long
def test_killed_at_several_moments_an_executor_and_a_worker_too_and_run_again(cluster, spark, tmp_path, start):
    synthesise(tmp_path / "made", scale=0.02, seed=5)
    archive = str(tmp_path / "made" / "archive")
    for point, table in KILLS:
        files = tmp_path / "killed" / "identifiable" / str(table)
        before = set(files.glob("*.parquet"))
        run = start(cluster.url, point, archive)
        if table:
            wait_for(lambda run=run, f=files, b=before: run.poll() is not None or set(f.glob("*.parquet")) - b, 600)
            assert run.poll() is None, run.communicate()[1][-3000:]
            kill_an_executor(cluster) if table == "header_blob" else cluster.kill_worker()
        _, said = run.communicate(timeout=600)
        assert run.returncode == -signal.SIGKILL, (point, said[-3000:])
    assert len(cluster.workers) == 1
    run = start(cluster.url, "never", archive)
    out, said = run.communicate(timeout=600)
    assert run.returncode == 0, said[-3000:]
    assert json.loads(out.splitlines()[-1])["adds_up"]

    killed = tables(spark, tmp_path / "killed")
    forget(spark)
    store = Store(spark, whole_run.run_settings(str(tmp_path / "undisturbed"), "local[2]"))
    run_stages(Job(store, Folder(str(tmp_path / "own")).make(), time.time, sys.stderr), [archive])
    undisturbed = tables(spark, tmp_path / "undisturbed")
    for name, rows in undisturbed.items():
        assert killed[name] == rows, name
    assert all(undisturbed[name] for name in ("identifiable.instance", "identifiable.study"))


def kill_an_executor(cluster) -> None:
    killed = cluster.kill_executor()
    wait_for(lambda: killed not in cluster.executors(), 60)


def tables(spark, warehouse: Path) -> dict[str, list[str]]:
    """All rows of all tables as sorted text, without what names the run or its time."""
    forget(spark)
    store = Store(spark, whole_run.run_settings(str(warehouse), "local[2]"))
    assert intents.folder(store).names() == []
    found = {}
    for contract in TABLES:
        frame = store.read(contract)
        kept = [F.col(name) for name in frame.columns if name not in OF_THE_RUN]
        rows = frame.select(F.to_json(F.struct(*kept)).alias("row")).collect()
        found[contract.full_name] = sorted(row["row"] for row in rows)
    forget(spark)
    return found
