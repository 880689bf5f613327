"""A job that keeps rows, waits until it is told to go on, and adds them up: run as a script on a cluster.

WAREHOUSE SCRATCH MASTER: prints ``kept``, reads a line, prints the sum.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from pyspark.sql import functions as F
from spark_support import made_settings, worker_path

from cairn.pipelines.job import Job
from cairn.spark import session
from cairn.spark.fixed import fixed
from cairn.spark.storage import Folder
from cairn.spark.store import Store

ROWS = 1000


def main(warehouse: str, scratch: str, master: str) -> None:
    """Keep, wait, add up."""
    os.environ["PYTHONPATH"] = worker_path()
    settings = made_settings(Path(warehouse))
    settings.spark.conf.update({"spark.master": master, "spark.executor.memory": "512m", "spark.executor.cores": "1"})
    spark = session.build(settings, "fixed", str(Path(scratch) / "local"))
    Job(Store(spark, settings), Folder(scratch).child("shared").make(), time.time, sys.stderr)
    rows = fixed(spark.range(0, ROWS, 1, 8).withColumn("drawn", F.rand()))
    before = rows.agg(F.sum("drawn")).first()
    print("kept", flush=True)
    sys.stdin.readline()
    after = rows.agg(F.count("*"), F.sum("drawn")).first()
    assert before is not None and after is not None
    print(after[0], abs(after[1] - before[0]) < 1e-9, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
