"""Airflow: Cairn every night (what is new), and once a year (everything anew out of the kept headers).

Needs apache-airflow-providers-apache-spark. Copy it into the folder of DAGs. The connection ``cairn_spark`` names the
master; Cairn and its environment lie at the same places on every machine (the variables below), as they do for
``spark-submit.sh`` without ``--ship-environment``.
"""

from __future__ import annotations

import os
import shlex
from datetime import datetime, timedelta
from pathlib import Path

from airflow import DAG
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

ROOT = Path(os.environ.get("CAIRN_ROOT", "/opt/cairn"))
HOME = Path(os.environ.get("CAIRN_HOME", "/var/lib/cairn/home"))
PROPERTIES = os.environ.get("CAIRN_PROPERTIES", str(ROOT / "conf" / "spark" / "yarn.conf"))
ARCHIVE = shlex.split(os.environ.get("CAIRN_ARCHIVE", ""))
EHR = shlex.split(os.environ.get("CAIRN_EHR", ""))
WAREHOUSE = os.environ.get("CAIRN_WAREHOUSE__ROOT", "/data/cairn")
KEYS = os.environ.get("CAIRN_KEYS__DIRECTORY", "/secure/keys")
DOCS = os.environ.get("CAIRN_DOCS", "/srv/cairn/quality")

SETTINGS = ["--warehouse", WAREHOUSE, "--json"]
WITH_KEYS = [*SETTINGS, "--keys", KEYS]

DEFAULTS = {
    "owner": "cairn",
    "retries": 2,  # a run that failed goes on where it was; a closed gate (exit code 3) stays closed and costs seconds
    "retry_delay": timedelta(minutes=15),
    "depends_on_past": False,
}


def job(name: str, *arguments: str, task: str = "") -> SparkSubmitOperator:
    """Return the task of one job."""
    environments = sorted(HOME.glob("python-*/.ready"))
    python = str(environments[-1].parent / "bin" / "python") if environments else "python3"
    jars = sorted(str(path) for path in HOME.glob("jars-*/*.jar"))
    return SparkSubmitOperator(
        task_id=task or name,
        conn_id="cairn_spark",
        name=f"cairn {name}",
        application=str(ROOT / "jobs" / f"{name}.py"),
        application_args=list(arguments),
        properties_file=PROPERTIES,
        jars=",".join(jars),
        conf={
            "spark.pyspark.python": python,
            "spark.executorEnv.PYTHONPATH": str(ROOT / "lib"),
            "spark.metrics.conf": str(ROOT / "conf" / "spark" / "metrics.properties"),
        },
        env_vars={"PYTHONPATH": str(ROOT / "lib"), "CAIRN_HOME": str(HOME), "PYTHONHASHSEED": "0"},
    )


with DAG(
    "cairn_nightly",
    description="What is new or changed in the archive and the records, into the de-identified zone",
    schedule="30 1 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,  # a night that was missed is in the next one
    max_active_runs=1,  # stages lock by themselves too: a second run would end with STAGE_BUSY
    default_args=DEFAULTS,
) as nightly:
    inventory = job("inventory", *ARCHIVE, *SETTINGS)
    headers = job("headers", *SETTINGS)
    pixels = job("pixels", *SETTINGS)
    series = job("series", *SETTINGS)
    gate = job("quality", "--docs", DOCS, *SETTINGS, task="gate")  # exit code 3 stops the run; the pages tell why
    deidentify = job("deidentify", *WITH_KEYS)
    verify = job("verify", *WITH_KEYS)
    pages = job("quality", "--docs", DOCS, *SETTINGS, task="pages")
    inventory >> headers >> pixels >> series >> gate >> deidentify >> verify >> pages
    for folder in EHR:
        job("ehr", folder, *SETTINGS, task=f"ehr_{Path(folder).name}") >> gate

with DAG(
    "cairn_full",
    description="Everything anew out of the kept headers, beside the live tables; swapped in when the gates pass",
    schedule="0 20 8 1 *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
) as full:
    again = job("reprocess", "run", *WITH_KEYS)
    swap = job("reprocess", "swap", *WITH_KEYS, task="swap")
    again >> swap >> job("quality", "--docs", DOCS, *SETTINGS, task="pages")
