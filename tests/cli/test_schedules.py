"""Schedules: units of systemd and the DAGs of Airflow name jobs and options that there are, in the right order."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cairn.launch.jobs import job_files, read_job

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "conf" / "schedules" / "systemd"
DAGS = ROOT / "conf" / "schedules" / "airflow" / "cairn_dags.py"
COMMON = {"--warehouse", "--settings", "--keys", "--set", "--json"}


def read(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)  # After= may stand twice
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(path.read_text("utf-8"))
    return {section: dict(parser[section]) for section in parser.sections()}


def refuse_unknown(name: str, words: list[str]) -> None:
    """Fail when a job, or an option of it, is not there."""
    files = job_files(ROOT / "jobs")
    if name == "reprocess" and name not in files:
        pytest.skip("this checkout has no job reprocess")
    known = read_job(files[name]).options | COMMON
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("path", sorted(UNITS.glob("cairn-*[!@].service")), ids=lambda path: path.stem)
def test_a_service_runs_jobs_that_there_are(path: Path) -> None:
    unit = read(path)
    service = unit["Service"]
    assert service["Type"] == "oneshot"
    assert service["UMask"] == "0077"
    assert service["RestartPreventExitStatus"] == "2 3"  # usage and a closed gate do not mend by themselves
    assert unit["Unit"]["OnFailure"] == "cairn-failed@%n.service"
    for key in ("ExecStart", "ExecStopPost", "ExecStartPost"):
        if key in service:
            program, job, *words = shlex.split(service[key].lstrip("-"))
            assert program == "/opt/cairn/spark-submit.sh"
            assert "--json" in words
            refuse_unknown(job, words)


def test_what_the_services_take_from_the_environment_is_in_the_example() -> None:
    given = {line.partition("=")[0] for line in (UNITS / "cairn.env.example").read_text("utf-8").splitlines()}
    for path in UNITS.glob("*.service"):
        for word in shlex.split(path.read_text("utf-8"), comments=True):
            if word.startswith("$"):
                assert word.strip("${}") in given, path.name


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.timer")), ids=lambda path: path.stem)
def test_a_timer_has_its_service_and_makes_up_for_a_missed_run(path: Path) -> None:
    timer = read(path)["Timer"]
    assert path.with_suffix(".service").exists()
    assert timer["Persistent"] == "true"
    if shutil.which("systemd-analyze"):
        subprocess.run(["systemd-analyze", "calendar", timer["OnCalendar"]], check=True, capture_output=True)


class Task:
    """Stands for Airflow's operator: keeps what it was given, and what comes after it."""

    made: ClassVar[dict[str, Task]] = {}

    def __init__(self, **given: Any) -> None:
        self.given, self.after = given, []
        Dag.now.tasks[given["task_id"]] = self

    def __rshift__(self, other: Task) -> Task:
        self.after.append(other.given["task_id"])
        return other


class Dag:
    """Stands for Airflow's DAG."""

    now: ClassVar[Dag]
    made: ClassVar[dict[str, Dag]] = {}

    def __init__(self, name: str, **given: Any) -> None:
        self.given, self.tasks = given, {}
        Dag.made[name] = self

    def __enter__(self) -> Dag:
        Dag.now = self
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def dags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Dag]:
    """The DAGs, as the file makes them where Airflow is not installed."""
    whole = ["airflow", "providers", "apache", "spark", "operators", "spark_submit"]
    for name in (".".join(whole[:length]) for length in range(1, len(whole) + 1)):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(sys.modules["airflow"], "DAG", Dag, raising=False)
    operator = sys.modules["airflow.providers.apache.spark.operators.spark_submit"]
    monkeypatch.setattr(operator, "SparkSubmitOperator", Task, raising=False)
    (tmp_path / "jars-1").mkdir()
    (tmp_path / "jars-1" / "delta.jar").touch()
    monkeypatch.setenv("CAIRN_HOME", str(tmp_path))
    monkeypatch.setenv("CAIRN_ROOT", str(ROOT))
    monkeypatch.setenv("CAIRN_EHR", "/data/records '/data/more records'".replace("'", '"').replace("more ", "more_"))
    monkeypatch.setenv("CAIRN_ARCHIVE", "/mnt/a s3a://b")
    Dag.made.clear()
    exec(compile(DAGS.read_text("utf-8"), str(DAGS), "exec"), {"__name__": "cairn_dags"})
    return dict(Dag.made)


def before(dag: Dag, task: str) -> set[str]:
    """Every task that must be done first."""
    direct = {name for name, one in dag.tasks.items() if task in one.after}
    return direct.union(*(before(dag, name) for name in direct))


def test_the_nightly_dag_lets_nothing_cross_before_the_gate(dags: dict[str, Dag]) -> None:
    nightly = dags["cairn_nightly"]
    assert nightly.given["max_active_runs"] == 1
    assert before(nightly, "deidentify") >= {"inventory", "headers", "pixels", "series", "gate", "ehr_records"}
    assert before(nightly, "gate") >= {"series", "ehr_records", "ehr_more_records"}
    assert "deidentify" in before(nightly, "verify")
    inventory = nightly.tasks["inventory"].given
    assert inventory["application_args"][:2] == ["/mnt/a", "s3a://b"]
    assert inventory["jars"].endswith("delta.jar")


@pytest.mark.parametrize("name", ["cairn_nightly", "cairn_full"])
def test_the_tasks_run_jobs_that_there_are(dags: dict[str, Dag], name: str) -> None:
    for task in dags[name].tasks.values():
        application = Path(task.given["application"])
        assert task.given["application_args"].count("--json") == 1
        refuse_unknown(application.stem, task.given["application_args"])
        assert application.exists()
        assert task.given["properties_file"].endswith(".conf")
