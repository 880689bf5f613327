"""Kept headers into `instance` by `reprocess`, beside the first run that read them from files: files per CPU second.

Makes the mixed corpus, runs inventory, headers and series once on a small share (plans, code, kernels: what the
first run alone pays), then on all of it, takes the archive away, and rebuilds and swaps. CPU seconds of Python workers
and JVM are counted, steps apart. With --corpus less than --files the corpus is repeated by hard links: that is made
sooner, but an archive that holds everything many times over is not what `series` is for.

    ./spark-submit.sh --python   # prints the environment's Python
    PYTHONPATH=lib PYTHON benchmarks/reprocess.py [--files N] [--corpus M]
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cairn.pipelines import reprocess
from cairn.pipelines.archive_to_tables import worker_cpu
from cairn.pipelines.headers import read_headers
from cairn.pipelines.inventory import take_inventory
from cairn.pipelines.job import Job, opened
from cairn.pipelines.reprocess_plan import estimate
from cairn.pipelines.series import run_series
from cairn.settings import load
from cairn.spark.accounting import cpu_seconds
from cairn.synthetic.mixes import synthesise_mix
from cairn.tables.run import RUN, RUN_BATCH
from headers_job import many, with_jars

QUIET = io.StringIO()


def spent(job: Job, work: Callable[[], object]) -> tuple[float, float]:
    """Return CPU seconds and seconds of some work."""
    cpu, start = cpu_seconds(job.store.spark) or 0.0, time.monotonic()
    work()
    return (cpu_seconds(job.store.spark) or 0.0) - cpu, time.monotonic() - start


def first_run(job: Job, archive: Path) -> tuple[int, dict[str, float]]:
    """Take an archive in; return its entries and the CPU seconds of each stage, and of the workers of headers."""
    name = archive.name
    inventory, headers = job.folder(f"inventory-{name}"), job.folder(f"headers-{name}")
    runs = []
    cost = {
        "inventory": spent(
            job, lambda: take_inventory(job.store, job.run("inventory"), inventory, QUIET, [str(archive)])
        )[0],
        "headers": spent(job, lambda: runs.append(read_headers(job.store, job.run("headers"), headers, QUIET)))[0],
    }
    cost["headers, the workers alone"] = worker_cpu(job.store, runs[0].id)
    cost["series"] = spent(job, lambda: run_series(job.store, job.run("series")))[0]
    return runs[0].counts["entries"], cost


def cost_of_steps(job: Job) -> dict[str, tuple[float, float]]:
    """Return CPU seconds of each step of the last reprocess, in all and of its workers, out of the ledger."""
    runs = job.store.read(RUN).where("job LIKE 'reprocess-%' AND cpu_seconds IS NOT NULL").collect()
    batches = job.store.read(RUN_BATCH).groupBy("run").sum("worker_cpu_seconds").collect()
    workers = {row[0]: row[1] for row in batches}
    return {row["job"]: (row["cpu_seconds"], workers.get(row["run"], 0.0)) for row in runs if row["counts"]}


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--corpus", type=int, help="different files among them; all")
    options = parser.parse_args()
    with_jars()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = min(options.corpus or options.files, options.files)
        synthesise_mix(folder / "mix", "benchmark", corpus, 1, "small")
        synthesise_mix(folder / "little", "benchmark", 500, 2, "small")
        times = max(1, options.files // corpus)
        archive = many(folder / "mix" / "archive", folder / "large", times)
        settings = load(None, os.environ, (), str(folder / "warehouse"))
        with opened("benchmark", settings) as job:
            first_run(job, folder / "little" / "archive")
            files, cost = first_run(job, archive)
            shutil.rmtree(archive)
            shutil.rmtree(folder / "mix")
            print(f"first run: {files:,} files")
            for name, cpu in cost.items():
                print(f"  {name}: {cpu:.1f} CPU s, {files / cpu:,.0f} files per CPU second")
            guess = estimate(job, reprocess.Request())
            print("\n".join(guess.lines()))
            building, wall = spent(job, lambda: reprocess.run_reprocess(job, reprocess.Request()))
            print(f"reprocess run: {files / building:,.0f} files per CPU second with series, {wall:.0f} s")
            swapping, wall = spent(job, lambda: reprocess.swap_in(job, reprocess.Request()))
            print(f"reprocess swap, gates and what differs: {swapping:.1f} CPU s, {wall:.0f} s")
            for step, (all_of_it, of_workers) in cost_of_steps(job).items():
                print(f"  {step}: {all_of_it:.1f} CPU s ({of_workers:.1f} of the workers)")
            again = dict(cost_of_steps(job)).get("reprocess-headers")
            if again:
                print(f"parse from header_blob: {files / again[0]:,.0f} files per CPU second, ", end="")
                print(f"workers alone {files / again[1]:,.0f}")
            print(f"estimated {guess.core_hours * 3600:,.0f} CPU s, took {building + swapping:,.0f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
