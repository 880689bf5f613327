"""A small warehouse to reprocess, made once and copied for each test; and a parser that reads headers otherwise."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from spark_support import forget, made_settings

from cairn.deid.keys import make_key
from cairn.pipelines import reprocess, reprocess_build, reprocess_selected
from cairn.pipelines.archive_to_tables import account
from cairn.pipelines.deidentify import deidentify
from cairn.pipelines.entry_rows import failed_rows
from cairn.pipelines.header_rows import KeptHeader, parser_version
from cairn.pipelines.header_task import STAGE
from cairn.pipelines.headers import read_headers
from cairn.pipelines.inventory import take_inventory
from cairn.pipelines.job import Job
from cairn.pipelines.reprocess_task import BlobWork
from cairn.pipelines.series import run_series
from cairn.pipelines.terms import site_terms
from cairn.settings import Settings
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.synthetic.archive import synthesise
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE

ENTRY = ["uri", "content_version", "size"]
OTHER = "2-other"
MARK = "READ OTHERWISE"


def zone_settings(root: Path, gates: bool = False) -> Settings:
    """Small batches, so that there are several; the keys lie beside the warehouse."""
    return made_settings(
        root / "ware house",
        reprocess={"entries_per_batch": 150},
        stage={"entries_per_batch": 10_000},
        keys={"directory": str(root / "keys")},
        scratch={"dead_after_seconds": 20},
        quality={"gates": gates},
    )


def job_on(spark, root: Path, gates: bool = False) -> Job:  # type: ignore[no-untyped-def]
    """A job on the warehouse under `root`, with a clock that goes on."""
    forget(spark)
    scratch = Folder(str(root / f"scratch {time.monotonic_ns()}")).make()
    return Job(Store(spark, zone_settings(root, gates)), scratch, time.time, io.StringIO())


def make_zone(spark, root: Path) -> Path:  # type: ignore[no-untyped-def]
    """Make a small archive with all pitfalls and its identifiable tables, and take the archive away."""
    synthesise(root / "out", scale=0.01, seed=3)
    for name in ("keys", "other keys"):
        (root / name).mkdir(mode=0o700)
        make_key(root / name)
    job = job_on(spark, root)
    take_inventory(
        job.store, job.run("inventory"), job.folder("inventory"), job.stream, [str(root / "out" / "archive")]
    )
    read_headers(job.store, job.run("headers"), job.folder("headers"), job.stream)
    run_series(job.store, job.run("series"))
    assert account(job.store).adds_up
    shutil.rmtree(root / "out")
    return root


def cross(job: Job, keys: str = "") -> None:
    """Bring the de-identified zone up to date, under other keys when they are named."""
    settings = with_keys(job, keys).store.settings if keys else job.store.settings
    deidentify(job.store, job.run("deidentify"), job.folder("deidentify"), job.stream, site_terms(settings))


def with_keys(job: Job, keys: str) -> Job:
    """Return the job under other keys."""
    tree = job.store.settings.model_dump()
    tree["keys"]["directory"] = str(Path(tree["keys"]["directory"]).parent / keys)
    return replace(job, store=Store(job.store.spark, Settings.model_validate(tree)))


def copied(spark, zone: Path, root: Path, gates: bool = False) -> Job:  # type: ignore[no-untyped-def]
    """Return a job on a copy of the warehouse, with the gates of the quality suites open or at work."""
    for name in ("ware house", "keys", "other keys"):
        shutil.copytree(zone / name, root / name)
    return job_on(spark, root, gates)


@dataclass(frozen=True)
class OtherWork:
    """A parser of another version: it reads the protocol of CT images otherwise, and gives some up.

    With a `thickness` it takes that for the slice thickness of all of them.
    """

    work: BlobWork
    given_up: tuple[str, ...] = ()
    thickness: float | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, pa.Table]]:
        for name, rows in self.work(batches):
            if name != INSTANCE.name:
                yield name, rows
                continue
            lost = pc.is_in(rows["uri"], pa.array(self.given_up, pa.string()))
            yield name, otherwise(rows.filter(pc.invert(lost)), self.thickness)
            failed = rows.filter(lost).select(["uri", "content_version", "file_size"]).rename_columns(ENTRY)
            if failed.num_rows:
                entries = [KeptHeader(*row.values(), 0, None, b"", ()) for row in failed.to_pylist()]
                yield QUARANTINE.name, failed_rows([(one, "HEADER_CORRUPT") for one in entries], STAGE, self.work.run)


def otherwise(rows: pa.Table, thickness: float | None = None) -> pa.Table:
    """Return rows of `instance` as the other parser makes them."""
    is_ct = pc.equal(rows["modality"], "CT").fill_null(False)
    protocol = pc.if_else(is_ct, MARK, rows["protocol_name"])
    columns = {"protocol_name": protocol, "parser_version": pa.array([OTHER] * rows.num_rows)}
    if thickness is not None:
        columns["slice_thickness"] = pc.if_else(is_ct, thickness, rows["slice_thickness"])
    for name, column in columns.items():
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), column)
    return rows.cast(INSTANCE.arrow_schema)


def with_other_parser(patch, given_up: tuple[str, ...] = (), thickness: float | None = None) -> None:  # type: ignore[no-untyped-def]
    """Have `reprocess` run under the other parser, which gives up the entries that are named."""

    def work(*arguments):  # type: ignore[no-untyped-def]
        return OtherWork(BlobWork(*arguments), given_up, thickness)

    patch.setattr(reprocess_build, "BlobWork", work)
    for module in (reprocess, reprocess_selected):
        patch.setattr(module, "parser_version", lambda: OTHER)
    assert parser_version() != OTHER


def rows_of(frame, *without: str) -> set[str]:  # type: ignore[no-untyped-def]
    """Return the rows of a frame as JSON."""
    names = [name for name in frame.columns if name not in without]
    return {row[0] for row in frame.select(F.to_json(F.struct(*names))).collect()}
