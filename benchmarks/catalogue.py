"""Push, resume, difference and pull of a catalogue: documents per second, and what a kill costs.

Makes N rows of `instance` (the headers of a made-up corpus, each many times under addresses of its own), pushes them
into an empty database by a process that is killed in the middle, pushes on, pushes again, compares, and pulls the whole
catalogue into an empty warehouse. The server is SecantusDB from requirements/dev.in, every write of which is on the
disk when it is acknowledged, unless a file with the URI of another one is given; that must hold no database called
cairn_benchmark.

    ./spark-submit.sh --python   # prints the environment's Python
    PYTHONPATH=lib PYTHON benchmarks/catalogue.py [--documents N] [--uri-file FILE] [--no-sync]
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from cairn.catalogue.connection import Connection
from cairn.dicom.kernel import HeaderKernel
from cairn.pipelines.catalogue_diff import diff
from cairn.pipelines.catalogue_pull import JOB as PULL
from cairn.pipelines.catalogue_pull import pull
from cairn.pipelines.catalogue_push import JOB as PUSH
from cairn.pipelines.catalogue_push import push
from cairn.pipelines.header_rows import parser_version
from cairn.pipelines.job import Job, opened
from cairn.settings import Settings, load
from cairn.spark.accounting import cpu_seconds
from cairn.spark.delta_log import Token
from cairn.spark.store import Store
from cairn.spark.worker_files import write_file
from cairn.synthetic.mixes import synthesise_mix
from cairn.tables.instance import INSTANCE
from headers_job import with_jars

QUIET = io.StringIO()
DATABASE = "cairn_benchmark"
DISTINCT = 500
ROWS_PER_FILE = 10_000


def started(folder: Path, sync: bool) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server; return its process and its URI."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).parent / "secantusd-py"), "--host", "127.0.0.1", "--port", str(port),
               "--storage-path", str(folder / "server"), *(["--sync-on-commit"] if sync else [])]  # fmt: skip
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.2)
    return process, f"mongodb://127.0.0.1:{port}/?directConnection=true"


def distinct_rows(folder: Path) -> pa.Table:
    """Return rows of `instance` of a made-up corpus."""
    synthesise_mix(folder / "corpus", "benchmark", DISTINCT, 1, "small")
    headers = [path.read_bytes() for path in sorted((folder / "corpus" / "archive").rglob("*.dcm"))]
    parsed = HeaderKernel(INSTANCE.columns).parse(headers)
    n = parsed.table.num_rows
    given: dict[str, Any] = {
        "uri": [""] * n,
        "content_version": ["v1"] * n,
        "run": ["made"] * n,
        "is_primary": [True] * n,
        "file_size": [len(headers[i]) for i in parsed.rows],
        "parser": ["kernel"] * n,
        "parser_version": [parser_version()] * n,
        "header_bytes": parsed.pixel_offsets.tolist(),
        "pixel_offset": parsed.pixel_offsets.tolist(),
    }
    columns = {name: parsed.table.column(name) for name in parsed.table.column_names}
    columns |= {name: pa.array(values, INSTANCE.column(name).type) for name, values in given.items()}
    return pa.Table.from_arrays([columns[c.name] for c in INSTANCE.columns], schema=INSTANCE.arrow_schema)


def make_rows(store: Store, rows: pa.Table, wanted: int) -> None:
    """Fill `instance` with so many rows."""
    store.ensure(INSTANCE)
    place = INSTANCE.arrow_schema.get_field_index("uri")
    adds = []
    for start in range(0, wanted, ROWS_PER_FILE):
        count = min(ROWS_PER_FILE, wanted - start)
        table = pa.concat_tables([rows] * (count // rows.num_rows + 1)).slice(0, count).combine_chunks()
        uris = pa.array([f"file:///archive/{start + i:09d}.dcm" for i in range(count)])
        table = table.set_column(place, INSTANCE.arrow_schema.field("uri"), uris)
        adds.append(write_file(INSTANCE, table, store.folder(INSTANCE), f"part-{start:09d}.zstd.parquet", 1))
    store.commit_files(INSTANCE, adds, Token("benchmark", 1))


def timed(job: Job, name: str, documents: int, action: Callable[[], object]) -> object:
    """Do something; print how many documents that was per second, and per CPU second of Spark and its workers."""
    before, start = cpu_seconds(job.store.spark) or 0.0, time.monotonic()
    done = action()
    wall, cpu = time.monotonic() - start, (cpu_seconds(job.store.spark) or 0.0) - before
    rate = f"{documents / wall:,.0f} documents per second, {documents / cpu:,.0f} per CPU second" if documents else ""
    print(f"{name}: {wall:.1f} s, {cpu:.1f} CPU s; {rate}", flush=True)
    return done


def killed_push(settings: Settings, connection: Connection, documents: int) -> int:
    """Push by another process that is killed at about half; return the documents that are there then."""
    script = (
        "import sys; from cairn.settings import Settings; from cairn.pipelines.job import opened\n"
        "from cairn.pipelines.catalogue_push import JOB, push\n"
        "with opened('catalogue', Settings.model_validate_json(sys.argv[1])) as job: push(job.store, job.run(JOB))"
    )
    command = [sys.executable, "-c", script, settings.model_dump_json()]
    start = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    there = 0
    while process.poll() is None and there < documents // 2:
        time.sleep(1)
        there = counted(connection)
    print(f"first push: killed after {time.monotonic() - start:.1f} s (Spark's start included)", flush=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return counted(connection)


def counted(connection: Connection) -> int:
    database = connection.database()
    names = [name for name in database.list_collection_names() if name.startswith("image_")]
    return sum(database[name].estimated_document_count() for name in names)


def run(folder: Path, uri_file: str, documents: int) -> None:
    """Run all of it."""
    given = (f"catalogue.uri_file={uri_file}", f"catalogue.database={DATABASE}")
    settings = load(None, os.environ, given, str(folder / "warehouse"))
    connection = Connection(settings.catalogue)
    with opened("benchmark", settings) as job:
        make_rows(job.store, distinct_rows(folder), documents)
        rows = job.store.read(INSTANCE).count()
        there = killed_push(settings, connection, documents)
        print(f"{rows:,} rows; {there:,} documents when it was killed", flush=True)
        (first,) = timed(job, "push, resumed", rows, lambda: push(job.store, job.run(PUSH)))  # type: ignore[misc]
        print(f"  {first.line()}")
        (again,) = timed(job, "push again", 0, lambda: push(job.store, job.run(PUSH)))  # type: ignore[misc]
        assert counted(connection) == rows and not again.counts
        found = timed(job, "diff", rows, lambda: diff(job.store))
        print("\n".join(f"  {line}" for line in found.lines()))  # type: ignore[attr-defined]
        second = Store(job.store.spark, load(None, os.environ, given, str(folder / "second")))
        job.store.spark.sql("DROP SCHEMA IF EXISTS identifiable CASCADE")
        other = Job(second, job.scratch, job.clock, QUIET)
        timed(job, "pull", rows, lambda: pull(second, other.run(PULL), other.folder(PULL), QUIET))
        assert second.read(INSTANCE).count() == rows
    size = sum(path.stat().st_size for path in (folder / "server").rglob("*") if path.is_file())
    print(f"server's files {size / 2**20:,.0f} MiB")
    connection.client().drop_database(DATABASE)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--uri-file", default="", help="of another server")
    parser.add_argument("--no-sync", action="store_true", help="the server need not write before it answers")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is ended too
    with_jars()
    with tempfile.TemporaryDirectory() as name:
        folder, process = Path(name), None
        try:
            if not options.uri_file:
                process, uri = started(folder, not options.no_sync)
                (folder / "uri").write_text(uri)
                (folder / "uri").chmod(0o600)
            run(folder, options.uri_file or str(folder / "uri"), options.documents)
        finally:
            if process is not None:
                process.terminate()
                process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
