"""Fixtures that every test may use: one Spark session for the whole run, a warehouse per test, a small cluster.

The session is the expensive thing (a JVM, then its warm-up), so there is one, and every test gets a warehouse of its
own instead.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import hypothesis
import pytest

from cairn.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
# Modules that tests share lie there: not collected, and on the path of the workers too.
sys.path.append(str(ROOT / "tests" / "support"))


# The same examples in every run, so that a failure is of the change at hand; CAIRN_TEST_SEARCH=1 looks for new ones.
# No deadline: a busy machine is no failure.
hypothesis.settings.register_profile("cairn", deadline=None, derandomize="CAIRN_TEST_SEARCH" not in os.environ)
hypothesis.settings.load_profile("cairn")


# What takes minutes by itself begins early.
LONG = ("tests/cluster", "tests/cli/test_no_identifier_leaves", "tests/cli/test_launch_spark", "tests/test_notebooks",
        "tests/pipelines/test_object_store_run")  # fmt: skip


@cache
def group(file: str) -> str:
    """Return with which tests those of a file stay together when several processes share the run (tests/run)."""
    shares_world = "from made_world import World" in (ROOT / file).read_text("utf-8")
    return "world" if shares_world else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what starts Spark first: the long groups, so that none of them begins when the others are done."""

    def late(item: pytest.Item) -> int:
        file = item.nodeid.partition("::")[0]
        if group(file) == "world":
            return 0
        return 1 if file.startswith(LONG) else 2 if file.startswith(("tests/pipelines", "tests/spark")) else 3

    items.sort(key=late)
    if "CAIRN_TEST_LONG" not in os.environ:
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes by itself: set CAIRN_TEST_LONG=1"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Give each process whole files in their order, and one of them all that use the made-up world.

    That world takes minutes to make, and some of its tests change it. (xdist's own groups do not work with pytest 9.2.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid.partition("::")[0])

    return ByGroup(config, log)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The one session. Skips when there is no Java or no way to Delta's jars."""
    from spark_support import made_settings, worker_path

    from cairn.spark import session

    # Workers are new processes: they find the package on the path of the environment only.
    os.environ["PYTHONPATH"] = worker_path()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    folder = tmp_path_factory.mktemp("spark")
    made = session.build(made_settings(folder / "none"), "cairn tests", str(folder))
    yield made
    made.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty warehouse, in a folder with a space as users have them."""
    from spark_support import made_settings

    return made_settings(tmp_path / "ware house")


@pytest.fixture
def store(spark, settings: Settings) -> Iterator[object]:  # type: ignore[no-untyped-def]
    """A store on an empty warehouse; its tables are forgotten by the catalog afterwards."""
    from spark_support import forget

    from cairn.spark.store import Store

    forget(spark)
    yield Store(spark, settings)
    forget(spark)


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

    def kill_worker(self) -> None:
        """SIGKILL one worker together with its executors: a machine that is lost."""
        _end(self.workers.pop())


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A master and two workers of one core and 1 GiB each, on free ports of 127.0.0.1; gone at the end."""
    from spark_support import free_port, wait_for

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
        "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # as quick to start as they can be
        "PYTHONPATH": os.pathsep.join([str(ROOT / "lib"), str(ROOT / "tests" / "support")]),
        "PYSPARK_PYTHON": sys.executable,
    }
    command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", *words]
    with open(work / "log.txt", "wb") as log:
        return subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def _die_with_parent() -> None:
    """Linux: a test run that is killed takes its cluster along (prctl(2), PR_SET_PDEATHSIG; it survives exec)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


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
