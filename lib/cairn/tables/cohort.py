"""Frozen cohorts in the `deidentified` zone: what was asked, of which data, who was found, and who was lost where.

A row of `cohort` is written last: a version without one was never finished, and nobody reads its rows.
"""

import pyarrow as pa

from cairn.tables.contract import Column, Contract
from cairn.tables.run import COUNTS, MOMENT

TEXTS = pa.list_(pa.string())
CODE_LISTS = pa.list_(
    pa.struct(
        [
            pa.field("name", pa.string()),
            pa.field("version", pa.int64()),
            pa.field("hash", pa.string()),
            pa.field("exact", TEXTS),
            pa.field("prefixes", TEXTS),
            pa.field("ancestors", pa.list_(pa.int64())),
        ]
    )
)
STEPS = pa.list_(pa.struct([pa.field(name, pa.string()) for name in ("name", "kind", "sql")]))

# fmt: off
_COHORT = Column("cohort", pa.string(), "Name of the cohort, as in its definition.", "keep")
_VERSION = Column("cohort_version", pa.int64(), "Number of the frozen list, from 1; another definition or other data make the next.", "keep")

COHORT = Contract(
    zone="deidentified",
    name="cohort",
    grain="one frozen list of a cohort",
    key=("cohort", "cohort_version"),
    comment="Every frozen cohort: its definition, what that rests on, the versions of the tables read, and counts.",
    columns=(
        _COHORT,
        _VERSION,
        Column("title", pa.string(), "Title of the definition.", "keep", nullable=False),
        Column("definition_version", pa.int64(), "Version that the definition gives itself.", "keep", nullable=False),
        Column("definition", pa.string(), "Text of the definition (YAML), as it was.", "keep", nullable=False),
        Column("definition_hash", pa.string(), "SHA-256 (hex) of its meaning: rules, codes, imaging words.", "keep", nullable=False),
        Column("parameters", pa.map_(pa.string(), pa.string()), "Parameters given for this list; others have the definition's values.", "keep", nullable=False),
        Column("codelists", CODE_LISTS, "Code lists that it uses: version and codes, as they were.", "keep", nullable=False),
        Column("vocabulary_hash", pa.string(), "SHA-256 (hex) of the imaging words.", "keep", nullable=False),
        Column("steps", STEPS, "The SQL of each step, as it was run on the tables at their versions.", "keep", nullable=False),
        Column("table_versions", COUNTS, "Table name to the Delta version that was read.", "keep", nullable=False),
        Column("freeze_hash", pa.string(), "SHA-256 (hex) of definition, SQL and table versions: equal for equal lists.", "keep", nullable=False),
        Column("list_hash", pa.string(), "SHA-256 (hex) of the members: a list made again has the same.", "keep", nullable=False),
        Column("persons", pa.int64(), "Persons among the cases.", "keep", nullable=False),
        Column("persons_key", pa.string(), "Stands for the set of those persons, so that equal sets are shown alike.", "keep", nullable=False),
        Column("members", pa.int64(), "Rows of the cases: images, or persons.", "keep", nullable=False),
        Column("controls", pa.int64(), "Matched controls; NULL where none are asked for.", "keep"),
        Column("code_version", pa.string(), "Version of Cairn.", "keep", nullable=False),
        Column("frozen", MOMENT, "When, UTC.", "keep", nullable=False),
        Column("run", pa.string(), "Run that froze it.", "keep", nullable=False),
    ),
    statistics=("cohort", "cohort_version"),
)

COHORT_MEMBER = Contract(
    zone="deidentified",
    name="cohort_member",
    grain="one selected image or series of a frozen list, or one person where it selects no images",
    key=("cohort", "cohort_version", "member"),
    comment="Members of frozen cohorts, matched controls among them. Never changed once its row of cohort is there.",
    columns=(
        _COHORT,
        _VERSION,
        Column("member", pa.string(), "What was selected: UID of the instance, series or study; person_id where there is no image.", "uid"),
        Column("person_id", pa.string(), "Pseudonym of the person.", "person", nullable=False),
        Column("role", pa.string(), "case or control.", "keep", nullable=False),
        Column("case_id", pa.string(), "Of a control: person_id of its case.", "person"),
        Column("index_date", pa.date32(), "Index date of the person; of a control, that of its case.", "date"),
        Column("image_date", pa.date32(), "Study Date of the image.", "date"),
        Column("study_instance_uid", pa.string(), "Study Instance UID of the image.", "uid"),
        Column("series_instance_uid", pa.string(), "Series Instance UID, where members are series or instances.", "uid"),
        Column("sop_instance_uid", pa.string(), "SOP Instance UID, where members are instances.", "uid"),
        Column("split", pa.string(), "Part for machine learning, by person.", "keep"),
    ),
    clustered_by=("cohort", "cohort_version"),
    statistics=("member", "person_id"),
)

ATTRITION = Contract(
    zone="deidentified",
    name="attrition",
    grain="one step of a frozen list",
    key=("cohort", "cohort_version", "step"),
    comment="Persons left after each step of frozen cohorts: true counts, which do not leave the zone as they are.",
    columns=(
        _COHORT,
        _VERSION,
        Column("step", pa.int64(), "Number of the step; 0 is all persons.", "keep"),
        Column("name", pa.string(), "Name of the step in cohort.steps.", "keep", nullable=False),
        Column("description", pa.string(), "What the step asks, in words.", "keep", nullable=False),
        Column("persons", pa.int64(), "Persons left after it.", "keep", nullable=False),
        Column("persons_key", pa.string(), "Stands for the set of those persons, so that equal sets are shown alike.", "keep", nullable=False),
    ),
    statistics=("cohort", "cohort_version"),
)
# fmt: on
