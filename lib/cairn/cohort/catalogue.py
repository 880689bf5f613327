"""What a definition can ask of: tables of the de-identified zone, their grain, time and columns.

Everything comes from the contracts: a column that does not cross into the de-identified zone is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from cairn.cohort.faults import Wrong
from cairn.tables.contract import Contract
from cairn.tables.registry import contracts

PERSON_ID = "person_id"
IMAGE_LEVELS = ("study", "series", "instance")

TEXT, NUMBER, DATE, FLAG, LIST = "text", "number", "date", "flag", "list"


@dataclass(frozen=True)
class Source:
    """One table that sets are made from.

    Parameters
    ----------
    name : str
        As definitions call it: the table's name, without ``ehr_``.
    table : str
        Its name in SQL, with the zone.
    level : str
        person, event, study, series or instance: what a row is.
    key : str
        Column that identifies a row.
    starts, ends : str
        Columns of the time at which a row begins and ends; ``starts`` is empty for persons.
    columns : mapping of str to str
        Type by column: text, number, date, flag, list.
    """

    name: str
    table: str
    level: str
    key: str
    starts: str
    ends: str
    columns: Mapping[str, str]

    def type_of(self, column: str) -> str:
        """Return a column's type.

        Raises
        ------
        Wrong
            If there is no such column.
        """
        if column not in self.columns:
            raise Wrong(f"{self.name} has no column {column!r}", column, self.columns)
        return self.columns[column]


# When a row of each table happened: its start, and its end where it has one.
TIMES: dict[str, tuple[str, str]] = {
    "ehr_smr00": ("clinic_date", "clinic_date"),
    "ehr_smr01": ("admission_date", "discharge_date"),
    "ehr_smr02": ("admission_date", "discharge_date"),
    "ehr_smr04": ("admission_date", "discharge_date"),
    "ehr_smr06": ("incidence_date", "incidence_date"),
    "ehr_prescribing": ("event_date", "event_date"),
    "ehr_deaths": ("death_date", "death_date"),
    "ehr_laboratory": ("sampled", "sampled"),
    "ehr_radiology_report": ("examined", "examined"),
    "ehr_omop_observation_period": ("observation_period_start_date", "observation_period_end_date"),
    "ehr_omop_visit_occurrence": ("visit_start_date", "visit_end_date"),
    "ehr_omop_condition_occurrence": ("condition_start_date", "condition_end_date"),
    "ehr_omop_condition_era": ("condition_era_start_date", "condition_era_end_date"),
    "ehr_omop_drug_exposure": ("drug_exposure_start_date", "drug_exposure_end_date"),
    "ehr_omop_drug_era": ("drug_era_start_date", "drug_era_end_date"),
    "ehr_omop_procedure_occurrence": ("procedure_date", "procedure_date"),
    "ehr_omop_measurement": ("measurement_date", "measurement_date"),
    "ehr_omop_observation": ("observation_date", "observation_date"),
    "ehr_omop_death": ("death_date", "death_date"),
    "study": ("study_date", "study_date"),
    "series": ("study_date", "study_date"),
    "instance": ("study_date", "study_date"),
}
_IMAGE_KEYS = {"study": "study_instance_uid", "series": "series_instance_uid", "instance": "sop_instance_uid"}


def _type(kind: pa.DataType) -> str | None:
    if pa.types.is_string(kind):
        return TEXT
    if pa.types.is_boolean(kind):
        return FLAG
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return NUMBER
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return DATE
    return LIST if pa.types.is_list(kind) and pa.types.is_string(kind.value_type) else None


def source(contract: Contract) -> Source:
    """Return what definitions see of a table of the identifiable zone once it has crossed."""
    columns = {}
    for column in contract.columns:
        kind = _type(column.type)
        if column.rule != "drop" and kind is not None:
            columns[PERSON_ID if column.rule == "person" else column.name] = kind
    level = contract.name if contract.name in _IMAGE_KEYS else "person" if contract.name == "person" else "event"
    # Study columns do not stand in the contract of every image table; the de-identified ones carry person_id.
    columns.setdefault(PERSON_ID, TEXT)
    starts, ends = TIMES.get(contract.name, ("", ""))
    key = _IMAGE_KEYS.get(contract.name, PERSON_ID if level == "person" else "record_id")
    name = contract.name.removeprefix("ehr_")
    return Source(name, f"deidentified.{contract.name}", level, key, starts, ends, columns)


@cache
def sources() -> dict[str, Source]:
    """Return every table that a set can be made from, by name, and the persons."""
    names = [f"identifiable.{name}" for name in (*TIMES, "person")]
    made = [source(contracts()[name]) for name in names if name in contracts()]
    return {one.name: one for one in made}


def find(name: str, known: Iterable[str] = ()) -> Source:
    """Return a table by name.

    Raises
    ------
    Wrong
        With the nearest name, out of tables and of `known`.
    """
    if name not in sources():
        raise Wrong(f"there is no table or set {name!r}", name, [*sources(), *known])
    return sources()[name]
