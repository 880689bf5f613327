"""The profiles that Cairn comes with are found in the repository and, the same, in a package installed elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cairn.deid.profile import load_profile, profile_file
from cairn.deid.rules import RuleSet
from cairn.errors import CairnError

ROOT = Path(__file__).resolve().parents[2]
ASK = """
from cairn.deid.profile import load_profile, profile_file
from cairn.deid.rules import RuleSet
for name in ("research", "basic"):
    print(profile_file(name), RuleSet(load_profile(profile_file(name))).digest, sep="|")
"""


def test_in_the_repository_they_are_conf() -> None:
    assert profile_file() == ROOT / "conf" / "deid" / "research.yaml"
    assert load_profile(profile_file("basic")).name == "basic"
    with pytest.raises(CairnError, match="PROFILE_UNREADABLE"):
        profile_file("nothing")


def test_a_built_package_has_them_and_they_make_the_same_rules(tmp_path: Path) -> None:
    build = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, check=True, capture_output=True, text=True, env=environment
    ).stdout.splitlines()
    for line, name in zip(told, ("research", "basic"), strict=True):
        place, digest = line.split("|")
        assert Path(place).is_relative_to(tmp_path)
        assert digest == RuleSet(load_profile(profile_file(name))).digest
