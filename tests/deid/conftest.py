"""What the tests of this package share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shared_folder() -> Path:
    return Path(os.environ.get("CAIRN_SHARED", ROOT.parent / "shared"))


@pytest.fixture
def reference() -> Callable[[str], Any]:
    """Reads a file of the shared reference folder; skips without it."""

    def read(name: str) -> Any:
        path = shared_folder() / "reference" / name
        if not path.is_file():
            pytest.skip("there is no shared folder with reference data")
        return json.loads(path.read_text("utf-8"))

    return read
