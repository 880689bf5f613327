"""Persons and records beyond: what crosses, under whose pseudonym, and what a change or an opt-out does to it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest
from made_world import World
from pyspark.sql import functions as F
from record_zone import ANNA, BOB, DAY, OLD_ANNA, STAYS, add, record_zone, stay

from cairn.deid.keys import make_key
from cairn.deid.profile import load_profile
from cairn.pipelines.deidentify import TWINS, deidentify, of_somebody_else
from cairn.pipelines.deidentify_records import cross_records, with_register
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.job import Job
from cairn.pipelines.verify import verify
from cairn.spark.ledger import Run
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import DEIDENTIFIED_INSTANCE, RECORD_TWINS
from cairn.tables.instance import INSTANCE
from cairn.tables.person import PERSON, PERSON_ALIAS

PROFILE = Path(__file__).resolve().parents[2] / "conf" / "deid" / "research.yaml"
numbers = count(1)


@pytest.fixture
def terms(tmp_path) -> Terms:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    make_key(folder)
    return Terms(load_profile(PROFILE), str(folder))


@pytest.fixture
def zone(store):  # type: ignore[no-untyped-def]
    return record_zone(store)


def run(store, terms: Terms) -> dict[str, int]:  # type: ignore[no-untyped-def]
    ticks = count(1_800_000_000 + 1000 * next(numbers))
    return cross_records(
        store, Run(f"run{next(numbers)}", "deidentify", lambda: float(next(ticks))), with_register(store, terms)
    )


def rows(store, name: str) -> dict[str, dict]:  # type: ignore[no-untyped-def]
    made = RECORD_TWINS[name]
    return {row[made.key[0]]: row.asDict() for row in store.read(made).collect()}


def expected_stays(terms: Terms, *stays: tuple[str, str, int]) -> dict[str, tuple]:
    """What pseudonyms and shifts say, one by one."""
    known = terms.pseudonyms()
    return {
        known.uid(record): (known.person(who), DAY + dt.timedelta(days=days + known.days(who)))
        for record, who, days in stays
    }


def told(found: dict[str, dict]) -> dict[str, tuple]:
    return {key: (row["person_id"], row["admission_date"]) for key, row in found.items()}


def test_rows_cross_under_the_person_that_a_number_leads_to(zone, terms: Terms) -> None:
    counts = run(zone, terms)
    assert counts == {"person": 2, "ehr_smr01": 4, "ehr_radiology_report": 1}
    stays = rows(zone, "ehr_smr01")
    assert told(stays) == expected_stays(terms, ("s0", ANNA, 0), ("s1", ANNA, 1), ("s2", ANNA, 2), ("s3", BOB, 3))
    assert {row["main_condition"] for row in stays.values()} == {"I639"}
    assert not {"patient_id", "postcode", "link_no", "delivery"} & set(next(iter(stays.values())))
    known = terms.pseudonyms()
    people = rows(zone, "person")
    assert people.keys() == {known.person(ANNA), known.person(BOB)}
    assert people[known.person(ANNA)]["birth_date"] == dt.date(1950, 1, 1) + dt.timedelta(days=known.days(ANNA))
    (report,) = rows(zone, "ehr_radiology_report").values()
    assert BOB[6:] not in report["report"]
    assert "haemorrhage" in report["report"]
    assert report["examined"].replace(tzinfo=None) == dt.datetime(2015, 6, 15, 14, 30) + dt.timedelta(
        days=known.days(BOB)
    )


def test_a_change_is_followed_and_what_did_not_change_is_left_alone(zone, terms: Terms) -> None:
    run(zone, terms)
    before = {name: zone.version(RECORD_TWINS[name]) for name in ("person", "ehr_smr01", "ehr_radiology_report")}
    run(zone, terms)
    assert {name: zone.version(RECORD_TWINS[name]) for name in before} == before
    table = f"delta.`{zone.location(STAYS)}`"
    zone.spark.sql(f"UPDATE {table} SET admission_date = date'2015-07-01' WHERE record_id = 's0'")
    zone.spark.sql(f"DELETE FROM {table} WHERE record_id = 's3'")
    add(zone, STAYS, stay("s4", BOB, 4))
    run(zone, terms)
    days = (dt.date(2015, 7, 1) - DAY).days
    assert told(rows(zone, "ehr_smr01")) == expected_stays(
        terms, ("s0", ANNA, days), ("s1", ANNA, 1), ("s2", ANNA, 2), ("s4", BOB, 4)
    )
    assert {name: zone.version(RECORD_TWINS[name]) for name in ("person", "ehr_radiology_report")} == {
        name: before[name] for name in ("person", "ehr_radiology_report")
    }


def test_who_opts_out_leaves_nothing_under_any_number_and_may_come_back(zone, terms: Terms) -> None:
    run(zone, terms)
    every = told(rows(zone, "ehr_smr01"))
    known = terms.pseudonyms()
    run(zone, replace(terms, opt_outs=frozenset({OLD_ANNA})))
    assert told(rows(zone, "ehr_smr01")).keys() == {known.uid("s3")}
    assert rows(zone, "person").keys() == {known.person(BOB)}
    zone.spark.sql(f"UPDATE delta.`{zone.location(PERSON)}` SET opted_out = true WHERE patient_id = '{BOB}'")
    run(zone, terms)
    assert told(rows(zone, "ehr_smr01")).keys() == every.keys() - {known.uid("s3")}
    assert rows(zone, "ehr_radiology_report") == {}
    zone.spark.sql(f"UPDATE delta.`{zone.location(PERSON)}` SET opted_out = false")
    run(zone, terms)
    assert told(rows(zone, "ehr_smr01")) == every


def test_a_leak_in_the_twin_of_any_table_of_records_is_found_and_named(store, terms: Terms) -> None:
    """One row in each twin tells the person's CHI in its last text."""
    store.ensure(CROSSING, INSTANCE, *TWINS)
    add(store, PERSON, {"patient_id": BOB, "sex": "M", "linked": True, "opted_out": False})
    own, planted = terms.pseudonyms().person(BOB), {}
    for made in RECORD_TWINS.values():
        texts = [c.name for c in made.columns if pa.types.is_string(c.type) and c.name not in ("person_id", *made.key)]
        planted[made.full_name] = texts[-1]
        add(store, made, {made.key[0]: "a", "person_id": own, texts[-1]: f"of {BOB}"})
    leaks = verify(store, terms)
    assert {(leak.table, leak.column) for leak in leaks} == set(planted.items())
    assert BOB not in str(leaks)


def test_images_under_a_replaced_number_are_the_persons_too(world: World, world_terms: Terms) -> None:
    """Two people of the archive turn out to be one; and are two again when that was an error."""
    store, terms, known = world.store, world_terms, world_terms.pseudonyms()

    def crossed() -> dict[str, int]:
        job = Job(store, world.job.scratch.child(f"alias{next(numbers)}").make(), world.job.clock, world.job.stream)
        deidentify(store, job.run("deidentify"), job.folder("deidentify"), job.stream, terms)
        counted = store.read(DEIDENTIFIED_INSTANCE).groupBy("person_id").count().collect()
        return {row["person_id"]: row["count"] for row in counted}

    before = crossed()
    chis = store.read(CROSSING).where("outcome = 'crossed' and person rlike '^[0-9]{10}$'")
    old, new = (row["person"] for row in chis.groupBy("person").count().orderBy("count", "person").limit(2).collect())
    add(store, PERSON_ALIAS, {"issuer": "CHI", "number": old, "patient_id": new, "basis": "register"})
    after = crossed()
    assert known.person(old) not in after
    assert after[known.person(new)] == before[known.person(new)] + before[known.person(old)]
    assert store.read(CROSSING).where(F.col("person") == old).isEmpty()
    store.spark.sql(f"DELETE FROM delta.`{store.location(PERSON_ALIAS)}`")
    assert crossed() == before


def test_what_the_engine_read_from_several_numbers_is_not_asked_again_and_again(store):
    """The typed column holds the first number; which one counts is told by the header's bytes."""
    several = [("VALUE_TOO_MANY", "(0010,0020)")]
    rows = [
        ("local first", "VFK260866", "1802506160", several),
        ("two names", "1802506160", "1802506160", [("VALUE_TOO_MANY", "(0010,0010)")]),
        ("as it was", "1802506160", "1802506160", None),
        ("of another", "1802506160", "0907890768", None),
    ]
    for uri, number, person, findings in rows:
        named = [{"code": code, "place": place} for code, place in findings or ()]
        told = {"uri": uri, "patient_id": number, "is_primary": True, "findings": named or None}
        add(store, INSTANCE, told)
        add(store, CROSSING, {"uri": uri, "person": person, "outcome": "crossed"})
    add(store, PERSON_ALIAS, {"issuer": "CHI", "number": "1111111111", "patient_id": "2222222222", "basis": "register"})
    assert [row["uri"] for row in of_somebody_else(store).collect()] == ["of another"]
