"""The jobs that exist, read from the text of ``jobs/*.py`` without importing any of them.

A job's module docstring gives its line in the list; ``SPARK = False`` in it says that it runs without a JVM;
``EXTRAS = ("name",)`` which further locks it makes use of; and the options that it declares with ``add_argument`` are
its own, even where Spark has one of the same name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cairn.errors import CairnError, nearest


@dataclass(frozen=True)
class Job:
    """One entry point.

    Parameters
    ----------
    name : str
        As typed on the command line; ``verify-extract`` is ``jobs/verify_extract.py``.
    path : pathlib.Path
        Its file.
    summary : str
        First line of its docstring.
    needs_spark : bool
        Whether it is started with a JVM beside it.
    options : frozenset of str
        Long options that its file declares, such as ``--files``.
    extras : tuple of str
        Locks that are installed for it where that is possible; it must do without them too.
    """

    name: str
    path: Path
    summary: str
    needs_spark: bool
    options: frozenset[str]
    extras: tuple[str, ...] = ()


def read_job(path: Path) -> Job:
    """Return the job of one file.

    Raises
    ------
    CairnError
        JOB_UNREADABLE if the file is no Python.
    """
    name = path.stem.replace("_", "-")
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        raise CairnError("JOB_UNREADABLE", name=name) from None
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    said = _constants(tree)
    extras = tuple(str(extra) for extra in said.get("EXTRAS", ()))
    return Job(name, path, summary, bool(said.get("SPARK", True)), frozenset(_options(tree)), extras)


def _constants(tree: ast.Module) -> dict[str, Any]:
    """Return the literals that a module gives names to."""
    found: dict[str, Any] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            try:
                value = ast.literal_eval(statement.value)
            except ValueError:
                continue
            found |= {target.id: value for target in statement.targets if isinstance(target, ast.Name)}
    return found


def _options(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            for argument in node.args:
                if isinstance(argument, ast.Constant) and str(argument.value).startswith("--"):
                    yield str(argument.value)


def job_files(folder: Path) -> dict[str, Path]:
    """Return the files of all jobs in a folder by job name, sorted; files that begin with ``_`` are none."""
    files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    return {path.stem.replace("_", "-"): path for path in files}


def find_job(folder: Path, name: str) -> Job:
    """Return the job called `name` (hyphens and underscores are the same).

    Raises
    ------
    CairnError
        UNKNOWN_JOB with the nearest right name; JOB_UNREADABLE.
    """
    files = job_files(folder)
    path = files.get(name.replace("_", "-"))
    if path is None:
        raise CairnError("UNKNOWN_JOB", name=name, nearest=nearest(name, files))
    return read_job(path)


def listing(folder: Path) -> str:
    """Return the usage and every job with its line."""
    jobs = [read_job(path) for path in job_files(folder).values()]
    width = max((len(job.name) for job in jobs), default=0)
    lines = [
        "Usage: spark-submit.sh JOB [job's options] [Spark's options]",
        "       spark-submit.sh JOB --help",
        "",
        "Jobs:",
        *(f"  {job.name:<{width}}  {job.summary}".rstrip() for job in jobs),
        "",
        "Spark's options (--master, --conf, --properties-file, --driver-memory, ...) may stand anywhere; the master is",
        "local[*] without --master. --ship-environment sends the Python environment to the executors too.",
        "The environment is made at the first call, in .cairn beside this script or in $CAIRN_HOME.",
    ]
    return "\n".join(lines)
