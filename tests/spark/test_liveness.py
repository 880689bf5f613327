"""Locks of stages: one run at a time; what a dead run left ends by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cairn.errors import CairnError
from cairn.settings import load
from cairn.spark.ledger import Run
from cairn.spark.liveness import Owner, StageLock, born, is_alive, read_owner, this_process
from cairn.spark.locks import stage_lock
from cairn.spark.storage import Folder

NOW = 1_800_000_000.0
DEAD_AFTER = 120.0


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "_locks")).make()


def lock(folder: Folder, run: str, clock=lambda: NOW) -> StageLock:  # type: ignore[no-untyped-def]
    return StageLock(folder, "headers", run, clock, 60, DEAD_AFTER)


def held_by(folder: Folder, owner: Owner) -> None:
    folder.write("headers.lock", json.dumps(asdict(owner)).encode())


def test_a_second_run_is_refused_and_the_first_one_gives_it_back(folder: Folder) -> None:
    with lock(folder, "first") as first:
        with pytest.raises(CairnError, match=r"STAGE_BUSY.*first"), lock(folder, "second"):
            pass
        first.check()
    assert folder.names() == []
    with lock(folder, "second"):
        assert read_owner(folder, "headers.lock").run == "second"  # type: ignore[union-attr]


def test_a_run_that_died_on_this_machine_is_replaced_at_once(folder: Folder) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = replace(this_process("killed", NOW), pid=process.pid, born=born(process.pid) or 0)
    held_by(folder, owner)
    with pytest.raises(CairnError, match="STAGE_BUSY"), lock(folder, "too early"):
        pass
    process.kill()
    process.communicate()
    with lock(folder, "next"):
        assert read_owner(folder, "headers.lock").run == "next"  # type: ignore[union-attr]


def test_a_process_that_only_has_the_same_number_is_not_the_run(folder: Folder) -> None:
    held_by(folder, replace(this_process("killed", NOW), born=1))
    with lock(folder, "next"):
        pass


@pytest.mark.parametrize(("silent", "alive"), [(DEAD_AFTER - 1, True), (DEAD_AFTER + 1, False)])
def test_a_run_of_another_machine_lives_as_long_as_its_heart_beats(folder: Folder, silent: float, alive: bool) -> None:
    owner = Owner("far", "another machine", os.getpid(), 1, NOW - silent)
    assert is_alive(owner, NOW, DEAD_AFTER) == alive
    held_by(folder, owner)
    if alive:
        with pytest.raises(CairnError, match="another machine"), lock(folder, "next"):
            pass
    else:
        with lock(folder, "next"):
            pass


def test_a_damaged_lock_is_nobodys(folder: Folder) -> None:
    folder.write("headers.lock", b'{"run": ')
    with lock(folder, "next"):
        pass


def test_a_run_whose_lock_was_taken_away_must_not_commit(folder: Folder) -> None:
    with lock(folder, "slow") as slow:
        held_by(folder, Owner("successor", "another machine", 1, 1, NOW))
        with pytest.raises(CairnError, match="successor"):
            slow.check()


def test_a_job_that_is_no_stage_has_its_lock_beside_the_others(tmp_path: Path) -> None:
    settings = load(warehouse=str(tmp_path))
    with stage_lock(settings, "ehr", Run("r1", "ehr", lambda: NOW)):
        assert (tmp_path / "identifiable" / "_locks" / "ehr.lock").exists()
        with pytest.raises(CairnError, match="STAGE_BUSY"), stage_lock(settings, "ehr", Run("r2", "ehr", lambda: NOW)):
            pass
