"""Tables into the de-identified zone by the real job: rows per CPU second of images and of records, and where they go.

Makes a corpus of N files of many patients and the health records of a made-up population, runs the stages up to
`series` and `ehr`, then `deidentify` twice: over a small archive (plans, code, kernels: what the first run alone pays)
and over the large one. Python workers and JVM are counted.

    ./spark-submit.sh --python   # prints the environment's Python
    PYTHONPATH=lib PYTHON benchmarks/deidentify_job.py [--files N] [--scale S]
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from pathlib import Path

from cairn.deid.keys import make_key
from cairn.deid.rewrite import Kept
from cairn.pipelines.archive_to_tables import worker_cpu
from cairn.pipelines.deidentify import deidentify
from cairn.pipelines.deidentify_task import Terms, verified
from cairn.pipelines.ehr_deliveries import load_deliveries, loads_in
from cairn.pipelines.headers import read_headers
from cairn.pipelines.inventory import take_inventory
from cairn.pipelines.job import Job, opened
from cairn.pipelines.series import run_series
from cairn.pipelines.terms import site_terms
from cairn.settings import load
from cairn.spark.accounting import cpu_seconds, peak_memory
from cairn.synthetic.archive import synthesise
from cairn.synthetic.mixes import synthesise_mix
from headers_job import with_jars

ROOT = Path(__file__).resolve().parents[1]
QUIET = io.StringIO()


def add_images(job: Job, archive: Path) -> None:
    """Take an archive in, up to `series`."""
    name = archive.parent.name
    take_inventory(job.store, job.run("inventory"), job.folder(f"inventory-{name}"), QUIET, [str(archive)])
    read_headers(job.store, job.run("headers"), job.folder(f"headers-{name}"), QUIET)
    run_series(job.store, job.run("series"))


def crossed(job: Job, terms: Terms, name: str) -> tuple[int, int, float, float]:
    """Run the job; return instances and records in the zone, CPU seconds in all and of the workers of instances."""
    before = cpu_seconds(job.store.spark) or 0.0
    run = job.run("deidentify")
    done = deidentify(job.store, run, job.folder(f"deidentify-{name}"), QUIET, terms)
    used = (cpu_seconds(job.store.spark) or 0.0) - before
    return done.rows["instance"], sum(done.records.values()), used, worker_cpu(job.store, run.id)


def pieces(corpus: Path, terms: Terms, sample: int) -> tuple[float, float]:
    """Return files per CPU second of the rewriter and of the verifier, each alone."""
    files = [path.read_bytes() for path in sorted(corpus.rglob("*")) if path.is_file()][:sample]
    rewriter = terms.rewriter()
    for data in files[:20]:  # what only the first pay: compiled code, tables of words
        out = rewriter(data)
        if isinstance(out, Kept):
            verified(data, (), out.tobytes(), ())
    start = time.process_time()
    made = [(data, out.tobytes()) for data in files if isinstance(out := rewriter(data), Kept)]
    middle = time.process_time()
    for data, out in made:
        verified(data, (), out, ())
    return len(made) / (middle - start), len(made) / (time.process_time() - middle)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--scale", type=float, default=1.0, help="of the population whose records cross")
    options = parser.parse_args()
    with_jars()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "keys").mkdir(mode=0o700)
        make_key(folder / "keys")
        synthesise_mix(folder / "small", "benchmark", max(200, options.files // 10), 1, "small")
        synthesise_mix(folder / "large", "benchmark", options.files, 2, "small")
        synthesise(folder / "people", options.scale, 3)
        settings = load(None, os.environ, (f"keys.directory={folder / 'keys'}",), str(folder / "warehouse"))
        terms = site_terms(settings)
        with opened("benchmark", settings) as job:
            add_images(job, folder / "small" / "archive")
            few, _, _, few_worker = crossed(job, terms, "small")
            add_images(job, folder / "large" / "archive")
            lots, _, cpu, worker = crossed(job, terms, "large")
            loads = loads_in([str(folder / "people" / "ehr")], ROOT / "conf" / "ehr")
            load_deliveries(job, loads)
            _, records, of_records, _ = crossed(job, terms, "records")
            memory = peak_memory(job.store.spark)
        rows = lots - few
        print(f"instances: {rows:,} rows, {cpu:.1f} CPU s (workers {worker:.1f}): {rows / cpu:,.0f} rows per CPU s")
        print(f"workers alone: {rows / worker:,.0f} rows per CPU s ({few_worker:.1f} CPU s for the first {few:,})")
        rewriting, verifying = pieces(folder / "large" / "archive", terms, 500)
        print(f"of it the rewriter alone {rewriting:,.0f}, the verifier alone {verifying:,.0f} headers per CPU s")
        print(f"records: {records:,} rows, {of_records:.1f} CPU s: {records / of_records:,.0f} rows per CPU s")
        print("peak memory: " + ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in memory.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
