"""On a standalone cluster: an executor killed in mid-job costs its tasks, not a row, and nothing made before."""

import os
import signal
import subprocess
import sys

import fixed_sample
import pytest
import stage_sample
from spark_support import wait_for
from stage_sample import add_entries, sample_settings, table_rows

from cairn.spark.store import Store
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.quarantine import QUARANTINE

ENTRIES = 1500


@pytest.mark.cluster
@pytest.mark.slow
def test_an_executor_killed_in_mid_job(cluster, store, tmp_path):
    archive = Store(store.spark, sample_settings(store.settings))
    add_entries(archive, ENTRIES)
    command = [sys.executable, stage_sample.__file__, archive.settings.warehouse.root, str(tmp_path), "executor"]
    job = subprocess.Popen([*command, cluster.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        files = archive.folder(HEADER_BLOB)
        wait_for(lambda: job.poll() is not None or any(name.startswith("part-killed") for name in files.names()), 300)
        assert job.poll() is None, job.communicate()[1][-3000:]
        killed = cluster.kill_executor()
        _, said = job.communicate(timeout=300)
    finally:
        job.kill()
        job.wait()
    assert job.returncode == 0, said[-3000:]
    assert killed not in cluster.executors()
    good, bad = table_rows(archive, HEADER_BLOB), table_rows(archive, QUARANTINE)
    assert len(good) == len(set(good)) == ENTRIES - ENTRIES // 100
    assert len(bad) == len(set(bad)) == ENTRIES // 100


@pytest.mark.cluster
@pytest.mark.slow
def test_rows_that_were_fixed_outlive_the_executors_that_made_them(cluster, tmp_path):
    command = [sys.executable, fixed_sample.__file__, str(tmp_path / "warehouse"), str(tmp_path / "scratch")]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    job = subprocess.Popen([*command, cluster.url], text=True, **pipes)
    try:
        assert job.stdout.readline() == "kept\n", job.communicate()[1][-3000:]
        for executor in cluster.executors():
            os.kill(executor, signal.SIGKILL)
        said, faults = job.communicate("go on\n", timeout=300)
    finally:
        job.kill()
        job.wait()
    assert (job.returncode, said.split()) == (0, [str(fixed_sample.ROWS), "True"]), faults[-3000:]
