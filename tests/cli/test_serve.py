"""A zone served by JDBC and Spark Connect: real clients get answers from it, and none from the other zone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest
from cohort_zone import people, write
from spark_support import ROOT, free_port, quick_options, wait_for

from cairn.errors import CairnError
from cairn.settings import Settings
from cairn.spark.serving import AUTHENTICATION, TOKEN, Served, with_servers
from cairn.spark.store import Store

HOME = Path(pyspark.__file__).parent


@pytest.fixture
def served(store: Store, tmp_path: Path) -> Iterator[tuple[Served, str]]:
    """The de-identified zone of a few people, served by the job in a process of its own."""
    write(store, people(5))
    place = Served("127.0.0.1", free_port(), free_port())
    ports = ["--jdbc", str(place.jdbc), "--connect", str(place.connect)]
    options = [word for name, value in quick_options().items() for word in ("--set", f"spark.conf.{name}={value}")]
    warehouse = store.settings.warehouse.root
    command = [str(ROOT / "spark-submit.sh"), "serve", "--warehouse", warehouse, *ports, *options]
    with (tmp_path / "said").open("wb") as said:
        job = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_for(lambda: job.poll() is not None or b"sc://" in (tmp_path / "said").read_bytes(), 300)
            assert job.poll() is None, (tmp_path / "said").read_text()[-3000:]
            yield place, warehouse
            os.killpg(job.pid, signal.SIGTERM)
            assert job.wait(60) == 0
        finally:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
            job.wait()


def by_jdbc(place: Served, query: str) -> tuple[int, str]:
    """Ask with Hive's own client."""
    url = f"jdbc:hive2://{place.host}:{place.jdbc}/deidentified"
    command = [str(HOME / "bin" / "spark-class"), "org.apache.hive.beeline.BeeLine", "-u", url, "--outputformat=csv2"]
    environment = {**os.environ, "SPARK_HOME": str(HOME)}
    done = subprocess.run([*command, "-e", query], capture_output=True, text=True, env=environment, check=False)
    return done.returncode, done.stdout + done.stderr


def by_connect(place: Served, query: str) -> tuple[int, str]:
    """Ask with PySpark's client, in a process without a session of its own."""
    code = (
        "import sys; from pyspark.sql import SparkSession; s = SparkSession.builder.remote(sys.argv[1]).getOrCreate();"
        "print(s.sql(sys.argv[2]).collect())"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK", "PYSPARK"))}
    command = [sys.executable, "-c", code, f"sc://{place.host}:{place.connect}", query]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_clients_are_answered_from_the_zone_that_is_served_and_no_other(served: tuple[Served, str]) -> None:
    place, warehouse = served
    asked = "SELECT count(*) AS n, sum(series) > 0 AS some FROM v_modality_year"
    code, said = by_jdbc(place, asked)
    assert code == 0, said[-3000:]
    assert "true" in said
    code, said = by_connect(place, asked.replace("v_mod", "deidentified.v_mod"))
    assert code == 0, said[-3000:]
    assert "some=True" in said
    for query in ("SELECT * FROM identifiable.instance", f"SELECT * FROM delta.`{warehouse}/deidentified/series`"):
        for ask in (by_jdbc, by_connect):
            code, said = ask(place, query)
            assert code != 0
            assert "TABLE_OR_VIEW_NOT_FOUND" in said or "UNSUPPORTED" in said, said[-2000:]


def test_others_than_this_machine_are_let_in_only_when_they_are_asked_who_they_are(settings: Settings) -> None:
    place = Served("0.0.0.0", 10000, 15002)
    with pytest.raises(CairnError, match="SERVE_OPEN"):
        with_servers(settings, place, "/s", {})
    asks = {**settings.spark.conf, AUTHENTICATION: "LDAP"}
    asking = settings.model_copy(update={"spark": settings.spark.model_copy(update={"conf": asks})})
    with pytest.raises(CairnError, match="SERVE_OPEN"):
        with_servers(asking, place, "/s", {})
    assert with_servers(asking, place, "/s", {TOKEN: "x"}).spark.conf[AUTHENTICATION] == "LDAP"
    here = with_servers(settings, Served("127.0.0.1", 10000, 15002), "/s", {})
    assert here.spark.conf["spark.sql.runSQLOnFiles"] == "false"
