"""`reprocess plan`: core hours and bytes, measured on a sample of the site's own headers by the code that will run.

What grows with the rows is told from what every job costs by measuring twice, on a small share and on a larger one,
which is enlarged until it takes twice as long: a difference of less is noise.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.dicom.warm import ensure_compiled
from cairn.pipelines.deidentify import primary_headers
from cairn.pipelines.deidentify_task import DeidentifyWork, Terms
from cairn.pipelines.job import Job
from cairn.pipelines.reprocess import Request, terms_of
from cairn.pipelines.reprocess_build import places, with_places
from cairn.pipelines.reprocess_selected import ENTRY
from cairn.pipelines.reprocess_task import BlobWork
from cairn.pipelines.series_aggregate import series_rows, study_rows
from cairn.spark import plan
from cairn.spark.accounting import cpu_seconds
from cairn.spark.feed import row_digest
from cairn.spark.stage import measured_rows
from cairn.spark.storage import Folder
from cairn.spark.task import Task, Work
from cairn.tables.contract import Contract
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import DEIDENTIFIED_INSTANCE, REPORT_TEXT
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE

SMALL = 5
"""The small share is a fifth of the sample; a sample that was too small is enlarged as much."""


@dataclass(frozen=True)
class Step:
    """One step of the run.

    Parameters
    ----------
    name : str
        What is done.
    rows : int
        How many rows it will do.
    sampled : int
        How many were measured.
    cpu : float
        CPU seconds of one row.
    written : float
        Bytes that one row leaves in the tables.
    before : float
        CPU seconds whatever the rows.
    """

    name: str
    rows: int
    sampled: int
    cpu: float
    written: float = 0.0
    before: float = 0.0

    @property
    def core_hours(self) -> float:
        """CPU hours of all rows."""
        return (self.before + self.rows * self.cpu) / 3600

    def line(self) -> str:
        """Return it in words."""
        each = f"{1e6 * self.cpu:,.0f} µs a row, measured on {self.sampled:,}"
        if self.before:
            each += f", and {self.before:,.0f} s before the first"
        return f"{self.name}: {self.rows:,} rows, {self.core_hours:,.2f} core hours ({each})"


@dataclass(frozen=True)
class Estimate:
    """What a reprocess will take.

    Parameters
    ----------
    told : str
        Which rows.
    steps : tuple of Step
        What is done.
    read : int
        Bytes of kept headers that are read.
    freed_later : int
        Bytes that the present tables keep until VACUUM takes them.
    cores : int
        Cores that it may use at a time.
    pauses : float
        Seconds between batches, in all.
    """

    told: str
    steps: tuple[Step, ...]
    read: int
    freed_later: int
    cores: int
    pauses: float

    @property
    def core_hours(self) -> float:
        """CPU hours of all steps."""
        return sum(step.core_hours for step in self.steps)

    @property
    def written(self) -> int:
        """Bytes of the new tables."""
        return round(sum(step.rows * step.written for step in self.steps))

    @property
    def hours(self) -> float:
        """Hours on the cores that it may use, pauses included."""
        return self.core_hours / self.cores + self.pauses / 3600

    def lines(self) -> list[str]:
        """Return it in words."""
        total = f"{self.core_hours:,.2f} core hours; {self.hours:,.2f} hours on {self.cores} cores"
        return [
            f"{self.told}: {total}",
            *(f"  {step.line()}" for step in self.steps),
            f"reads {_size(self.read)} of kept headers, and nothing of the archive",
            f"writes {_size(self.written)} beside; the rows of before take {_size(self.freed_later)} until VACUUM",
        ]

    def counts(self) -> dict[str, object]:
        """Return it for a JSON line."""
        return {
            "core_hours": self.core_hours,
            "hours": self.hours,
            "bytes_read": self.read,
            "bytes_written": self.written,
            "bytes_freed_later": self.freed_later,
            "cores": self.cores,
            "steps": {step.name: vars(step) for step in self.steps},
        }


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"


def estimate(job: Job, request: Request) -> Estimate:
    """Measure a sample and return what the whole will take.

    Parameters
    ----------
    job : Job
        The job.
    request : Request
        What would be run.

    Raises
    ------
    CairnError
        TABLE_MISSING before headers; as the keys' readers where there is a de-identified zone.
    """
    store = job.store
    store.read(HEADER_BLOB)
    store.ensure(INSTANCE, QUARANTINE)
    ensure_compiled(job.stream)
    terms = terms_of(store, request)
    blobs = store.read(HEADER_BLOB).select(*ENTRY)
    chosen = blobs.join(request.selection.chosen(store), ENTRY, "left_semi") if request.selection else blobs
    rows, every = chosen.count(), blobs.count()
    shares = _Shares(job, chosen, rows)
    steps = [shares.parsing()]
    if terms is not None:
        steps.append(shares.crossing(terms))
    steps.append(shares.describing())
    if not request.selection:
        steps.append(shares.comparing())
    limits = store.settings.reprocess
    batches = max(0, math.ceil(rows / limits.entries_per_batch) - 1)
    size = {contract: _bytes_of(job, contract) for contract in (HEADER_BLOB, INSTANCE, DEIDENTIFIED_INSTANCE)}
    return Estimate(
        request.selection.told(),
        tuple(steps),
        round(size[HEADER_BLOB] * rows / max(1, every)),
        size[INSTANCE] + (size[DEIDENTIFIED_INSTANCE] if terms else 0),
        limits.cores or store.spark.sparkContext.defaultParallelism,
        batches * limits.pause_seconds,
    )


def _bytes_of(job: Job, contract: Contract) -> int:
    if not job.store.exists(contract):
        return 0
    location = job.store.location(contract)
    detail = job.store.spark.sql(f"DESCRIBE DETAIL delta.`{location}`").select("sizeInBytes").first()
    return int(detail["sizeInBytes"]) if detail else 0


class _Shares:
    """Measurements on a share of the chosen rows: entries whose hash falls into it."""

    def __init__(self, job: Job, chosen: DataFrame, rows: int) -> None:
        self._job, self._store, self._chosen, self._rows = job, job.store, chosen, rows
        self._part = min(1.0, job.store.settings.reprocess.sample_rows / max(1, rows))

    def parsing(self) -> Step:
        """Measure the parse of kept headers into `instance`."""
        blobs = places(with_places(self._store.read(HEADER_BLOB)).join(self._chosen, ENTRY, "left_semi"))
        # Neighbours, as the run will read them: single rows of many files cost ten times as much.
        blocks = blobs.groupBy("container").count().orderBy(F.xxhash64(F.lit("sample"), "container"))
        wanted, names = self._part * self._rows, []
        for row in blocks.limit(math.ceil(wanted)).collect():
            if wanted <= 0:
                break
            names.append(row["container"])
            wanted -= row["count"]
        work = BlobWork(self._store.settings.headers, self._store.folder(HEADER_BLOB), "sample")
        some = blobs.where(F.col("container").isin(names))
        sampled, cpu, written = self._by_task(some, 1.0, work, (INSTANCE, QUARANTINE))
        return Step("parse", self._rows, sampled, cpu, written)

    def crossing(self, terms: Terms) -> Step:
        """Measure the rewriting of headers and the parse of the twins."""
        headers = primary_headers(self._store).join(self._chosen, ENTRY, "left_semi")
        work = DeidentifyWork(terms, terms.version(), self._store.settings.headers, "sample")
        targets = (DEIDENTIFIED_INSTANCE, REPORT_TEXT, CROSSING, QUARANTINE)
        sampled, cpu, written = self._by_task(headers, self._part, work, targets)
        return Step("deidentify", self._rows, sampled, cpu, written)

    def describing(self) -> Step:
        """Measure the aggregation of series and studies."""
        instances = self._store.read(INSTANCE).join(self._chosen, ENTRY, "left_semi")

        def make(share: float) -> int:
            some = instances.where(_within("study_instance_uid", share))
            for rows in (series_rows(some), study_rows(some)):
                _carry_out(rows)
            return some.count()

        return self._by_difference("series", make)

    def comparing(self) -> Step:
        """Measure what it costs to find the rows that differ."""
        instances = self._store.read(INSTANCE).join(self._chosen, ENTRY, "left_semi")

        def make(share: float) -> int:
            some = instances.where(_within("uri", share))
            for _ in ("old", "new"):
                _carry_out(some.select("uri", row_digest(INSTANCE)))
            return some.count()

        return self._by_difference("compare", make)

    def _by_task(
        self, rows: DataFrame, share: float, work: Work, targets: tuple[Contract, ...]
    ) -> tuple[int, float, float]:
        """Return rows measured, and CPU seconds and bytes a row of the workers, by a task as it will run."""
        self._one_task(rows, share / SMALL, work, targets)  # loads libraries and compiled code
        counts = self._one_task(rows, share, work, targets)
        done = max(1, round(counts["entries"]))
        return done, counts["cpu"] / done, counts["bytes"] / done

    def _one_task(self, rows: DataFrame, share: float, work: Work, targets: tuple[Contract, ...]) -> Counter[str]:
        scratch = self._job.folder(f"sample-{os.urandom(3).hex()}")
        some = rows.where(_within("uri", share))
        made = plan.write(some, 0, scratch.child("plan"), self._store.settings.stage.entries_per_task, lambda _: None)
        folders = tuple((contract, scratch.child(contract.full_name).make()) for contract in targets)
        counts: Counter[str] = Counter()
        if made.files:
            task = _task(self._job, work, folders, made)
            counts.update(measured_rows(self._store.spark, task))
        scratch.remove_folder()
        return counts

    def _by_difference(self, name: str, make: Callable[[float], int]) -> Step:
        make(self._part / SMALL)  # plans and compiled code
        lots, each, before = by_difference(lambda share: self._cpu_of(make, share), self._part)
        return Step(name, self._rows, lots, each, before=before)

    def _cpu_of(self, make: Callable[[float], int], share: float) -> tuple[int, float]:
        before = cpu_seconds(self._store.spark) or 0.0
        rows = make(share)
        return rows, (cpu_seconds(self._store.spark) or 0.0) - before


def by_difference(cpu_of: Callable[[float], tuple[int, float]], share: float) -> tuple[int, float, float]:
    """Tell what grows with the rows from what does not.

    Parameters
    ----------
    cpu_of : callable
        Does the work on a share (0 to 1) of the rows; returns the rows and CPU seconds.
    share : float
        The share to begin with. It is enlarged until it costs twice what a fifth of the first cost, or is all.

    Returns
    -------
    tuple of int, float, float
        Rows of the largest share measured, CPU seconds of one row, CPU seconds before the first.
    """
    few, few_cpu = cpu_of(share / SMALL)
    lots, lots_cpu = cpu_of(share)
    while share < 1 and lots_cpu < 2 * few_cpu:
        share = min(1.0, share * SMALL)
        lots, lots_cpu = cpu_of(share)
    each = max(0.0, lots_cpu - few_cpu) / max(1, lots - few)
    return lots, each, max(0.0, few_cpu - each * few)


def _carry_out(rows: DataFrame) -> None:
    """Compute all columns of all rows, for nobody.

    Spark's own way, the format ``noop``, is a write, and Delta 4.4 fails in one that reads a table with deletion
    vectors ("Cannot work with a non-pinned table snapshot"); a count would compute no column.
    """
    rows._jdf.queryExecution().toRdd().count()


def _within(name: str, share: float) -> Column:
    """Return whether a value's hash falls into a share: the same rows for whoever measures."""
    parts = 1_000_000
    return F.pmod(F.xxhash64(F.lit("sample"), F.col(name)), F.lit(parts)) < math.ceil(share * parts)


def _task(job: Job, work: Work, targets: tuple[tuple[Contract, Folder], ...], made: plan.Plan) -> Task:
    limits = job.store.settings.stage
    return Task(
        run="sample",
        batch=1,
        work=work,
        targets=targets,
        plan=made.folder,
        files=made.files,
        modified=int(job.clock() * 1000),
        rows_per_read=limits.rows_per_read,
        rows_per_file=limits.rows_per_file,
        file_bytes=limits.file_bytes,
        row_group_bytes=limits.row_group_bytes,
    )
