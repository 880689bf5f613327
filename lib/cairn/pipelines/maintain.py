"""Upkeep of the tables: small files joined, earlier versions dropped, history of persons who opted out erased.

Nothing here changes what a query answers, but for two: rows of frozen cohorts that name persons who opted out since,
and runs older than the ledger keeps.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TextIO

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.errors import CairnError, nearest
from cairn.pipelines import deidentify_records, deidentify_twins
from cairn.pipelines.deidentify import ZONE
from cairn.pipelines.deidentify_records import opted_out, terms_told, with_register
from cairn.pipelines.deidentify_task import OPTED_OUT, Terms
from cairn.spark import intents, swap, upkeep
from cairn.spark.beside import FOLDER
from cairn.spark.changes import is_unchanged
from cairn.spark.fixed import fixed
from cairn.spark.ledger import Run, recorded, versions_read
from cairn.spark.locks import stage_lock
from cairn.spark.progress import Progress
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.spark.udfs import person_udf
from cairn.spark.upkeep import FileSizes
from cairn.tables.cohort import COHORT_MEMBER
from cairn.tables.contract import Contract
from cairn.tables.crossing import CROSSING
from cairn.tables.registry import contracts
from cairn.tables.run import RUN, RUN_BATCH

JOB, ERASE = "maintain", "maintain-erase"
STAGES = ("inventory", "headers", "pixels", "series", "ehr", "deidentify", ZONE, "extract")
"""Stages that write the zones: none of them is at work while files are removed."""
ZONES_KEPT = ("identifiable", "deidentified")


@dataclass(frozen=True)
class Maintained:
    """What upkeep found and did.

    Attributes
    ----------
    before, after : dict
        Files of each table, by its full name.
    erased : int or None
        Persons who opted out and of whom the de-identified zone holds nothing any more, also in no earlier version;
        None when the zone was left alone: no keys were given, or nobody opted out since the last time.
    members : int
        Rows of frozen cohorts that named them.
    pruned : int
        Runs that left the ledger.
    """

    before: dict[str, FileSizes]
    after: dict[str, FileSizes]
    erased: int | None = None
    members: int = 0
    pruned: int = 0

    def lines(self) -> Iterator[str]:
        """Yield it in words, a line a table."""
        for name, now in self.after.items():
            was = self.before[name]
            joined = f" (were {was.files:,} and {_size(was.bytes)})" if was != now else ""
            hidden = f", {now.rows_deleted:,} rows deleted but on disk" if now.rows_deleted else ""
            skew = f", largest {now.skew:.1f} times the median" if now.files > 1 else ""
            yield f"{name}: {now.files:,} files, {_size(now.bytes)}{joined}, {now.small:,} small{skew}{hidden}"
        if self.erased is not None:
            yield f"opted out: {self.erased:,} persons, nothing left of them in the de-identified zone or its history"
            yield f"frozen cohorts: {self.members:,} rows that named them deleted"
        if self.pruned:
            yield f"ledger: {self.pruned:,} old runs removed"

    def counts(self) -> dict[str, object]:
        """Return it for a JSON line."""
        tables = {name: {**vars(sizes), "skew": round(sizes.skew, 2)} for name, sizes in self.after.items()}
        return {"tables": tables, "erased": self.erased, "members": self.members, "pruned": self.pruned}


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.0f} PB"


def existing(store: Store, names: Sequence[str] = (), zone: str = "") -> list[Contract]:
    """Return the tables that exist, or those of them that were named.

    Parameters
    ----------
    store : Store
        The tables.
    names : sequence of str
        ``zone.table``; all when empty.
    zone : str
        Only of this zone, when given.

    Raises
    ------
    CairnError
        BAD_ARGUMENTS with the nearest right name.
    """
    known = contracts()
    for name in names:
        if name not in known:
            raise CairnError("BAD_ARGUMENTS", job=JOB, why=f"there is no table {name!r}", nearest=nearest(name, known))
    chosen = (known[name] for name in names or known if not zone or known[name].zone == zone)
    return [contract for contract in chosen if contract.zone in ZONES_KEPT and store.exists(contract)]


def reported(store: Store, tables: Sequence[Contract]) -> Maintained:
    """Return how tables lie in files; nothing is changed."""
    found = _sizes(store, tables)
    return Maintained(found, found)


def maintain(store: Store, run: Run, stream: TextIO, tables: Sequence[Contract], terms: Terms | None) -> Maintained:
    """Bring files, versions and history of tables in order.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        Id, clock and counts.
    stream : text stream
        For progress lines.
    tables : sequence of Contract
        Existing tables.
    terms : Terms or None
        With them the history of who opted out is erased from the de-identified zone.

    Returns
    -------
    Maintained
        What was done.

    Raises
    ------
    CairnError
        STAGE_BUSY while a stage or an exchange of tables is at work; INTENTS_LEFT; OPT_OUTS_PENDING when somebody who
        opted out is still in the zone: first `deidentify`.
    """
    with ExitStack() as locks:
        for stage in (JOB, *STAGES):
            locks.enter_context(stage_lock(store.settings, stage, run))
        swap.finish(store, run)
        refuse_unfinished(store)
        before = _sizes(store, tables)
        with recorded(store, run):
            pruned = prune_ledger(store, run)
            _keep_up(store, run, stream, tables)
            done = erase_opted_out(store, run, terms) if terms is not None else None
            for contract in tables:
                run.writes(contract.full_name, store.version(contract))
            run.count({"tables": len(tables), "erased": done[0] if done else 0, "pruned": pruned})
    erased, members = done or (None, 0)
    return Maintained(before, _sizes(store, tables), erased, members, pruned)


def refuse_unfinished(store: Store) -> None:
    """Stop while batches are half committed: their files are in no table's log yet, and would be removed."""
    left = {name.split("-")[0] for name in intents.folder(store).names() if name.endswith(".json")}
    if left:
        raise CairnError("INTENTS_LEFT", stages=", ".join(sorted(left)))


def _sizes(store: Store, tables: Sequence[Contract]) -> dict[str, FileSizes]:
    wanted = store.settings.maintain.file_bytes
    return {contract.full_name: upkeep.file_sizes(store, contract, wanted) for contract in tables}


def _keep_up(store: Store, run: Run, stream: TextIO, tables: Sequence[Contract]) -> None:
    limits = store.settings.maintain
    hours = {"identifiable": limits.identifiable_hours, "deidentified": limits.deidentified_hours}
    progress = Progress(JOB, len(tables), stream, run.clock, store.settings.stage.progress_seconds)
    for done, contract in enumerate(tables, start=1):
        upkeep.compact(store, contract, limits.file_bytes)
        upkeep.vacuum(store, contract, hours[contract.zone])
        progress.at(done)


def prune_ledger(store: Store, run: Run) -> int:
    """Remove runs that ended long ago, but each job's last one that was done: the next one goes on from it."""
    if not store.exists(RUN):
        return 0
    limit = run.moment() - datetime.timedelta(days=store.settings.maintain.ledger_days)
    runs = store.read(RUN)
    last = runs.where("status = 'done'").groupBy("job").agg(F.max_by("run", "started").alias("run"))
    old = runs.where((F.col("started") < F.lit(limit)) & (F.col("run") != run.id)).select("run")
    old = fixed(old.join(last.select("run"), "run", "left_anti"))
    count = old.count()
    if count:
        if store.exists(RUN_BATCH):
            upkeep.delete_where_in(store, RUN_BATCH, old)
        upkeep.delete_where_in(store, RUN, old)
    return count


def erase_opted_out(store: Store, run: Run, terms: Terms) -> tuple[int, int] | None:
    """Erase the history of the de-identified zone when persons opted out since the last time, or rules or keys changed.

    Returns
    -------
    tuple of int, or None
        How many persons have opted out, and how many rows of frozen cohorts named them; None when there was nothing
        to do.

    Raises
    ------
    CairnError
        OPT_OUTS_PENDING.
    """
    zone = existing(store, zone="deidentified")
    terms = with_register(store, terms)
    told, known = terms_told(terms), versions_read(store, ERASE)
    if not zone or (told in known and not _opted_out_since(store, known.get(CROSSING.full_name))):
        return None
    gone = fixed(opted_out(store, terms).select(person_udf(terms)("person").alias("person_id")))
    pending = [table.full_name for table in zone if table is not COHORT_MEMBER and _holds(store, table, gone)]
    if Folder(store.settings.zone_root("deidentified")).child(FOLDER).names(folders=True):
        # Tables that are being made there hold rows and versions of before, and are not in anybody's sight.
        pending.append(f"{FOLDER} (end it by reprocess swap or reprocess discard)")
    if pending:
        raise CairnError("OPT_OUTS_PENDING", tables=", ".join(pending))
    jobs = (deidentify_twins.JOB, deidentify_records.JOB)
    marks = {job: _marks(store, job, zone) for job in jobs}
    with recorded(store, Run(f"{run.id}-erase", ERASE, run.clock)) as own:
        members = upkeep.delete_where_in(store, COHORT_MEMBER, gone) if store.exists(COHORT_MEMBER) else 0
        for contract in zone:
            upkeep.erase_history(store, contract)
            own.writes(contract.full_name, store.version(contract))
        own.reads(told, 0)
        own.reads(CROSSING.full_name, store.version(CROSSING))
    for job, versions in marks.items():
        _carry(store, Run(f"{run.id}-{job}", job, run.clock), versions, own.versions_written)
    return len(terms.opt_outs), members


def _opted_out_since(store: Store, version: int | None) -> bool:
    """Whether somebody's entries were taken out after a version of `crossing`; yes where nobody can tell."""
    if version is None:
        return True
    if is_unchanged(store, CROSSING, version):
        return False
    return not store.changes(CROSSING, version + 1).where(F.col("outcome") == OPTED_OUT).isEmpty()


def _holds(store: Store, table: Contract, persons: DataFrame) -> bool:
    rows = store.read(table)
    return "person_id" in rows.columns and not rows.join(persons, "person_id", "left_semi").isEmpty()


def _marks(store: Store, job: str, zone: Sequence[Contract]) -> dict[str, int]:
    """Return what a job's last run has read, without tables of the zone that changed since."""
    versions = versions_read(store, job)
    for contract in zone:
        name = contract.full_name
        if name in versions and not is_unchanged(store, contract, versions[name]):
            del versions[name]
    return versions


def _carry(store: Store, run: Run, versions: Mapping[str, int], now: Mapping[str, int]) -> None:
    """Record that a job knows the tables as they are after their history is gone: no row of them changed."""
    if versions:
        with recorded(store, run):
            for name, version in versions.items():
                run.reads(name, now.get(name, version))
