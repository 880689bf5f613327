"""What must hold of persons and health records in the identifiable zone."""

from __future__ import annotations

from cairn.tables import ehr_community, ehr_hospital
from cairn.tables.contract import Contract
from cairn.tables.deidentified import RECORDS, VOCABULARIES
from cairn.tables.person import PERSON, PERSON_ALIAS
from cairn.tables.quality import (
    TODAY,
    WARNING,
    Between,
    Expectation,
    Holds,
    OneOf,
    Related,
    Side,
    Suite,
    made_suite,
    refers,
)
from cairn.tables.record_load import RECORD_LOAD

MOSTLY = 0.99
VALID = "patient_id_verdict = 'VALID'"
"""Records of whose person's number there is no doubt."""

_STAY = Holds(
    "discharge_date", "the discharge is not before the admission", "discharge_date >= admission_date",
    ("discharge_date", "admission_date"), MOSTLY, WARNING,
)  # fmt: skip

RECORD_ROWS: dict[str, tuple[Expectation, ...]] = {
    "person": (
        OneOf("sex", ("F", "M")),
        Between("simd_quintile", 1, 5),
        OneOf("death_basis", ("nrs", "chi_register", "omop")),
        Holds(
            "death_date", "death is not before birth", "death_date >= birth_date", ("death_date", "birth_date"), MOSTLY
        ),
    ),
    ehr_hospital.EHR_SMR01.name: (_STAY,),
    ehr_hospital.EHR_SMR02.name: (_STAY, Between("gestation_weeks", 0, 60, MOSTLY, WARNING)),
    ehr_hospital.EHR_SMR04.name: (_STAY,),
    ehr_community.EHR_PRESCRIBING.name: (
        OneOf("event_date_basis", ("prescribed", "dispensed", "paid")),
        Between("quantity", 0, None, MOSTLY, WARNING),
    ),
}
"""Of tables of records in both zones, by name."""

EVENTS = {
    "ehr_smr00": "clinic_date",
    "ehr_smr01": "admission_date",
    "ehr_smr02": "admission_date",
    "ehr_smr04": "admission_date",
    "ehr_smr06": "incidence_date",
    "ehr_prescribing": "event_date",
    "ehr_deaths": "death_date",
    "person": "birth_date",
}
"""The date of a record that must lie in the past, by table."""


def _of_a_person(contract: Contract) -> Related:
    """Return the expectation that a record's person, or whom a replaced number leads to, is in `person`."""
    persons = Side(PERSON.full_name, ("patient_id",))
    aliases = Side(PERSON_ALIAS.full_name, ("number",))
    records = Side(contract.full_name, ("patient_id",), VALID)
    return Related("refers", "every record's valid CHI is of a person, now or before", records, (persons, aliases))


def _suite(contract: Contract) -> Suite:
    stated = list(RECORD_ROWS.get(contract.name, ()))
    if contract.name in EVENTS:
        stated.append(Between(EVENTS[contract.name], "1850-01-01", TODAY, MOSTLY))
    if contract is not PERSON:
        stated.append(_of_a_person(contract))
    return made_suite(contract, *stated)


RECORD_SUITES: tuple[Suite, ...] = (
    *(_suite(contract) for contract in RECORDS),
    made_suite(PERSON_ALIAS, refers(PERSON_ALIAS.full_name, "patient_id", PERSON.full_name)),
    made_suite(ehr_community.EHR_LOCAL_NUMBER),
    made_suite(
        RECORD_LOAD,
        Holds(
            "rows",
            "every row is typed or in quarantine",
            "rows = typed + quarantined",
            ("rows", "typed", "quarantined"),
        ),
    ),
    *(made_suite(contract) for contract in VOCABULARIES),
)
