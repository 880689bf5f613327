"""Headers into Delta (typed columns, VARIANT, header bytes) by the real job, beside pydicom in the same run.

Makes the mixed corpus, runs inventory and headers on local Spark (once to warm up, then over the corpus repeated
TIMES / 4 times and TIMES times under other names), and reports CPU seconds of Python workers and JVM. The difference
between the two last runs is the rate net of start-up, plans and fixed commits.

    ./spark-submit.sh --python   # prints the environment's Python
    PYTHONPATH=lib PYTHON benchmarks/headers_job.py [--mix benchmark|enhanced] [--files N] [--times K]
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from pathlib import Path

from cairn.pipelines.archive_to_tables import worker_cpu
from cairn.pipelines.headers import read_headers
from cairn.pipelines.inventory import take_inventory
from cairn.pipelines.job import Job, opened
from cairn.settings import load
from cairn.spark.accounting import cpu_seconds, peak_memory
from cairn.synthetic.mixes import SHARES, synthesise_mix
from header_kernel import by_pydicom, entries

ROOT = Path(__file__).resolve().parents[1]


def with_jars() -> None:
    """Let a plain Python start Spark with the jars that spark-submit.sh has resolved."""
    home = Path(os.environ.get("CAIRN_HOME") or ROOT / ".cairn")
    jars = ",".join(str(path) for path in sorted(home.glob("jars-*/*.jar")))
    options = f"--master local[2] --driver-memory 3g --jars {jars}"
    properties = f"--properties-file {ROOT / 'conf' / 'spark' / 'local.conf'}"
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", f"{options} {properties} pyspark-shell")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


def many(corpus: Path, folder: Path, times: int) -> Path:
    """Hard-link a corpus several times over: many entries, one set of pages in the cache."""
    for number in range(times):
        for source in sorted(path for path in corpus.rglob("*") if path.is_file()):
            target = folder / f"copy-{number:03d}" / source.relative_to(corpus)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
    return folder


def measured(job: Job, archive: Path) -> tuple[int, float, float]:
    """Return entries read, CPU seconds of the headers stage in all, and of its workers."""
    quiet = io.StringIO()
    take_inventory(job.store, job.run("inventory"), job.folder(f"inventory-{archive.name}"), quiet, [str(archive)])
    before = cpu_seconds(job.store.spark) or 0.0
    run = read_headers(job.store, job.run("headers"), job.folder(f"headers-{archive.name}"), quiet)
    used = (cpu_seconds(job.store.spark) or 0.0) - before
    return run.counts["entries"], used, worker_cpu(job.store, run.id)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mix", choices=sorted(SHARES), default="benchmark")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--times", type=int, default=40, help="how often the large archive repeats the corpus")
    parser.add_argument("--sample", type=int, default=300, help="files that pydicom reads")
    options = parser.parse_args()
    with_jars()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthesise_mix(folder / "mix", options.mix, options.files, 1, "small")
        corpus = folder / "mix" / "archive"
        small = many(corpus, folder / "small", max(1, options.times // 4))
        large = many(corpus, folder / "large", options.times)
        settings = load(None, os.environ, (), str(folder / "warehouse"))
        with opened("benchmark", settings) as job:
            measured(job, corpus)  # plans, code, kernels: whatever the first run alone pays
            few, few_cpu, _ = measured(job, small)
            lots, lots_cpu, lots_worker = measured(job, large)
            memory = peak_memory(job.store.spark)
        net = (lots - few) / (lots_cpu - few_cpu)
        print(f"smaller run: {few:,} entries, {few_cpu:.1f} CPU s")
        print(f"larger run: {lots:,} entries, {lots_cpu:.1f} CPU s, of them workers {lots_worker:.1f}")
        print(f"larger run: {lots / lots_cpu:,.0f} files per CPU second with the run's fixed cost, {net:,.0f} without")
        print(f"workers alone: {lots / lots_worker:,.0f} files per CPU second")
        sample = entries(corpus)[:: max(1, options.files // options.sample)]
        reading, walking, _ = by_pydicom(sample)
        peer = len(sample) / (reading + walking)
        print(f"pydicom, read and walked to JSON, not written: {peer:,.0f} files per CPU second")
        print(f"ratio: {net / peer:,.0f} times fewer CPU seconds than pydicom")
        print("peak memory: " + ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in memory.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
