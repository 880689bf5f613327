"""What tests of the catalogue share: one server for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from catalogue_server import Server, started


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lives as long as the tests; each test takes a database of its own."""
    server = started(tmp_path_factory.mktemp("mongo"))
    yield server
    server.kill()
