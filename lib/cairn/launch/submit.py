"""The command that a job becomes: its program, its arguments and its environment variables.

In client mode (every local master, and a cluster unless told otherwise) the job is started as ``python jobs/JOB.py``,
and pyspark runs Spark's own ``spark-submit`` from it with the options in ``PYSPARK_SUBMIT_ARGS``. Started the other way
round, Spark pours the job's standard error into its standard output and gives it no standard input, so that ``--json``
could not be piped and ``sql`` could not ask. In cluster mode there is only ``spark-submit`` itself.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cairn.launch.environment import FOREIGN, Home
from cairn.launch.jobs import Job
from cairn.launch.options import CommandLine, Deployment, read_properties
from cairn.launch.shipping import UNPACKED, environment_tar, package_zip

CLASS_PATH = "spark.driver.extraClassPath"
JAVA_DEFAULTS = "spark.driver.defaultJavaOptions"
SHIP_PROPERTY = "spark.cairn.shipEnvironment"
MERGED = {"--jars": "spark.jars", "--py-files": "spark.submit.pyFiles", "--archives": "spark.archives"}
"""Lists that Cairn adds to: on a cluster the user's own values are joined with Cairn's."""


@dataclass(frozen=True)
class Command:
    """What to become.

    Parameters
    ----------
    words : tuple of str
        Program and arguments.
    environment : dict
        All environment variables.
    """

    words: tuple[str, ...]
    environment: dict[str, str]


def plain_command(root: Path, home: Home, job: Job, arguments: Sequence[str], inherited: Mapping[str, str]) -> Command:
    """Return the command of a job without Spark, or of ``JOB --help``."""
    return Command((str(home.python), str(job.path), *arguments), _variables(root, home, inherited))


def spark_command(
    root: Path,
    home: Home,
    job: Job,
    line: CommandLine,
    place: Deployment,
    jars: Sequence[Path],
    inherited: Mapping[str, str],
) -> Command:
    """Return the command of a job on Spark.

    Parameters
    ----------
    root : pathlib.Path
        The repository.
    home : Home
        Holds the environment, which is ready.
    job : Job
        The job.
    line : CommandLine
        The command line; the first word of `line.job` is the job's name.
    place : Deployment
        Where it runs.
    jars : sequence of pathlib.Path
        Jars beside Spark's own.
    inherited : mapping of str to str
        Environment variables of the caller.

    Raises
    ------
    CairnError
        NO_DISK, HOME_NOT_WRITABLE while something to ship is packed.
    """
    arguments = line.job[1:]
    variables = _variables(root, home, inherited)
    python = place.given.get("spark.pyspark.python") or str(home.python)
    options = _defaults(root, home, place)
    if place.kind == "local":
        variables.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # no look-up of this machine's name, no open port
        options |= {CLASS_PATH: _joined(f"{jars[0].parent}/*" if jars else "", place.given.get(CLASS_PATH), ":")}
        dropped = {CLASS_PATH}
    else:
        shipped = {"spark.jars": ",".join(map(str, jars)), "spark.submit.pyFiles": str(package_zip(home, root / "lib"))}
        if line.ship or options.get(SHIP_PROPERTY, place.given.get(SHIP_PROPERTY)) == "true":
            # As a URI: Spark takes a path with a space and a fragment for the name of a file.
            shipped["spark.archives"] = f"{environment_tar(home).as_uri()}#{UNPACKED}"
            python = f"./{UNPACKED}/bin/python"
        options |= {name: _joined(value, place.given.get(name), ",") for name, value in shipped.items()}
        dropped = set(shipped)
    variables["PYSPARK_PYTHON"] = python
    spark = ["--master", place.master, *_conf(options), *_passed_on(line, dropped)]
    if place.mode != "cluster":
        variables["PYSPARK_DRIVER_PYTHON"] = str(home.python)
        variables["PYSPARK_SUBMIT_ARGS"] = shlex.join([*spark, "pyspark-shell"])
        return Command((str(home.python), str(job.path), *arguments), variables)
    variables["PYSPARK_DRIVER_PYTHON"] = python
    submit = [str(home.spark / "bin" / "spark-submit"), *spark, "--conf", f"spark.pyspark.python={python}"]
    return Command((*submit, str(job.path), *arguments), variables)


def _defaults(root: Path, home: Home, place: Deployment) -> dict[str, str]:
    """Properties of ``conf/spark/<kind>.conf`` and of this machine that nobody has set."""
    options = read_properties(root / "conf" / "spark" / f"{place.kind}.conf")
    if place.mode != "cluster":
        log = (root / "conf" / "spark" / "log4j2.properties").as_uri()
        options.setdefault(JAVA_DEFAULTS, "")
        options[JAVA_DEFAULTS] = _joined(f"-Dlog4j2.configurationFile={log}", options[JAVA_DEFAULTS], " ")
    return {name: value for name, value in options.items() if name not in place.given}


def _passed_on(line: CommandLine, dropped: set[str]) -> list[str]:
    """Spark's options as given, without those that were joined with Cairn's own."""
    words: list[str] = []
    names = {"--driver-class-path": CLASS_PATH, **MERGED}
    for option, value in line.spark:
        key = (value or "").partition("=")[0].strip() if option == "--conf" else names.get(option)
        if option != "--master" and key not in dropped:
            words += [option] if value is None else [option, value]
    return words


def _conf(options: Mapping[str, str]) -> list[str]:
    return [word for name, value in options.items() if value for word in ("--conf", f"{name}={value}")]


def _joined(first: str, second: str | None, separator: str) -> str:
    return separator.join(part for part in (first, second) if part)


def _variables(root: Path, home: Home, inherited: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in inherited.items() if name not in FOREIGN}
    kept.pop("PYSPARK_SUBMIT_ARGS", None)
    return kept | {
        "PYTHONPATH": str(root / "lib"),
        "PYTHONNOUSERSITE": "1",  # the lock decides, not what lies in the user's own folder
        "PYTHONHASHSEED": "0",  # Spark's scripts set it too: driver and workers must hash text alike
        "SPARK_HOME": str(home.spark),
        "PYSPARK_PYTHON": str(home.python),
    }
