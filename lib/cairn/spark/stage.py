"""The resumable batched stage: takes what its targets lack, in bounded batches, each visible whole or not at all.

A stage is a function from batches of entries to rows of its tables (:data:`cairn.spark.task.Work`). The runner does the
rest: the work list (:mod:`~cairn.spark.plan`), one Spark job a batch whose workers write the files
(:mod:`~cairn.spark.task`), the commit over several tables (:mod:`~cairn.spark.intents`), the ledger, the lock, the
progress. Killed at any moment and run again, it redoes at most one batch, and neither duplicates nor loses.
"""

from __future__ import annotations

import datetime
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from cairn.errors import CONDITIONS, CairnError
from cairn.spark import intents, plan, swap
from cairn.spark.intents import Intent
from cairn.spark.ledger import Run, recorded
from cairn.spark.liveness import StageLock
from cairn.spark.locks import stage_lock
from cairn.spark.progress import Progress, ticking
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.spark.task import RESULT_SQL, Task, Work
from cairn.spark.worker_files import file_name, write_file
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.contract import Contract
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.run import RUN_BATCH


@dataclass(frozen=True)
class Stage:
    """One resumable stage.

    Parameters
    ----------
    name : str
        Its name in the ledger, in ``quarantine.stage`` and in messages.
    work : callable
        What a worker does with batches of entries; picklable.
    targets : tuple of Contract
        Tables that the work writes.
    accounts : tuple of str
        Names of tables and of further counts of the work which, added up, count every entry exactly once: what was
        parsed and what was quarantined.
    candidates : callable
        Returns the entries of the source (``uri``, ``content_version``, and the columns that the work needs).
    settled : callable
        Returns (``uri``, ``content_version``) of what needs no work any more.
    source : Contract
        The table whose version the ledger notes.
    entries_per_task : int or None
        For work that takes far longer an entry than reading a header; None: as in the settings' section ``stage``.
    forget : callable or None
        Deletes the rows that some entries still have; None: by ``uri``, from every target.
    """

    name: str
    work: Work
    targets: tuple[Contract, ...]
    accounts: tuple[str, ...]
    candidates: Callable[[Store], DataFrame]
    settled: Callable[[Store], DataFrame]
    source: Contract = ARCHIVE_ENTRY
    entries_per_task: int | None = None
    forget: Callable[[Store, DataFrame], None] | None = None


def archive_candidates(store: Store) -> DataFrame:
    """Return the entries of the archive that can be read: present, no opened container, no fault at listing."""
    entries = store.read(ARCHIVE_ENTRY)
    return entries.where("state = 'present' AND kind <> 'container' AND code IS NULL")


def settled_in(stage: str, table: Contract, retried: Sequence[str] = ()) -> Callable[[Store], DataFrame]:
    """Return a `settled` for stages that write one row to `table` or to quarantine.

    Parameters
    ----------
    stage : str
        The stage's name.
    table : Contract
        Where an entry that went well has its row.
    retried : sequence of str
        Codes of quarantine that the next run tries again, e.g. ``READ_FAILED``.
    """

    def settled(store: Store) -> DataFrame:
        given_up = store.read(QUARANTINE).where((F.col("stage") == stage) & ~F.col("code").isin(list(retried)))
        columns = ("uri", "content_version")
        return store.read(table).select(*columns).unionByName(given_up.select(*columns))

    return settled


def run_stage(stage: Stage, store: Store, run: Run, scratch: Folder, stream: TextIO) -> Run:
    """Run a stage to its end.

    Parameters
    ----------
    stage : Stage
        What to do.
    store : Store
        The tables.
    run : Run
        Id, clock and counts; ``found``, ``unchanged``, ``entries`` and the rows of every table are added to its counts.
    scratch : Folder
        The run's shared scratch folder (:func:`cairn.spark.scratch.claim`).
    stream : text stream
        For progress lines.

    Returns
    -------
    Run
        The same, with its counts.

    Raises
    ------
    CairnError
        STAGE_BUSY, STAGE_FAILED, ENTRIES_LOST, NO_DISK, or what the work raised. What was committed stays; the next run
        goes on.
    """
    with stage_lock(store.settings, stage.name, run) as lock:
        swap.finish(store, run)
        tables = (*stage.targets, RUN_BATCH)
        store.ensure(*tables)
        run.count({"batches_rolled_forward": intents.roll_forward(store, stage.name, tables)})
        with recorded(store, run):
            run.reads(stage.source.full_name, store.version(stage.source))
            work = _planned(stage, store, scratch.child("plan"))
            run.count({"found": work.found, "unchanged": work.found - work.entries, "entries": work.entries})
            _Batches(stage, store, run, work, lock, stream).run_all()
            for contract in stage.targets:
                run.writes(contract.full_name, store.version(contract))
    return run


def _planned(stage: Stage, store: Store, folder: Folder) -> plan.Plan:
    candidates = stage.candidates(store)
    todo = plan.pending(candidates, stage.settled(store))
    limit = stage.entries_per_task or store.settings.stage.entries_per_task
    forget = stage.forget or (lambda store, entries: forget_entries(store, entries, stage.name, stage.targets))
    return plan.write(todo, candidates.count(), folder, limit, lambda entries: forget(store, entries))


def forget_entries(store: Store, entries: DataFrame, stage: str, targets: Sequence[Contract]) -> None:
    """Delete the rows that entries to be done still have, from an earlier content or an earlier try."""
    for contract in targets:
        if store.is_empty(contract):
            continue
        keys = entries.select("uri")
        if "stage" in contract.key:
            keys = keys.withColumn("stage", F.lit(stage))
        if not store.read(contract).join(keys, keys.columns, "left_semi").isEmpty():
            store.delete_keys(contract, keys, keys.columns)


class _Batches:
    """The batches of one run, one after the other."""

    def __init__(self, stage: Stage, store: Store, run: Run, work: plan.Plan, lock: StageLock, stream: TextIO) -> None:
        self._stage, self._store, self._run, self._plan, self._lock = (stage, store, run, work, lock)
        every = store.settings.stage.progress_seconds
        self._progress = Progress(stage.name, work.entries, stream, run.clock, every)
        self._done = 0

    def run_all(self) -> None:
        limits = self._store.settings.stage
        for number, files in enumerate(self._plan.batches(limits.entries_per_batch), start=1):
            if number > 1 and limits.pause_seconds:
                time.sleep(limits.pause_seconds)
            self._run_batch(number, files)

    def _run_batch(self, number: int, files: tuple[str, ...]) -> None:
        started = self._run.clock()
        rows = self._job(self._task(number, files))
        adds, counts, entries = self._checked(rows)
        cpu = sum(row["cpu_seconds"] or 0.0 for row in rows)
        self._lock.check()  # a run that was taken for dead must not commit behind its successor's back
        record = self._record(number, entries, counts, cpu, started)
        tables = {**adds, RUN_BATCH.full_name: [record]}
        intents.commit(
            self._store, Intent(self._stage.name, self._run.id, number, tables), (*self._stage.targets, RUN_BATCH)
        )
        self._run.count(counts)
        self._done += entries
        self._progress.at(self._done)

    def _task(self, number: int, files: tuple[str, ...]) -> Task:
        limits = self._store.settings.stage
        return Task(
            run=self._run.id,
            batch=number,
            work=self._stage.work,
            targets=tuple((contract, self._store.folder(contract)) for contract in self._stage.targets),
            plan=self._plan.folder,
            files=files,
            modified=int(self._run.clock() * 1000),
            rows_per_read=limits.rows_per_read,
            rows_per_file=limits.rows_per_file,
            file_bytes=limits.file_bytes,
            row_group_bytes=limits.row_group_bytes,
        )

    def _job(self, task: Task) -> list[Row]:
        spark = self._store.spark
        share = self._plan.entries * len(task.files) / len(self._plan.files)
        frame = spark.range(0, len(task.files), 1, len(task.files)).mapInArrow(_runner(task), RESULT_SQL)
        try:
            with ticking(self._progress, spark, self._done, share):
                return frame.collect()
        except (Py4JJavaError, PySparkException) as fault:
            raise as_cairn_error(str(fault), self._stage.name) from None

    def _checked(self, rows: Sequence[Row]) -> tuple[dict[str, list[str]], Counter[str], int]:
        """Return actions by table, counts and entries; refuse a batch in which an entry got lost."""
        names = {contract.name: contract.full_name for contract in self._stage.targets}
        adds: dict[str, list[str]] = defaultdict(list)
        counts: Counter[str] = Counter()
        for row in rows:
            if row["add"]:
                adds[names[row["table"]]].append(row["add"])
                counts[row["table"]] += row["rows"]
            counts.update(json.loads(row["counts"] or "{}"))
        entries = sum(row["entries"] or 0 for row in rows)
        accounted = sum(counts[name] for name in self._stage.accounts)
        if accounted != entries:
            raise CairnError("ENTRIES_LOST", stage=self._stage.name, given=entries, accounted=accounted)
        return dict(adds), counts, entries

    def _record(self, number: int, entries: int, counts: Counter[str], cpu: float, started: float) -> str:
        now = self._run.clock()
        row = {
            "run": self._run.id,
            "batch": number,
            "job": self._stage.name,
            "committed": datetime.datetime.fromtimestamp(now, datetime.UTC),
            "entries": entries,
            "counts": list(counts.items()),
            "worker_cpu_seconds": cpu,
            "seconds": now - started,
        }
        table = pa.Table.from_pylist([row], schema=RUN_BATCH.arrow_schema)
        folder = self._store.folder(RUN_BATCH)
        return write_file(RUN_BATCH, table, folder, file_name(self._run.id, number, 0, 0, 0), int(now * 1000))


def measured_rows(spark: SparkSession, task: Task) -> dict[str, float]:
    """Run a task's work without committing any of it, to see what it costs.

    Returns
    -------
    dict
        ``entries``, ``cpu`` (seconds of the workers), ``bytes`` (of the files that they wrote).

    Raises
    ------
    CairnError
        STAGE_FAILED, or what the work raised.
    """
    frame = spark.range(0, len(task.files), 1, len(task.files)).mapInArrow(_runner(task), RESULT_SQL)
    try:
        rows = frame.collect()
    except (Py4JJavaError, PySparkException) as fault:
        raise as_cairn_error(str(fault), "sample") from None
    size = sum(json.loads(row["add"])["add"]["size"] for row in rows if row["add"])
    cpu = sum(row["cpu_seconds"] or 0.0 for row in rows)
    return {"entries": sum(row["entries"] or 0 for row in rows), "cpu": cpu, "bytes": size}


def _runner(task: Task) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        for batch in numbers:
            for number in batch.column(0).to_pylist():
                yield task.run_task(number, context.taskAttemptId())

    return run


def as_cairn_error(text: str, stage: str) -> CairnError:
    """Return the error that a failed job's text tells of; the text itself may hold values and goes no further."""
    if told := re.search(r"\[TASK_FAULT\] (.*?) \[END\]", text, re.DOTALL):
        return CairnError("STAGE_FAILED", stage=stage, why=" ".join(told[1].split()))
    for code, rest in re.findall(r"CairnError: \[([A-Z_]+)\] (.*)", text):
        if code in CONDITIONS:
            return _retold(code, rest.strip())
    for sign, why in SIGNS.items():
        if sign in text:
            return CairnError("STAGE_FAILED", stage=stage, why=why)
    kinds = re.findall(r"\[([A-Z][A-Z_.]+)\]", text)  # names of Spark's conditions and of types hold no value
    kinds += re.findall(r"\b([A-Z]\w+(?:Error|Exception))\b", text)
    why = f"Spark could not finish the job ({', '.join(dict.fromkeys(kinds[:5]))})"
    return CairnError("STAGE_FAILED", stage=stage, why=why)


SIGNS = {
    "No space left on device": "no space left on device",
    "Python worker exited unexpectedly": "a Python worker died (killed, or out of memory)",
    "ExecutorLostFailure": "an executor was lost too often",
}


def _retold(code: str, sentence: str) -> CairnError:
    """Return an error that a worker raised, with the sentence it had there."""
    fault = CairnError.__new__(CairnError)
    Exception.__init__(fault, f"[{code}] {sentence}")
    fault.code, fault.exit_code = code, CONDITIONS[code].exit_code
    return fault
