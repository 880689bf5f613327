"""What must hold of the de-identified zone and of the cohorts in it.

Beside what is said here, no table of the zone has a column without a rule, or the address of an entry in any text
(:func:`cairn.tables.quality.made_suite`). Dates are shifted, so that no day bounds them from above.
"""

from __future__ import annotations

from typing import Any

from cairn.tables.cohort import ATTRITION, COHORT, COHORT_MEMBER
from cairn.tables.contract import Contract
from cairn.tables.deidentified import (
    DEIDENTIFIED_BURNED_IN_TEXT,
    DEIDENTIFIED_INSTANCE,
    DEIDENTIFIED_PIXEL_STATISTICS,
    DEIDENTIFIED_SERIES,
    DEIDENTIFIED_STUDY,
    DEIDENTIFIED_TEXT_SEARCH,
    RECORD_TWINS,
    REPORT_TEXT,
    VOCABULARY_TWINS,
)
from cairn.tables.quality import TODAY, Between, Expectation, OneOf, Related, Side, Suite, made_suite, refers
from cairn.tables.quality_image import (
    IMAGE,
    PIXELS,
    SERIES_ROWS,
    STUDY_ROWS,
    TEXT_ROWS,
    TEXT_SEARCH_ROWS,
    WATCHED,
)
from cairn.tables.quality_records import RECORD_ROWS

_INSTANCE, _SERIES = DEIDENTIFIED_INSTANCE.full_name, DEIDENTIFIED_SERIES.full_name
_PERSON = "deidentified.person"
_IMAGED: dict[str, Any] = {"modality": "modality", "date": "study_date"}


def beyond(contract: Contract, expectations: tuple[Expectation, ...]) -> tuple[Expectation, ...]:
    """Return the expectations that can be asked of a twin: on columns that crossed, without a bound of today's date."""
    names = {column.name for column in contract.columns}
    return tuple(
        one
        for one in expectations
        if getattr(one, "column", "") in names
        and set(getattr(one, "columns", ())) <= names
        and not (isinstance(one, Between) and one.high == TODAY)
    )


def _record_suite(contract: Contract) -> Suite:
    stated = list(beyond(contract, RECORD_ROWS.get(contract.name, ())))
    if contract.name != "person":
        where = "patient_id_verdict = 'VALID'"
        stated.append(refers(contract.full_name, "person_id", _PERSON, where=where))
    return made_suite(contract, *stated)


# fmt: off
DEIDENTIFIED_SUITES: tuple[Suite, ...] = (
    made_suite(
        DEIDENTIFIED_INSTANCE,
        *beyond(DEIDENTIFIED_INSTANCE, IMAGE),
        refers(_INSTANCE, "series_instance_uid", _SERIES),
        refers(_INSTANCE, "study_instance_uid", DEIDENTIFIED_STUDY.full_name),
        **_IMAGED, nulls=WATCHED,
    ),
    made_suite(
        DEIDENTIFIED_SERIES,
        *beyond(DEIDENTIFIED_SERIES, SERIES_ROWS),
        refers(_SERIES, "study_instance_uid", DEIDENTIFIED_STUDY.full_name),
        **_IMAGED, nulls=("study_date", "orientation"),
    ),
    made_suite(DEIDENTIFIED_STUDY, *beyond(DEIDENTIFIED_STUDY, STUDY_ROWS), **_IMAGED, nulls=("study_date",)),
    made_suite(
        DEIDENTIFIED_PIXEL_STATISTICS,
        *beyond(DEIDENTIFIED_PIXEL_STATISTICS, PIXELS),
        refers(DEIDENTIFIED_PIXEL_STATISTICS.full_name, "sop_instance_uid", _INSTANCE),
        modality="modality",
    ),
    made_suite(
        DEIDENTIFIED_TEXT_SEARCH,
        *beyond(DEIDENTIFIED_TEXT_SEARCH, TEXT_SEARCH_ROWS),
        refers(DEIDENTIFIED_TEXT_SEARCH.full_name, "sop_instance_uid", _INSTANCE),
        modality="modality",
    ),
    made_suite(
        DEIDENTIFIED_BURNED_IN_TEXT,
        *beyond(DEIDENTIFIED_BURNED_IN_TEXT, TEXT_ROWS),
        refers(DEIDENTIFIED_BURNED_IN_TEXT.full_name, "sop_instance_uid", DEIDENTIFIED_TEXT_SEARCH.full_name),
        modality="modality", steady=False,
    ),
    made_suite(REPORT_TEXT, refers(REPORT_TEXT.full_name, "sop_instance_uid", _INSTANCE)),
    *(_record_suite(contract) for contract in RECORD_TWINS.values()),
    *(made_suite(contract) for contract in VOCABULARY_TWINS.values()),
)

_LIST = ("cohort", "cohort_version")
COHORT_SUITES: tuple[Suite, ...] = (
    made_suite(COHORT, Between("members", 0, None), Between("persons", 0, None)),
    made_suite(
        COHORT_MEMBER,
        OneOf("role", ("case", "control")),
        Related("refers", "every member is of a frozen list", Side(COHORT_MEMBER.full_name, _LIST), (Side(COHORT.full_name, _LIST),)),
    ),
    made_suite(
        ATTRITION,
        Between("persons", 0, None),
        Related("refers", "every step is of a frozen list", Side(ATTRITION.full_name, _LIST), (Side(COHORT.full_name, _LIST),)),
    ),
)
# fmt: on
