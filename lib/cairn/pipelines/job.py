"""What every job that uses Spark opens and closes: scratch, session, store, run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from cairn.settings import ZONES, Settings
from cairn.spark.ledger import Clock, Run, new_run_id
from cairn.spark.scratch import claim
from cairn.spark.session import build, jvm_may_be_gone
from cairn.spark.storage import Folder
from cairn.spark.store import Store


@dataclass(frozen=True)
class Job:
    """One job while it runs.

    Attributes
    ----------
    store : Store
        The tables, on the job's session.
    scratch : Folder
        The job's shared scratch folder.
    clock : callable
        Seconds since the epoch.
    stream : text stream
        For progress lines.
    """

    store: Store
    scratch: Folder
    clock: Clock
    stream: TextIO

    def __post_init__(self) -> None:
        # For :func:`cairn.spark.fixed.fixed`. The folder goes with the run.
        self.store.spark.sparkContext.setCheckpointDir(self.scratch.child("fixed").hadoop_uri)

    def run(self, stage: str) -> Run:
        """Return a new run of a stage, to be recorded in the ledger."""
        return Run(new_run_id(stage, self.clock(), os.urandom(3)), stage, self.clock)

    def folder(self, stage: str) -> Folder:
        """Return the scratch folder of one stage of this job."""
        return self.scratch.child(stage).make()


@contextmanager
def opened(
    name: str,
    settings: Settings,
    clock: Clock = time.time,
    stream: TextIO | None = None,
    zones: Sequence[str] = ZONES[:2],
) -> Iterator[Job]:
    """Open the scratch folders and the session of a job; close both whatever happens.

    Parameters
    ----------
    name : str
        The job's name.
    settings : Settings
        Validated settings.
    clock : callable
        Seconds since the epoch.
    stream : text stream, optional
        For progress lines; standard error unless given.
    zones : sequence of str
        Zones whose tables the session knows by name.
    """
    with claim(settings, new_run_id(name, clock(), os.urandom(3)), clock) as (scratch, local):
        spark = build(settings, f"cairn {name}", local, zones)
        try:
            yield Job(Store(spark, settings), scratch, clock, stream or sys.stderr)
        finally:
            with jvm_may_be_gone():
                spark.stop()
