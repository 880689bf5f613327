"""What one task of a batch does in its Python worker: read its piece of the plan, work, write the tables' files itself.

No pyspark here. A task returns, for each file, the ``add`` action that the driver commits; nothing is visible before. A
task that fails removes its files and raises an error that names types and places in the code, never values.
"""

from __future__ import annotations

import json
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from cairn.dicom.quiet import silence_pydicom
from cairn.errors import CairnError
from cairn.spark.storage import Folder
from cairn.spark.worker_files import FileWriter, file_name
from cairn.tables.contract import Contract

Rows = tuple[str, pa.RecordBatch | pa.Table]
Work = Callable[[Iterator[pa.RecordBatch]], Iterator[Rows | Mapping[str, int]]]
"""What a stage does in a worker: takes batches of plan rows, yields ``(table name, rows)`` with the exact Arrow schema
of that table's contract, and, when it likes, mappings of further counts that are summed over the run."""

RESULT = pa.schema(
    [
        pa.field("table", pa.string()),
        pa.field("add", pa.string()),
        pa.field("rows", pa.int64()),
        pa.field("entries", pa.int64()),
        pa.field("counts", pa.string()),
        pa.field("cpu_seconds", pa.float64()),
    ]
)
RESULT_SQL = "table STRING, add STRING, rows BIGINT, entries BIGINT, counts STRING, cpu_seconds DOUBLE"


class TaskFault(RuntimeError):
    """A fault in a worker, told without values."""


@dataclass(frozen=True)
class Task:
    """What every task of one batch gets.

    Parameters
    ----------
    run : str
        Run id.
    batch : int
        Number of the batch, from 1.
    work : callable
        The stage's work.
    targets : tuple of (Contract, Folder)
        The tables and their roots.
    plan : Folder
        The folder of the plan.
    files : tuple of str
        Plan files of the batch, one a task.
    modified : int
        Milliseconds since the epoch, for the log.
    rows_per_read, rows_per_file, file_bytes, row_group_bytes : int
        As in the settings' section ``stage``.
    """

    run: str
    batch: int
    work: Work
    targets: tuple[tuple[Contract, Folder], ...]
    plan: Folder
    files: tuple[str, ...]
    modified: int
    rows_per_read: int
    rows_per_file: int
    file_bytes: int
    row_group_bytes: int

    def run_task(self, number: int, attempt: int) -> pa.RecordBatch:
        """Do the task and return its result rows (:data:`RESULT`): one a file, and one with the counts.

        Parameters
        ----------
        number : int
            Which of the batch's plan files.
        attempt : int
            Spark's id of the task attempt, unique in the application.
        """
        silence_pydicom()
        output = _Output(self, number, attempt)
        started = _cpu_seconds()
        done = False
        try:
            try:
                reader = _Reader(self.plan, self.files[number], self.rows_per_read)
                for item in self.work(iter(reader)):
                    output.take(item)
                adds = output.close()
                done = True
            finally:
                if not done:
                    output.discard()
        except CairnError:
            raise
        except Exception as fault:  # noqa: BLE001 - the boundary to Spark's log: nothing with a value may pass
            raise TaskFault(told(fault)) from None
        counts = json.dumps(output.counts)
        last = {"entries": reader.rows, "counts": counts, "cpu_seconds": _cpu_seconds() - started}
        return pa.RecordBatch.from_pylist([*adds, last], schema=RESULT)


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it started and saw end, such as decoders."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


class _Reader:
    """Batches of a plan file, counted."""

    def __init__(self, plan: Folder, name: str, rows_per_read: int) -> None:
        self._plan, self._name, self._rows_per_read = plan, name, rows_per_read
        self.rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        with self._plan.filesystem.open_input_file(self._plan.file(self._name)) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(self._rows_per_read):
                self.rows += batch.num_rows
                yield batch


class _Output:
    """The open file of every table, and the finished ones."""

    def __init__(self, task: Task, number: int, attempt: int) -> None:
        self._task, self._number, self._attempt = task, number, attempt
        self._targets = {contract.name: (contract, folder) for contract, folder in task.targets}
        self._open: dict[str, FileWriter] = {}
        self._finished: list[FileWriter] = []
        self._adds: list[dict[str, object]] = []
        self.counts: Counter[str] = Counter()

    def take(self, item: Rows | Mapping[str, int]) -> None:
        if isinstance(item, Mapping):
            self.counts.update(item)
            return
        table, rows = item
        if not rows.num_rows:
            return
        writer = self._open.get(table) or self._start(table)
        writer.write(rows)
        if writer.rows >= self._task.rows_per_file or writer.nbytes >= self._task.file_bytes:
            self._finish(table)

    def close(self) -> list[dict[str, object]]:
        for table in list(self._open):
            self._finish(table)
        return self._adds

    def discard(self) -> None:
        for writer in [*self._open.values(), *self._finished]:
            writer.discard()

    def _start(self, table: str) -> FileWriter:
        contract, folder = self._targets[table]
        made = len(self._finished) + len(self._open)
        name = file_name(self._task.run, self._task.batch, self._number, self._attempt, made)
        writer = FileWriter(contract, folder, name, self._task.modified, self._task.row_group_bytes)
        self._open[table] = writer
        return writer

    def _finish(self, table: str) -> None:
        writer = self._open[table]
        add = writer.close()
        self._finished.append(self._open.pop(table))
        self._adds.append({"table": table, "add": add, "rows": writer.rows})


def told(fault: BaseException) -> str:
    """Return type and places of a fault: a message could hold a path or a value, a frame cannot."""
    frames = traceback.extract_tb(fault.__traceback__)[-6:]
    places = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
    return f"[TASK_FAULT] {type(fault).__name__} at {places} [END]"
