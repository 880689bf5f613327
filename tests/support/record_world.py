"""Made-up people with images and records: files written, read by the loader, persons resolved; for both engines."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa

from cairn.ehr.deliveries import in_force, load
from cairn.ehr.mapping import load_all
from cairn.ehr.persons import PersonResolver, resolve_aliases
from cairn.ehr.rows import Delivery
from cairn.synthetic.images import Image
from cairn.synthetic.people import person
from cairn.synthetic.records import write_records

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = load_all(ROOT / "conf" / "ehr")
Tables = dict[str, list[dict[str, Any]]]


def images_of(index: int) -> list[Image]:
    """Return the series of one person: a head, and by the index what a study of another region needs."""
    who = person(1, index)
    last = who.death_date or dt.date(2023, 1, 1)
    day = max(last - dt.timedelta(days=40 + 13 * (index % 90)), dt.date(2010, 2, 1))
    made = []
    for number in range(1 + index % 3):
        when = day + dt.timedelta(days=9 * (number // 2))
        thick = 1.0 if index % 5 else 5.0
        kind = "MR" if number == 1 else "CT"
        # A scout comes first: it is of no question.
        scout = number == 0 and index % 11 == 0
        made.append(_image(index, f"{number}", when, kind, "HEAD", index % 4 == 0, scout, thick))
    early = max(day - dt.timedelta(days=1000 + index % 900), dt.date(2010, 2, 1))
    return made + _of_other_regions(index, early)


def _of_other_regions(index: int, day: dt.date) -> list[Image]:
    which = index % 7
    if which == 0:
        return [_image(index, "h", day, "CT", "HEART", True)]
    if which == 1:
        later = day + dt.timedelta(days=(3, 14, 15, 0)[index // 7 % 4])
        return [_image(index, "x", day, "CR", "CHEST"), _image(index, "c", later, "CT", "CHEST")]
    if which == 2 and person(1, index).sex == "F":
        early = [_image(index, f"m{n}", day - dt.timedelta(days=1095), "MG", "BREAST") for n in range(2)]
        return early * (index % 2) + [_image(index, f"n{n}", day, "MG", "BREAST") for n in range(2)]
    if which in (3, 4):
        return [_image(index, "t", day, "CT", ("CHEST", "ABDOMEN", "PELVIS", "LSPINE")[index // 7 % 4])]
    if which == 5:  # thinner the second, on one day
        return [_image(index, f"b{n}", day, "MR", "BRAIN", spacing=5.0 / (1 + n)) for n in range(2)]
    return []


def _image(
    index: int, name: str, day: dt.date, kind: str, region: str, contrast: bool = False, scout: bool = False,
    spacing: float = 1.0,
) -> Image:  # fmt: skip
    study = f"st{index:04d}.{day:%Y%m%d}.{kind}"
    return Image(study, f"se{index:04d}.{name}", index, day, kind, contrast, scout, True, spacing, region, region)


def series_row(image: Image) -> dict[str, Any]:
    """Return a series as its table has it: the region in a header element of two in three, else in the description."""
    names = {"LSPINE": "L Spine", "HEART": "Cardiac"}
    said = image.person % 3 != 0
    return {
        "series_instance_uid": image.series_uid,
        "study_instance_uid": image.study_uid,
        "person_id": person(1, image.person).chi,
        "study_date": image.day,
        "modality": image.modality,
        "contrast": image.contrast,
        "localizer": image.localizer,
        "slice_thickness": image.spacing,
        "slice_spacing": image.spacing,
        "body_part_examined": image.region if said else None,
        "series_description": f"{names.get(image.region, image.region.title())} {image.spacing:g}",
        "view_position": "MLO" if image.modality == "MG" else None,
    }


def loaded(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of a mapping's deliveries that are in force."""
    mapping = MAPPINGS[name]
    parts = []
    for path in sorted((folder / name).glob("*.csv")):
        with path.open("rb") as stream:
            delivery = Delivery(path.name, dt.date.fromisoformat(path.stem))
            parts += [part.typed for part in load(stream, mapping, delivery)]
    return in_force(pa.concat_tables(parts), keyed=bool(mapping.key)).to_pylist() if parts else []


def made_tables(out: Path, people: int) -> Tables:
    """Write the records of so many people below a folder, and return the tables as analysts get them.

    Pseudonyms and shifted dates apart: ``person_id`` is the CHI.
    """
    (out / "truth").mkdir()
    images = [image for index in range(people) for image in images_of(index)]
    write_records(out, 1, (person(1, index) for index in range(people)), images)
    register = loaded(out / "ehr", "chi_register")
    aliases, circle = resolve_aliases((r["patient_id"], r["current_chi"]) for r in register if r["current_chi"])
    assert aliases and not circle
    chi = PersonResolver(aliases, {}).chi
    gone = {chi(r["patient_id"]) for r in register if r["opted_out"]}
    tables: Tables = {
        "person": [{**r, "person_id": r["patient_id"]} for r in register
                   if r["patient_id"] not in aliases and r["patient_id"] not in gone],
    }  # fmt: skip
    laboratories = [name for name in MAPPINGS if name.startswith("laboratory_")]
    for name in ("smr01", "smr04", "smr06", "prescribing", "deaths", "radiology_report", *laboratories):
        rows = [{**r, "person_id": chi(r["patient_id"])} for r in loaded(out / "ehr", name)]
        kept = [row for row in rows if row["person_id"] not in gone]
        tables.setdefault("laboratory" if name in laboratories else name, []).extend(kept)
    tables["series"] = [series_row(image) for image in images]
    return tables
