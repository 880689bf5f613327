"""A copy of the launcher with jobs of its own, in a folder with a space, and a narrow PATH to run it with."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cairn.launch.environment import Home, mark_ready

ROOT = Path(__file__).resolve().parents[2]
BASE_PYTHON = Path(getattr(sys, "_base_executable", None) or sys.executable)
TOOLS = ("bash", "dirname", "readlink", "uname", "sh", "cat", "sleep")

PLAIN_JOB = '''"""Say what arrives."""

import argparse
import json
import os
import sys

import cairn

SPARK = False

parser = argparse.ArgumentParser(prog="echo-back")
parser.add_argument("--files", type=int)
parser.add_argument("--end", type=int, default=0)
parser.add_argument("rest", nargs="*")
options = parser.parse_args()
print(json.dumps({"files": options.files, "rest": options.rest, "package": cairn.__file__, "python": sys.executable}))
sys.exit(options.end)
'''
SPARK_JOB = '''"""Needs Spark.

A second paragraph that no list shows.
"""
'''


@dataclass
class Checkout:
    """A repository with the launcher and two jobs, and how to call it.

    Parameters
    ----------
    root : pathlib.Path
        The repository's copy.
    home : pathlib.Path
        For CAIRN_HOME; does not exist at first.
    environment : dict
        All environment variables of a call.
    wheel : pathlib.Path, optional
        The one package that pip can find.
    """

    root: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    wheel: Path | None = None

    @property
    def script(self) -> Path:
        return self.root / "spark-submit.sh"

    @property
    def laid_out(self) -> Home:
        return Home(self.home, self.root / "requirements")

    def run(self, *arguments: str, script: Path | None = None, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(script or self.script), *arguments],
            env={**self.environment, **changes},
            cwd=self.root.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def make_environment(self) -> None:
        """An environment without packages, marked as ready: enough for a job that imports nothing."""
        made = self.laid_out.environment
        venv.EnvBuilder(with_pip=False, symlinks=True).create(made)
        mark_ready(made)


@pytest.fixture
def narrow_path(tmp_path: Path) -> Path:
    """A folder for PATH that holds the handful of tools that the script needs, and neither Python nor Java."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, narrow_path: Path) -> Checkout:
    root = tmp_path / "my checkout"
    package = root / "lib" / "cairn"
    (root / "jobs").mkdir(parents=True)
    shutil.copy(ROOT / "spark-submit.sh", root)
    shutil.copytree(ROOT / "conf" / "spark", root / "conf" / "spark")
    shutil.copytree(ROOT / "requirements", root / "requirements")
    shutil.copytree(ROOT / "lib" / "cairn" / "launch", package / "launch")
    for name in ("__init__.py", "errors.py"):
        shutil.copy(ROOT / "lib" / "cairn" / name, package)
    (root / "jobs" / "echo_back.py").write_text(PLAIN_JOB)
    (root / "jobs" / "needs_spark.py").write_text(SPARK_JOB)
    home = tmp_path / "a home"
    environment = {
        "PATH": str(narrow_path),
        "HOME": str(tmp_path),
        "CAIRN_HOME": str(home),
        "CAIRN_PYTHON": str(BASE_PYTHON),
        "PYTHONDONTWRITEBYTECODE": "1",
        # No index is ever asked: a test that reaches for one fails at once, as on a machine without a network.
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "PIP_DEFAULT_TIMEOUT": "5",
        "PIP_CONFIG_FILE": os.devnull,
    }
    return Checkout(root, home, environment)


def write_program(path: Path, text: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def program():  # type: ignore[no-untyped-def]
    return write_program


@pytest.fixture
def wheel(tmp_path: Path) -> tuple[Path, str]:
    """A wheel with one module, and its SHA-256."""
    path = tmp_path / "wheels" / "cairn_test_stone-1.0-py3-none-any.whl"
    path.parent.mkdir()
    info = "cairn_test_stone-1.0.dist-info"
    files = {
        "cairn_test_stone.py": "WEIGHT = 7\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: cairn-test-stone\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()
