"""Every stage from the archive to the tables, in order, in one session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import functions as F

from cairn.pipelines.deidentify import Crossed, deidentify
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.ehr_deliveries import Loaded, Loads, load_deliveries
from cairn.pipelines.headers import read_headers
from cairn.pipelines.inventory import take_inventory
from cairn.pipelines.job import Job
from cairn.pipelines.pixels import read_pixels
from cairn.pipelines.quality_gates import after, before
from cairn.pipelines.series import Refreshed, run_series
from cairn.pipelines.summary import Account, account
from cairn.spark.ledger import Run
from cairn.spark.store import Store
from cairn.tables.run import RUN, RUN_BATCH


@dataclass(frozen=True)
class Done:
    """What a run of all stages did.

    Attributes
    ----------
    account : Account
        What the tables hold afterwards.
    read : int
        Entries that the headers stage read in this run.
    header_cpu_seconds : float or None
        CPU seconds of the headers stage, workers and JVM together; None where they cannot be told.
    worker_cpu_seconds : float
        Those of its Python workers alone.
    measured, unmeasured : int
        Entries whose pixels this run measured, and those that it put into quarantine.
    pixel_cpu_seconds : float
        CPU seconds of the pixel stage's workers and decoders.
    series, studies : int
        Rows of the two tables.
    crossed : Crossed or None
        What the de-identified zone holds; None when it was left alone.
    loaded : Loaded or None
        Health records of this run; None without any.
    """

    account: Account
    read: int
    header_cpu_seconds: float | None
    worker_cpu_seconds: float
    measured: int
    unmeasured: int
    pixel_cpu_seconds: float
    series: int
    studies: int
    crossed: Crossed | None = None
    loaded: Loaded | None = None

    def lines(self) -> list[str]:
        """Return it in words."""
        out = [*self.account.lines(), f"series {self.series:,}; studies {self.studies:,}"]
        if self.read and self.worker_cpu_seconds:
            rate = self.read / self.worker_cpu_seconds
            told = f"headers read in this run {self.read:,}: {rate:,.0f} files per CPU second of the workers"
            if self.header_cpu_seconds:
                told += f", {self.read / self.header_cpu_seconds:,.0f} with the JVM and its start"
            out.append(told)
        if self.measured:
            rate = self.measured / self.pixel_cpu_seconds
            out.append(
                f"pixels measured in this run {self.measured:,}, quarantined {self.unmeasured:,}: "
                f"{rate:,.0f} entries per CPU second of the workers"
            )
        out += self.loaded.lines() if self.loaded else []
        return out + (self.crossed.lines() if self.crossed else [])

    def counts(self) -> dict[str, object]:
        """Return all of it for a JSON line."""
        own = {name: value for name, value in vars(self).items() if name not in ("account", "crossed", "loaded")}
        told = {"records": self.loaded.counts() if self.loaded else None}
        return {**self.account.counts(), **own, **told, "deidentified": vars(self.crossed) if self.crossed else None}


def headers_cpu(store: Store, run: str) -> float | None:
    """Return the CPU seconds of one run in the ledger, as far as they could be told."""
    row = store.read(RUN).where(F.col("run") == run).select("cpu_seconds").first()
    return row["cpu_seconds"] if row else None


def worker_cpu(store: Store, run: str) -> float:
    """Return the CPU seconds of the Python workers of one run."""
    row = store.read(RUN_BATCH).where(F.col("run") == run).agg(F.sum("worker_cpu_seconds").alias("seconds")).first()
    return float(row["seconds"] or 0.0) if row else 0.0


def run_stages(job: Job, roots: Sequence[str], terms: Terms | None = None, records: Loads = ()) -> Done:
    """Run inventory, headers, pixels, series, ehr where there are records, and deidentify where there are terms for it.

    The tables of each stage are checked (:mod:`cairn.pipelines.quality_gates`); nothing crosses while an error stands.

    Parameters
    ----------
    job : Job
        An open job.
    roots : sequence of str
        Roots of the archive.
    terms : Terms, optional
        Rules, keys and opt-outs of the de-identified zone; without them it is left alone.
    records : sequence of sequence of Source
        Deliveries of health records, by mapping.

    Returns
    -------
    Done
        Counts. A second call changes nothing and counts nothing as read.

    Raises
    ------
    CairnError
        QUALITY_GATE_CLOSED, and what the stages raise.
    """
    store = job.store
    take_inventory(store, job.run("inventory"), job.folder("inventory"), job.stream, roots)
    after(job, "inventory")
    headers = read_headers(store, job.run("headers"), job.folder("headers"), job.stream)
    after(job, "headers")
    pixels = read_pixels(store, job.run("pixels"), job.folder("pixels"), job.stream)
    after(job, "pixels")
    described = run_series(store, job.run("series"))
    after(job, "series")
    loaded = load_deliveries(job, records) if records else None
    if records:
        after(job, "ehr")
    crossed = None
    if terms is not None:
        before(job, "deidentify")
        crossed = deidentify(store, job.run("deidentify"), job.folder("deidentify"), job.stream, terms)
        after(job, "deidentify")
    return _done(store, headers, pixels, described, crossed, loaded)


def _done(
    store: Store, headers: Run, pixels: Run, described: Refreshed, crossed: Crossed | None, loaded: Loaded | None
) -> Done:
    return Done(
        account(store),
        headers.counts["entries"],
        headers_cpu(store, headers.id),
        worker_cpu(store, headers.id),
        pixels.counts.get("measured", 0),
        pixels.counts.get("quarantine", 0),
        worker_cpu(store, pixels.id),
        described.series,
        described.studies,
        crossed,
        loaded,
    )
