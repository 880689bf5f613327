"""An extract killed again and again, and one that loses an executor: the same manifest, and nothing half made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import extract_site
import pytest
from extract_site import made_site
from spark_support import forget, wait_for

from cairn.extract import manifest
from cairn.extract.manifest import differences, signing_public
from cairn.pipelines.extract_request import signing_key, staging_of
from cairn.synthetic.mixes import synthesise_mix

FILES = 48
MOMENTS = ("1 images", "5 images", "10 images", "15 images", "20 images", "30 images", "40 images", "48 images",
           "tables", "files.csv")  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.long]


@dataclass
class Undisturbed:
    """A site as it was before its extract was made, and the manifest of that."""

    folder: Path
    extract: str
    manifest: bytes
    request: object

    def copied(self, to: Path) -> Path:
        """Copy the warehouse; tables know their files by relative paths."""
        shutil.copytree(self.folder / "before", to)
        return to

    def command(self, warehouse: Path, scratch: Path, *more: str) -> list[str]:
        given = (warehouse, scratch, self.folder / "killed.yaml", self.folder / "keys")
        return [sys.executable, extract_site.__file__, *map(str, given), *more]


@pytest.fixture(scope="module")
def undisturbed(spark, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("killed")
    synthesise_mix(folder / "made", "ct", FILES, 5, "small")
    forget(spark)
    site = made_site(spark, folder, [str(folder / "made" / "archive")], "killed")
    shutil.copytree(folder / "warehouse", folder / "before")
    made = site.extract()
    assert made.counts["delivered"] == FILES
    staged = Path(staging_of(site.job.store, "killed").path, made.extract)
    yield Undisturbed(folder, made.extract, (staged / manifest.MANIFEST).read_bytes(), site.request)
    forget(spark)


def come(staging: Path, moment: str) -> Callable[[], bool]:
    """Return whether a moment of the run has come: so many images lie there, or a file or folder does."""
    count, _, _ = moment.partition(" images")

    def seen() -> bool:
        if moment.endswith("images"):
            return sum(1 for _ in staging.glob("*/images/*/*/*/*.dcm")) >= int(count)
        return any(staging.glob(f"*/{moment}"))

    return seen


def test_killed_again_and_again_it_is_the_same_in_the_end(undisturbed: Undisturbed, tmp_path: Path) -> None:
    warehouse = undisturbed.copied(tmp_path / "warehouse")
    project = warehouse / "ppz" / "killed"
    for number, moment in enumerate(MOMENTS):
        command = undisturbed.command(warehouse, tmp_path / f"scratch {number}")
        has_come = come(project / "_staging", moment)
        job = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            wait_for(lambda job=job, has_come=has_come: job.poll() is not None or has_come(), 600)
            assert job.poll() is None, (moment, job.communicate()[1][-3000:])
        finally:
            os.killpg(job.pid, signal.SIGKILL)
            job.communicate()
        assert [path.name for path in project.iterdir()] == ["_staging"], "nothing is visible"
    ended = subprocess.run(undisturbed.command(warehouse, tmp_path / "last"), capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    _same(undisturbed, project)


def _same(undisturbed: Undisturbed, project: Path) -> None:
    staged = project / "_staging" / undisturbed.extract
    assert (staged / manifest.MANIFEST).read_bytes() == undisturbed.manifest
    assert list(differences(staged, signing_public(signing_key(undisturbed.request.site)))) == []  # type: ignore[attr-defined]
    assert not list(project.rglob("*.partial"))


@pytest.mark.cluster
def test_an_executor_lost_costs_no_file(undisturbed: Undisturbed, cluster, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    warehouse = undisturbed.copied(tmp_path / "warehouse")
    project = warehouse / "ppz" / "killed"
    command = undisturbed.command(warehouse, tmp_path / "scratch", cluster.url)
    job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: job.poll() is not None or come(project / "_staging", "5 images")(), 600)
        assert job.poll() is None, job.communicate()[1][-3000:]
        killed = cluster.kill_executor()
        _, said = job.communicate(timeout=600)
    finally:
        job.kill()
        job.wait()
    assert job.returncode == 0, said[-3000:]
    assert killed not in cluster.executors()
    _same(undisturbed, project)
