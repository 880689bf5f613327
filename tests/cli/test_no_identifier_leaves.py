"""The whole demo, its output, event logs, temporary files and paths: not one identifier of its people in them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from spark_support import quick_options

from cairn.verify.search import search_folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_demo_tells_no_identifier_anywhere(tmp_path: Path) -> None:
    prefix = Path(sys.prefix)
    if not (prefix / ".ready").is_file():
        pytest.skip("not run by tests/run: this Python is in no environment that spark-submit.sh made")
    told, events, temporary = tmp_path / "told", tmp_path / "events", tmp_path / "tmp"
    for folder in (told, events, temporary):
        folder.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "CAIRN_HOME": str(prefix.parent)}
    command = ["bash", str(ROOT / "spark-submit.sh"), "demo", "--scale", "0.05", "--seed", "77",
               "--warehouse", str(tmp_path / "warehouse"), "--conf", "spark.eventLog.enabled=true",
               "--conf", f"spark.eventLog.dir=file://{events}", *quick()]  # fmt: skip
    made = prefix.parent / "demo" / "made-up-0.05-77"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    (told / "out").write_text(done.stdout)
    (told / "err").write_text(done.stderr)
    assert done.returncode == 0, done.stderr
    assert any(events.rglob("*"))
    assert "Warning: " not in done.stderr, "Python's warnings quote values"
    real = _identifiers(made)
    assert len(real) > 100
    found = {folder.name: search_folder(folder, real) for folder in (told, events, temporary)}
    assert found == {"told": [], "events": [], "tmp": []}
    for zone in (tmp_path / "warehouse" / "deidentified", tmp_path / "warehouse" / "ppz"):
        names = [str(path.relative_to(zone)) for path in zone.rglob("*")]
        assert names
        assert not [name for name in names if any(value in name for value in real)]
    released = sorted((tmp_path / "warehouse" / "ppz").glob("*/*/manifest.json"))
    assert len(released) == 2
    assert [search_folder(path.parent, real) for path in released] == [[], []]
    told_table = re.findall(r"^  [a-z-]+ +([\d, ]+)$", done.stdout, re.MULTILINE)
    accounts = [[int(cell.replace(",", "")) for cell in row.split()] for row in told_table]
    assert len(accounts) == 2 and all(members == sum(parts) > 0 for members, *parts in accounts)


def quick() -> list[str]:
    """Return Spark's options for small data, as the other tests have them: results are the same."""
    return [word for name, value in quick_options().items() for word in ("--conf", f"{name}={value}")]


def _identifiers(made: Path) -> set[str]:
    """Return CHIs, names and UIDs of the made-up people and their images."""
    found: set[str] = set()
    for file in sorted((made / "truth").glob("*.parquet")):
        table = pq.read_table(file)
        for name in table.column_names:
            if re.search(r"chi$|family_name|local_number|address|sop_instance_uid|study_instance_uid", name):
                values = [value for value in table[name].to_pylist() if isinstance(value, str)]
                found |= {part for value in values for part in value.split("^") if len(part) >= 7}
    return found
