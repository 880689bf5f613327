"""The jars beside Spark's own (Delta, the MongoDB connector): resolved once by Spark's Ivy, held against their sums."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cairn.errors import CairnError
from cairn.launch.environment import NEEDED_MB, Home, is_ready, mark_ready, require_space, writing
from cairn.launch.steps import run_step, say

SETTINGS = "CAIRN_IVY_SETTINGS"
"""Names an Ivy settings file of the site (mirror, proxy): ``spark.jars.ivySettings``."""


@dataclass(frozen=True)
class Round:
    """One call of Ivy.

    Parameters
    ----------
    packages : tuple of str
        ``group:artifact:version``.
    excluded : tuple of str
        ``group:artifact`` that are not wanted, wherever they are asked for.
    """

    packages: tuple[str, ...]
    excluded: tuple[str, ...]


def rounds(text: str) -> Iterator[Round]:
    """Yield the calls of Ivy that ``requirements/jars.in`` asks for.

    A module that is both named and excluded is resolved in a second call: Ivy takes a range in some module's own
    requirements over a version that is named beside it, and an exclusion over both.
    """
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    excluded = tuple(words[1] for words in lines if words[:1] == ["exclude"])
    packages = [words[0] for words in lines if len(words) == 1]
    pinned = [package for package in packages if package.rpartition(":")[0] in excluded]
    yield Round(tuple(package for package in packages if package not in pinned), excluded)
    if pinned:
        names = {package.rpartition(":")[0] for package in pinned}
        yield Round(tuple(pinned), tuple(name for name in excluded if name not in names))


def read_sums(text: str) -> dict[str, str]:
    """Return SHA-256 (hex) by file name, from lines as ``sha256sum`` writes them."""
    pairs = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for value, name in pairs}


def ensure_jars(home: Home, environment: Mapping[str, str]) -> list[Path]:
    """Return the jars, resolved and verified when they are not there yet. Needs the Python environment and Java.

    Raises
    ------
    CairnError
        DISK_SHORT, NO_DISK, NO_NETWORK, HASH_MISMATCH, HOME_NOT_WRITABLE, SETUP_FAILED.
    """
    if not is_ready(home.jars):
        with home.locked():
            if not is_ready(home.jars):
                _make(home, environment)
    return sorted(home.jars.glob("*.jar"))


def _make(home: Home, environment: Mapping[str, str]) -> None:
    say(f"fetching the jars of Delta and the MongoDB connector into {home.jars}")
    draft = home.folder / f"{home.jars.name}.draft"
    ivy = home.folder / "ivy.draft"
    with writing(home.folder):
        for folder in (draft, ivy, home.jars):
            shutil.rmtree(folder, ignore_errors=True)
        require_space(home.folder, NEEDED_MB["jars"])
        draft.mkdir()
    try:
        found = resolve(home, environment, ivy)
        sums = read_sums((home.requirements / "jars.txt").read_text("utf-8"))
        differing = verify(found, sums)
        if differing:
            _tell(home.log, differing)
            raise CairnError("HASH_MISMATCH", what="jars", log=home.log)
        with writing(home.folder):
            for jar in found:
                shutil.copyfile(jar, draft / jar.name)
            mark_ready(draft)
            draft.rename(home.jars)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(ivy, ignore_errors=True)


def resolve(home: Home, environment: Mapping[str, str], ivy: Path) -> list[Path]:
    """Let Spark's own Ivy fetch everything into a folder of its own, and return the jars."""
    nothing = home.folder / "nothing.py"
    with writing(home.folder):
        nothing.write_text("", "utf-8")
    own = {"SPARK_HOME": str(home.spark), "PYSPARK_PYTHON": str(home.python), "SPARK_LOCAL_IP": "127.0.0.1"}
    for call in rounds((home.requirements / "jars.in").read_text("utf-8")):
        command: list[str | Path] = [
            home.spark / "bin" / "spark-submit",
            "--master",
            "local",
            "--conf",
            f"spark.jars.ivy={ivy}",
        ]
        if environment.get(SETTINGS):
            command += ["--conf", f"spark.jars.ivySettings={environment[SETTINGS]}"]
        command += ["--packages", ",".join(call.packages), "--exclude-packages", ",".join(call.excluded), nothing]
        run_step("jars", command, home.log, {**environment, **own})
    return sorted((ivy / "jars").glob("*.jar"))


def verify(jars: list[Path], sums: Mapping[str, str]) -> list[str]:
    """Return the names of jars that are missing, are not in the list, or have another sum."""
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars}
    return sorted(name for name in {*found, *sums} if found.get(name) != sums.get(name))


def _tell(log: Path, differing: list[str]) -> None:
    with log.open("a", encoding="utf-8") as kept:
        kept.write("jars that are missing, unknown or different from requirements/jars.txt:\n")
        kept.writelines(f"  {name}\n" for name in differing)


def main(home: str, requirements: str, ivy: str) -> int:
    """Print the lines of ``requirements/jars.txt`` for what Ivy fetches into a new folder (``tests/lock``)."""
    for jar in resolve(Home(Path(home), Path(requirements)), os.environ, Path(ivy)):
        print(f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
