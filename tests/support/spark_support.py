"""What tests of Spark share beside the fixtures: the session's options, settings of a test, the catalog's reset."""

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import SparkSession

from cairn.settings import Settings, load

SUPPORT = Path(__file__).resolve().parent
ROOT = SUPPORT.parents[1]
PACKAGES = "io.delta:delta-spark_4.2_2.13:4.4.0"


def jars() -> dict[str, str]:
    """Spark option for Delta's jars: what spark-submit.sh or an earlier run resolved, else a download."""
    homes = [Path(os.environ.get("CAIRN_HOME", ROOT / ".cairn")), Path.home() / ".ivy2.5.2" / "jars"]
    for home in homes:
        found = {path.name: path for path in sorted(home.rglob("*.jar")) if "delta" in path.name}
        if any("delta-spark" in name for name in found):
            return {"spark.jars": ",".join(str(path) for path in found.values())}
    return {"spark.jars.packages": PACKAGES}


def spark_options() -> dict[str, str]:
    """Options that make small tests quick; each changes speed only, never a result."""
    return {
        "spark.master": "local[2]",
        "spark.driver.memory": "2g",  # one session lives through thousands of queries; Spark's own default is half that
        "spark.ui.enabled": "false",  # no web server
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",  # 200 tasks for ten rows cost seconds
        "spark.databricks.delta.snapshotPartitions": "2",  # Delta's own default is 50
        # The parallel collector costs more than it saves. Both compilers, whatever tests/run says to short jobs: after
        # five minutes the second one has paid for itself.
        "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=4",
        # Planning each stage of a query anew was a quarter of the JVM's time.
        "spark.sql.adaptive.enabled": "false",
        # A dozen rows do not pay for compiling 350 columns: Java code for each plan was half of the tests' time.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.log.level": "ERROR",
        **jars(),
    }


def quick_options() -> dict[str, str]:
    """Those of the options that a job or notebook of its own can be given."""
    return {n: value for n, value in spark_options().items() if n.startswith(("spark.sql", "spark.databricks"))}


def made_settings(warehouse: Path, **sections: dict[str, object]) -> Settings:
    """Settings of a test: its own warehouse, and the session's options."""
    base = load(warehouse=str(warehouse)).model_dump()
    base["spark"]["conf"] = spark_options()
    base["quality"]["gates"] = False  # they cost seconds a stage; tests of them turn them on
    for section, values in sections.items():
        base[section] |= values
    return Settings.model_validate(base)


def forget(spark: SparkSession) -> None:
    """Drop the zones' schemas from the session's catalog; the files stay."""
    for zone in ("identifiable", "deidentified"):
        spark.sql(f"DROP SCHEMA IF EXISTS {zone} CASCADE")


def worker_path() -> str:
    """PYTHONPATH of worker processes: the package, and the modules whose functions tests send them."""
    return os.pathsep.join(filter(None, [str(ROOT / "lib"), str(SUPPORT), os.environ.get("PYTHONPATH", "")]))


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds; a refused connection counts as no, and so does an answer that is none yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (OSError, json.JSONDecodeError):
            pass
        if time.monotonic() > end:
            raise TimeoutError("the condition did not come true")
        time.sleep(0.2)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
