"""The environment: a virtual environment from hash-locked requirements, made once and then reused.

It lies in the home folder (``$CAIRN_HOME``, else ``.cairn`` beside ``spark-submit.sh``) under a name that holds a hash
of its lock file, so that an update of the lock makes a new one. A set-up that was killed leaves no ``.ready`` file, and
what it left goes at the next start. A virtual environment holds its own path, so it is made where it stays rather than
made elsewhere and renamed; the ``.ready`` file, renamed into place at the end, decides in one step instead.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cairn.errors import CairnError, nearest
from cairn.launch.steps import run_step, say

READY = ".ready"
NEEDED_MB = {"runtime": 3500, "jars": 150}
"""Free space that the set-up asks for before it begins: pip keeps pyspark's archive, its wheel and the installed files
at one time."""

EXTRA_NEEDED_MB = 400
FOREIGN = frozenset(
    ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "__PYVENV_LAUNCHER__")
)
"""Variables that would make pip install elsewhere. All others, index and proxy included, are the machine's to set."""


def digest(paths: Iterable[Path]) -> str:
    """Return 12 hexadecimal digits that change when the content of any file does."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:12]


class Home:
    """The folder that holds environments, jars and what is shipped to clusters.

    Parameters
    ----------
    folder : pathlib.Path
        ``$CAIRN_HOME``.
    requirements : pathlib.Path
        The repository's ``requirements`` folder.
    """

    def __init__(self, folder: Path, requirements: Path) -> None:
        self.folder = folder
        self.requirements = requirements
        self.log = folder / "setup.log"

    @property
    def environment(self) -> Path:
        """Folder of the virtual environment for this lock, Python version and machine."""
        python = f"{sys.implementation.cache_tag}-{platform.machine()}"
        return self.folder / f"python-{python}-{digest([self.requirements / 'runtime.txt'])}"

    @property
    def jars(self) -> Path:
        """Folder of the jars for this lock."""
        return self.folder / f"jars-{digest([self.requirements / 'jars.txt'])}"

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.environment / "bin" / "python"

    @property
    def spark(self) -> Path:
        """The environment's Spark, as SPARK_HOME."""
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        return self.environment / "lib" / version / "site-packages" / "pyspark"

    @property
    def usable(self) -> bool:
        """Whether the environment is there and its Python too: the one it links to may have been removed since."""
        return is_ready(self.environment) and os.access(self.python, os.X_OK)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one set-up at a time work in the folder. The lock ends with its process, however that ends.

        Raises
        ------
        CairnError
            HOME_NOT_WRITABLE, NO_DISK.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another set-up in {self.folder} to end")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what a disk says into one sentence.

    Raises
    ------
    CairnError
        NO_DISK when it is full or a quota is reached; HOME_NOT_WRITABLE for any other fault.
    """
    try:
        yield
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise CairnError("NO_DISK", path=folder) from None
        raise CairnError("HOME_NOT_WRITABLE", path=folder, why=fault.strerror or type(fault).__name__) from None


def is_ready(folder: Path, name: str = READY) -> bool:
    """Return whether a set-up of this folder came to its end."""
    return (folder / name).is_file()


def mark_ready(folder: Path, name: str = READY) -> None:
    """Say that a set-up came to its end: everything before is on the disk."""
    draft = folder / f"{name}.draft"
    draft.write_text("made by spark-submit.sh; without this file the folder is made anew\n", "utf-8")
    draft.replace(folder / name)


def require_space(folder: Path, needed_mb: int) -> None:
    """Refuse a set-up that cannot end well.

    Raises
    ------
    CairnError
        DISK_SHORT.
    """
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < needed_mb:
        raise CairnError("DISK_SHORT", needed=needed_mb, path=folder, free=free)


def ensure_python(home: Home, environment: Mapping[str, str], extras: Iterable[str] = ()) -> None:
    """Make the virtual environment when it is missing, and install the locks of `extras` that it lacks.

    Parameters
    ----------
    home : Home
        Where it lies.
    environment : mapping of str to str
        Environment variables, with the machine's pip configuration.
    extras : iterable of str
        Names of further locks, such as ``s3`` or ``dev``.

    Raises
    ------
    CairnError
        UNKNOWN_EXTRA, VENV_MISSING, DISK_SHORT, NO_DISK, NO_NETWORK, HASH_MISMATCH, HOME_NOT_WRITABLE, SETUP_FAILED.
    """
    locks = {name: _lock_of(home, name) for name in extras}
    if not home.usable:
        with home.locked():
            if not home.usable:
                _make(home, environment)
    for name, lock in locks.items():
        stamp = f"{READY}-{name}-{digest([lock])}"
        if not is_ready(home.environment, stamp):
            with home.locked():
                _install(home, environment, name, lock)
                with writing(home.folder):
                    mark_ready(home.environment, stamp)


def _lock_of(home: Home, name: str) -> Path:
    known = sorted(path.stem for path in home.requirements.glob("*.txt") if path.stem not in NEEDED_MB)
    if name not in known:
        raise CairnError("UNKNOWN_EXTRA", name=name, nearest=nearest(name, known))
    return home.requirements / f"{name}.txt"


def _make(home: Home, environment: Mapping[str, str]) -> None:
    """Make the environment from nothing; a failure leaves nothing behind that takes up the disk."""
    folder = home.environment
    with writing(home.folder):
        shutil.rmtree(folder, ignore_errors=True)
        require_space(home.folder, NEEDED_MB["runtime"])
        home.log.write_text("", "utf-8")
    say(f"making the Python environment in {folder} (once, some minutes)")
    base = Path(getattr(sys, "_base_executable", None) or sys.executable)
    try:
        _require_venv(base, home, environment)
        # pip in a step of its own: venv would keep what it says to itself, such as that the disk is full.
        run_step(
            "Python environment", [base, "-I", "-m", "venv", "--without-pip", folder], home.log, _clean(environment)
        )
        run_step("Python environment", [home.python, "-I", "-m", "ensurepip"], home.log, _clean(environment))
        _install(home, environment, "runtime", home.requirements / "runtime.txt")
        with writing(home.folder):
            mark_ready(folder)
            _point(home.folder / "python", folder)
    except (CairnError, KeyboardInterrupt):
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _require_venv(base: Path, home: Home, environment: Mapping[str, str]) -> None:
    try:
        run_step("Python", [base, "-I", "-c", "import ensurepip, venv"], home.log, _clean(environment))
    except CairnError:
        raise CairnError("VENV_MISSING", path=base) from None


def _install(home: Home, environment: Mapping[str, str], name: str, lock: Path) -> None:
    if name != "runtime":
        with writing(home.folder):
            require_space(home.folder, EXTRA_NEEDED_MB)
        say(f"installing the packages of requirements/{lock.name}")
    scratch = home.environment / ".tmp"  # on the disk that was looked at, which the system's own /tmp may not be
    with writing(home.folder):
        scratch.mkdir(exist_ok=True)
    # The lock is complete: --no-deps keeps away what requirements/overrides.in took out of it.
    command: list[str | Path] = [home.python, "-I", "-m", "pip", "install", "--require-hashes", "--no-input"]
    command += ["--no-deps", "--disable-pip-version-check", "--progress-bar", "off", "-r", lock]
    try:
        run_step("Python packages", command, home.log, {**_clean(environment), "TMPDIR": str(scratch)}, _hear_pip)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _hear_pip(line: str) -> None:
    words = line.split()
    if len(words) > 1 and words[0] == "Collecting":
        say(f"  {words[1].replace('==', ' ')}")
    elif words[:2] in (["Building", "wheels"], ["Installing", "collected"]):
        say(f"  {words[0].lower()}")


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in FOREIGN} | {"PIP_USER": "0"}


def _point(link: Path, target: Path) -> None:
    """Let `link` lead to `target`, whatever it led to before, in one step."""
    draft = link.with_name(f"{link.name}.draft")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target.name)
    draft.replace(link)
