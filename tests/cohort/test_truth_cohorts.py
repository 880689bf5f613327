"""Cohorts of the made-up people: files, loader, persons, definition, both engines; against the truth."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlite_engine import comparable, connect, run_stepwise

from cairn.cohort import codelists, memory, reading
from cairn.ehr.deliveries import in_force, load
from cairn.ehr.mapping import load_all
from cairn.ehr.persons import PersonResolver, resolve_aliases
from cairn.ehr.rows import Delivery
from cairn.synthetic.histories import Image
from cairn.synthetic.people import person
from cairn.synthetic.records import write_records

CONF = Path(__file__).resolve().parents[2] / "conf"
LISTS = codelists.load_all(CONF / "codelists")
MAPPINGS = load_all(CONF / "ehr")
PEOPLE = 500


def _images() -> list[Image]:
    made = []
    for index in range(PEOPLE):
        last = person(1, index).death_date or dt.date(2023, 1, 1)
        day = max(last - dt.timedelta(days=40 + 13 * (index % 90)), dt.date(2010, 2, 1))
        for number in range(1 + index % 3):
            when = day + dt.timedelta(days=9 * (number // 2))
            thick = 1.0 if index % 5 else 5.0
            ids = f"st{index:04d}.{number}", f"se{index:04d}.{number}"
            kind = "MR" if number == 1 else "CT"
            made.append(Image(*ids, index, when, kind, index % 4 == 0, index % 11 == 0, True, thick, "HEAD"))
    return made


def _loaded(folder: Path, name: str) -> list[dict[str, Any]]:
    mapping = MAPPINGS[name]
    parts = []
    for path in sorted((folder / name).glob("*.csv")):
        with path.open("rb") as stream:
            delivery = Delivery(path.name, dt.date.fromisoformat(path.stem))
            parts += [part.typed for part in load(stream, mapping, delivery)]
    return in_force(pa.concat_tables(parts), keyed=bool(mapping.key)).to_pylist()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """The tables as analysts get them, but for pseudonyms and shifts, and the truth."""
    out = tmp_path_factory.mktemp("truth")
    (out / "truth").mkdir()
    images = _images()
    write_records(out, 1, (person(1, index) for index in range(PEOPLE)), images)
    register = _loaded(out / "ehr", "chi_register")
    aliases, circle = resolve_aliases((r["patient_id"], r["current_chi"]) for r in register if r["current_chi"])
    assert aliases and not circle
    chi = PersonResolver(aliases, {}).chi
    gone = {chi(r["patient_id"]) for r in register if r["opted_out"]}
    tables: dict[str, list[dict[str, Any]]] = {
        "person": [{**r, "person_id": r["patient_id"]} for r in register
                   if r["patient_id"] not in aliases and r["patient_id"] not in gone],
    }  # fmt: skip
    for name in ("smr01", "smr04", "smr06", "prescribing", "deaths"):
        rows = [{**r, "person_id": chi(r["patient_id"])} for r in _loaded(out / "ehr", name)]
        tables[name] = [row for row in rows if row["person_id"] not in gone]
    tables["series"] = [
        {"series_instance_uid": i.series_uid, "study_instance_uid": i.study_uid, "person_id": person(1, i.person).chi,
         "study_date": i.day, "modality": i.modality, "contrast": i.contrast, "localizer": i.localizer,
         "slice_thickness": i.spacing, "slice_spacing": i.spacing}
        for i in images
    ]  # fmt: skip
    return tables, pq.read_table(out / "truth" / "cohorts.parquet").to_pylist()


DEFINITIONS = ["stroke-ct", "dementia-after-scan", "lung-cancer-ct", "coronary-death", "imaged-twice"]


@pytest.mark.parametrize("name", DEFINITIONS)
def test_cohort_is_the_truth_by_both_engines(world, name: str):
    tables, truth = world
    checked = reading.read(CONF / "cohorts" / f"{name}.yaml", LISTS)
    members, attrition = run_stepwise(checked, connect(tables))
    few = {**tables, "person": [p for n, p in enumerate(tables["person"]) if n % 4 == 0]}  # the slow one is slow
    slow = memory.resolve(checked, few)
    kept = {p["person_id"] for p in few["person"]}
    assert comparable(slow.members) == comparable([m for m in members if m["person_id"] in kept])
    wanted = {(t["chi"], t["series_instance_uid"]) for t in truth if t["cohort"] == name.replace("-", "_")}
    assert len(wanted) >= 3
    assert {(m["person_id"], m.get("series_instance_uid")) for m in members} == wanted
    assert attrition[0] == len(tables["person"]) and attrition[-1] == len(wanted)
    assert attrition == sorted(attrition, reverse=True)
