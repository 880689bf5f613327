"""A small de-identified zone of made-up people for tests of cohorts: rows for both engines, tables for Spark."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from cairn.cohort.catalogue import sources
from cairn.spark.delta_log import Token
from cairn.spark.store import Store
from cairn.tables.contract import Contract
from cairn.tables.deidentified import PERSON_ID, twin
from cairn.tables.registry import contracts

Rows = dict[str, list[dict[str, Any]]]
START = dt.date(2015, 1, 1)


def zone_contract(name: str) -> Contract:
    """Return the contract of a table of the de-identified zone, as `deidentify` will make it."""
    known = contracts()
    if f"deidentified.{name}" in known:
        return known[f"deidentified.{name}"]
    source = known[f"identifiable.{name}"]
    key = (PERSON_ID.name,) if name == "person" else source.key
    return twin(source, key, source.grain, source.comment, ("patient_id",))


def _default(kind: pa.DataType) -> Any:
    """Return a value for a column that may not be NULL and that the test does not care about."""
    if pa.types.is_list(kind):
        return []
    if pa.types.is_boolean(kind):
        return False
    return "" if pa.types.is_string(kind) else 0


def full(contract: Contract, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with every column of the contract."""
    required = {c.name for c in contract.columns if not c.nullable or c.name in contract.key}
    return {
        c.name: row[c.name] if c.name in row else _default(c.type) if c.name in required else None
        for c in contract.columns
    }


def write(store: Store, rows: Rows, number: int = 1) -> None:
    """Append rows to the tables of the de-identified zone, by the names that definitions use."""
    for name, listed in rows.items():
        contract = zone_contract(sources()[name].table.removeprefix("deidentified."))
        store.ensure(contract)
        if listed:
            store.append_rows(
                contract, [full(contract, row) for row in listed], Token(f"test/{contract.name}", number), number
            )


def people(count: int, seed: int = 1, prefix: str = "p") -> Rows:
    """Return made-up people with admissions, prescriptions, deaths and series, some of them without dates or codes."""
    draw = random.Random(seed)
    made: Rows = {name: [] for name in ("person", "smr01", "smr04", "smr06", "prescribing", "deaths", "series")}
    made |= {"laboratory": [], "radiology_report": []}  # some definitions ask for them
    for number in range(count):
        who = f"{prefix}{number:04d}"
        made["person"].append(_person(draw, who))
        for place in range(draw.randrange(4)):
            made["smr01"].append(_stay(draw, who, place))
            if draw.random() < 0.2:
                made["smr04"].append({**_stay(draw, who, 10 + place), "admission_conditions": ["F03"]})
        for place in range(draw.randrange(3)):
            code = draw.choice(("0208020Z0AA", "0205051R0BB", None))
            made["prescribing"].append(
                {"record_id": f"{who}.rx{place}", "person_id": who, "event_date": _day(draw), "bnf_code": code}
            )
        if draw.random() < 0.3:
            made["smr06"].append(
                {"record_id": f"{who}.ca", "person_id": who, "incidence_date": _day(draw), "site": "C341"}
            )
        if draw.random() < 0.4:
            cause = draw.choice(("I219", "C341"))
            made["deaths"].append(
                {"record_id": f"{who}.d", "person_id": who, "death_date": _day(draw), "underlying_cause": cause}
            )
        for study in range(draw.randrange(4)):
            made["series"] += _study(draw, who, study)
    return made


def _day(draw: random.Random) -> dt.date:
    return START + dt.timedelta(days=draw.randrange(400))


def _person(draw: random.Random, who: str) -> dict[str, Any]:
    born = None if draw.random() < 0.05 else dt.date(draw.randrange(1930, 1990), draw.randrange(1, 13), 15)
    return {
        "person_id": who,
        "sex": draw.choice(("F", "M", None)) if draw.random() < 0.1 else draw.choice(("F", "M")),
        "birth_date": born,
        "registered_from": dt.date(2010, 1, 1),
        "linked": True,
    }


def _stay(draw: random.Random, who: str, place: int) -> dict[str, Any]:
    starts = None if draw.random() < 0.03 else _day(draw)
    ends = None if starts is None or draw.random() < 0.1 else starts + dt.timedelta(days=draw.randrange(9))
    code = draw.choice(("I639", "I633", "I64", "I219", "F03", "J449", None))
    return {
        "record_id": f"{who}.{place}",
        "person_id": who,
        "admission_date": starts,
        "discharge_date": ends,
        "main_condition": code,
        "other_conditions": draw.choice((None, [], ["E119", "I10"])),
    }


def _study(draw: random.Random, who: str, study: int) -> list[dict[str, Any]]:
    day = _day(draw)
    return [
        {
            "series_instance_uid": f"2.25.{who}.{study}.{number}",
            "study_instance_uid": f"2.25.{who}.{study}",
            "person_id": who,
            "study_date": day,
            "modality": draw.choice(("CT", "CT", "MR")),
            "manufacturer": draw.choice(("SIEMENS", "GE MEDICAL SYSTEMS", None)),
            "slice_thickness": draw.choice((0.75, 1.0, 5.0, None)),
            "contrast": draw.choice((True, False, None)),
            "localizer": draw.random() < 0.2,
            "series_description": draw.choice(("Head 1.0", "ax T2 FLAIR", None)),
        }
        for number in range(draw.randrange(1, 4))
    ]


def as_rows(frame: Any) -> Sequence[dict[str, Any]]:
    """Return a frame's rows as the in-memory engine gives them."""
    return [row.asDict() for row in frame.collect()]
