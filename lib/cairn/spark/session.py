"""The Spark session: one way to make it, with every choice and its reason.

Scratch (shuffle, blocks, artifacts, temporary files) holds real values, so it lies in the identifiable zone's own
scratch root, encrypted, and what a killed run left there is swept at the next start.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from cairn.launch.options import deployment, split
from cairn.settings import ZONES, Settings
from cairn.spark.schema import create_schema_sql, literal, quoted
from cairn.spark.storage import Folder
from cairn.spark.views import views_of

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}

JAVA_TMP = "-Djava.io.tmpdir="


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
        # As the workers write: with Spark's own default, snappy, OPTIMIZE made tables grow.
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(settings.spark.arrow_batch_rows),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.python.worker.reuse": "true",  # a worker loads the header kernel once, not once a task
        "spark.ui.showConsoleProgress": "false",  # Cairn prints its own progress
        "spark.sql.debug.maxToStringFields": "50",  # plans of 350 columns would fill the log
        # Spark checks the plan again after every rule, for faults of its own rules: with tables of 350 columns that was
        # half of the time of every query.
        "spark.sql.lightweightPlanChangeValidation": "false",
        # The driver keeps what its web page could show of a thousand queries, page or no page: hundreds of megabytes.
        "spark.sql.ui.retainedExecutions": "50",
        "spark.ui.retainedJobs": "100",
        "spark.ui.retainedStages": "100",
        "spark.ui.retainedTasks": "10000",
        "spark.executorEnv.PYTHONFAULTHANDLER": "1",
        # Spark takes compressed bytes for the size of a table, and addresses and UIDs compress by ten and more: what
        # it then broadcasts filled the driver's memory at ten million entries.
        "spark.sql.sources.fileCompressionFactor": "10",
        "spark.sql.adaptive.autoBroadcastJoinThreshold": "1MB",
    }
    if settings.spark.encrypt_scratch:
        chosen |= {"spark.io.encryption.enabled": "true", "spark.io.encryption.keySizeBits": "256"}
    # Where tables without a location of their own would go: scratch, not a folder in the current one.
    chosen["spark.sql.warehouse.dir"] = f"{scratch or Folder(settings.scratch_root).hadoop_uri}/default"
    if scratch:
        chosen |= {"spark.local.dir": scratch, "spark.executorEnv.TMPDIR": scratch}
    return chosen | explicit(settings)


def explicit(settings: Settings) -> dict[str, str]:
    """Return the Spark options that the settings themselves name: they win over what was submitted."""
    partitions = settings.spark.shuffle_partitions
    return ({"spark.sql.shuffle.partitions": str(partitions)} if partitions else {}) | settings.spark.conf


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
        # What was submitted to it then stands in a variable.
        SparkContext._ensure_initialized()
    given = {**_submitted(), **dict(SparkConf().getAll())}
    own, stays = options(settings, scratch), explicit(settings)
    kept = {option: value for option, value in own.items() if option in stays or option not in given}
    named = given.get("spark.app.name") or "pyspark-shell"
    if named == "pyspark-shell" or named.endswith(".py"):  # spark-submit's own names when nobody gave one
        kept["spark.app.name"] = name
    return kept


def _submitted() -> dict[str, str]:
    """Return the properties that ``PYSPARK_SUBMIT_ARGS`` holds for a JVM that this Python will start."""
    words = shlex.split(os.environ.get("PYSPARK_SUBMIT_ARGS", ""))
    return dict(deployment(split(words), os.environ).given)


def build(settings: Settings, name: str, scratch: str = "", zones: Sequence[str] = ZONES[:2]) -> SparkSession:
    """Return the session of one job, with the zones' tables registered.

    Parameters
    ----------
    settings : Settings
        The settings.
    name : str
        Application name, without identifiers.
    scratch : str
        Local scratch folder of this run, from :func:`cairn.spark.scratch.claim`.
    zones : sequence of str
        Zones whose tables it knows.

    Returns
    -------
    SparkSession
        A new session, or the running one.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers run this Python unless the submitter said which
    if scratch:
        keep_temporary_files_in(scratch)
    builder = SparkSession.builder
    for option, value in unless_submitted(settings, name, scratch).items():
        builder = builder.config(option, value)
    spark = builder.getOrCreate()
    register(spark, settings, zones)
    return spark


@contextmanager
def jvm_may_be_gone() -> Iterator[None]:
    """Stop something of the JVM's: a signal to the whole process group ends it too, then nothing is left to stop.

    What the JVM itself answers with is raised.
    """
    try:
        yield
    except Py4JJavaError:
        raise
    except (Py4JError, ConnectionError):
        pass


def keep_temporary_files_in(scratch: str) -> None:
    """Let the JVM that will be started, this Python and its workers make their temporary files in a run's scratch.

    Spark's artifacts, unpacked native libraries and Python's temporary files would lie in the machine's folder else,
    out of reach of the sweep. A JVM that ``spark-submit`` has started already (cluster mode) has the cluster's folder.
    """
    folder = os.path.join(scratch, "tmp")
    os.makedirs(folder, exist_ok=True)
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None  # looked up again
    others = [word for word in shlex.split(os.environ.get("SPARK_SUBMIT_OPTS", "")) if not word.startswith(JAVA_TMP)]
    # Spark's launcher adds this variable to the driver's command, and takes it apart at blanks outside of quotes.
    os.environ["SPARK_SUBMIT_OPTS"] = " ".join(f'"{word}"' for word in [*others, JAVA_TMP + folder])


def catalog_sql(settings: Settings, zones: Sequence[str] = ZONES[:2]) -> Iterator[str]:
    """Yield the statements that make zones and tables known: the catalog itself is in memory only."""
    for zone in zones:
        root = Folder(settings.zone_root(zone))
        if not root.exists():
            continue
        yield create_schema_sql(zone)
        for table in root.names(folders=True):
            if not table.startswith(("_", ".")) and root.child(table).exists("_delta_log"):
                location = literal(root.child(table).hadoop_uri)
                yield f"CREATE TABLE IF NOT EXISTS {quoted(zone)}.{quoted(table)} USING DELTA LOCATION {location}"


def register(spark: SparkSession, settings: Settings, zones: Sequence[str] = ZONES[:2]) -> None:
    """Register zones as schemas, with every existing table."""
    for statement in catalog_sql(settings, zones):
        spark.sql(statement)


def register_views(spark: SparkSession, settings: Settings, zones: Sequence[str] = ZONES[:2]) -> None:
    """Make the views over the zones' tables known, for who asks questions; jobs that make tables do without."""
    for zone in zones:
        root = Folder(settings.zone_root(zone))
        for statement in views_of(zone, set(root.names(folders=True)) if root.exists() else set()):
            spark.sql(statement)
