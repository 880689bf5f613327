"""A zone made of a folder of files, all of it frozen as one cohort, and a project that may have it.

As a script (WAREHOUSE SCRATCH PROJECT KEYS [MASTER]): the extract of that project, in a process that can be killed.
"""

from __future__ import annotations

import datetime as dt
import io
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from made_world import clock
from pyspark.sql import functions as F
from spark_support import ROOT, made_settings, worker_path

from cairn.cohort.reading import parse
from cairn.cohort.sql import compiled
from cairn.deid.keys import SIGNING, make_key
from cairn.deid.profile import load_profile
from cairn.extract.project import load
from cairn.pipelines import extract as job_body
from cairn.pipelines.archive_to_tables import run_stages
from cairn.pipelines.cohort_definition import Definition
from cairn.pipelines.cohort_freeze import freeze
from cairn.pipelines.deidentify import deidentify
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.extract_request import Made, Request
from cairn.pipelines.job import Job
from cairn.pipelines.pixels import device_rules
from cairn.settings import Pixels, Settings
from cairn.spark import session
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.crossing import CROSSING
from cairn.tables.person import PERSON

COHORT = """cohort: everything
version: 1
title: Every instance
sets: {every: {from: instance}}
persons: [{having: every}]
images: {from: every}
"""
PROJECT = """project: NAME
title: All there is
approval: {reference: T-2, by: Tests, expires: 2026-12-31}
cohort: everything@1
tables: {series: all, instance: [person_id, sop_instance_uid, modality]}
"""
SMALL_BATCHES = {"entries_per_batch": 12}


@dataclass
class ExtractSite:
    """The zone, and the request of the project's extract."""

    job: Job
    request: Request
    settings: Settings

    def extract(self) -> Made:
        """Make the extract."""
        job = self.job
        return job_body.extract(job.store, job.run("extract"), job.folder("extract"), job.stream, self.request)


def request_of(project: Path, keys: Path) -> Request:
    """Return the request of a project's extract, under the profile that comes along."""
    terms = Terms(load_profile(ROOT / "conf" / "deid" / "research.yaml"), str(keys))
    return Request(load(project, {}), terms, device_rules(Pixels()), dt.date(2026, 6, 1))


def made_site(spark, folder: Path, roots: Sequence[str], name: str) -> ExtractSite:  # type: ignore[no-untyped-def]
    """Take folders of files in, let everybody cross, freeze all of it, and write a project's file and keys."""
    (folder / "keys").mkdir(mode=0o700)
    for key in ("site", SIGNING, name):
        make_key(folder / "keys", key)
    (folder / f"{name}.yaml").write_text(PROJECT.replace("NAME", name))
    request = request_of(folder / f"{name}.yaml", folder / "keys")
    settings = made_settings(folder / "warehouse")
    job = Job(Store(spark, settings), Folder(str(folder / "scratch")).make(), clock(), io.StringIO())
    run_stages(job, roots, request.site)
    _all_linked(job.store)
    deidentify(job.store, job.run("deidentify"), job.folder("deidentify"), job.stream, request.site)
    checked = parse(COHORT, {})
    freeze(job.store, job.run("cohort"), Definition("definition", COHORT, {}, checked, compiled(checked).steps))
    return ExtractSite(job, request, settings)


def _all_linked(store: Store) -> None:
    people = store.read(CROSSING).where("person IS NOT NULL").select(F.col("person").alias("patient_id")).distinct()
    store.ensure(PERSON)
    filled = people.withColumns({"linked": F.lit(True), "opted_out": F.lit(False)})
    types = {f.name: f.dataType for f in store.read(PERSON).schema}
    columns = (F.col(n) if n in filled.columns else F.lit(None).cast(kind).alias(n) for n, kind in types.items())
    store.append(PERSON, filled.select(*columns))


def main(warehouse: str, scratch: str, project: str, keys: str, master: str = "") -> None:
    """Make the extract in small batches and tasks, on a cluster when one is given."""
    os.environ["PYTHONPATH"] = worker_path()
    settings = made_settings(Path(warehouse), stage=SMALL_BATCHES)
    if master:
        conf = settings.spark.conf | {"spark.master": master}
        settings = settings.model_copy(update={"spark": settings.spark.model_copy(update={"conf": conf})})
    job_body.ENTRIES_PER_TASK = 4
    store = Store(session.build(settings, "extract", str(Path(scratch) / "local")), settings)
    job = Job(store, Folder(scratch).child("shared").make(), time.time, sys.stderr)
    made = ExtractSite(job, request_of(Path(project), Path(keys)), settings).extract()
    print(made.extract)


if __name__ == "__main__":
    main(*sys.argv[1:])
