"""Files of many makers as one cohort: every delivered file opens in other toolkits, tells nothing, and is as valid."""

from __future__ import annotations

import csv
import io
import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gdcm
import pydicom
import pydicom.data
import pytest
from dciodvfy import LARGEST, TOOL, UNREAD, errors
from extract_site import made_site
from spark_support import forget, wait_for

from cairn.archive.address import local_path
from cairn.pipelines.extract_collect import items_of
from cairn.pipelines.extract_request import ACCOUNT, Made, staging_of
from cairn.pipelines.verify_folder import FolderRequest, verify_folder
from cairn.settings import Settings
from cairn.spark.store import Store

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CAIRN_SHARED", ROOT.parent / "shared")) / "dicom"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED.is_dir(), reason="there is no shared folder with files of many makers"),
]


@dataclass
class Real:
    """The extract, where it is staged, and the original of each file by its path."""

    made: Made
    folder: Path
    originals: dict[str, Path]
    settings: Settings

    @property
    def files(self) -> list[Path]:
        return [self.folder / path for path in self.originals]


@pytest.fixture(scope="module")
def real(spark, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("real")
    forget(spark)
    packaged = Path(pydicom.data.__file__).parent / "test_files"
    site = made_site(spark, folder, [str(SHARED), str(packaged)], "real")
    store, made = site.job.store, site.extract()
    staged = Path(staging_of(store, "real").path, made.extract)
    yield Real(made, staged, _originals(store, made, staged), site.settings)
    forget(spark)


def _originals(store: Store, made: Made, staged: Path) -> dict[str, Path]:
    uris = {
        row["sha256"]: row["uri"] for row in items_of(store, "real", made.extract).where("sha256 is not null").collect()
    }
    with (staged / "files.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith("images/")]
    return {row["path"]: Path(str(local_path(uris[row["sha256"]]))) for row in rows if "!/" not in uris[row["sha256"]]}


def test_it_adds_up_and_nearly_all_leave(real: Real) -> None:
    told = real.made.counts
    assert told["members"] == sum(told[name] for name in ACCOUNT) > 300
    assert told["rejected"] == told["unmatched"] == 0
    assert told["delivered"] >= 0.9 * told["members"], real.made.codes
    # Phantoms are called like their scanners: such cells stay empty.
    assert sum(real.made.left_out.values()) <= 30, real.made.left_out


def test_the_verifier_finds_nothing_of_anybody(real: Real, tmp_path: Path) -> None:
    matches, originals = tmp_path / "matches.csv", tmp_path / "originals"
    originals.mkdir()
    with matches.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("entry", "output"))
        for number, (path, source) in enumerate(real.originals.items()):
            shutil.copyfile(source, originals / str(number))
            writer.writerow((originals / str(number), path.removeprefix("images/")))
    request = FolderRequest(str(originals), str(real.folder / "images"), matches)
    counts, rules = verify_folder(request, real.settings, 2, io.StringIO(), time.time)
    assert not rules, rules
    assert counts["files"] == counts["clean"] == real.made.counts["delivered"]


def test_pydicom_gdcm_and_dcmtk_read_what_they_read_of_the_originals(real: Real) -> None:
    for path, source in real.originals.items():
        made = pydicom.dcmread(real.folder / path, force=True, stop_before_pixels=True)
        assert made.get("SOPInstanceUID", Path(path).stem) == Path(path).stem
        assert not _gdcm_reads(source) or _gdcm_reads(real.folder / path), path
    tool = shutil.which("dcmftest")
    if tool is not None:
        done = subprocess.run([tool, *map(str, real.files)], capture_output=True, text=True, check=False)
        assert not [line for line in done.stdout.splitlines() if line.startswith("no:")]


def _gdcm_reads(path: Path) -> bool:
    reader = gdcm.Reader()
    reader.SetFileName(str(path))
    return bool(reader.Read())


def test_no_file_is_less_valid(real: Real) -> None:
    if TOOL is None:
        pytest.skip("dciodvfy is not installed (apt-get install dicom3tools)")
    looked, new = 0, Counter[str]()
    for path, source in real.originals.items():
        if source.stat().st_size > LARGEST:
            continue
        before = errors(source)
        if not any(UNREAD in line for line in before):
            looked += 1
            new.update(errors(real.folder / path) - before)
    assert looked >= 262
    assert sum(new.values()) <= 9, new


def test_a_dicom_node_takes_what_it_takes_of_the_originals(real: Real, tmp_path: Path) -> None:
    """Dcmtk's storescp; what storescu cannot propose of an original it need not of what was made of it."""
    if shutil.which("storescp") is None:
        pytest.skip("dcmtk is not installed (apt-get install dcmtk)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "got").mkdir()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    node = subprocess.Popen(["storescp", "--promiscuous", "--ignore", str(port)], **quiet)
    some = list(real.originals.items())[::4]
    try:
        wait_for(lambda: socket.create_connection(("127.0.0.1", port), 1).close() is None, 30)
        taken = [(_stored(port, source), _stored(port, real.folder / path)) for path, source in some]
    finally:
        node.kill()
        node.wait()
    assert sum(before for before, _ in taken) > len(some) / 2
    assert not [one for one, (before, after) in zip(some, taken, strict=True) if before and not after]


# What storescu is to propose for a file of this transfer syntax.
PROPOSED = {
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}


def _stored(port: int, path: Path) -> bool:
    ds = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    option = PROPOSED.get(str(ds.file_meta.get("TransferSyntaxUID", "")))
    command = ["storescu", *([option] if option else []), "127.0.0.1", str(port), str(path)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
