"""The stage runner: nothing lost, nothing twice, wherever it is stopped."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from stage_sample import SAMPLE, add_entries, runs, sample_settings, table_rows

from cairn.errors import CairnError
from cairn.spark import intents, plan
from cairn.spark import stage as stage_module
from cairn.spark.ledger import Run, version_read
from cairn.spark.stage import as_cairn_error, run_stage
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.run import RUN, RUN_BATCH

ENTRIES = 3000


class Stopped(BaseException):
    """Stands for a kill: no error handling may catch it."""


@pytest.fixture
def archive(spark, store, tmp_path):
    made = Store(spark, sample_settings(store.settings))
    add_entries(made, ENTRIES)
    return made


def run(store, name, tmp_path, stage=SAMPLE, clock=None):
    ticks = iter(range(1_700_000_000, 1_800_000_000))
    done = Run(name, stage.name, clock or (lambda: float(next(ticks))))
    return run_stage(stage, store, done, Folder(str(tmp_path / f"scratch {name}")), io.StringIO()).counts


def assert_complete(store):
    good, bad = table_rows(store, HEADER_BLOB), table_rows(store, QUARANTINE)
    assert len(good) == len(set(good)) == ENTRIES - ENTRIES // 100
    assert len(bad) == len(set(bad)) == ENTRIES // 100
    assert not set(good) & set(bad)
    assert intents.folder(store).names() == []


def test_everything_once_and_a_second_run_changes_nothing(archive, tmp_path):
    counts = run(archive, "one", tmp_path)
    assert_complete(archive)
    assert counts["found"] == counts["entries"] == counts["header_blob"] + counts["quarantine"] == counts["seen"] == ENTRIES
    versions = [archive.version(c) for c in (HEADER_BLOB, QUARANTINE)]
    counts = run(archive, "two", tmp_path)
    assert (counts["unchanged"], counts["entries"]) == (ENTRIES, 0)
    assert [archive.version(c) for c in (HEADER_BLOB, QUARANTINE)] == versions
    batches = archive.read(RUN_BATCH).orderBy("batch").collect()
    assert [row["batch"] for row in batches] == list(range(1, len(batches) + 1)) and len(batches) >= 3
    assert sum(row["entries"] for row in batches) == ENTRIES
    ledger = {row["run"]: row for row in archive.read(RUN).collect()}
    assert {row["status"] for row in ledger.values()} == {"done"}
    assert ledger["one"]["counts"]["entries"] == ENTRIES
    assert ledger["one"]["versions_written"]["identifiable.header_blob"] == versions[0]
    assert ledger["two"]["last_run_of_job"] == "one"
    assert ledger["one"]["settings_hash"] == archive.settings.digest
    assert version_read(archive, "sample", "identifiable.archive_entry") == archive.version(ARCHIVE_ENTRY)


def test_changed_and_retried_entries_replace_their_rows(archive, spark, tmp_path):
    run(archive, "one", tmp_path)
    spark.sql("UPDATE identifiable.archive_entry SET content_version = 'v2' WHERE size % 100 IN (0, 99)")
    spark.sql("UPDATE identifiable.quarantine SET code = 'READ_FAILED' WHERE uri LIKE '%/000199'")
    counts = run(archive, "two", tmp_path)
    assert counts["entries"] == 2 * ENTRIES // 100
    assert_complete(archive)
    assert {row["content_version"] for row in archive.read(QUARANTINE).collect()} == {"v2"}
    assert archive.read(HEADER_BLOB).where("content_version = 'v2'").count() == ENTRIES // 100
    spark.sql("UPDATE identifiable.quarantine SET code = 'READ_FAILED' WHERE uri LIKE '%/000199'")
    assert run(archive, "three", tmp_path)["entries"] == 1
    assert_complete(archive)


POINTS = ["planned", "job done", "intent noted", "one table committed", "all committed", "second batch"]


@pytest.mark.parametrize("point", POINTS)
def test_stopped_anywhere_and_run_again(archive, tmp_path, monkeypatch, point):
    stop_at(monkeypatch, point)
    with pytest.raises(Stopped):
        run(archive, "one", tmp_path)
    monkeypatch.undo()
    seen = len(table_rows(archive, HEADER_BLOB))
    counts = run(archive, "two", tmp_path)
    assert_complete(archive)
    assert counts["batches_rolled_forward"] == int(point in ("intent noted", "one table committed", "all committed"))
    assert (counts["unchanged"] > 0) == (point not in ("planned", "job done"))
    assert counts["unchanged"] < ENTRIES
    assert (seen > 0) == (point in ("one table committed", "all committed", "second batch"))


def stop_at(monkeypatch, point):
    """Let the runner stop at a point of its way, as a kill there would."""
    calls = []
    real_write, real_commit = Folder.write, Store.commit_files
    real_job, real_plan, real_remove = stage_module._Batches._job, plan.write, Folder.remove

    def job(self, task):
        calls.append("job")
        if point == "second batch" and calls.count("job") == 2:
            raise Stopped
        rows = real_job(self, task)
        if point == "job done":
            raise Stopped
        return rows

    def planned(*args):
        made = real_plan(*args)
        if point == "planned":
            raise Stopped
        return made

    def write(self, name, content):
        real_write(self, name, content)
        if point == "intent noted" and self.uri.endswith("_intents"):
            raise Stopped

    def commit_files(self, contract, adds, token):
        if point == "one table committed" and token.application.startswith("cairn/sample") and "commit" in calls:
            raise Stopped
        version = real_commit(self, contract, adds, token)
        calls.append("commit" if token.application.startswith("cairn/sample") else "ledger")
        return version

    def remove(self, name):
        if point == "all committed" and self.uri.endswith("_intents"):
            raise Stopped
        real_remove(self, name)

    monkeypatch.setattr(stage_module._Batches, "_job", job)
    monkeypatch.setattr(plan, "write", planned)
    monkeypatch.setattr(Folder, "write", write)
    monkeypatch.setattr(Folder, "remove", remove)
    monkeypatch.setattr(Store, "commit_files", commit_files)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["in a worker", "one table committed"])
def test_a_real_sigkill(archive, tmp_path, point):
    script = Path(__file__).with_name("stage_sample.py")
    warehouse = archive.settings.warehouse.root
    killed = subprocess.run([sys.executable, str(script), warehouse, str(tmp_path), point], capture_output=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    locks = Folder(archive.settings.zone_root("identifiable")).child("_locks")
    assert locks.names() == ["sample.lock"]  # nobody cleaned up
    assert runs(archive) == {"killed": "running"}
    run(archive, "after", tmp_path)
    assert_complete(archive)
    assert runs(archive) == {"killed": "killed", "after": "done"}


def failing(kind):
    def work(batches):
        for batch in batches:
            if kind == "lost":
                continue
            if kind == "value":
                raise ValueError("file:///patients/0101011234.dcm")
            yield "header_blob", batch

    return work


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("value", "STAGE_FAILED", "ValueError at test_stage.py"),
        ("lost", "ENTRIES_LOST", "given 1001 entries and accounted for 0"),
        ("contract", "CONTRACT_BROKEN", "identifiable.header_blob breaks its contract"),
    ],
)
def test_a_failing_worker_has_a_code_and_tells_no_value(archive, tmp_path, kind, code, says):
    from dataclasses import replace

    with pytest.raises(CairnError) as caught:
        run(archive, "one", tmp_path, replace(SAMPLE, work=failing(kind)))
    assert caught.value.code == code
    assert says.split("given")[0] in str(caught.value)
    assert "0101011234" not in str(caught.value)
    row = archive.read(RUN).first()
    assert (row["status"], row["code"]) == ("failed", code)
    files = [path for path in Path(archive.folder(HEADER_BLOB).path).glob("*.parquet")]
    assert files == []
    run(archive, "two", tmp_path)
    assert_complete(archive)


def test_two_runs_of_one_stage(archive, tmp_path):
    from cairn.spark.liveness import StageLock

    locks = Folder(archive.settings.zone_root("identifiable")).child("_locks")
    with StageLock(locks, "sample", "other", lambda: 1.7e9, 10, 120):
        with pytest.raises(CairnError) as caught:
            run(archive, "one", tmp_path)
    assert caught.value.code == "STAGE_BUSY"
    assert table_rows_or_none(archive) is None
    run(archive, "two", tmp_path)
    assert_complete(archive)


def table_rows_or_none(store):
    return table_rows(store, HEADER_BLOB) if store.exists(HEADER_BLOB) else None


def test_a_run_that_lost_its_lock_commits_nothing(archive, tmp_path, monkeypatch):
    real = stage_module._Batches._job

    def job(self, task):
        rows = real(self, task)
        Folder(archive.settings.zone_root("identifiable")).child("_locks").remove("sample.lock")
        return rows

    monkeypatch.setattr(stage_module._Batches, "_job", job)
    with pytest.raises(CairnError) as caught:
        run(archive, "one", tmp_path)
    assert caught.value.code == "STAGE_BUSY"
    assert table_rows(archive, HEADER_BLOB) == []


def test_a_half_committed_batch_whose_files_are_gone_is_told(archive, tmp_path, monkeypatch):
    stop_at(monkeypatch, "one table committed")
    with pytest.raises(Stopped):
        run(archive, "one", tmp_path)
    monkeypatch.undo()
    for contract in (QUARANTINE, RUN_BATCH):
        for path in Path(archive.folder(contract).path).glob("*.parquet"):
            path.unlink()
    with pytest.raises(CairnError) as caught:
        run(archive, "two", tmp_path)
    assert caught.value.code == "INTENT_BROKEN"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("... CairnError: [NO_DISK] There is no space left at /zone. Free some.\n  at org.apache", "NO_DISK"),
        ("java.io.IOException: No space left on device", "STAGE_FAILED"),
        ("Python worker exited unexpectedly (crashed)", "STAGE_FAILED"),
        ("java.lang.OutOfMemoryError: file:///secret", "STAGE_FAILED"),
    ],
)
def test_what_spark_says_becomes_a_code(text, code):
    fault = as_cairn_error(text, "sample")
    assert fault.code == code
    assert "secret" not in str(fault)
    assert os.fspath("/zone") in str(fault) if code == "NO_DISK" else True
