"""The stage runner: nothing lost, nothing twice, wherever it is stopped.

One run costs a few seconds of JVM, so a test walks through several situations with one archive.
"""

import io
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import stage_sample
from spark_support import forget, made_settings
from stage_sample import SAMPLE, add_entries, bulky_work, failing_work, runs, sample_settings, table_rows

from cairn.errors import CairnError
from cairn.spark import intents, plan
from cairn.spark import stage as stage_module
from cairn.spark.ledger import Run, version_read
from cairn.spark.liveness import StageLock
from cairn.spark.stage import as_cairn_error, run_stage
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.run import RUN, RUN_BATCH

ENTRIES = 2000


class Stopped(BaseException):
    """Stands for a kill: no error handling may catch it."""


@pytest.fixture
def archive(store):
    made = Store(store.spark, sample_settings(store.settings))
    add_entries(made, ENTRIES)
    return made


def run(store, name, tmp_path, stage=SAMPLE):
    ticks = iter(range(1_700_000_000, 1_800_000_000))
    started = Run(name, stage.name, lambda: float(next(ticks)))
    return run_stage(stage, store, started, Folder(str(tmp_path / f"scratch {name}")), io.StringIO()).counts


def locks(store):
    return Folder(store.settings.zone_root("identifiable")).child("_locks")


def assert_complete(store):
    good, bad = table_rows(store, HEADER_BLOB), table_rows(store, QUARANTINE)
    assert len(good) == len(set(good)) == ENTRIES - ENTRIES // 100
    assert len(bad) == len(set(bad)) == ENTRIES // 100
    assert not set(good) & set(bad)
    assert intents.folder(store).names() == []


def test_everything_once_and_a_second_run_changes_nothing(archive, tmp_path):
    counts = run(archive, "one", tmp_path)
    assert_complete(archive)
    assert counts["found"] == counts["entries"] == counts["header_blob"] + counts["quarantine"] == ENTRIES
    assert counts["seen"] == ENTRIES
    versions = [archive.version(c) for c in (HEADER_BLOB, QUARANTINE)]
    counts = run(archive, "two", tmp_path)
    assert (counts["unchanged"], counts["entries"]) == (ENTRIES, 0)
    assert [archive.version(c) for c in (HEADER_BLOB, QUARANTINE)] == versions
    batches = archive.read(RUN_BATCH).orderBy("batch").collect()
    assert [row["batch"] for row in batches] == list(range(1, len(batches) + 1))
    assert len(batches) >= 2
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
    counts = run(archive, "two", tmp_path)
    assert counts["entries"] == 2 * ENTRIES // 100
    assert_complete(archive)
    assert {row["content_version"] for row in archive.read(QUARANTINE).collect()} == {"v2"}
    assert archive.read(HEADER_BLOB).where("content_version = 'v2'").count() == ENTRIES // 100
    spark.sql("UPDATE identifiable.quarantine SET code = 'READ_FAILED' WHERE uri LIKE '%/000199'")
    assert run(archive, "three", tmp_path)["entries"] == 1
    assert_complete(archive)


def test_stopped_at_every_point_and_run_again(archive, tmp_path, monkeypatch):
    """Each run stops one point further on its way; the next one finishes or redoes what it left."""
    visible, forward = 0, 0
    for point in ["planned", "job done", "intent noted", "one table committed", "all committed"]:
        with monkeypatch.context() as patch:
            stop_at(patch, point)
            with pytest.raises(Stopped):
                run(archive, point.replace(" ", "-"), tmp_path)
        seen = len(table_rows(archive, HEADER_BLOB)) if archive.exists(HEADER_BLOB) else 0
        if point in ("planned", "job done", "intent noted"):
            assert seen == visible  # nothing of the batch shows before its intent is carried out
        visible, noted = seen, len(intents.folder(archive).names())
        assert noted == int(point in ("intent noted", "one table committed", "all committed"))
        forward += noted
    counts = run(archive, "last", tmp_path)
    assert counts["batches_rolled_forward"] == 1
    assert 0 < counts["entries"] < ENTRIES
    assert forward == 3
    assert_complete(archive)


def stop_at(patch, point):
    """Let the runner stop at a point of its way, as a kill there would."""
    real_write, real_commit, real_remove = Folder.write, Store.commit_files, Folder.remove
    real_job, real_plan = stage_module._Batches._job, plan.write
    committed, worked = [], []

    def job(self, task):
        rows = real_job(self, task)
        worked.append(task)
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
        of_batch = bool(worked) and token.application.startswith("cairn/sample")
        if of_batch and committed and point == "one table committed":
            raise Stopped
        version = real_commit(self, contract, adds, token)
        if of_batch:
            committed.append(version)
        return version

    def remove(self, name):
        if worked and point == "all committed" and self.uri.endswith("_intents"):
            raise Stopped
        real_remove(self, name)

    patch.setattr(stage_module._Batches, "_job", job)
    patch.setattr(plan, "write", planned)
    patch.setattr(Folder, "write", write)
    patch.setattr(Folder, "remove", remove)
    patch.setattr(Store, "commit_files", commit_files)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["in a worker", "one table committed"])
def test_a_real_sigkill(archive, tmp_path, point):
    command = [sys.executable, stage_sample.__file__, archive.settings.warehouse.root, str(tmp_path), point]
    killed = subprocess.run(command, capture_output=True, timeout=600, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert locks(archive).names() == ["sample.lock"]  # nobody cleaned up
    assert runs(archive) == {"killed": "running"}
    run(archive, "after", tmp_path)
    assert_complete(archive)
    assert runs(archive) == {"killed": "killed", "after": "done"}


def test_a_failing_worker_has_a_code_and_tells_no_value(archive, tmp_path):
    cases = {
        "value": ("STAGE_FAILED", "ValueError at stage_sample.py"),
        "lost": ("ENTRIES_LOST", "accounted for 0"),
        "contract": ("CONTRACT_BROKEN", "identifiable.header_blob breaks its contract: columns content_version"),
    }
    for kind, (code, says) in cases.items():
        with pytest.raises(CairnError) as caught:
            run(archive, kind, tmp_path, replace(SAMPLE, work=failing_work(kind)))
        assert caught.value.code == code
        assert says in str(caught.value)
        assert "0101011234" not in str(caught.value)
        assert list(Path(archive.folder(HEADER_BLOB).path).glob("*.parquet")) == []
    ledger = {row["run"]: (row["status"], row["code"]) for row in archive.read(RUN).collect()}
    assert ledger == {kind: ("failed", code) for kind, (code, _) in cases.items()}
    assert locks(archive).names() == []
    run(archive, "well", tmp_path)
    assert_complete(archive)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 MB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here (it needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_full_while_workers_write(spark, small_disk, tmp_path):
    forget(spark)
    archive = Store(spark, sample_settings(made_settings(small_disk / "warehouse")))
    add_entries(archive, ENTRIES)
    with pytest.raises(CairnError) as caught:
        run(archive, "full", tmp_path, replace(SAMPLE, work=bulky_work(100_000)))
    assert caught.value.code == "NO_DISK"
    assert list(Path(archive.folder(HEADER_BLOB).path).glob("*.parquet")) == []  # and so there is room again
    assert table_rows(archive, HEADER_BLOB) == []
    assert {row["run"]: row["code"] for row in archive.read(RUN).collect()} == {"full": "NO_DISK"}
    run(archive, "after", tmp_path)
    assert_complete(archive)
    forget(spark)


def test_two_runs_of_one_stage(archive, tmp_path, monkeypatch):
    with StageLock(locks(archive), "sample", "other", lambda: 1.7e9, 10, 120), pytest.raises(CairnError) as caught:
        run(archive, "second", tmp_path)
    assert caught.value.code == "STAGE_BUSY"
    assert not archive.exists(HEADER_BLOB)
    real = stage_module._Batches._job

    def robbed(self, task):
        rows = real(self, task)
        locks(archive).remove("sample.lock")
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(stage_module._Batches, "_job", robbed)
        with pytest.raises(CairnError) as caught:
            run(archive, "robbed", tmp_path)
    assert caught.value.code == "STAGE_BUSY"
    assert table_rows(archive, HEADER_BLOB) == []
    run(archive, "alone", tmp_path)
    assert_complete(archive)


def test_a_half_committed_batch_whose_files_are_gone_is_told(archive, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, "one table committed")
        with pytest.raises(Stopped):
            run(archive, "one", tmp_path)
    for contract in (HEADER_BLOB, QUARANTINE, RUN_BATCH):
        for path in Path(archive.folder(contract).path).glob("*.parquet"):
            path.unlink()
    with pytest.raises(CairnError) as caught:
        run(archive, "two", tmp_path)
    assert caught.value.code == "INTENT_BROKEN"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("... CairnError: [NO_DISK] There is no space left at /zone. Free some.\n  at org.x", "NO_DISK", "/zone"),
        ("java.io.IOException: No space left on device", "STAGE_FAILED", "no space left"),
        ("Python worker exited unexpectedly (crashed)", "STAGE_FAILED", "worker died"),
        ("java.lang.OutOfMemoryError: file:///secret", "STAGE_FAILED", "OutOfMemoryError"),
    ],
)
def test_what_spark_says_becomes_a_code(text, code, says):
    fault = as_cairn_error(text, "sample")
    assert fault.code == code
    assert says in str(fault)
    assert "secret" not in str(fault)
