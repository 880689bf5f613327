"""The jobs keys and deid as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    command = [sys.executable, str(ROOT / "jobs" / f"{words[0]}.py"), *words[1:]]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_keys_are_made_checked_and_rotated(tmp_path: Path):
    folder = str(tmp_path / "keys of a site")
    assert run("keys", "check", "--keys", folder).returncode == 2
    made = run("keys", "make", "--keys", folder, "--json")
    assert made.returncode == 0, made.stderr
    first = json.loads(made.stdout.splitlines()[-1])["keys"]["site"]
    assert run("keys", "make", "--keys", folder, "--project", "heart").returncode == 0
    checked = run("keys", "check", "--keys", folder, "--json")
    assert json.loads(checked.stdout.splitlines()[-1])["keys"].keys() == {"site", "heart"}
    rotated = run("keys", "rotate", "--keys", folder, "--json")
    assert json.loads(rotated.stdout.splitlines()[-1])["keys"]["site"] != first
    secret = (tmp_path / "keys of a site" / "site.key").read_text().strip()
    for done in (made, checked, rotated):
        assert secret not in done.stdout + done.stderr


def test_a_key_that_others_can_read_ends_the_job(tmp_path: Path):
    assert run("keys", "make", "--keys", str(tmp_path / "k")).returncode == 0
    (tmp_path / "k" / "site.key").chmod(0o644)
    done = run("keys", "check", "--keys", str(tmp_path / "k"))
    assert (done.returncode, done.stderr[:12]) == (2, "[KEY_UNSAFE]")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("PatientName",), "action: empty"),
        (("(0019,100C)", "--creator", "SIEMENS MR HEADER"), "action: keep"),
        (("(0019,100C)",), "action: remove"),
        (("SeriesDate",), "option modified_dates"),
        (("StationName",), "Harmonisation"),
    ],
)
def test_explain_tells_action_rule_and_reason(words: tuple[str, ...], said: str):
    done = run("deid", "explain", *words)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert "rule: " in done.stdout and "why: " in done.stdout


def test_explain_refuses_what_is_no_tag():
    done = run("deid", "explain", "PatientNam")
    assert done.returncode == 2 and "PatientName" in done.stderr
