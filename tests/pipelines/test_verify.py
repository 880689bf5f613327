"""`verify` on the zone: a clean one passes; a leak planted in each table is found, named and withheld."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from made_world import World
from pyspark.sql import functions as F

from cairn.pipelines.deidentify import TWINS, deidentify
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.job import Job
from cairn.pipelines.verify import Leak, texts_in, verify
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import DEIDENTIFIED_BURNED_IN_TEXT
from cairn.tables.instance import INSTANCE

PROFILE = Path(__file__).resolve().parents[2] / "conf" / "deid" / "research.yaml"
PLANTED_IN = {"instance": "study_description", "report_text": "text", "pixel_statistics": "photometric_interpretation",
              "series": "series_description", "study": "study_description", "text_search": "device_rule",
              "burned_in_text": "engine"}  # fmt: skip


@pytest.fixture(scope="module")
def zone(world: World, world_terms: Terms) -> tuple[World, Terms]:
    job = Job(world.store, world.job.scratch.child("verify").make(), world.job.clock, sys.stderr)
    deidentify(job.store, job.run("deidentify"), job.folder("deidentify"), job.stream, world_terms)
    return world, world_terms


def test_a_clean_zone_passes_and_a_planted_leak_is_found_named_and_withheld(zone: tuple[World, Terms]) -> None:
    world, terms = zone
    assert verify(world.store, terms) == []
    person, uri = _somebody(world)
    surname = world.store.read(INSTANCE).where(F.col("uri") == uri).first()["patient_name"].split("^")[0]
    uid = world.store.read(INSTANCE).where(F.col("uri") == uri).first()["sop_instance_uid"]
    person_id = terms.pseudonyms().person(person)
    _write_a_box(world, person_id)
    rows = {contract.name: world.store.read(contract).count() for contract in TWINS}
    for contract in TWINS:
        column = PLANTED_IN[contract.name]
        table = f"delta.`{world.store.location(contract)}`"
        where = f"person_id = '{person_id}'" if contract.name != "report_text" else "true"
        text = f"seen {surname} today" if contract.name != "report_text" else f"see {uid}"
        key = world.store.read(contract).where(where).orderBy(*contract.key).first()
        exactly = " AND ".join(f"{name} = '{key[name]}'" for name in contract.key)
        world.store.spark.sql(f"UPDATE {table} SET {column} = '{text}' WHERE {exactly}")
    found = verify(world.store, terms, withhold=True)
    assert {(leak.table.partition(".")[2], leak.column) for leak in found} == set(PLANTED_IN.items())
    assert {leak.rule for leak in found} == {"own_value", "original_uid"}
    assert not any(surname in str(leak) or uid in str(leak) for leak in found)
    assert verify(world.store, terms) == []
    assert {
        contract.name: rows[contract.name] - world.store.read(contract).count() for contract in TWINS
    } == dict.fromkeys(rows, 1)
    assert all(isinstance(leak, Leak) for leak in found)


def _write_a_box(world: World, person_id: str) -> None:
    """Give the person a line of text in the zone: the made-up archive's small images hold none."""
    names = "person_id, sop_instance_uid, frame, box, last_frame, x, y, width, height, confidence, engine, category"
    names += ", plane, algorithm_version"
    world.store.spark.sql(
        f"INSERT INTO delta.`{world.store.location(DEIDENTIFIED_BURNED_IN_TEXT)}` ({names}) "
        f"VALUES ('{person_id}', '2.25.1', 1, 1, 1, 0, 0, 9, 9, 0.5D, 'ppocr-v4', 'other', 'pixels', 1)"
    )


def _somebody(world: World) -> tuple[str, str]:
    """Return a person with pixels, whose surname is long enough to be looked for, and one of the entries."""
    crossed = world.store.read(CROSSING).where("outcome = 'crossed' and person rlike '^[0-9]{10}$'")
    names = (
        world.store.read(INSTANCE).where("modality = 'CT' and patient_name rlike '^[A-Z][a-z]{5,}\\\\^'").select("uri")
    )
    row = crossed.join(names, "uri").orderBy("uri").first()
    return row["person"], row["uri"]


def test_texts_of_a_cell_are_all_of_them() -> None:
    cell = {"a": ["x", {"b": "y", "Manufacturer": "z"}], "c": 5, "d": None, "e": "w"}
    assert list(texts_in(cell)) == ["x", "y", "w"]
