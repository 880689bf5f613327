"""The ledger: every run of every job as a row of ``identifiable.run``."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyspark.sql import Row
from pyspark.sql import functions as F

import cairn
from cairn.errors import CairnError
from cairn.spark.accounting import cpu_seconds
from cairn.spark.delta_log import Token
from cairn.spark.schema import schema_sql
from cairn.spark.store import Store
from cairn.tables.run import RUN

Clock = Callable[[], float]
"""Returns seconds since the epoch; jobs pass ``time.time``."""


@dataclass
class Run:
    """One run of one job, while it lasts.

    Parameters
    ----------
    id : str
        Unique for ever; made by the job (:func:`new_run_id`), never in here.
    job : str
        Job or stage.
    clock : callable
        Seconds since the epoch.
    counts : dict
        What the job counted so far; written at the end.
    versions_read, versions_written : dict
        Table to Delta version.
    """

    id: str
    job: str
    clock: Clock
    counts: dict[str, int] = field(default_factory=dict)
    versions_read: dict[str, int] = field(default_factory=dict)
    versions_written: dict[str, int] = field(default_factory=dict)

    def moment(self) -> datetime.datetime:
        """Return what the run's clock says now, UTC."""
        return datetime.datetime.fromtimestamp(self.clock(), datetime.UTC)

    def count(self, more: Mapping[str, int]) -> None:
        """Add counts."""
        for name, number in more.items():
            self.counts[name] = self.counts.get(name, 0) + number

    def reads(self, name: str, version: int | None) -> None:
        """Note the version of a table that the run reads."""
        if version is not None:
            self.versions_read[name] = version

    def writes(self, name: str, version: int | None) -> None:
        """Note the version of a table after the run wrote it."""
        if version is not None:
            self.versions_written[name] = version


def new_run_id(job: str, moment: float, random_bytes: bytes) -> str:
    """Return a run id that sorts by time, e.g. ``20260301T120000-headers-9f3a1c``."""
    stamp = datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y%m%dT%H%M%S")
    return f"{stamp}-{job}-{random_bytes.hex()[:6]}"


@contextmanager
def recorded(store: Store, run: Run) -> Iterator[Run]:
    """Record a run: ``running`` at once; at the end ``done``, or ``failed`` with the code when an error passes.

    Runs of the same job that are still ``running`` become ``killed``: the caller holds the job's lock, so they are
    dead.
    """
    store.ensure(RUN)
    started = run.moment()
    cpu = cpu_seconds(store.spark) or 0.0
    previous = _bury_dead(store, run)
    row = _row(store, run, started, "running", None, None, None, previous)
    begun = store.append_rows(RUN, [row], _token(run, 1), int(started.timestamp() * 1000))
    status, code = "failed", None
    try:
        yield run
        status = "done"
    except CairnError as fault:
        code = fault.code
        raise
    finally:
        used = (cpu_seconds(store.spark) or 0.0) - cpu
        row = _row(store, run, started, status, code, run.moment(), used, previous)
        _finish(store, run, row, begun)


def note_done(store: Store, run: Run) -> None:
    """Note a run that was done as a whole; noting it again changes nothing."""
    store.ensure(RUN)
    row = _row(store, run, run.moment(), "done", None, run.moment(), None, last_done(store, run.job))
    if store.read(RUN).where(F.col("run") == run.id).isEmpty():
        store.append_rows(RUN, [row], _token(run, 1), int(run.clock() * 1000))


def _token(run: Run, version: int) -> Token:
    return Token(f"cairn/run/{run.id}", version)


def _finish(store: Store, run: Run, row: dict[str, object], begun: int | None) -> None:
    """Replace the row of the start: its file by another one, or by MERGE when something has rewritten it meanwhile."""
    if begun is not None and store.is_untouched(RUN, _token(run, 1), begun):
        store.append_rows(RUN, [row], _token(run, 2), int(run.clock() * 1000), instead_of=_token(run, 1))
    else:
        store.upsert(RUN, store.spark.createDataFrame([row], schema_sql(RUN)), unique=True)


def last_done(store: Store, job: str) -> str | None:
    """Return the id of the job's last run that was done, or None."""
    row = _last_done(store, job, "run")
    return row["run"] if row else None


def _last_done(store: Store, job: str, *columns: str) -> Row | None:
    found = store.read(RUN).where((F.col("job") == job) & (F.col("status") == "done"))
    return found.orderBy(F.col("started").desc()).select(*columns).first()


def version_read(store: Store, job: str, table: str) -> int | None:
    """Return the version of a table that the job's last done run read, or None: where an incremental job goes on."""
    return versions_read(store, job).get(table)


def versions_read(store: Store, job: str) -> dict[str, int]:
    """Return the versions of all tables that the job's last done run read; empty when there is none."""
    row = _last_done(store, job, "versions_read") if store.exists(RUN) else None
    return dict(row["versions_read"] or {}) if row else {}


def _bury_dead(store: Store, run: Run) -> str | None:
    """Mark the dead runs of the job, and return its last one that was done."""
    if store.version(RUN) == 0:
        return None
    relevant = store.read(RUN).where((F.col("job") == run.job) & F.col("status").isin("running", "done"))
    latest = relevant.groupBy("status").agg(F.max_by("run", "started").alias("run")).collect()
    found = {row["status"]: row["run"] for row in latest}
    if "running" in found:
        dead = store.read(RUN).where((F.col("job") == run.job) & (F.col("status") == "running"))
        store.upsert(RUN, dead.withColumn("status", F.lit("killed")), unique=True)
    return found.get("done")


def _row(
    store: Store,
    run: Run,
    started: datetime.datetime,
    status: str,
    code: str | None,
    ended: datetime.datetime | None,
    cpu: float | None,
    previous: str | None,
) -> dict[str, object]:
    return {
        "run": run.id,
        "job": run.job,
        "status": status,
        "started": started,
        "ended": ended,
        "code": code,
        "versions_read": dict(run.versions_read),
        "versions_written": dict(run.versions_written),
        "counts": dict(run.counts),
        "settings_hash": store.settings.digest,
        "code_version": cairn.__version__,
        "cpu_seconds": cpu,
        "last_run_of_job": previous,
    }
