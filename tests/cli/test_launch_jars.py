"""Jars: what Ivy is asked for, and what is accepted of its answer."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cairn.errors import CairnError
from cairn.launch.environment import Home, is_ready
from cairn.launch.jars import ensure_jars, read_sums, rounds, verify

ROOT = Path(__file__).resolve().parents[2]


def test_a_module_named_and_excluded_is_resolved_in_a_second_round():
    first, second = rounds("# note\na:x:1\nb:y:2 # why\nc:z:3\nexclude c:z\nexclude d:w\n")
    assert (first.packages, first.excluded) == (("a:x:1", "b:y:2"), ("c:z", "d:w"))
    assert (second.packages, second.excluded) == (("c:z:3",), ("d:w",))


def test_one_round_when_nothing_is_pinned():
    assert [call.packages for call in rounds("a:x:1\nexclude d:w\n")] == [("a:x:1",)]


def test_the_lock_names_every_module_that_is_asked_for():
    calls = list(rounds((ROOT / "requirements" / "jars.in").read_text()))
    sums = read_sums((ROOT / "requirements" / "jars.txt").read_text())
    for package in (package for call in calls for package in call.packages):
        group, artifact, version = package.split(":")
        assert f"{group}_{artifact}-{version}.jar" in sums
    assert all(len(value) == 64 for value in sums.values())


def test_the_locks_of_python_and_jars_agree_on_delta():
    versions = dict(
        line.split(" ")[0].split("==")
        for line in (ROOT / "requirements" / "runtime.txt").read_text().splitlines()
        if line.startswith(("pyspark==", "delta-spark=="))
    )
    minor = ".".join(versions["pyspark"].split(".")[:2])
    named = (ROOT / "requirements" / "jars.in").read_text()
    assert f"io.delta:delta-spark_{minor}_2.13:{versions['delta-spark']}" in named


def test_verify_tells_missing_unknown_and_different(tmp_path):
    for name in ("same", "different", "unknown"):
        (tmp_path / name).write_bytes(name.encode())
    sums = {"same": hashlib.sha256(b"same").hexdigest(), "different": "0" * 64, "missing": "1" * 64}
    assert verify(sorted(tmp_path.iterdir()), sums) == ["different", "missing", "unknown"]


@pytest.fixture
def home(tmp_path, program):
    """A home whose spark-submit stands for Spark's: it puts one jar where Ivy would."""
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "runtime.txt").write_text("")
    (requirements / "jars.in").write_text("a:x:1\n")
    (requirements / "jars.txt").write_text(f"{hashlib.sha256(b'jar').hexdigest()}  a_x-1.jar\n")
    made = Home(tmp_path / "ho me", requirements)
    program(
        made.spark / "bin" / "spark-submit",
        "for word; do case $word in spark.jars.ivy=*) ivy=${word#spark.jars.ivy=};; esac; done\n"
        'mkdir -p "$ivy/jars" && printf jar >"$ivy/jars/a_x-1.jar"; echo called >>"$CALLS"',
    )
    return made


def test_fetched_once_then_reused(home, tmp_path):
    environment = {**os.environ, "CALLS": str(tmp_path / "calls")}
    assert [jar.name for jar in ensure_jars(home, environment)] == ["a_x-1.jar"]
    assert [jar.read_bytes() for jar in ensure_jars(home, environment)] == [b"jar"]
    assert (tmp_path / "calls").read_text() == "called\n"
    assert not list(home.folder.glob("*.draft"))


def test_a_jar_with_another_sum_is_refused(home, tmp_path):
    (home.requirements / "jars.txt").write_text(f"{'0' * 64}  a_x-1.jar\n")
    with pytest.raises(CairnError) as caught:
        ensure_jars(home, {**os.environ, "CALLS": str(tmp_path / "calls")})
    assert (caught.value.code, caught.value.exit_code) == ("HASH_MISMATCH", 4)
    assert not is_ready(home.jars)
    assert "a_x-1.jar" in home.log.read_text()


def test_no_network_for_ivy(home, program):
    program(home.spark / "bin" / "spark-submit", "echo ':::: UNRESOLVED DEPENDENCIES'; exit 1")
    with pytest.raises(CairnError) as caught:
        ensure_jars(home, os.environ)
    assert caught.value.code == "NO_NETWORK"
    assert not home.jars.exists()
