"""A small stage for the runner's tests; as a script (WAREHOUSE SCRATCH POINT [MASTER]) a run that kills itself."""

import datetime
import os
import signal
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cairn.settings import Settings
from cairn.spark.delta_log import Token
from cairn.spark.ledger import Run
from cairn.spark.stage import Stage, archive_candidates, run_stage, settled_in
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.run import RUN


def sample_settings(settings: Settings) -> Settings:
    """Small batches, so that there are several."""
    tree = settings.model_dump()
    tree["stage"] |= {"entries_per_task": 300, "entries_per_batch": 600, "rows_per_read": 100, "rows_per_file": 200}
    return Settings.model_validate(tree)


def add_entries(store: Store, count: int) -> None:
    """List `count` entries; every hundredth is one that the sample's work cannot read."""
    store.ensure(ARCHIVE_ENTRY, QUARANTINE)
    first = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    rows = [
        {
            "uri": f"file:///a/{n:06d}" if n % 3 else f"file:///z.zip!/{n:06d}",
            "container": None if n % 3 else "file:///z.zip",
            "kind": "file" if n % 3 else "member",
            "size": n,
            "modified": first,
            "content_version": "v1",
            "state": "present",
        }
        for n in range(count)
    ]
    store.append_rows(ARCHIVE_ENTRY, rows, Token("sample", 1), 0)


def sample_work(pause: float = 0.0):  # type: ignore[no-untyped-def]
    """Return the sample's work: a blob for each entry, quarantine for each hundredth."""

    def work(batches):  # type: ignore[no-untyped-def]
        for batch in batches:
            bad = pc.equal(pc.subtract(batch["size"], pc.multiply(pc.divide(batch["size"], 100), 100)), 99)
            good_rows, bad_rows = batch.filter(pc.invert(bad)), batch.filter(bad)
            yield "header_blob", filled(HEADER_BLOB, good_rows, header=b"DICM" * 20, header_bytes=80, run="r")
            yield "quarantine", filled(QUARANTINE, bad_rows, stage="sample", code="NOT_DICOM", run="r")
            yield {"seen": batch.num_rows}
            time.sleep(pause)

    return work


def failing_work(kind):  # type: ignore[no-untyped-def]
    """Return work that fails: with a value in its message, by losing entries, or by breaking a contract."""

    def work(batches):  # type: ignore[no-untyped-def]
        for batch in batches:
            if kind == "lost":
                continue
            if kind == "value":
                raise ValueError("file:///patients/0101011234.dcm")
            yield "header_blob", batch.select(["uri"])

    return work


def bulky_work(row_bytes: int):  # type: ignore[no-untyped-def]
    """Return the sample's work with headers that do not compress: a disk fills while the workers write."""

    def work(batches):  # type: ignore[no-untyped-def]
        for batch in batches:
            for row in range(batch.num_rows):
                random = os.urandom(row_bytes)
                yield "header_blob", filled(HEADER_BLOB, batch[row : row + 1], header=random, header_bytes=1, run="r")

    return work


def filled(contract, batch, **constants):  # type: ignore[no-untyped-def]
    rows = [
        {"uri": uri, "content_version": version, **constants}
        for uri, version in zip(batch["uri"].to_pylist(), batch["content_version"].to_pylist(), strict=True)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=contract.arrow_schema)


def sample(pause: float = 0.0) -> Stage:
    """Return the stage."""
    return Stage(
        name="sample",
        work=sample_work(pause),
        targets=(HEADER_BLOB, QUARANTINE),
        accounts=(HEADER_BLOB.name, QUARANTINE.name),
        candidates=archive_candidates,
        settled=settled_in("sample", HEADER_BLOB, retried=("READ_FAILED",)),
    )


SAMPLE = sample()


def table_rows(store, contract):  # type: ignore[no-untyped-def]
    """All addresses of a table."""
    return [row["uri"] for row in store.read(contract).select("uri").collect()]


def runs(store):  # type: ignore[no-untyped-def]
    """Status of every run."""
    return {row["run"]: row["status"] for row in store.read(RUN).select("run", "status").collect()}


def main(warehouse: str, scratch: str, point: str, master: str = "") -> None:
    """Run the sample and die at `point` (``never``: end well)."""
    from spark_support import made_settings, worker_path

    from cairn.spark import session

    os.environ["PYTHONPATH"] = worker_path()
    settings = sample_settings(made_settings(Path(warehouse)))
    if master:
        settings.spark.conf["spark.master"] = master
        settings.spark.conf.update({"spark.executor.memory": "512m", "spark.executor.cores": "1"})
    store = Store(session.build(settings, "sample", str(Path(scratch) / "local")), settings)
    committed = []
    real = Store.commit_files

    def commit_files(self, contract, adds, token):  # type: ignore[no-untyped-def]
        if committed and token.application.startswith("cairn/sample"):
            os.kill(os.getpid(), signal.SIGKILL)
        version = real(self, contract, adds, token)
        if token.application.startswith("cairn/sample"):
            committed.append(contract.name)
        return version

    if point == "one table committed":
        Store.commit_files = commit_files  # type: ignore[method-assign]
    pause = 0.5 if point in ("in a worker", "executor") else 0.0
    if point == "in a worker":
        _kill_when_a_file_appears(store.folder(HEADER_BLOB))
    if point == "executor":
        print("ready", flush=True)
    run_stage(sample(pause), store, Run("killed", "sample", time.time), Folder(scratch).child("shared"), sys.stderr)


def _kill_when_a_file_appears(folder: Folder) -> None:
    import threading

    def watch() -> None:
        while not any(name.startswith("part-killed") for name in folder.names()):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
