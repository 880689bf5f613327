"""Loading deliveries of several mappings in one go: which there are, and what came of them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cairn.ehr.mapping import named
from cairn.errors import CairnError
from cairn.pipelines.ehr import load_records, refresh_persons
from cairn.pipelines.ehr_sources import STAGE, Source, sources_of
from cairn.pipelines.job import Job
from cairn.spark.storage import Folder

Loads = Sequence[Sequence[Source]]
"""Files of each mapping."""


@dataclass(frozen=True)
class Loaded:
    """What loading a set of deliveries did.

    Attributes
    ----------
    by_mapping : dict
        Counts of :func:`load_records` by mapping.
    persons : dict
        Counts of :func:`refresh_persons`.
    """

    by_mapping: dict[str, dict[str, int]]
    persons: dict[str, int]

    def lines(self) -> list[str]:
        """Return it in words."""
        told = [
            f"{name}: {counts['read']:,} rows = {counts['typed']:,} typed + {counts['quarantined']:,} quarantined; "
            f"{counts['in_force']:,} records in force" + _unchanged(counts["unchanged"])
            for name, counts in self.by_mapping.items()
        ]
        if self.persons:
            told.append(f"{self.persons['persons']:,} persons, {self.persons['aliases']:,} other numbers of theirs")
        return told

    def counts(self) -> dict[str, object]:
        """Return all of it for a JSON line."""
        return {**self.by_mapping, **self.persons}


def loads_in(places: Sequence[str], mappings: Path, delivered_on: datetime.date | None = None) -> Loads:
    """Return what lies in some folders that have one folder a mapping.

    Parameters
    ----------
    places : sequence of str
        The folders.
    mappings : pathlib.Path
        Where the mappings lie.
    delivered_on : datetime.date or None
        When; otherwise the date in a file's name.

    Raises
    ------
    CairnError
        SOURCE_MISSING, BAD_ARGUMENTS for a folder that no mapping is called like, EHR_UNDATED.
    """
    loads = []
    for place in places:
        folder = Folder(place)
        if not folder.exists():
            raise CairnError("SOURCE_MISSING", path=place)
        names = [name for name in sorted(folder.names(folders=True)) if name[0] not in "._"]
        loads += [sources_of(named(n, mappings), [f"{place.rstrip('/')}/{n}"], delivered_on) for n in names]
    return loads


def _unchanged(files: int) -> str:
    return f"; {files:,} files are as they were, and were not read" if files else ""


def load_deliveries(job: Job, loads: Loads, again: bool = False) -> Loaded:
    """Load deliveries of several mappings, then bring the persons up to date.

    Parameters
    ----------
    job : Job
        An open job.
    loads : sequence of sequence of Source
        Files of each mapping.
    again : bool
        Read files too that are as they were loaded last.

    Raises
    ------
    CairnError
        As :func:`load_records`; what was loaded before stays.
    """
    told = {}
    for number, sources in enumerate(loads):
        if sources:
            run, scratch = job.run(STAGE), job.folder(f"ehr-{number}")
            told[sources[0].mapping.mapping] = dict(load_records(job.store, run, scratch, job.stream, sources, again))
    return Loaded(told, dict(refresh_persons(job.store, job.run(STAGE))))
