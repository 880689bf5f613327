"""Files of many makers as one cohort: every delivered file opens in other toolkits, tells nothing, and is as valid."""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from dciodvfy import LARGEST, TOOL, UNREAD, errors
from made_world import clock
from pyspark.sql import functions as F
from spark_support import forget, made_settings, wait_for

from cairn.archive.address import local_path
from cairn.cohort.reading import parse
from cairn.cohort.sql import compiled
from cairn.deid.keys import SIGNING, make_key
from cairn.deid.profile import load_profile
from cairn.extract.project import load
from cairn.pipelines.archive_to_tables import run_stages
from cairn.pipelines.cohort_definition import Definition
from cairn.pipelines.cohort_freeze import freeze
from cairn.pipelines.deidentify import deidentify
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.extract import extract
from cairn.pipelines.extract_collect import items_of
from cairn.pipelines.extract_request import Made, Request, staging_of
from cairn.pipelines.job import Job
from cairn.pipelines.pixels import device_rules
from cairn.settings import Pixels, Settings
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.crossing import CROSSING
from cairn.tables.person import PERSON

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CAIRN_SHARED", ROOT.parent / "shared")) / "dicom"
COHORT = """cohort: everything
version: 1
title: Every instance
sets: {every: {from: instance}}
persons: [{having: every}]
images: {from: every}
"""
PROJECT = """project: real
title: Files of many makers
approval: {reference: T-2, by: Tests, expires: 2026-12-31}
cohort: everything@1
tables: {series: all, instance: [person_id, sop_instance_uid, modality]}
"""

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
    (folder / "keys").mkdir(mode=0o700)
    for name in ("site", SIGNING, "real"):
        make_key(folder / "keys", name)
    terms = Terms(load_profile(ROOT / "conf" / "deid" / "research.yaml"), str(folder / "keys"))
    forget(spark)
    settings = made_settings(folder / "warehouse")
    job = Job(Store(spark, settings), Folder(str(folder / "scratch")).make(), clock(), io.StringIO())
    packaged = Path(pydicom.data.__file__).parent / "test_files"
    run_stages(job, [str(SHARED), str(packaged)], terms)
    store = job.store
    people = store.read(CROSSING).where("person IS NOT NULL").select(F.col("person").alias("patient_id")).distinct()
    store.ensure(PERSON)
    filled = people.withColumns({"linked": F.lit(True), "opted_out": F.lit(False)})
    types = {f.name: f.dataType for f in store.read(PERSON).schema}
    columns = (F.col(n) if n in filled.columns else F.lit(None).cast(kind).alias(n) for n, kind in types.items())
    store.append(PERSON, filled.select(*columns))
    deidentify(store, job.run("deidentify"), job.folder("deidentify"), job.stream, terms)
    checked = parse(COHORT, {})
    freeze(store, job.run("cohort"), Definition("definition", COHORT, {}, checked, compiled(checked).steps))
    (folder / "real.yaml").write_text(PROJECT)
    request = Request(load(folder / "real.yaml", {}), terms, device_rules(Pixels()), dt.date(2026, 6, 1))
    made = extract(store, job.run("extract"), job.folder("extract"), job.stream, request)
    staged = Path(staging_of(store, "real").path, made.extract)
    yield Real(made, staged, _originals(store, made, staged), settings)
    forget(spark)


def _originals(store: Store, made: Made, staged: Path) -> dict[str, Path]:
    uris = {
        row["sha256"]: row["uri"] for row in items_of(store, "real", made.extract).where("sha256 is not null").collect()
    }
    with (staged / "files.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith("images/")]
    return {row["path"]: Path(str(local_path(uris[row["sha256"]]))) for row in rows if "!/" not in uris[row["sha256"]]}


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
