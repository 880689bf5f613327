"""Entry point behind ``spark-submit.sh``: ``python -I lib/cairn/launch ROOT [arguments]``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a folder, before anything is installed: the package is not on the path yet
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from cairn import __version__
from cairn.errors import EXIT_DONE, EXIT_ENVIRONMENT, CairnError
from cairn.launch.environment import Home, ensure_python
from cairn.launch.jars import ensure_jars
from cairn.launch.java import require_java
from cairn.launch.jobs import find_job, listing
from cairn.launch.options import deployment, split
from cairn.launch.steps import say
from cairn.launch.submit import Command, plain_command, spark_command

HELP = frozenset({"-h", "--help"})
INTERRUPTED = 130


def prepare(root: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> Command | str:
    """Return the command to become, with everything ready for it, or the text to print.

    Parameters
    ----------
    root : pathlib.Path
        The repository.
    arguments : sequence of str
        Everything behind ``spark-submit.sh``.
    environment : mapping of str to str
        Environment variables.

    Raises
    ------
    CairnError
        Usage (exit code 2), or something that the environment lacks (4).
    """
    jobs = root / "jobs"
    if not arguments or arguments[0] in HELP:
        return listing(jobs)
    if arguments[0] == "--version":
        return f"Cairn {__version__}"
    folder = environment.get("CAIRN_HOME") or root / ".cairn"
    home = Home(Path(os.path.abspath(folder)), root / "requirements")
    extras = environment.get("CAIRN_EXTRAS", "").replace(",", " ").split()
    if arguments[0] == "--python":
        require_java(environment)
        ensure_python(home, environment, extras)
        ensure_jars(home, environment)
        return str(home.python)
    line = split(arguments)
    if not line.job:
        return listing(jobs)
    job = find_job(jobs, line.job[0])
    line = split(arguments, job.options)
    own = line.job[1:]
    asks_for_help = bool(HELP.intersection(own[: own.index("--")] if "--" in own else own))
    with_spark = job.needs_spark and not asks_for_help
    if with_spark:
        place = deployment(line, environment)
        require_java(environment)
    ensure_python(home, environment, extras)
    if not asks_for_help:
        _install_where_possible(home, environment, job.extras)
    if not with_spark:
        return plain_command(root, home, job, own, environment)
    return spark_command(root, home, job, line, place, ensure_jars(home, environment), environment)


def _install_where_possible(home: Home, environment: Mapping[str, str], extras: Sequence[str]) -> None:
    """Install what a job makes use of; where that fails the job says itself what it does without."""
    for extra in extras:
        try:
            ensure_python(home, environment, [extra])
        except CairnError as error:
            say(f"{error} The job goes on without the packages of requirements/{extra}.txt.")


def main(root: Path, arguments: Sequence[str]) -> int:
    """Print, or become the job's own process and never return."""
    try:
        done = prepare(root, arguments, os.environ)
        if isinstance(done, str):
            print(done)
            return EXIT_DONE
        sys.stdout.flush()
        os.execve(done.words[0], done.words, done.environment)
    except CairnError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as fault:
        print(f"[SETUP_FAILED] The job could not be started: {fault.strerror}.", file=sys.stderr)
        return EXIT_ENVIRONMENT
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
