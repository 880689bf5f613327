"""The de-identified zone: what crosses, that it is what the file rewriter makes, and that nothing real is in it."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from made_world import World
from pyspark.sql import functions as F

from cairn.deid.free_text import fold, packaged_scrubber
from cairn.deid.keys import make_key, read_key
from cairn.deid.pseudonyms import Pseudonyms
from cairn.deid.rewrite import Refused, Rewriter
from cairn.deid.rules import RuleSet
from cairn.errors import CairnError
from cairn.pipelines.deidentify import TWINS, Crossed, deidentify, refuse_unknown_columns
from cairn.pipelines.deidentify_task import DeidentifyWork, Terms
from cairn.pipelines.job import Job
from cairn.settings import Headers
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import (
    DEIDENTIFIED_INSTANCE,
    DEIDENTIFIED_PIXEL_STATISTICS,
    DEIDENTIFIED_SERIES,
    DEIDENTIFIED_STUDY,
    REPORT_TEXT,
)
from cairn.tables.instance import INSTANCE

PROFILE = Path(__file__).resolve().parents[2] / "conf" / "deid" / "research.yaml"


@pytest.fixture(scope="module")
def terms(world_terms: Terms) -> Terms:
    return world_terms


def run(world: World, terms: Terms, name: str) -> Crossed:
    job = Job(world.store, world.job.scratch.child(name).make(), world.job.clock, sys.stderr)
    return deidentify(job.store, job.run("deidentify"), job.folder("deidentify"), job.stream, terms)


@pytest.fixture(scope="module")
def done(world: World, terms: Terms) -> Crossed:
    return run(world, terms, "crossing")


def cells(world: World, contract) -> set[str]:  # type: ignore[no-untyped-def]
    """Return every row of a table as JSON."""
    rows = world.store.read(contract).select(F.to_json(F.struct("*")).alias("row")).collect()
    return {row["row"] for row in rows}


def test_every_primary_entry_crossed_or_was_refused_with_a_code(world: World, done: Crossed) -> None:
    primary = {row["uri"] for row in world.store.read(INSTANCE).where("is_primary").select("uri").collect()}
    crossings = world.store.read(CROSSING).collect()
    assert {row["uri"] for row in crossings} == primary
    assert len(crossings) == len(primary)
    assert all((row["code"] is not None) == (row["outcome"] == "refused") for row in crossings)
    assert done.crossed == done.rows["instance"] > 200
    assert done.rows["report_text"] > 10


def test_tables_and_files_agree(world: World, terms: Terms, done: Crossed) -> None:
    """The row of an instance is what pydicom reads from the file that the rewriter makes."""
    rewriter = Rewriter(RuleSet(terms.profile), Pseudonyms([read_key(Path(terms.keys))]))
    names = ("person_id", "sop_instance_uid", "series_instance_uid", "study_instance_uid", "modality", "patient_sex")
    twins = {
        row["sop_instance_uid"]: row
        for row in world.store.read(DEIDENTIFIED_INSTANCE).select(*names, "study_date").collect()
    }
    crossed = world.store.read(CROSSING).where("outcome = 'crossed' and uri not like '%!/%'").orderBy("uri").collect()
    compared = refused = 0
    for row in crossed[:60]:
        made = rewriter((world.archive / world.path(row["uri"])).read_bytes())
        if isinstance(made, Refused):
            refused += 1  # cut behind its header: the header crossed, the file cannot
            continue
        file = pydicom.dcmread(io.BytesIO(made.tobytes()), force=True, stop_before_pixels=True)
        twin = twins[made.sop_instance_uid]
        assert twin["person_id"] == made.person_id == (file.get("PatientID") or made.person_id)
        for name, keyword in (("series_instance_uid", "SeriesInstanceUID"), ("study_instance_uid", "StudyInstanceUID")):
            assert (twin[name] or "") == file.get(keyword, "")
        date = twin["study_date"].strftime("%Y%m%d") if twin["study_date"] else ""
        assert date == str(file.get("StudyDate", "") or "")
        compared += 1
    assert compared + refused == 60
    assert refused <= 3


def test_nothing_real_is_in_any_cell(world: World, done: Crossed) -> None:
    """Names, numbers, UIDs and addresses of the archive's people, looked for in every cell of every twin."""
    columns = ("patient_id", "patient_name", "accession_number", "sop_instance_uid", "series_instance_uid",
               "study_instance_uid", "patient_address", "referring_physician_name", "uri")  # fmt: skip
    known = [name for name in columns if name in world.store.read(INSTANCE).columns]
    real: set[str] = set()
    for row in world.store.read(INSTANCE).select(*known).collect():
        for value in row:
            for text in value if isinstance(value, list) else [value]:
                real |= {part for part in re.split(r"[\^=,]", str(text or "")) if len(part) >= 6}
    # One is called like the circle of Willis, and another's report may tell of that.
    real = {value for value in real if fold(value) not in packaged_scrubber().vocabulary}
    assert len(real) > 500
    for contract in TWINS:
        for row in cells(world, contract):
            found = {value for value in real if value in row}
            assert not found, contract.name  # the assertion's message must hold no value


def test_twins_hold_only_what_crossed(world: World, done: Crossed) -> None:
    uids = {row[0] for row in world.store.read(DEIDENTIFIED_INSTANCE).select("sop_instance_uid").collect()}
    for contract in (REPORT_TEXT, DEIDENTIFIED_PIXEL_STATISTICS):
        rows = world.store.read(contract).select("sop_instance_uid").collect()
        assert rows
        assert {row[0] for row in rows} <= uids
    instances = world.store.read(DEIDENTIFIED_INSTANCE)
    for contract in (DEIDENTIFIED_SERIES, DEIDENTIFIED_STUDY):
        key = contract.key[0]
        expected = {row[0]: row[1] for row in instances.where(f"{key} is not null").groupBy(key).count().collect()}
        assert {row[key]: row["instances"] for row in world.store.read(contract).collect()} == expected


def test_a_second_run_changes_nothing(world: World, terms: Terms, done: Crossed) -> None:
    before = {contract.name: world.store.version(contract) for contract in (*TWINS, CROSSING)}
    assert run(world, terms, "again") == done
    assert {contract.name: world.store.version(contract) for contract in (*TWINS, CROSSING)} == before


def test_who_opts_out_leaves_nothing_and_may_come_back(world: World, terms: Terms, done: Crossed) -> None:
    people = world.store.read(CROSSING).where("outcome = 'crossed' and person rlike '^[0-9]{10}$'")
    chi = people.groupBy("person").count().orderBy(F.desc("count"), "person").first()["person"]
    person_id = terms.pseudonyms().person(chi)
    before = {contract.name: cells(world, contract) for contract in TWINS}
    assert world.store.read(DEIDENTIFIED_INSTANCE).where(F.col("person_id") == person_id).count() > 0
    out = run(world, replace(terms, opt_outs=frozenset({chi})), "opted out")
    assert out.opted_out > 0
    assert out.crossed == done.crossed - out.opted_out
    for contract in TWINS:
        assert world.store.read(contract).where(F.col("person_id") == person_id).isEmpty(), contract.name
    assert run(world, terms, "back") == done
    assert {contract.name: cells(world, contract) for contract in TWINS} == before


def test_another_key_makes_a_zone_with_nothing_in_common(
    world: World, terms: Terms, done: Crossed, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    make_key(tmp_path)

    def names() -> set[str]:
        rows = world.store.read(DEIDENTIFIED_INSTANCE).select("person_id", "sop_instance_uid", "study_instance_uid")
        return {value for row in rows.collect() for value in row if value}

    before = names()
    other = run(world, replace(terms, keys=str(tmp_path)), "other key")
    assert other.rows == done.rows
    assert not names() & before


def test_without_a_key_nothing_begins(world: World, terms: Terms, tmp_path: Path) -> None:
    with pytest.raises(CairnError, match="KEY_MISSING"):
        run(world, replace(terms, keys=str(tmp_path / "none")), "no key")


def test_a_worker_with_other_keys_rules_or_code_makes_nothing(terms: Terms) -> None:
    work = DeidentifyWork(terms, "another version", Headers(), "run")
    with pytest.raises(CairnError, match="WORKER_DIFFERS"):
        list(work(iter([])))


def test_a_column_without_a_rule_stops_it(store) -> None:  # type: ignore[no-untyped-def]
    store.ensure(INSTANCE)
    store.spark.sql(f"ALTER TABLE {INSTANCE.full_name} ADD COLUMNS (nickname STRING)")
    with pytest.raises(CairnError, match=r"RULE_MISSING.*nickname"):
        refuse_unknown_columns(store)
