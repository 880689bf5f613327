"""What tests of the pipelines share."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_world import World, make_world

from cairn.deid.keys import make_key
from cairn.deid.profile import load_profile
from cairn.pipelines.deidentify_task import Terms

PROFILE = Path(__file__).resolve().parents[2] / "conf" / "deid" / "research.yaml"


@pytest.fixture(scope="session")
def world(spark, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A made-up archive and its tables; the last test of test_archive_to_tables.py changes a few of its entries."""
    return make_world(spark, tmp_path_factory.mktemp("made up"))


@pytest.fixture(scope="session")
def world_terms(tmp_path_factory: pytest.TempPathFactory) -> Terms:
    """Return terms for the world's de-identified zone: the same for all tests, so that it is made once."""
    folder = tmp_path_factory.mktemp("keys of the world")
    folder.chmod(0o700)
    make_key(folder)
    return Terms(load_profile(PROFILE), str(folder))
