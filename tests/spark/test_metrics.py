"""Spark's metrics in the form of Prometheus, by the file that docs/schedules.md names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "conf" / "spark" / "metrics.properties"

PROGRAM = """
import sys, urllib.request
from pyspark import SparkConf, SparkContext
conf = SparkConf().setMaster("local[1]").setAppName("cairn test").set("spark.ui.enabled", "true")
conf.set("spark.ui.port", "0").set("spark.metrics.conf", sys.argv[1])
conf.set("spark.driver.host", "127.0.0.1").set("spark.driver.bindAddress", "127.0.0.1")
conf.set("spark.metrics.namespace", "cairn")
context = SparkContext(conf=conf)
context.range(10).count()
for path in ("/metrics/prometheus", "/metrics/executors/prometheus"):
    print(urllib.request.urlopen(context.uiWebUrl + path, timeout=20).read().decode())
context.stop()
"""


@pytest.mark.slow
def test_driver_and_executors_can_be_scraped() -> None:
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(FILE)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    ).stdout
    values = dict(re.findall(r"^(\w+)\{[^}]*\} ([-\d.E]+)$", told, re.MULTILINE))
    assert float(values["metrics_cairn_driver_DAGScheduler_job_allJobs_Value"]) == 1
    assert "metrics_cairn_driver_jvm_heap_used_Value" in values
    assert any(name.startswith("metrics_executor_") for name in values)
