"""The locks of stages and jobs: at most one run of each at a time, as `recorded` asks for."""

from __future__ import annotations

from cairn.settings import Settings
from cairn.spark.ledger import Run
from cairn.spark.liveness import StageLock
from cairn.spark.storage import Folder


def stage_lock(settings: Settings, name: str, run: Run) -> StageLock:
    """Return the lock under which at most one run of a stage, or of what else goes by `name`, is at work.

    Parameters
    ----------
    settings : Settings
        Say where the identifiable zone lies, and when a run counts as dead.
    name : str
        A stage, or a job that is none (``run.job``).
    run : Run
        The run, to hold it.
    """
    limits = settings.scratch
    folder = Folder(settings.zone_root("identifiable")).child("_locks")
    return StageLock(folder, name, run.id, run.clock, limits.heartbeat_seconds, limits.dead_after_seconds)
