"""What is true about a made-up archive, entry by entry, series by series, person by person."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cairn.synthetic.people import Person
from cairn.synthetic.series import Built, Instance

PARSED, QUARANTINED, CONTAINER, ANY, OPTIONAL = "parsed", "quarantined", "container", "any", "optional"


@dataclass
class Entry:
    """One file or archive member.

    Parameters
    ----------
    path : str
        Relative to the archive's root, members as ``container!/member``; bytes that are no UTF-8 percent-encoded.
    raw_path : bytes
        The same as the file system and the containers hold it.
    kind : str
        ``file``, ``member`` or ``container``.
    outcome : str
        ``parsed``, ``quarantined``, ``container`` (opened, no row of its own to parse), ``any`` (one row, parsed or
        quarantined, where the standard and pydicom leave it open) or ``optional`` (a member of a damaged
        container: may be listed or not, but not wrongly).
    code : str or None
        Code of the quarantine row, a key of ``cairn.errors.ENTRY_CONDITIONS``.
    findings : list of str
        Codes that must be among the parsed row's findings.
    odd_elements : list of str
        Keywords whose value the VR cannot hold: the typed column must be NULL.
    label : str
        Which pitfall it is, empty for an ordinary entry.
    size : int
        Bytes, uncompressed.
    duplicate : str
        ``identical`` or ``differing`` when other entries have its SOPInstanceUID, else empty.
    is_primary : bool or None
        True when it alone has its SOPInstanceUID; None where Cairn must choose.
    person : int or None
        Index of the person whose image it truly is.
    chi : str or None
        That person's current CHI.
    elements : int or None
        Elements, nested ones included, without file meta and pixel data.

    Notes
    -----
    None in any other column means that the truth makes no claim: a value that was cut off, or that readers may
    rightly take from elsewhere. Values are those of the header, multi-valued ones joined by backslashes.
    """

    path: str
    raw_path: bytes
    kind: str
    outcome: str
    size: int
    code: str | None = None
    findings: list[str] = field(default_factory=list)
    odd_elements: list[str] = field(default_factory=list)
    label: str = ""
    person: int | None = None
    chi: str | None = None
    modality: str | None = None
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    series_instance_uid: str | None = None
    study_instance_uid: str | None = None
    transfer_syntax_uid: str | None = None
    elements: int | None = None
    duplicate: str = ""
    is_primary: bool | None = None


_ENTRY_TYPES = {
    "raw_path": pa.binary(),
    "size": pa.int64(),
    "findings": pa.list_(pa.string()),
    "odd_elements": pa.list_(pa.string()),
    "person": pa.int64(),
    "elements": pa.int64(),
    "is_primary": pa.bool_(),
}
_PERSON_TYPES = {"index": pa.int64(), "twin_of": pa.int64(), "birth_date": pa.date32(), "death_date": pa.date32()}
ENTRY_SCHEMA = pa.schema([(f.name, _ENTRY_TYPES.get(f.name, pa.string())) for f in dataclasses.fields(Entry)])
PERSON_SCHEMA = pa.schema([(f.name, _PERSON_TYPES.get(f.name, pa.string())) for f in dataclasses.fields(Person)])
SERIES_SCHEMA = pa.schema(
    [
        ("series_instance_uid", pa.string()),
        ("study_instance_uid", pa.string()),
        ("person", pa.int64()),
        ("study_date", pa.date32()),
        ("modality", pa.string()),
        ("manufacturer", pa.string()),
        ("model", pa.string()),
        ("series_description", pa.string()),
        ("body_part_examined", pa.string()),
        ("instances", pa.int64()),
        ("orientation", pa.string()),
        ("slice_spacing", pa.float64()),
        ("regular", pa.bool_()),
        ("missing_slices", pa.int64()),
        ("slice_positions", pa.int64()),
        ("extent", pa.float64()),
        ("localizer", pa.bool_()),
        ("contrast", pa.bool_()),
        ("original", pa.bool_()),
        ("weighting", pa.string()),
        ("rows", pa.int64()),
        ("columns", pa.int64()),
        ("burnt_in_text", pa.list_(pa.string())),
    ]
)


def series_row(built: Built) -> dict[str, Any]:
    """Return the truth about one series."""
    context = built.context
    return {
        **built.truth,
        "series_instance_uid": built.common["SeriesInstanceUID"],
        "study_instance_uid": context.study.uid,
        "person": context.study.person.index,
        "study_date": context.study.start.date(),
        "modality": context.modality,
        "manufacturer": context.model.manufacturer,
        "model": context.model.name,
        "series_description": built.common["SeriesDescription"],
        "body_part_examined": built.common["BodyPartExamined"],
        "instances": len(built.own),
    }


def instance_truth(instance: Instance, person: Person) -> dict[str, Any]:
    """Return what an entry that holds this instance says about it."""
    return {
        "outcome": PARSED,
        "size": len(instance.data),
        "person": person.index,
        "chi": person.chi,
        "modality": instance.modality,
        "sop_class_uid": instance.sop_class_uid,
        "sop_instance_uid": instance.sop_instance_uid,
        "series_instance_uid": instance.series_instance_uid,
        "study_instance_uid": instance.study_instance_uid,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "elements": instance.elements,
        "is_primary": True,
    }


class TruthWriter:
    """Writes the truth beside the archive, a row group a batch, so that memory stays small.

    Parameters
    ----------
    folder : pathlib.Path
        ``OUT/truth``.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._entries = pq.ParquetWriter(folder / "entries.parquet", ENTRY_SCHEMA)
        self._series = pq.ParquetWriter(folder / "series.parquet", SERIES_SCHEMA)
        self.counts: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.modalities: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()

    def add(self, entries: list[Entry], series: list[dict[str, Any]]) -> None:
        """Append the truth of one batch."""
        self._entries.write_table(pa.Table.from_pylist([dataclasses.asdict(e) for e in entries], ENTRY_SCHEMA))
        if series:
            self._series.write_table(pa.Table.from_pylist(series, SERIES_SCHEMA))
        for entry in entries:
            self.counts[entry.outcome] += 1
            self.codes.update([entry.code] if entry.code and entry.outcome == QUARANTINED else [])
            self.modalities.update([entry.modality] if entry.outcome == PARSED and entry.modality else [])
            self.labels.update([entry.label] if entry.label else [])

    def close(self, people: Iterable[Person], made_by: dict[str, Any]) -> dict[str, Any]:
        """Write the people and a summary; return the summary."""
        self._entries.close()
        self._series.close()
        table = pa.Table.from_pylist([dataclasses.asdict(person) for person in people], PERSON_SCHEMA)
        pq.write_table(table, self._folder / "people.parquet")
        summary = {
            **made_by,
            "entries": sum(self.counts.values()),
            "outcomes": dict(sorted(self.counts.items())),
            "codes": dict(sorted(self.codes.items())),
            "modalities": dict(sorted(self.modalities.items())),
            "pitfalls": dict(sorted(self.labels.items())),
            "people": table.num_rows,
        }
        (self._folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        return summary
