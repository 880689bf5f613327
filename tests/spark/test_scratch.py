"""Scratch holds real values: a run's own goes at its end, a killed one's at the next start, a living one's stays."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cairn.settings import Settings, load
from cairn.spark.liveness import born
from cairn.spark.scratch import claim

NOW = 1_700_000_000.0


def left_behind(settings: Settings, run: str, **owner: object) -> Path:
    """A run's folder with a file in it, and what it said of itself."""
    folder = Path(settings.scratch_root, f"run-{run}")
    (folder / "spark").mkdir(parents=True)
    (folder / "spark" / "block").write_text("Featherstone")
    if owner:
        whole = {"run": run, "host": socket.gethostname(), "pid": 0, "born": 0, "beat": NOW} | owner
        (folder / "owner.json").write_text(json.dumps(whole))
    return folder


@pytest.fixture
def made(tmp_path: Path) -> Settings:
    return load(warehouse=str(tmp_path / "warehouse"))


def test_a_runs_own_scratch_goes_with_it_whatever_happens(made):
    def fail() -> None:
        with claim(made, "one", lambda: NOW) as (shared, local):
            Path(shared.path, "plan").write_text("x")
            assert Path(local).is_dir() and Path(shared.path, "owner.json").is_file()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert os.listdir(made.scratch_root) == []


def test_dead_runs_are_swept_and_living_ones_left_alone(made):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    gone = int(ended.stdout)
    dead = [
        left_behind(made, "process-gone", pid=gone, born=1),
        left_behind(made, "process-id-used-again", pid=os.getpid(), born=1),
        left_behind(made, "silent-elsewhere", host="another", beat=NOW - made.scratch.dead_after_seconds),
        left_behind(made, "told-nothing-for-long"),
    ]
    os.utime(dead[-1], (NOW - 1000, NOW - 1000))
    alive = [
        left_behind(made, "this-machine", pid=os.getpid(), born=born(os.getpid()), beat=NOW - 10_000),
        left_behind(made, "beating-elsewhere", host="another", beat=NOW - 5),
        left_behind(made, "about-to-tell"),
    ]
    os.utime(alive[-1], (NOW, NOW))
    strange = Path(made.scratch_root, "not-a-run")
    strange.mkdir()
    with claim(made, "next", lambda: NOW):
        assert [folder.name for folder in dead if folder.exists()] == []
        assert all((folder / "spark" / "block").is_file() for folder in alive)
    assert strange.is_dir()


def test_a_run_that_was_killed_leaves_nothing_behind_the_next_one(made, tmp_path):
    """A real process, killed in its work."""
    script = (
        "import sys, time\n"
        "from cairn.settings import load\n"
        "from cairn.spark.scratch import claim\n"
        "with claim(load(warehouse=sys.argv[1]), 'killed', time.time) as (shared, local):\n"
        "    open(local + '/block', 'w').write('Featherstone')\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
    )
    library = str(Path(__file__).resolve().parents[2] / "lib")
    command = [sys.executable, "-c", script, str(tmp_path / "warehouse")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": library}) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        process.kill()
    block = Path(made.scratch_root, "run-killed", "spark", "block")
    assert block.is_file()
    with claim(made, "next", time.time):
        assert not block.exists()
    assert os.listdir(made.scratch_root) == []
