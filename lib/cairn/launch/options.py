"""One command line taken apart: the job, its own options, Spark's options, and those of the launcher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cairn.errors import CairnError

SPARK_VALUES = frozenset(
    (
        "--archives",
        "--class",
        "--conf",
        "--deploy-mode",
        "--driver-class-path",
        "--driver-cores",
        "--driver-default-class-path",
        "--driver-java-options",
        "--driver-library-path",
        "--driver-memory",
        "--exclude-packages",
        "--executor-cores",
        "--executor-memory",
        "--extra-properties-file",
        "--files",
        "--jars",
        "--keytab",
        "--master",
        "--name",
        "--num-executors",
        "--packages",
        "--principal",
        "--properties-file",
        "--proxy-user",
        "--py-files",
        "--queue",
        "--repositories",
        "--total-executor-cores",
    )
)
"""Options of Spark's own spark-submit that take a value (org.apache.spark.launcher.SparkSubmitOptionParser, 4.2)."""

SPARK_FLAGS = frozenset({"--supervise", "--verbose", "--load-spark-defaults"})
"""Options of Spark's own spark-submit without a value. Its ``--help`` and ``--version`` are ours."""

SHIP = "--ship-environment"
OPTION_PROPERTIES = {
    "--archives": "spark.archives",
    "--deploy-mode": "spark.submit.deployMode",
    "--driver-class-path": "spark.driver.extraClassPath",
    "--driver-cores": "spark.driver.cores",
    "--driver-java-options": "spark.driver.extraJavaOptions",
    "--driver-library-path": "spark.driver.extraLibraryPath",
    "--driver-memory": "spark.driver.memory",
    "--executor-cores": "spark.executor.cores",
    "--executor-memory": "spark.executor.memory",
    "--jars": "spark.jars",
    "--master": "spark.master",
    "--name": "spark.app.name",
    "--num-executors": "spark.executor.instances",
    "--py-files": "spark.submit.pyFiles",
    "--queue": "spark.yarn.queue",
    "--total-executor-cores": "spark.cores.max",
}
"""Options that say the same as a property, so that a default of ours never stands against one of them."""


@dataclass
class CommandLine:
    """What one command line asks for.

    Parameters
    ----------
    job : list of str
        The job's name and its own options, in their order. Everything after ``--`` is here.
    spark : list of (str, str or None)
        Spark's options in their order, with their values.
    ship : bool
        Whether ``--ship-environment`` was given.
    """

    job: list[str] = field(default_factory=list)
    spark: list[tuple[str, str | None]] = field(default_factory=list)
    ship: bool = False

    @property
    def conf(self) -> dict[str, str]:
        """Properties given with ``--conf``, or with an option that says the same and then wins."""
        pairs = (value.partition("=") for name, value in self.spark if name == "--conf" and value)
        properties = {key.strip(): value for key, _, value in pairs}
        named = {OPTION_PROPERTIES[name]: value for name, value in self.spark if name in OPTION_PROPERTIES and value}
        return properties | named

    def last(self, option: str) -> str | None:
        """Return the value of the last such option of Spark's, or None."""
        return next((value for name, value in reversed(self.spark) if name == option), None)


def split(arguments: Sequence[str], own: frozenset[str] = frozenset()) -> CommandLine:
    """Take a command line apart.

    Parameters
    ----------
    arguments : sequence of str
        Everything behind ``spark-submit.sh``.
    own : frozenset of str
        Long options of the job; they are the job's even where Spark has one of the same name.

    Raises
    ------
    CairnError
        OPTION_INCOMPLETE when one of Spark's options lacks its value.
    """
    line = CommandLine()
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument == "--":
            line.job += [argument, *rest]
        elif name in own or not name.startswith("--"):
            line.job.append(argument)
        elif argument == SHIP:
            line.ship = True
        elif argument in SPARK_FLAGS:
            line.spark.append((argument, None))
        elif name in SPARK_VALUES:
            line.spark.append((name, value if equals else _value(name, rest)))
        else:
            line.job.append(argument)
    return line


def _value(name: str, rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None:
        raise CairnError("OPTION_INCOMPLETE", name=name)
    return value


def read_properties(path: Path) -> dict[str, str]:
    """Return the properties of a file as Spark reads it.

    The format is that of ``java.util.Properties`` without its escapes: ``key value``, ``key=value`` or ``key: value``
    a line, ``#`` and ``!`` begin comments, a backslash at the end of a line continues it.

    Raises
    ------
    CairnError
        PROPERTIES_UNREADABLE.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        why = getattr(fault, "strerror", None) or "it is no UTF-8"
        raise CairnError("PROPERTIES_UNREADABLE", path=path, why=why) from None
    properties = {}
    for line in text.replace("\\\n", "").splitlines():
        if line.strip() and line.lstrip()[0] not in "#!":
            key, value = _pair(line.strip())
            properties[key] = value
    return properties


def _pair(line: str) -> tuple[str, str]:
    end = next((place for place, letter in enumerate(line) if letter in "=: \t"), len(line))
    value = line[end:].lstrip()
    return line[:end], value[1:].lstrip() if value[:1] in ("=", ":") else value


@dataclass(frozen=True)
class Deployment:
    """Where a job runs, and the properties that somebody has set already.

    Parameters
    ----------
    master : str
        Spark's master URL.
    mode : str
        ``client`` or ``cluster``.
    given : mapping of str to str
        Properties of the site and the user: defaults file < ``--properties-file`` < ``--conf`` < other options.
    """

    master: str
    mode: str
    given: Mapping[str, str]

    @property
    def kind(self) -> str:
        """``local``, ``standalone``, ``yarn`` or ``kubernetes``: the name of the file in ``conf/spark``."""
        if self.master.startswith("k8s:"):
            return "kubernetes"
        if self.master == "yarn" or self.master.startswith("yarn-"):
            return "yarn"
        return "local" if self.master.split("[")[0] == "local" else "standalone"


def deployment(line: CommandLine, environment: Mapping[str, str]) -> Deployment:
    """Return where the job runs: ``--master``, else ``spark.master`` of the properties, else ``local[*]``.

    Raises
    ------
    CairnError
        PROPERTIES_UNREADABLE.
    """
    given: dict[str, str] = {}
    file = line.last("--properties-file")
    site = Path(environment.get("SPARK_CONF_DIR", "")) / "spark-defaults.conf"
    # Spark reads the site's defaults only when no other file is named, or when told to.
    read_site = file is None or ("--load-spark-defaults", None) in line.spark
    if environment.get("SPARK_CONF_DIR") and read_site and site.is_file():
        given |= read_properties(site)
    for name in (file, line.last("--extra-properties-file")):
        given |= read_properties(Path(name)) if name is not None else {}
    given |= line.conf
    mode = given.get("spark.submit.deployMode") or "client"
    return Deployment(given.get("spark.master") or "local[*]", mode, given)
