"""Extracts by the real job beside a pydicom loop in the same run: files and MB per CPU second, time, driver memory.

Makes CT slices of many patients (512 x 512) and a larger lot of the same, takes them in, freezes a cohort of all, and
extracts each; a second round blanks a box in every image. That nobody looked for text is not what is measured: rows of
`text_search` are written by this benchmark as if the pixel stage had seen nothing, or the box. The loop reads with
pydicom, replaces the identifying attributes and UIDs, moves dates, blanks the same box, and saves.

    PYTHONPATH=lib PYTHON benchmarks/extract.py [--files 1000 5000] [--pixels small|full] [--only headers|boxes]
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import ExplicitVRLittleEndian
from pyspark.sql import functions as F

from cairn.cohort.reading import parse
from cairn.cohort.sql import compiled
from cairn.deid.keys import SIGNING, make_key
from cairn.extract.project import load as load_project
from cairn.pipelines.cohort_definition import Definition
from cairn.pipelines.cohort_freeze import freeze
from cairn.pipelines.deidentify import deidentify
from cairn.pipelines.extract import extract
from cairn.pipelines.extract_request import Made, Request
from cairn.pipelines.headers import read_headers
from cairn.pipelines.inventory import take_inventory
from cairn.pipelines.job import Job, opened
from cairn.pipelines.series import run_series
from cairn.pipelines.terms import site_terms
from cairn.pixels.text.finder import TEXT_VERSION
from cairn.settings import load
from cairn.spark.accounting import cpu_seconds, peak_memory
from cairn.synthetic.mixes import synthesise_mix
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH
from cairn.tables.crossing import CROSSING
from cairn.tables.instance import INSTANCE
from cairn.tables.person import PERSON
from headers_job import with_jars

QUIET = io.StringIO()
BOX = (0, 0, 60, 10)
COHORT = """cohort: all
version: 1
title: Everything
sets: {scans: {from: series, where: "modality = CT"}}
persons: [{having: scans}]
images: {from: scans}
"""
PROJECT = """project: NAME
title: Benchmark
approval: {reference: none, by: nobody, expires: 2099-01-01}
cohort: all@NUMBER
tables: {series: all, instance: [person_id, sop_instance_uid, study_date]}
"""


def take_in(job: Job, archive: Path, name: str, settings: Any, boxed: bool) -> None:
    """Bring an archive as far as the de-identified zone, with the pixel stage's tables made up."""
    store = job.store
    take_inventory(store, job.run("inventory"), job.folder(f"inventory-{name}"), QUIET, [str(archive)])
    read_headers(store, job.run("headers"), job.folder(f"headers-{name}"), QUIET)
    run_series(store, job.run("series"))
    store.ensure(TEXT_SEARCH, BURNED_IN_TEXT, PERSON)
    images = store.read(INSTANCE).where("rows IS NOT NULL")
    same = {"algorithm_version": F.lit(TEXT_VERSION), "run": F.lit("benchmark")}
    searched = images.withColumns(same | {
        "pixels": F.lit(True), "searched": F.lit(False), "evidence": F.array().cast("array<string>"),
        "device_rule": F.lit(None).cast("string"), "frames": F.lit(1), "frames_looked": F.lit(1),
        "device_regions": F.lit(None).cast("array<struct<x:int,y:int,width:int,height:int>>"),
        "frames_searched": F.lit(0), "planes_searched": F.lit(0), "boxes": F.lit(int(boxed)), "own_values": F.lit(0),
    })  # fmt: skip
    store.upsert(TEXT_SEARCH, searched.select(*(c.name for c in TEXT_SEARCH.columns)), unique=True)
    if boxed:
        x, y, width, height = BOX
        found = images.withColumns(same | {
            "frame": F.lit(1), "box": F.lit(1), "last_frame": F.lit(1), "x": F.lit(x), "y": F.lit(y),
            "width": F.lit(width), "height": F.lit(height), "text": F.lit(""), "confidence": F.lit(1.0),
            "engine": F.lit("benchmark"), "category": F.lit("other"), "plane": F.lit("pixels"),
            "in_ultrasound_region": F.lit(None).cast("boolean"),
        })  # fmt: skip
        store.upsert(BURNED_IN_TEXT, found.select(*(c.name for c in BURNED_IN_TEXT.columns)), unique=True)
    terms = site_terms(settings)
    deidentify(store, job.run("deidentify"), job.folder(f"deidentify-{name}-1"), QUIET, terms)
    people = store.read(CROSSING).where("person IS NOT NULL").select(F.col("person").alias("patient_id")).distinct()
    known = {"patient_id", "linked", "opted_out"}
    rows = people.withColumns({"linked": F.lit(True), "opted_out": F.lit(False)})
    rows = rows.withColumns(
        {f.name: F.lit(None).cast(f.dataType) for f in store.read(PERSON).schema if f.name not in known}
    )
    store.upsert(PERSON, rows.select(*(c.name for c in PERSON.columns)), unique=True)
    deidentify(store, job.run("deidentify"), job.folder(f"deidentify-{name}-2"), QUIET, terms)


def extracted(job: Job, folder: Path, name: str, settings: Any) -> tuple[Made, float, float]:
    """Freeze all there is and extract it; return what was made, CPU seconds and seconds."""
    store = job.store
    checked = parse(COHORT, {})
    frozen = freeze(store, job.run("cohort"), Definition("all", COHORT, {}, checked, compiled(checked).steps))
    path = folder / f"{name}.yaml"
    path.write_text(PROJECT.replace("NAME", name).replace("NUMBER", str(frozen.number)))
    make_key(folder / "keys", name)
    request = Request(load_project(path, {}), site_terms(settings), (), datetime.date(2026, 1, 1))
    cpu, start = cpu_seconds(store.spark) or 0.0, time.perf_counter()
    made = extract(store, job.run("extract"), job.folder(f"extract-{name}"), QUIET, request)
    return made, (cpu_seconds(store.spark) or 0.0) - cpu, time.perf_counter() - start


def by_pydicom(files: list[Path], out: Path, boxed: bool) -> float:
    """Do the same with pydicom and return CPU seconds."""
    start = time.process_time()
    for number, path in enumerate(files):
        ds = pydicom.dcmread(path)
        names: dict[str, str] = {}

        def replaced(_: object, element: pydicom.DataElement, names: dict[str, str] = names) -> None:
            if element.VR == "UI" and element.keyword.endswith("InstanceUID"):
                digest = hashlib.sha256(str(element.value).encode()).digest()
                element.value = names.setdefault(element.value, f"2.25.{int.from_bytes(digest[:16], 'big')}")
            elif element.VR == "DA" and element.value:
                day = datetime.datetime.strptime(str(element.value)[:8], "%Y%m%d") + datetime.timedelta(days=30)
                element.value = day.strftime("%Y%m%d")
            elif element.VR == "PN":
                element.value = "ANON"

        ds.walk(replaced)
        ds.remove_private_tags()
        ds.PatientID = "ANON"
        if boxed:
            pixels = ds.pixel_array.copy()
            x, y, width, height = BOX
            pixels[y : y + height, x : x + width] = 0
            ds.PixelData = pixels.tobytes()
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.save_as(out / f"{number}.dcm")
        hashlib.sha256((out / f"{number}.dcm").read_bytes()).hexdigest()
    return time.process_time() - start


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--pixels", choices=("small", "full"), default="full")
    parser.add_argument("--sample", type=int, default=200, help="files that the pydicom loop does")
    parser.add_argument("--only", choices=("headers", "boxes"), help="one round of the two")
    options = parser.parse_args()
    with_jars()
    place = tempfile.gettempdir()  # a session has temporary files lie in its scratch, which goes with it
    for boxed in {"headers": (False,), "boxes": (True,)}.get(options.only, (False, True)):
        print("with a box blanked in every image" if boxed else "headers only")
        with tempfile.TemporaryDirectory(dir=place) as name:
            folder = Path(name)
            for key in ("site", SIGNING):
                make_key(folder / "keys", key)
            settings = load(None, os.environ, (f"keys.directory={folder / 'keys'}",), str(folder / "warehouse"))
            with opened("benchmark", settings) as job:
                # The first extract of a session pays for plans, code and models; it is not reported.
                for number, files in enumerate((200, *options.files)):
                    lot = folder / f"lot{number}"
                    synthesise_mix(lot, "ct", files, number + 1, options.pixels)
                    take_in(job, lot / "archive", lot.name, settings, boxed)
                    made, cpu, seconds = extracted(job, folder, lot.name, settings)
                    n, size = made.counts["delivered"], made.counts["bytes"] / 1e6
                    if number:
                        print(f"{n:,} files, {size:,.0f} MB: {seconds:.0f} s, {n / cpu:,.0f} files and", end=" ")
                        print(f"{size / cpu:,.0f} MB per CPU s; {made.counts['withheld']:,} withheld; peak", end=" ")
                        print(", ".join(f"{k} {v / 2**20:,.0f} MiB" for k, v in peak_memory(job.store.spark).items()))
            sample = sorted((folder / "lot1" / "archive").rglob("*.dcm"))[: options.sample]
            (folder / "peer").mkdir()
            cpu = by_pydicom(sample, folder / "peer", boxed)
            print(f"pydicom loop: {len(sample) / cpu:,.0f} files per CPU s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
