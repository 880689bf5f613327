"""The Spark session: one way to make it, with every choice and its reason.

Scratch (shuffle, blocks, artifacts, temporary files) holds real values, so it lies in the identifiable zone's own
scratch root, encrypted, and what a killed run left there is swept at the next start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from cairn.settings import ZONES, Settings
from cairn.spark.schema import create_schema_sql, literal, quoted
from cairn.spark.storage import Folder

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}


def options(settings: Settings, scratch: str = "") -> dict[str, str]:
    """Return the Spark options that Cairn sets when nobody else has.

    Parameters
    ----------
    settings : Settings
        The settings; ``spark.conf`` in them wins over everything here.
    scratch : str
        Local scratch folder of this run; empty when it is left to the cluster.
    """
    chosen = {
        **DELTA,
        "spark.sql.session.timeZone": "UTC",  # DICOM times have no zone; one rule for all machines
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # pyarrow reads the plans; INT96 is obsolete
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(settings.spark.arrow_batch_rows),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.python.worker.reuse": "true",  # a worker loads the header kernel once, not once a task
        "spark.ui.showConsoleProgress": "false",  # Cairn prints its own progress
        "spark.sql.debug.maxToStringFields": "50",  # plans of 350 columns would fill the log
        "spark.executorEnv.PYTHONFAULTHANDLER": "1",
    }
    if settings.spark.shuffle_partitions:
        chosen["spark.sql.shuffle.partitions"] = str(settings.spark.shuffle_partitions)
    if settings.spark.encrypt_scratch:
        chosen |= {"spark.io.encryption.enabled": "true", "spark.io.encryption.keySizeBits": "256"}
    # Where tables without a location of their own would go: scratch, not a folder in the current one.
    chosen["spark.sql.warehouse.dir"] = f"{scratch or Folder(settings.scratch_root).hadoop_uri}/default"
    if scratch:
        chosen |= {"spark.local.dir": scratch, "spark.executorEnv.TMPDIR": scratch}
    return chosen | settings.spark.conf


def unless_submitted(settings: Settings, name: str, scratch: str) -> dict[str, str]:
    """Return Cairn's options without those that spark-submit, its arguments or its properties file have set.

    Parameters
    ----------
    settings : Settings
        The settings; their own ``spark.conf`` stays.
    name : str
        Application name for a submission that has none.
    scratch : str
        Local scratch folder of this run.
    """
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        # spark-submit has started the JVM, which holds what was submitted; unconnected to it a SparkConf is empty.
        # Elsewhere the JVM starts with what is chosen here: later is too late for some options, such as its memory.
        SparkContext._ensure_initialized()
    given = SparkConf()
    kept = {
        option: value
        for option, value in options(settings, scratch).items()
        if option in settings.spark.conf or not given.contains(option)
    }
    named = given.get("spark.app.name") or "pyspark-shell"
    if named == "pyspark-shell" or named.endswith(".py"):  # spark-submit's own names when nobody gave one
        kept["spark.app.name"] = name
    return kept


def build(settings: Settings, name: str, scratch: str = "") -> SparkSession:
    """Return the session of one job, with the zones' tables registered.

    Parameters
    ----------
    settings : Settings
        The settings.
    name : str
        Application name, without identifiers.
    scratch : str
        Local scratch folder of this run, from :func:`cairn.spark.scratch.claim`.

    Returns
    -------
    SparkSession
        A new session, or the running one.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers run this Python unless the submitter said which
    builder = SparkSession.builder
    for option, value in unless_submitted(settings, name, scratch).items():
        builder = builder.config(option, value)
    spark = builder.getOrCreate()
    register(spark, settings)
    return spark


def catalog_sql(settings: Settings) -> Iterator[str]:
    """Yield the statements that make zones and tables known: the catalog itself is in memory only."""
    for zone in ZONES[:2]:
        root = Folder(settings.zone_root(zone))
        if not root.exists():
            continue
        yield create_schema_sql(zone)
        for table in root.names(folders=True):
            if not table.startswith(("_", ".")) and root.child(table).exists("_delta_log"):
                location = literal(root.child(table).hadoop_uri)
                yield f"CREATE TABLE IF NOT EXISTS {quoted(zone)}.{quoted(table)} USING DELTA LOCATION {location}"


def register(spark: SparkSession, settings: Settings) -> None:
    """Register every zone as a schema and every existing table in it."""
    for statement in catalog_sql(settings):
        spark.sql(statement)
