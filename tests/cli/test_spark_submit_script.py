"""spark-submit.sh as a user meets it: run for real, from another folder, with spaces in every path."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cairn.errors import CairnError


def one_sentence(text: str, code: str) -> bool:
    """One line that begins with the code, and nothing of a traceback."""
    return text.startswith(f"[{code}] ") and text.count("\n") == 1 and text.endswith(".\n")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_lists_the_jobs_without_an_environment(checkout, arguments):
    done = checkout.run(*arguments)
    assert done.returncode == 0, done.stderr
    lines = [line.split(None, 1) for line in done.stdout.splitlines()]
    assert ["echo-back", "Say what arrives."] in lines
    assert ["needs-spark", "Needs Spark."] in lines
    assert "second paragraph" not in done.stdout
    assert not checkout.home.exists()


def test_unknown_job_names_the_nearest(checkout):
    done = checkout.run("echo-bakc", "--master", "local[2]")
    assert done.returncode == 2
    assert one_sentence(done.stderr, "UNKNOWN_JOB")
    assert "Did you mean 'echo-back'?" in done.stderr
    assert done.stdout == ""


def test_job_without_spark_needs_no_java_and_keeps_its_own_options(checkout):
    checkout.make_environment()
    done = checkout.run(
        "--master", "local[2]", "echo_back", "--files", "3", "a b", "*", "--conf", "x=1", "", "--end", "3"
    )
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert said["files"] == 3
    assert said["rest"] == ["a b", "*", ""]
    assert Path(said["package"]).parent == checkout.root / "lib" / "cairn"
    assert Path(said["python"]) == checkout.laid_out.python


def test_help_of_a_job_is_the_jobs_own(checkout):
    checkout.make_environment()
    done = checkout.run("echo-back", "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: echo-back")


@pytest.mark.parametrize("relative", [True, False])
def test_called_through_symbolic_links(checkout, tmp_path, relative):
    checkout.make_environment()
    elsewhere = tmp_path / "some where" / "bin"
    elsewhere.mkdir(parents=True)
    first = elsewhere / "first link"
    first.symlink_to(Path(os.path.relpath(checkout.script, elsewhere)) if relative else checkout.script)
    second = tmp_path / "second"
    second.symlink_to(first)
    done = checkout.run("echo-back", script=second)
    assert done.returncode == 0, done.stderr
    assert Path(json.loads(done.stdout)["package"]).is_relative_to(checkout.root)


def test_no_python(checkout):
    done = checkout.run("echo-back", CAIRN_PYTHON="")
    assert done.returncode == 4
    assert done.stderr.strip() == str(CairnError("PYTHON_MISSING"))


def test_python_too_old_is_passed_over(checkout, narrow_path, program):
    for name in ("python3.13", "python3.12", "python3"):
        program(narrow_path / name, "exit 1")  # what an older Python answers, and a pyenv shim without a version
    done = checkout.run("echo-back", CAIRN_PYTHON="")
    assert done.returncode == 4
    assert done.stderr.strip() == str(CairnError("PYTHON_MISSING"))
    (narrow_path / "python3.11").symlink_to(checkout.environment["CAIRN_PYTHON"])
    assert checkout.run("--version", CAIRN_PYTHON="").returncode == 0


def test_named_python_too_old(checkout, tmp_path, program):
    old = program(tmp_path / "python old", "exit 1")
    done = checkout.run("echo-back", CAIRN_PYTHON=str(old))
    assert done.returncode == 4
    assert done.stderr.strip() == str(CairnError("PYTHON_UNSUITABLE", path=old))


def test_no_java(checkout):
    done = checkout.run("needs-spark")
    assert done.returncode == 4
    assert one_sentence(done.stderr, "JAVA_MISSING")
    assert not checkout.home.exists(), "nothing is made before everything that it needs is there"


def test_java_home_without_java(checkout, tmp_path):
    done = checkout.run("needs-spark", JAVA_HOME=str(tmp_path))
    assert done.returncode == 4
    assert one_sentence(done.stderr, "JAVA_MISSING")
    assert str(tmp_path) in done.stderr


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_392"])
def test_java_too_old(checkout, narrow_path, program, version):
    program(narrow_path / "java", f"echo 'openjdk version \"{version}\" 2019-01-15' >&2")
    done = checkout.run("needs-spark")
    assert done.returncode == 4
    assert one_sentence(done.stderr, "JAVA_TOO_OLD")
    assert "17 or newer" in done.stderr


def test_java_too_old_by_its_release_file(checkout, tmp_path, program):
    program(tmp_path / "jdk" / "bin" / "java", "exit 99")
    (tmp_path / "jdk" / "release").write_text('IMPLEMENTOR="x"\nJAVA_VERSION="16.0.2"\n')
    done = checkout.run("needs-spark", JAVA_HOME=str(tmp_path / "jdk"))
    assert done.returncode == 4
    assert "version 16" in done.stderr


def test_java_that_does_not_run(checkout, narrow_path, program):
    program(narrow_path / "java", "echo 'Unable to locate a Java Runtime.' >&2; exit 1")
    done = checkout.run("needs-spark")
    assert done.returncode == 4
    assert one_sentence(done.stderr, "JAVA_MISSING")


def test_option_without_its_value(checkout):
    done = checkout.run("needs-spark", "--master")
    assert done.returncode == 2
    assert one_sentence(done.stderr, "OPTION_INCOMPLETE")


def test_unreadable_properties(checkout, tmp_path):
    done = checkout.run("needs-spark", "--properties-file", str(tmp_path / "none.conf"))
    assert done.returncode == 2
    assert one_sentence(done.stderr, "PROPERTIES_UNREADABLE")


def test_unknown_extra(checkout):
    done = checkout.run("echo-back", CAIRN_EXTRAS="s33")
    assert done.returncode == 2
    assert "Did you mean 's3'?" in done.stderr
