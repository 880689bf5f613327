"""The twins in the `deidentified` zone: the columns of each identifiable table that a rule lets cross.

A column's rule stands in the identifiable table's contract, and nowhere else; a column whose rule is ``drop`` is not
here. All twins carry ``person_id``.
"""

from dataclasses import replace
from types import ModuleType

import pyarrow as pa

from cairn.tables import ehr_community, ehr_hospital, ehr_omop
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH
from cairn.tables.contract import Column, Contract
from cairn.tables.instance import INSTANCE
from cairn.tables.person import PERSON
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.series import SERIES
from cairn.tables.study import STUDY_TABLE

PERSON_ID = Column("person_id", pa.string(), "Pseudonym of the person: the same in all tables of the zone.", "person", nullable=False)  # fmt: skip


def twin(source: Contract, key: tuple[str, ...], grain: str, comment: str, without: tuple[str, ...] = ()) -> Contract:
    """Return the contract of a table's twin.

    Parameters
    ----------
    source : Contract
        The identifiable table.
    key : tuple of str
        Its key beyond: pseudonymous.
    grain, comment : str
        For the data dictionary.
    without : tuple of str
        Columns that ``person_id`` stands for.
    """
    crossing = tuple(c for c in source.columns if c.rule != "drop" and c.name not in without)
    names = {"person_id", *(column.name for column in crossing)}
    clustered = ("person_id" if name in without else name for name in source.clustered_by)
    return Contract(
        zone="deidentified",
        name=source.name,
        grain=grain,
        key=key,
        comment=comment,
        columns=(PERSON_ID, *crossing),
        clustered_by=tuple(name for name in clustered if name in names),
        statistics=tuple(dict.fromkeys(("person_id", *key, *(n for n in source.statistics if n in names)))),
    )


DEIDENTIFIED_INSTANCE = twin(
    INSTANCE,
    ("sop_instance_uid",),
    "one primary instance",
    "Every primary instance that crossed: the projection of its de-identified header, by the same kernel.",
)
DEIDENTIFIED_SERIES = twin(
    SERIES,
    ("series_instance_uid",),
    "one SeriesInstanceUID",
    "Series of the instances that crossed: attributes, counts, geometry, pixels.",
    ("patient_id",),
)
DEIDENTIFIED_STUDY = twin(
    STUDY_TABLE,
    ("study_instance_uid",),
    "one StudyInstanceUID",
    "Studies of the instances that crossed.",
    ("patient_id",),
)
DEIDENTIFIED_PIXEL_STATISTICS = twin(
    PIXEL_STATISTICS,
    ("sop_instance_uid", "frame"),
    "one instance (frame 0), and one of its frames where there is more than one",
    "Measures of the pixels of the instances that crossed.",
)
DEIDENTIFIED_TEXT_SEARCH = twin(
    TEXT_SEARCH,
    ("sop_instance_uid",),
    "one instance that was looked at for text",
    "What the search for text in the pixels did, for the instances that crossed.",
)
DEIDENTIFIED_BURNED_IN_TEXT = twin(
    BURNED_IN_TEXT,
    ("sop_instance_uid", "frame", "box"),
    "one line of text in the pixels of an instance",
    "Where text stands in the pixels of the instances that crossed, and of what kind it is; never what it says.",
)

# fmt: off
REPORT_TEXT = Contract(
    zone="deidentified",
    name="report_text",
    grain="one content item of a structured report",
    key=("sop_instance_uid", "item"),
    comment="What structured reports say, item by item, scrubbed (PS3.3 C.17.3).",
    columns=(
        PERSON_ID,
        Column("study_instance_uid", pa.string(), "Study Instance UID.", "uid"),
        Column("series_instance_uid", pa.string(), "Series Instance UID.", "uid"),
        Column("sop_instance_uid", pa.string(), "SOP Instance UID of the report.", "uid"),
        Column("item", pa.string(), "Place in the content tree: 1 the root's first item, 1.2 that one's second.", "keep"),
        Column("relationship_type", pa.string(), "How it relates to the item above it (0040,A010).", "keep"),
        Column("value_type", pa.string(), "TEXT, CODE, NUM, PNAME, DATE, CONTAINER … (0040,A040).", "keep"),
        Column("concept_code", pa.string(), "Code Value of its concept name.", "keep"),
        Column("concept_scheme", pa.string(), "Coding Scheme Designator of its concept name.", "keep"),
        Column("concept", pa.string(), "Code Meaning of its concept name.", "text"),
        Column("text", pa.string(), "Its value in words: text, code meaning, number, date.", "text"),
        Column("code", pa.string(), "Code Value of a coded value.", "keep"),
        Column("code_scheme", pa.string(), "Coding Scheme Designator of a coded value.", "keep"),
        Column("number", pa.float64(), "A measurement's number.", "keep"),
        Column("unit", pa.string(), "A measurement's unit, UCUM.", "keep"),
    ),
    statistics=("person_id", "sop_instance_uid"),
)


def _tables_of(module: ModuleType) -> tuple[Contract, ...]:
    return tuple(value for value in vars(module).values() if isinstance(value, Contract))


_OF_RECORDS = tuple(table for module in (ehr_hospital, ehr_community, ehr_omop) for table in _tables_of(module))
_OF_PERSONS = tuple(table for table in _OF_RECORDS if "patient_id" in table.arrow_schema.names)

RECORDS = (PERSON, *(table for table in _OF_PERSONS if table.name != "ehr_local_number"))
"""Identifiable tables of persons and records that cross; who has which local number is for linkage alone."""

RECORD_TWINS = {
    source.name: twin(
        source, ("person_id",) if source is PERSON else source.key, source.grain, source.comment, ("patient_id",)
    )
    for source in RECORDS
}
"""Their twins, by name: persons who did not opt out, under the pseudonyms and date shifts of their images."""

VOCABULARIES = tuple(table for table in _OF_RECORDS if table not in _OF_PERSONS)
"""Tables that tell of no person: they cross as they are."""

VOCABULARY_TWINS = {source.name: replace(source, zone="deidentified") for source in VOCABULARIES}
"""Their twins, by name."""
