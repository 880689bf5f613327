"""Fixtures that every test may use: one Spark session for the whole run, a warehouse per test, a small cluster.

The session is the expensive thing (a JVM, then its warm-up), so there is one, and every test gets a warehouse of its
own instead.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from cairn.settings import Settings, load

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = "io.delta:delta-spark_4.2_2.13:4.4.0"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cluster: starts a Spark standalone cluster (master and two workers)")
    config.addinivalue_line("markers", "slow: takes more than ten seconds")


hypothesis.settings.register_profile("cairn", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("cairn")


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
        "spark.ui.enabled": "false",  # no web server
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",  # 200 tasks for ten rows cost seconds
        "spark.databricks.delta.snapshotPartitions": "2",  # Delta's own default is 50
        # Tests run code once: the optimising compiler and the parallel collector cost more than they save.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.log.level": "ERROR",
        **jars(),
    }


def made_settings(warehouse: Path, **sections: dict[str, object]) -> Settings:
    """Settings of a test: its own warehouse, and the session's options."""
    base = load(warehouse=str(warehouse)).model_dump()
    base["spark"]["conf"] = spark_options()
    for section, values in sections.items():
        base[section] |= values
    return Settings.model_validate(base)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The one session. Skips when there is no Java or no way to Delta's jars."""
    from cairn.spark import session

    # Workers are new processes: they find the package on the path of the environment only.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "lib"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    folder = tmp_path_factory.mktemp("spark")
    made = session.build(made_settings(folder / "none"), "cairn tests", str(folder))
    yield made
    made.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty warehouse, in a folder with a space as users have them."""
    return made_settings(tmp_path / "ware house")


@pytest.fixture
def store(spark, settings: Settings) -> Iterator[object]:  # type: ignore[no-untyped-def]
    """A store on an empty warehouse; its tables are forgotten by the catalog afterwards."""
    from cairn.spark.store import Store

    forget(spark)
    yield Store(spark, settings)
    forget(spark)


def forget(spark) -> None:  # type: ignore[no-untyped-def]
    """Drop the zones' schemas from the session's catalog; the files stay."""
    for zone in ("identifiable", "deidentified"):
        spark.sql(f"DROP SCHEMA IF EXISTS {zone} CASCADE")


@dataclass
class Cluster:
    """A standalone cluster of processes on this machine.

    Parameters
    ----------
    url : str
        For ``spark.master``.
    web : int
        Port of the master's web page; ``/json/`` tells its state.
    master : subprocess.Popen
        The master.
    workers : list of subprocess.Popen
        Two workers, each a process group of its own, with its executors in it.
    """

    url: str
    web: int
    master: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]

    def state(self) -> dict[str, object]:
        """The master's state."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/json/", timeout=5) as answer:
            return dict(json.load(answer))

    def executors(self) -> list[int]:
        """Process ids of the executors' JVMs, children of the workers."""
        parents = {worker.pid for worker in self.workers}
        return [pid for pid, parent, command in _processes() if parent in parents and "ExecutorBackend" in command]

    def kill_executor(self) -> int:
        """SIGKILL one executor and return its process id."""
        pid = self.executors()[0]
        os.kill(pid, signal.SIGKILL)
        return pid


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A master and two workers of one core and 1 GiB each, on free ports of 127.0.0.1; gone at the end."""
    port, web = free_port(), free_port()
    started: list[subprocess.Popen[bytes]] = []
    try:
        url = f"spark://127.0.0.1:{port}"
        options = ("--host 127.0.0.1", f"--port {port}", f"--webui-port {web}")
        master = _spark_class(tmp_path, "master", "master.Master", *options)
        started.append(master)
        made = Cluster(url, web, master, [])
        wait_for(lambda: made.state()["status"] == "ALIVE", 60)
        for number in range(2):
            options = ("--host 127.0.0.1", f"--webui-port {free_port()}", "--cores 1", "--memory 1g", url)
            made.workers.append(_spark_class(tmp_path, f"worker{number}", "worker.Worker", *options))
            started.append(made.workers[-1])
        wait_for(lambda: made.state()["aliveworkers"] == 2, 60)
        yield made
    finally:
        for process in reversed(started):
            _end(process)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds; a refused connection counts as no."""
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            raise TimeoutError("the condition did not come true")
        time.sleep(0.2)


def _spark_class(folder: Path, name: str, kind: str, *options: str) -> subprocess.Popen[bytes]:
    import pyspark

    home = Path(pyspark.__file__).parent
    words = [word for option in options for word in option.split()]
    work = folder / name
    work.mkdir()
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(work),
        "SPARK_WORKER_DIR": str(work),
        "SPARK_DAEMON_MEMORY": "256m",
        "PYTHONPATH": str(ROOT / "lib"),
        "PYSPARK_PYTHON": sys.executable,
    }
    command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", *words]
    with open(work / "log.txt", "wb") as log:
        return subprocess.Popen(command, cwd=work, env=environment, stdout=log, stderr=log, start_new_session=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)  # its own session: exactly what this fixture started
    except ProcessLookupError:
        pass
    process.wait()


def _processes() -> Iterator[tuple[int, int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            yield int(entry.name), int(fields[1]), command
