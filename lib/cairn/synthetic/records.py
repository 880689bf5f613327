"""Makes the health records of an archive's people: files, counts that a loader must find, cohorts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cairn.synthetic.histories import history
from cairn.synthetic.images import Image
from cairn.synthetic.people import Person
from cairn.synthetic.record_files import RecordFiles
from cairn.synthetic.record_truth import COHORTS, members

COHORT_SCHEMA = pa.schema(
    [
        ("cohort", pa.string()),
        ("person", pa.int64()),
        ("chi", pa.string()),
        ("index_date", pa.date32()),
        ("study_instance_uid", pa.string()),
        ("series_instance_uid", pa.string()),
    ]
)


def image(row: dict[str, Any]) -> Image:
    """Return what the histories need of one series, from its row of the archive's truth."""
    return Image(
        study_uid=row["study_instance_uid"],
        series_uid=row["series_instance_uid"],
        person=row["person"],
        day=row["study_date"],
        modality=row["modality"],
        contrast=bool(row.get("contrast")),
        localizer=bool(row.get("localizer")),
        original=bool(row.get("original")),
        spacing=row.get("slice_spacing"),
        description=row.get("series_description") or "",
        region=row.get("body_part_examined") or "",
    )


def write_records(out: Path, seed: int, people: Iterable[Person], images: Iterable[Image]) -> dict[str, Any]:
    """Write ``OUT/ehr`` and the truth about it, and return the counts.

    Parameters
    ----------
    out : pathlib.Path
        The folder that holds ``archive`` and ``truth``.
    seed : int
        The archive's seed.
    people : iterable of Person
        Everybody of the archive.
    images : iterable of Image
        Its series; those of pitfalls are left out: their headers are wrong on purpose.

    Returns
    -------
    dict
        ``sources``: rows, records in force and quarantined ones by mapping; ``cohorts``: members of each.
    """
    own: dict[int, list[Image]] = defaultdict(list)
    for one in images:
        own[one.person].append(one)
    files = RecordFiles(seed)
    found: list[dict[str, Any]] = []
    for person in people:
        made = history(seed, person, own[person.index])
        files.add(made)
        found.extend(members(made, own[person.index]))
    summary = {
        "sources": files.write(out / "ehr"),
        "cohorts": {name: sum(member["cohort"] == name for member in found) for name in COHORTS},
    }
    pq.write_table(pa.Table.from_pylist(found, COHORT_SCHEMA), out / "truth" / "cohorts.parquet")
    (out / "truth" / "records.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary
