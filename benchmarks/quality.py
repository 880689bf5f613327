"""What the quality gates cost: their share of the CPU seconds of all stages, on a made-up archive.

    PYTHONPATH=lib python benchmarks/quality.py [--scale 1.0] [--folder DIR]

The first run judges every table; the second, over an archive in which nothing changed, none. Seconds are those of the
ledger: Python driver, JVM and Python workers together. The first gate of a process pays for loading and warming code.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from pyspark.sql import functions as F

from cairn.deid.keys import make_key
from cairn.pipelines.archive_to_tables import run_stages
from cairn.pipelines.ehr_deliveries import loads_in
from cairn.pipelines.job import Job, opened
from cairn.pipelines.terms import site_terms
from cairn.settings import load
from cairn.synthetic.archive import synthesise
from cairn.tables.run import RUN

ROOT = Path(__file__).resolve().parents[1]


def seconds(job: Job, known: set[str]) -> dict[str, tuple[float, float]]:
    """CPU seconds and seconds of each job in the ledger, but for runs that are known."""
    runs = job.store.read(RUN).where(~F.col("run").isin(list(known) or [""])).collect()
    found: dict[str, tuple[float, float]] = {}
    for row in runs:
        cpu, wall = found.get(row["job"], (0.0, 0.0))
        lasted = (row["ended"] - row["started"]).total_seconds()
        found[row["job"]] = (cpu + (row["cpu_seconds"] or 0.0), wall + lasted)
    return found


def told(title: str, found: dict[str, tuple[float, float]]) -> None:
    total = sum(cpu for cpu, _ in found.values())
    lasted = sum(wall for _, wall in found.values())
    print(f"\n{title}: {total:.1f} CPU seconds, {lasted:.1f} seconds in all stages and gates")
    for name, (cpu, wall) in sorted(found.items(), key=lambda pair: -pair[1][0]):
        print(f"  {name:<20} {cpu:8.1f} CPU s {100 * cpu / total:5.1f} %   {wall:8.1f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="cairn-quality-"))
    made = folder / f"made-up-{options.scale:g}"
    if not (made / "truth" / "summary.json").exists():
        synthesise(made, options.scale, 1, progress=sys.stderr)
    keys = folder / "keys"
    if not keys.exists():
        keys.mkdir(mode=0o700)
        make_key(keys)
    assignments = [f"keys.directory={keys}"]
    if "PYSPARK_SUBMIT_ARGS" not in os.environ:
        sys.path.append(str(ROOT / "tests" / "support"))
        from spark_support import jars

        local = {"spark.master": "local[2]", "spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "8"}
        local |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", **jars()}
        local |= {"spark.databricks.delta.snapshotPartitions": "2", "spark.driver.memory": "4g"}
        assignments += [f"spark.conf.{name}={value}" for name, value in local.items()]
    settings = load(warehouse=str(folder / "warehouse"), assignments=assignments)
    records = loads_in([str(made / "ehr")], ROOT / "conf" / "ehr")
    with opened("pipeline", settings) as job:
        known: set[str] = set()
        for title in ("first run", "second run, nothing new"):
            own = replace(job, scratch=job.scratch.child(title.partition(",")[0]).make())  # as a job of its own has it
            run_stages(own, [str(made / "archive")], site_terms(settings), records)
            told(title, seconds(job, known))
            known = {row["run"] for row in job.store.read(RUN).select("run").collect()}
    return 0


if __name__ == "__main__":
    sys.exit(main())
