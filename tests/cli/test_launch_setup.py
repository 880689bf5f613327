"""The set-up: made once, never half there, one sentence when it cannot be."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cairn.errors import CairnError
from cairn.launch.environment import Home, is_ready, mark_ready, require_space
from cairn.launch.steps import run_step


@pytest.fixture
def offline(checkout, wheel):
    """A checkout whose lock names one wheel that lies on the disk; pip is told so by its own configuration."""
    path, sha256 = wheel
    lock = checkout.root / "requirements" / "runtime.txt"
    lock.write_text(f"cairn-test-stone==1.0 --hash=sha256:{sha256}\n")
    checkout.wheel = path
    checkout.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(path.parent)}
    return checkout


def leftovers(checkout) -> list[str]:
    return sorted(path.name for path in checkout.home.glob("python*"))


@pytest.mark.slow
def test_made_once_then_reused_until_the_lock_changes(offline):
    first = offline.run("echo-back")
    assert first.returncode == 0, first.stderr
    assert "making the Python environment" in first.stderr
    assert "installing" in first.stderr
    python = json.loads(first.stdout)["python"]
    stone = "import cairn_test_stone; print(cairn_test_stone.WEIGHT)"
    assert subprocess.run([python, "-c", stone], capture_output=True, text=True, check=True).stdout == "7\n"

    second = offline.run("echo-back", CAIRN_PYTHON="")  # the environment itself is a Python good enough to start from
    assert (second.returncode, second.stderr) == (0, "")
    assert json.loads(second.stdout)["python"] == python

    lock = offline.root / "requirements" / "runtime.txt"
    lock.write_text(f"# changed\n{lock.read_text()}")
    third = offline.run("echo-back", CAIRN_PYTHON="")
    assert third.returncode == 0, third.stderr
    assert "making the Python environment" in third.stderr
    assert json.loads(third.stdout)["python"] != python


@pytest.mark.slow
def test_what_a_job_makes_use_of_is_installed_where_that_is_possible(offline):
    lock = offline.root / "requirements" / "stand-in.txt"
    lock.write_text(f"cairn-test-stone==1.0 --hash=sha256:{'0' * 64}\n")
    job = offline.root / "jobs" / "echo_back.py"
    job.write_text(job.read_text().replace("SPARK = False", 'SPARK = False\nEXTRAS = ("stand-in",)'))
    (offline.root / "requirements" / "runtime.txt").write_text("# nothing\n")
    done = offline.run("echo-back")
    assert done.returncode == 0, done.stderr
    assert (
        "[HASH_MISMATCH]" in done.stderr and "goes on without the packages of requirements/stand-in.txt" in done.stderr
    )
    lock.write_text(f"cairn-test-stone==1.0 --hash=sha256:{hashlib.sha256(offline.wheel.read_bytes()).hexdigest()}\n")
    assert "stand-in" not in offline.run("echo-back", "--help").stderr, "help needs nothing"
    done = offline.run("echo-back")
    assert done.returncode == 0 and "goes on without" not in done.stderr, done.stderr
    python = json.loads(done.stdout)["python"]
    assert subprocess.run([python, "-c", "import cairn_test_stone"], check=False).returncode == 0


@pytest.mark.slow
def test_wrong_hash_is_refused_and_leaves_nothing(offline):
    lock = offline.root / "requirements" / "runtime.txt"
    lock.write_text(f"cairn-test-stone==1.0 --hash=sha256:{'0' * 64}\n")
    done = offline.run("echo-back")
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1].startswith("[HASH_MISMATCH] ")
    assert leftovers(offline) == []


@pytest.mark.slow
def test_no_network(checkout):
    done = checkout.run("echo-back")
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1].startswith("[NO_NETWORK] ")
    assert "Traceback" not in done.stderr
    assert leftovers(checkout) == []
    assert "127.0.0.1" in (checkout.home / "setup.log").read_text(), "the log tells more"


def test_disk_full_in_the_middle(checkout):
    """A limit on file sizes stands for the disk: pip's own files do not fit."""
    limited = f"ulimit -f 100; exec bash '{checkout.script}' echo-back"
    done = subprocess.run(
        ["bash", "-c", limited], env=checkout.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1] == str(CairnError("NO_DISK", path=checkout.home))
    assert leftovers(checkout) == []


def test_disk_too_small_from_the_start(checkout):
    """A real file system of 20 MB, in a mount namespace of its own."""
    unshare = shutil.which("unshare")
    checkout.home.mkdir()
    mount = ["--user", "--map-root-user", "--mount", "sh", "-c"]
    trial = [unshare, *mount, f"mount -t tmpfs -o size=20m none '{checkout.home}'"] if unshare else ["false"]
    if subprocess.run(trial, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a file system of his own")
    small = f"mount -t tmpfs -o size=20m none '{checkout.home}' && exec bash '{checkout.script}' echo-back"
    done = subprocess.run(
        [str(unshare), *mount, small],
        env={**checkout.environment, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("[DISK_SHORT] ")


def test_disk_full_as_programs_say_it(tmp_path):
    with pytest.raises(CairnError) as caught:
        run_step("x", ["sh", "-c", "cat /proc/self/cmdline > /dev/full"], tmp_path / "log", os.environ)
    assert caught.value.code == "NO_DISK"


def test_home_that_cannot_be_made(checkout):
    checkout.home.write_text("a file where the folder should be")
    done = checkout.run("echo-back")
    assert done.returncode == 4
    assert done.stderr.startswith("[HOME_NOT_WRITABLE] ")


def test_space_is_asked_for_first(tmp_path):
    with pytest.raises(CairnError, match="DISK_SHORT"):
        require_space(tmp_path, shutil.disk_usage(tmp_path).total // 1_000_000 + 1)
    require_space(tmp_path, 0)


@pytest.mark.slow
def test_killed_setup_is_made_anew_and_two_at_once_wait(offline):
    """pip is held up by an index that never answers, and everything is killed; the next call starts from nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        held = {"PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple", "PIP_NO_INDEX": "0", "PIP_DEFAULT_TIMEOUT": "100"}
        environment = {**offline.environment, **held, "PIP_FIND_LINKS": ""}
        first = _start(offline, environment)
        try:
            silent.settimeout(60)
            connection, _ = silent.accept()  # pip has begun to ask
            with connection:
                made = offline.laid_out.environment
                assert made.is_dir() and not is_ready(made)
                second = _start(offline, environment)
                try:
                    assert "waiting for another set-up" in second.stderr.readline()
                finally:
                    _kill(second)
        finally:
            _kill(first)
    assert made.is_dir() and not is_ready(made)
    (made / "half").write_text("what a kill left")
    done = offline.run("echo-back")
    assert done.returncode == 0, done.stderr
    assert is_ready(made) and not (made / "half").exists()


def _start(checkout, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = ["bash", str(checkout.script), "echo-back"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its own session: what this test started and nothing else
    process.communicate()


def test_an_environment_whose_python_is_gone_is_not_used(checkout):
    checkout.make_environment()
    home = checkout.laid_out
    assert home.usable
    home.python.unlink()
    home.python.symlink_to("/nowhere/python3")
    assert not home.usable


def test_ready_only_when_marked(tmp_path):
    assert not is_ready(tmp_path)
    mark_ready(tmp_path)
    assert is_ready(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".ready"]


def test_environment_is_named_by_lock_and_python(tmp_path):
    (tmp_path / "runtime.txt").write_text("a==1\n")
    (tmp_path / "jars.txt").write_text("")
    home = Home(tmp_path / "home", tmp_path)
    before, jars = home.environment, home.jars
    (tmp_path / "runtime.txt").write_text("a==2\n")
    assert home.environment != before
    assert home.jars == jars
    assert sys.implementation.cache_tag in before.name


@pytest.mark.slow
def test_full_setup_from_the_network(checkout, tmp_path):
    """Everything as on a fresh machine: about 1.1 GB and some minutes. tests/run does the same in a fresh clone."""
    if os.environ.get("CAIRN_TEST_SETUP") != "1":
        pytest.skip("downloads half a gigabyte; CAIRN_TEST_SETUP=1 runs it")
    begun = time.monotonic()
    done = subprocess.run(
        ["bash", str(checkout.script), "--python"],
        env={**os.environ, "CAIRN_HOME": str(checkout.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(f"full set-up: {time.monotonic() - begun:.0f} s")
    home = checkout.laid_out
    assert Path(done.stdout.strip()) == home.python
    assert is_ready(home.environment) and is_ready(home.jars)
    assert any("delta-spark" in jar.name for jar in home.jars.glob("*.jar"))
