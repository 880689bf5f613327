"""What tests of the pipelines share."""

from __future__ import annotations

import pytest
from made_world import World, make_world


@pytest.fixture(scope="session")
def world(spark, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A made-up archive and its tables; the last test of test_archive_to_tables.py changes a few of its entries."""
    return make_world(spark, tmp_path_factory.mktemp("made up"))
