"""The lock of a job that is no resumable stage: at most one run of it at a time, as `recorded` asks for."""

from __future__ import annotations

from cairn.settings import Settings
from cairn.spark.ledger import Run
from cairn.spark.liveness import StageLock
from cairn.spark.storage import Folder


def job_lock(settings: Settings, run: Run) -> StageLock:
    """Return the lock of a run's job, to be entered; it lies where those of the stages lie.

    Parameters
    ----------
    settings : Settings
        Say where the identifiable zone lies, and when a run counts as dead.
    run : Run
        The run.
    """
    scratch = settings.scratch
    folder = Folder(settings.zone_root("identifiable")).child("_locks")
    return StageLock(folder, run.job, run.id, run.clock, scratch.heartbeat_seconds, scratch.dead_after_seconds)
