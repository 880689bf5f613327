"""Every stage over an archive in a process of its own, which can kill itself: for tests of killed runs and clusters.

``python whole_run.py WAREHOUSE SCRATCH POINT MASTER ROOT...``. POINT is ``never``, ``wrote:TABLE`` (SIGKILL of driver
and JVM right after the first write of that table) or ``file:TABLE`` (as soon as a worker has begun a file of that
table). It prints the JVM's folder for temporary files and, when it ends well, a JSON line: the tables in the order in
which they were written, and the counts of the stages.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from cairn.settings import Settings
from cairn.spark.storage import Folder
from cairn.spark.store import Store

WRITERS = (
    "append",
    "upsert",
    "update",
    "merge",
    "delete_keys",
    "replace",
    "replace_files",
    "commit_files",
    "append_rows",
)


def run_settings(warehouse: str, master: str) -> Settings:
    """Small batches, so that there are several."""
    from spark_support import made_settings

    settings = made_settings(
        Path(warehouse), stage={"entries_per_task": 60, "entries_per_batch": 120}, scratch={"dead_after_seconds": 20}
    )
    settings.spark.conf["spark.master"] = master
    if not master.startswith("local"):
        settings.spark.conf.update({"spark.executor.memory": "512m", "spark.executor.cores": "1"})
    return settings


def note_writes(die, last: str) -> list[str]:  # type: ignore[no-untyped-def]
    """Let every outermost write of the store be noted, and call `die` after the first one of table `last`."""
    written: list[str] = []
    depth = [0]

    def wrapped(real):  # type: ignore[no-untyped-def]
        @functools.wraps(real)
        def write(self, contract, *arguments, **named):  # type: ignore[no-untyped-def]
            depth[0] += 1
            try:
                return real(self, contract, *arguments, **named)
            finally:
                depth[0] -= 1
                if depth[0] == 0:
                    written.append(contract.name)
                    if contract.name == last:
                        die()

        return write

    for name in WRITERS:
        setattr(Store, name, wrapped(getattr(Store, name)))
    return written


def die_when_a_file_appears(folder: Path, die) -> None:  # type: ignore[no-untyped-def]
    """Watch a table's folder from a thread, and die at its next data file."""
    before = set(folder.glob("*.parquet"))

    def watch() -> None:
        while not set(folder.glob("*.parquet")) - before:
            time.sleep(0.01)
        die()

    threading.Thread(target=watch, daemon=True).start()


def main(warehouse: str, scratch: str, point: str, master: str, *roots: str) -> None:
    """Run the stages and die at `point`."""
    from spark_support import worker_path

    os.environ["PYTHONPATH"] = worker_path()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from cairn.pipelines.archive_to_tables import run_stages
    from cairn.pipelines.job import Job
    from cairn.spark import session

    settings = run_settings(warehouse, master)
    spark = session.build(settings, "whole run", str(Path(scratch) / "local"))
    jvm = int(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]

    def die() -> None:
        os.kill(jvm, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    kind, _, where = point.partition(":")
    written = note_writes(die, where if kind == "wrote" else "")
    if kind == "file":
        die_when_a_file_appears(Path(Folder(settings.zone_root("identifiable")).child(where).path), die)
    print(spark.sparkContext._jvm.System.getProperty("java.io.tmpdir"), flush=True)  # type: ignore[union-attr]
    done = run_stages(Job(Store(spark, settings), Folder(scratch).make(), time.time, sys.stderr), list(roots))
    print(json.dumps({"written": written, **done.counts()}, default=str), flush=True)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
