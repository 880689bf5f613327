"""Jobs that really start Spark through spark-submit.sh: on one machine and on a standalone cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = '''"""Look around."""

import argparse
import json
import os
import sys

from pyspark.sql import SparkSession

import cairn

parser = argparse.ArgumentParser()
parser.add_argument("--out")
parser.add_argument("--end", type=int, default=0)
parser.add_argument("rest", nargs="*")
options = parser.parse_args()
spark = SparkSession.builder.appName("probe").getOrCreate()
spark.range(10).write.format("delta").save(options.out)
spark.sql("CREATE TABLE kept (a INT)")


def place(number):
    import cairn

    return cairn.__file__, sys.executable, sys.prefix


package, python, prefix = spark.sparkContext.parallelize([0], 1).map(place).first()
print("to standard error", file=sys.stderr)
print(
    json.dumps(
        {
            "rows": spark.read.format("delta").load(options.out).count(),
            "heard": sys.stdin.read(),
            "rest": options.rest,
            "partitions": spark.conf.get("spark.sql.shuffle.partitions"),
            "zone": spark.conf.get("spark.sql.session.timeZone"),
            "package": package,
            "python": python,
            "prefix": prefix,
            "here": os.listdir("."),
        }
    )
)
spark.stop()
sys.exit(options.end)
'''


@pytest.fixture
def real(checkout):
    """The checkout with the environment that runs these tests, and a job that looks around."""
    prefix = Path(sys.prefix)
    if not (prefix / ".ready").is_file() or prefix.name != checkout.laid_out.environment.name:
        pytest.skip("not run by tests/run: this Python is in no environment that spark-submit.sh made")
    checkout.home = prefix.parent
    (checkout.root / "jobs" / "probe.py").write_text(PROBE)
    kept = {name: os.environ[name] for name in ("PATH", "JAVA_HOME", "LANG") if name in os.environ}
    checkout.environment = {**checkout.environment, **kept, "CAIRN_HOME": str(checkout.home), "CAIRN_PYTHON": ""}
    return checkout


def probe(checkout, tmp_path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, object]]:
    folder = tmp_path / "current folder"
    folder.mkdir()
    done = subprocess.run(
        ["bash", str(checkout.script), "probe", "--out", str(tmp_path / "a table"), *arguments],
        env=checkout.environment,
        cwd=folder,
        input="said to the job",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip(), done.stderr
    assert list(folder.iterdir()) == [], "nothing is left in the user's folder"
    return done, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_on_one_machine(real, tmp_path):
    options = ["a b", "--conf", "spark.sql.shuffle.partitions=3", "*", "--end", "3"]
    done, found = probe(real, tmp_path, "--master", "local[1]", *options)
    assert done.returncode == 3, "the job's own exit code"
    assert len(done.stdout.splitlines()) == 1, "standard output is the job's alone"
    assert "to standard error" in done.stderr
    assert (found["rows"], found["heard"], found["rest"]) == (10, "said to the job", ["a b", "*"])
    assert (found["partitions"], found["zone"], found["here"]) == ("3", "UTC", [])
    assert Path(str(found["package"])).is_relative_to(real.root)
    assert found["python"] == str(real.laid_out.python)


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize(
    "ship", [pytest.param(False, id="same path", marks=pytest.mark.long), pytest.param(True, id="shipped environment")]
)
def test_on_a_cluster(real, cluster, tmp_path, ship):
    options = ["--master", cluster.url, "--conf", "spark.driver.host=127.0.0.1", "--executor-memory", "512m"]
    done, found = probe(real, tmp_path, *options, *(["--ship-environment"] if ship else []))
    assert done.returncode == 0, done.stderr
    assert found["rows"] == 10
    assert ".zip" in str(found["package"]), "the executors use the package that was shipped"
    if ship:
        assert str(found["prefix"]).endswith("/environment")
        assert not Path(str(found["prefix"])).is_relative_to(real.home)
    else:
        assert found["python"] == str(real.laid_out.python)
