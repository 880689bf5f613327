"""Gates of a run of several stages: after each stage its tables are checked; nothing crosses into a zone unchecked."""

from __future__ import annotations

from collections.abc import Sequence

from cairn.pipelines.job import Job
from cairn.pipelines.quality import JOB, Checked, check, refuse_closed
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.quality_suites import AFTER, BEFORE

BEYOND = "deidentified"
INTO_ZONE = ("deidentify",)
"""Stages whose tables are open to others as soon as they are made: a failure there stops the run too."""


def after(job: Job, stage: str) -> Checked | None:
    """Check what a stage made. Failures are told; of a stage that fills a zone, errors end the run.

    Parameters
    ----------
    job : Job
        An open job.
    stage : str
        A stage of :data:`cairn.tables.quality_suites.AFTER`.

    Returns
    -------
    Checked or None
        None when the setting ``quality.gates`` is off.

    Raises
    ------
    CairnError
        QUALITY_GATE_CLOSED.
    """
    into_zone = stage in INTO_ZONE
    checked = _checked(job, AFTER[stage], open_zones(job.store) if into_zone else ())
    if checked is not None:
        tell(job, stage, checked)
        if into_zone:
            refuse_closed(checked, f"the zone that {stage} made")
    return checked


def before(job: Job, crossing: str) -> Checked | None:
    """Check what a crossing reads, and stop when an error failed. Tables that did not change are not judged again.

    Parameters
    ----------
    job : Job
        An open job.
    crossing : str
        A stage of :data:`cairn.tables.quality_suites.BEFORE`.

    Returns
    -------
    Checked or None
        None when the setting ``quality.gates`` is off.

    Raises
    ------
    CairnError
        QUALITY_GATE_CLOSED: nothing crosses.
    """
    checked = _checked(job, BEFORE[crossing], () if crossing == "deidentify" else open_zones(job.store))
    if checked is not None:
        refuse_closed(checked, crossing)
    return checked


def _checked(job: Job, names: Sequence[str], zones: Sequence[str]) -> Checked | None:
    return check(job.store, job.run(JOB), names, zones) if job.store.settings.quality.gates else None


def open_zones(store: Store) -> tuple[str, ...]:
    """Return the zones, other than the identifiable one, that exist: they may hold released tables only."""
    return (BEYOND,) if Folder(store.settings.zone_root(BEYOND)).exists() else ()


def tell(job: Job, stage: str, checked: Checked) -> None:
    """Print the failures as lines of progress."""
    for line in checked.lines()[:-1]:
        print(f"quality after {stage}: {line}", file=job.stream, flush=True)
