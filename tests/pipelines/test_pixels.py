"""The pixel stage on tables: text, parts redone alone, decoders that crash and hang, a run killed and resumed."""

from __future__ import annotations

import csv
import datetime
import signal
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pixel_kill
import pytest
from made_world import clock
from pixel_sample import InMemory, made_file
from pixel_trouble import MARK, TroubledWork
from pydicom.encaps import encapsulate
from spark_support import forget, made_settings

from cairn.pipelines import pixels as stage
from cairn.pipelines.find_text import COLUMNS, FindTextWork, find_text
from cairn.pipelines.job import Job
from cairn.pipelines.pixel_task import TEXT, EntryWorker
from cairn.pipelines.pixels import device_rules, read_pixels
from cairn.spark.delta_log import Token
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.synthetic import phantoms
from cairn.synthetic.text_set import made_text_image
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH
from cairn.tables.instance import INSTANCE
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.quarantine import QUARANTINE

JPEG_LS = "1.2.840.10008.1.2.4.80"
CT = "1.2.840.10008.5.1.4.1.1.2"
TABLES = (PIXEL_STATISTICS, TEXT_SEARCH, BURNED_IN_TEXT, QUARANTINE)
SLICE = phantoms.ct_slice(64, 1)
TEXTS = ("plain", "overlay", "ultrasound")


def compressed(frame: bytes, number: int) -> bytes:
    data = encapsulate([frame])
    return made_file(
        data, JPEG_LS, rows=64, columns=64, bits_stored=16, Modality="CT", SOPInstanceUID=f"2.25.9{number}"
    )


def make_archive(folder: Path) -> dict[str, bytes]:
    """Write a small archive and return its files: text, slices, frames that tell the decoder what to do, no pixels."""
    folder.mkdir()
    files = {f"{group}.dcm": made_text_image(5, group, 1).data for group in TEXTS}
    for number in range(3):
        uid = f"2.25.{number + 1}"
        files[f"slice{number}.dcm"] = made_file(SLICE + number, Modality="CT", SOPClassUID=CT, SOPInstanceUID=uid)
    files["good.dcm"] = compressed(imagecodecs.jpegls_encode(SLICE), 0)
    for number, order in enumerate((b"KILL", b"HANG", b"EXIT"), start=1):
        files[f"{order.decode().lower()}.dcm"] = compressed(MARK + order + bytes(60), number)
    no_pixels = made_file(SLICE, SOPInstanceUID="2.25.77")
    files["none.dcm"] = no_pixels[: no_pixels.index(b"\xe0\x7f\x10\x00OW")]
    files["notes.txt"] = b"no DICOM at all, only words " * 20
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return files


class Small:
    """The archive, and a job on it."""

    def __init__(self, spark, folder: Path) -> None:  # type: ignore[no-untyped-def]
        self.archive = folder / "archive"
        self.files = make_archive(self.archive)
        forget(spark)
        settings = made_settings(folder / "warehouse", pixels={"decode_timeout_seconds": 3.0})
        self.job = Job(Store(spark, settings), Folder(str(folder / "scratch")).make(), clock(), sys.stderr)
        self._list_files()

    def _list_files(self) -> None:
        """Write the rows that inventory and headers would, as far as the stage looks at them."""
        entries, instances = [], []
        for path in sorted(self.archive.iterdir()):
            stat = path.stat()
            modified = datetime.datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1e6, datetime.UTC)
            row = {"uri": path.as_uri(), "content_version": "v1"}
            entries.append(row | {"kind": "file", "size": stat.st_size, "modified": modified, "state": "present"})
            if path.suffix == ".dcm":
                instances.append(row | {"is_primary": True, "run": "r"})
        store = self.job.store
        store.ensure(ARCHIVE_ENTRY, INSTANCE)
        store.append_rows(ARCHIVE_ENTRY, entries, Token("listed", 1), 0)
        store.append_rows(INSTANCE, instances, Token("parsed", 1), 0)

    def run(self) -> dict[str, int]:
        """Run the stage; return its counts."""
        job = self.job
        run = job.run("pixels")
        return dict(read_pixels(job.store, run, job.folder(f"pixels {run.id}"), job.stream).counts)

    def rows(self, contract, where: str = "true") -> dict[str, list[dict]]:  # type: ignore[no-untyped-def]
        """Return a table's rows by file name."""
        found: dict[str, list[dict]] = {}
        for row in self.job.store.read(contract).where(where).collect():
            found.setdefault(Path(row["uri"]).name, []).append(row.asDict(recursive=True))
        return found

    def versions(self) -> dict[str, int]:
        return {contract.name: self.job.store.version(contract) for contract in TABLES}


@pytest.fixture(scope="module")
def small(spark, tmp_path_factory):
    made = Small(spark, tmp_path_factory.mktemp("pixels"))
    real, stage.PixelWork = stage.PixelWork, TroubledWork
    try:
        made.counts = made.run()
        yield made
    finally:
        stage.PixelWork = real


def test_a_decoder_that_crashes_or_hangs_costs_its_file_and_nothing_else(small):
    failed = {name: row["code"] for name, (row,) in small.rows(QUARANTINE, "stage = 'pixels'").items()}
    assert failed == {"kill.dcm": "DECODER_CRASHED", "hang.dcm": "DECODER_TIMEOUT", "exit.dcm": "DECODER_CRASHED"}
    measured = set(small.rows(PIXEL_STATISTICS))
    assert measured | set(failed) == set(small.files) - {"notes.txt"}
    assert (small.counts["entries"], small.counts["measured"], small.counts["quarantine"]) == (11, 8, 3)


def test_text_of_the_tables_is_that_of_the_finder(small):
    searched = small.rows(TEXT_SEARCH)
    boxes = small.rows(BURNED_IN_TEXT)
    assert set(searched) == set(small.rows(PIXEL_STATISTICS))
    assert set(boxes) == {f"{group}.dcm" for group in TEXTS}
    settings = small.job.store.settings.pixels
    with EntryWorker(settings, device_rules(settings)) as worker:
        for name, (row,) in searched.items():
            found = worker.reading(TEXT)(InMemory(small.files[name])).rows
            (expected,) = found["text_search"]
            assert {key: row[key] for key in expected} == expected, name
            own = sorted(boxes.get(name, []), key=lambda box: box["box"])
            assert [{key: box[key] for key in made} for box, made in zip(own, found["burned_in_text"], strict=True)] \
                == found["burned_in_text"], name  # fmt: skip
    assert searched["slice0.dcm"][0]["searched"] is False and searched["slice0.dcm"][0]["frames_looked"] == 1
    assert searched["none.dcm"][0]["pixels"] is False
    assert any(box["category"] == "own_value" for rows in boxes.values() for box in rows)


def test_run_again_it_changes_nothing(small):
    before = small.versions()
    counts = small.run()
    assert counts["entries"] == 0 and counts["unchanged"] == 11 and small.versions() == before


@pytest.mark.parametrize(
    ("older", "kept"),
    [(TEXT_SEARCH, (PIXEL_STATISTICS,)), (PIXEL_STATISTICS, (TEXT_SEARCH, BURNED_IN_TEXT))],
    ids=["text", "statistics"],
)
def test_a_new_algorithm_redoes_its_part_alone(small, older, kept):
    store = small.job.store
    before = {contract.name: small.rows(contract) for contract in TABLES}
    store.spark.sql(f"UPDATE {older.full_name} SET algorithm_version = 0")
    versions = small.versions()
    counts = small.run()
    assert counts["entries"] == 8 and counts["measured"] == 8
    for contract in kept:
        assert store.version(contract) == versions[contract.name], contract.name
    for contract in TABLES:
        after = small.rows(contract)
        assert plain(after) == plain(before[contract.name]), contract.name


def plain(rows: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """Return rows without the run that wrote them, in order."""
    return {
        name: sorted(({k: v for k, v in row.items() if k != "run"} for row in some), key=str)
        for name, some in rows.items()
    }


def test_killed_between_two_tables_and_run_again(small, tmp_path):
    store = small.job.store
    before = {contract.name: plain(small.rows(contract)) for contract in TABLES}
    for contract in (PIXEL_STATISTICS, TEXT_SEARCH):
        store.spark.sql(f"UPDATE {contract.full_name} SET algorithm_version = 0")
    command = [sys.executable, pixel_kill.__file__, store.settings.warehouse.root, str(tmp_path)]
    killed = subprocess.run(command, capture_output=True, timeout=900, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert {name: plain_of(small, contract) for name, contract in BY_NAME.items()} != before, "it died too early"
    small.run()
    assert {name: plain_of(small, contract) for name, contract in BY_NAME.items()} == before


BY_NAME = {contract.name: contract for contract in TABLES}


def plain_of(small: Small, contract) -> dict[str, list[dict]]:  # type: ignore[no-untyped-def]
    return plain(small.rows(contract))


def test_a_file_that_has_gone_leaves_no_text(small):
    uri = (small.archive / "plain.dcm").as_uri()
    small.job.store.spark.sql(f"UPDATE {ARCHIVE_ENTRY.full_name} SET state = 'gone' WHERE uri = '{uri}'")
    assert small.run()["gone"] == 1
    for contract in TABLES[:3]:
        assert "plain.dcm" not in small.rows(contract)


def test_find_text_says_the_same_without_tables(small, tmp_path):
    settings = small.job.store.settings
    work = FindTextWork(settings.pixels, device_rules(settings.pixels))
    folder = tmp_path / "with text"
    folder.mkdir()
    for name in ("ultrasound.dcm", "slice1.dcm", "none.dcm", "notes.txt"):
        (folder / name).write_bytes(small.files[name])
    out, entries = tmp_path / "text.csv", tmp_path / "entries.csv"
    counts = find_text(str(folder), out, entries, work, settings, 2, sys.stderr, clock())
    assert (counts["entries"], counts["with text"], counts["without text"]) == (4, 1, 1)
    assert (counts["without pixels"], counts["unreadable"]) == (1, 1)
    with out.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        found = list(reader)
    assert tuple(reader.fieldnames) == COLUMNS
    expected = sorted(small.rows(BURNED_IN_TEXT)["ultrasound.dcm"], key=lambda box: box["box"])
    assert [row["path"] for row in found] == ["ultrasound.dcm"] * len(expected)
    for name in ("frame", "x", "y", "width", "height", "text", "confidence"):
        assert [row[name] for row in found] == [str(box[name]) for box in expected], name
    with entries.open(encoding="utf-8", newline="") as file:
        told = {row["path"]: row["outcome"] for row in csv.DictReader(file)}
    assert told == {
        "ultrasound.dcm": "with text", "slice1.dcm": "without text", "none.dcm": "without pixels",
        "notes.txt": "unreadable",
    }  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["entries.csv", "text.csv", "with text"]


def test_statistics_are_those_of_numpy(small):
    (row,) = small.rows(PIXEL_STATISTICS, "frame = 0")["slice2.dcm"]
    assert (row["minimum"], row["maximum"]) == (int(SLICE.min()) + 2, int(SLICE.max()) + 2)
    assert np.isclose(row["mean"], SLICE.mean() + 2)
