"""Progress of a run, as lines on standard error: entries done of all, rate, time left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from pyspark.sql import SparkSession


class Progress:
    """Says now and then how far a run is; a terminal gets one line that changes, anything else plain lines.

    Parameters
    ----------
    name : str
        Stage.
    total : int
        Entries to do.
    stream : text stream
        Usually ``sys.stderr``.
    clock : callable
        Returns seconds, rising.
    every_seconds : float
        Shortest time between two lines.
    """

    def __init__(
        self, name: str, total: int, stream: TextIO, clock: Callable[[], float], every_seconds: float = 5
    ) -> None:
        self.total = total
        self._name, self._stream, self._clock = name, stream, clock
        self._every = every_seconds
        self._started = self._said = clock()
        self._inplace = stream.isatty()

    def at(self, done: int) -> None:
        """Note that `done` entries are finished; prints when it is time, and at the end."""
        now = self._clock()
        if done < self.total and now - self._said < self._every:
            return
        self._said = now
        last = done >= self.total
        line = describe(self._name, done, self.total, now - self._started)
        end = "\n" if last or not self._inplace else ""
        self._stream.write(f"\r\x1b[K{line}{end}" if self._inplace else line + end)
        self._stream.flush()


def describe(name: str, done: int, total: int, seconds: float) -> str:
    """Return one progress line, e.g. ``headers: 20,000 of 50,000 (40 %), 1,000/s, 30 s left``."""
    rate = done / seconds if seconds > 0 else 0.0
    share = 100 * done // total if total else 100
    line = f"{name}: {done:,} of {total:,} ({share} %)"
    if rate > 0:
        line += f", {rate:,.0f}/s"
        if done < total:
            line += f", {_span((total - done) / rate)} left"
    return line


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


@contextmanager
def ticking(progress: Progress, spark: SparkSession, done: int, share: float) -> Iterator[None]:
    """Keep the progress moving while one Spark job runs, by the share of its tasks that have ended.

    Parameters
    ----------
    progress : Progress
        Gets the estimate; it prints when it is time.
    spark : SparkSession
        Its status tracker is asked.
    done : int
        Entries finished before the job.
    share : float
        Entries of the job.
    """
    stopped = threading.Event()

    def tick() -> None:
        while not stopped.wait(1.0):
            progress.at(min(int(done + share * _finished_share(spark)), progress.total - 1))

    thread = threading.Thread(target=tick, name="cairn-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _finished_share(spark: SparkSession) -> float:
    tracker = spark.sparkContext.statusTracker()
    stages = [info for one in tracker.getActiveStageIds() if (info := tracker.getStageInfo(one))]
    tasks = sum(stage.numTasks for stage in stages)
    return sum(stage.numCompletedTasks for stage in stages) / tasks if tasks else 0.0
