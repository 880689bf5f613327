"""CPU seconds of a run: Python driver, JVM and Python workers, also those that have ended. Linux only (``/proc``).

Source: proc(5), ``/proc/pid/stat``: utime, stime (14, 15) and, of children that were waited for, cutime, cstime (16,
17).
"""

from __future__ import annotations

import os

from pyspark.sql import SparkSession


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
    ticks = os.sysconf("SC_CLK_TCK")
    processes = _processes()
    return sum(processes[pid][1] for pid in _descendants(roots, processes)) / ticks


def _processes() -> dict[int, tuple[int, int]]:
    """Return parent and CPU ticks (own and reaped children's) of every process."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stream:
                    fields = stream.read().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):  # ended in between; its parent counts it
                continue
            found[int(name)] = (int(fields[1]), sum(int(part) for part in fields[11:15]))
    return found


def _descendants(roots: set[int], processes: dict[int, tuple[int, int]]) -> set[int]:
    reached = {pid for pid in roots if pid in processes}
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in processes.items() if parent in reached} - reached
        reached |= more
        grown = bool(more)
    return reached
