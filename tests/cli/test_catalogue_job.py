"""The catalogue's command line: what it refuses, before any session is opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(tmp_path: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "jobs" / "catalogue.py"), *words]
    variables = {"PYTHONPATH": str(ROOT / "lib"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, cwd=tmp_path, check=False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pusch",), "BAD_ARGUMENTS"),
        (("diff", "--take-over"), "diff takes no --take-over; push may"),
        (("push", "--archive-root", "file:///a"), "push takes no --archive-root; pull may"),
        (("push", "--set", "catalogue.databse=x"), "catalogue.database"),
        (("push", "--set", "catalogue.options.password=geheim"), "secrets stand in the URI"),
    ],
)
def test_wrong_requests_end_with_a_sentence(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    done = run(tmp_path, *words)
    assert done.returncode == 2
    assert told in done.stderr and "Traceback" not in done.stderr
