"""CPU seconds of a run: Python driver, JVM and Python workers, also those that have ended. Linux only (``/proc``).

Source: proc(5), ``/proc/pid/stat``: utime, stime (14, 15) and, of children that were waited for, cutime, cstime (16,
17). The parent of Spark's Python workers waits for none of them (it ignores SIGCHLD), and Spark ends workers that were
idle for a minute: of those counts what they had used when somebody last asked, as a rule at the end of a run.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Process:
    """A process as proc(5) shows it.

    Parameters
    ----------
    parent : int
        Its parent's id.
    ticks : int
        CPU time, its own and that of children that were waited for.
    started : int
        When it began, which tells it from an earlier one with its id.
    """

    parent: int
    ticks: int
    started: int


_not_waited_for: dict[tuple[int, int], int] = {}
"""CPU ticks of processes (id and start) whose time no parent will ever have, as last seen."""


def peak_memory(spark: SparkSession) -> dict[str, int]:
    """Return the largest resident memory that the session's processes have had so far.

    Parameters
    ----------
    spark : SparkSession
        Its JVM, this Python and the Python workers that are still there are looked at.

    Returns
    -------
    dict
        Bytes by ``driver`` (this Python), ``jvm`` and ``worker`` (the largest of them). Linux only: empty elsewhere.
        Source: proc(5), ``VmHWM`` of ``/proc/pid/status``.
    """
    if not os.path.isdir("/proc/self"):
        return {}
    jvm = int(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]
    workers = _descendants({jvm}, _processes()) - {jvm}
    return {
        "driver": _high_water(os.getpid()),
        "jvm": _high_water(jvm),
        "worker": max(map(_high_water, workers), default=0),
    }


def _high_water(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status") as stream:
            lines = [line.split() for line in stream if line.startswith("VmHWM")]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(lines[0][1]) * 1024 if lines else 0


def cpu_seconds(spark: SparkSession | None = None) -> float | None:
    """Return the CPU seconds used so far by this process, the session's JVM and everything they started.

    Parameters
    ----------
    spark : SparkSession, optional
        Its JVM is counted, whether this process started it or was started by it (``spark-submit``).

    Returns
    -------
    float or None
        Seconds; None where there is no ``/proc``. On a cluster only the driver's machine is seen: the workers of each
        batch report theirs in ``run_batch``.
    """
    if not os.path.isdir("/proc/self"):
        return None
    roots = {os.getpid()}
    if spark is not None:
        roots.add(int(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()))  # type: ignore[union-attr]
    processes = _processes()
    tree = _descendants(roots, processes)
    careless = {pid for pid in tree if _ignores_children(pid)}
    for pid in tree:
        if processes[pid].parent in careless:
            _not_waited_for[pid, processes[pid].started] = processes[pid].ticks
    alive = {(pid, process.started) for pid, process in processes.items()}
    ended = sum(ticks for one, ticks in _not_waited_for.items() if one not in alive)
    return (sum(processes[pid].ticks for pid in tree) + ended) / os.sysconf("SC_CLK_TCK")


def _ignores_children(pid: int) -> bool:
    """Whether a process has the kernel forget its children's times (SIGCHLD ignored)."""
    try:
        with open(f"/proc/{pid}/status") as stream:
            masks = [line.split()[1] for line in stream if line.startswith("SigIgn:")]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return bool(masks) and bool(int(masks[0], 16) >> (signal.SIGCHLD - 1) & 1)


def _processes() -> dict[int, Process]:
    """Return every process."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stream:
                    fields = stream.read().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):  # ended in between; its parent counts it
                continue
            found[int(name)] = Process(int(fields[1]), sum(int(part) for part in fields[11:15]), int(fields[19]))
    return found


def _descendants(roots: set[int], processes: dict[int, Process]) -> set[int]:
    reached = {pid for pid in roots if pid in processes}
    grown = True
    while grown:
        more = {pid for pid, process in processes.items() if process.parent in reached} - reached
        reached |= more
        grown = bool(more)
    return reached
