"""A small identifiable zone of persons and records: two people, one of whom is known by three numbers."""

from __future__ import annotations

import datetime as dt
from itertools import count

from cohort_zone import full

from cairn.spark.delta_log import Token
from cairn.spark.store import Store
from cairn.tables.contract import Contract
from cairn.tables.person import PERSON, PERSON_ALIAS
from cairn.tables.registry import contract

STAYS, REPORTS = contract("identifiable.ehr_smr01"), contract("identifiable.ehr_radiology_report")
ANNA, BOB, OLD_ANNA, LOCAL_ANNA = "0101501234", "0202601239", "0101501226", "RIE\0X77"
DAY = dt.date(2015, 6, 15)
numbers = count(1)


def record_zone(store: Store) -> Store:
    """Fill the tables of a store: two people, one of whom is known by three numbers, and their records."""
    add(store, PERSON, *({"patient_id": who, "sex": "F", "birth_date": dt.date(1950, 1, 1), "linked": True,
                          "opted_out": False} for who in (ANNA, BOB)))  # fmt: skip
    add(
        store,
        PERSON_ALIAS,
        {"issuer": "CHI", "number": OLD_ANNA, "patient_id": ANNA, "basis": "register"},
        {"issuer": "RIE", "number": "X77", "patient_id": ANNA, "basis": "local_number"},
    )
    add(store, STAYS, *(stay(f"s{n}", who, n) for n, who in enumerate((ANNA, OLD_ANNA, LOCAL_ANNA, BOB))))
    add(store, REPORTS, {"record_id": "r0", "patient_id": BOB, "examined": dt.datetime(2015, 6, 15, 14, 30),
                         "report": f"CT head of {BOB[:6]} {BOB[6:]}: no haemorrhage.", "modality": "CT"})  # fmt: skip
    return store


def add(store: Store, table: Contract, *rows: dict[str, object]) -> None:
    """Append rows; columns that they lack are NULL, or something where that may not be."""
    store.ensure(table)
    number = next(numbers)
    store.append_rows(table, [full(table, row) for row in rows], Token(f"test/{table.name}/{number}", number), number)


def stay(record: str, who: str, days: int) -> dict[str, object]:
    """Return a row of SMR01: an admission so many days after :data:`DAY`."""
    admitted = DAY + dt.timedelta(days=days)
    return {"record_id": record, "patient_id": who, "admission_date": admitted, "main_condition": "I639",
            "postcode": "EH16 4SA", "link_no": "777"}  # fmt: skip
