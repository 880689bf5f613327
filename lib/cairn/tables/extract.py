"""Extracts: what was delivered to which project, what became of each entry, and who was withdrawn.

Real addresses stand here without the pseudonyms that a project sees: those can be computed with its key alone.
"""

import pyarrow as pa

from cairn.tables.contract import Column, Contract
from cairn.tables.run import COUNTS, MOMENT

# fmt: off
_PROJECT = Column("project", pa.string(), "Id of the project, as in conf/projects.")
_EXTRACT = Column("extract", pa.string(), "Name of the extract: cohort, number of the frozen list, and a hash of all that decides what is in it.")

EXTRACT = Contract(
    zone="identifiable",
    name="extract",
    grain="one extract of one project",
    key=("project", "extract"),
    comment="Every extract: what it was made of, what it holds, and whether it was released.",
    columns=(
        _PROJECT,
        _EXTRACT,
        Column("cohort", pa.string(), "Frozen cohort.", nullable=False),
        Column("cohort_version", pa.int64(), "Number of the frozen list.", nullable=False),
        Column("counts", COUNTS, "Members, delivered, rejected, withheld, unreadable, unmatched, and more.", nullable=False),
        Column("manifest_sha256", pa.string(), "SHA-256 (hex) of the signed manifest.", nullable=False),
        Column("state", pa.string(), "staged or released.", nullable=False),
        Column("staged", MOMENT, "When it was verified and signed, UTC.", nullable=False),
        Column("released", MOMENT, "When it was released, UTC; NULL before."),
        Column("run", pa.string(), "Run that wrote the row.", nullable=False),
    ),
    statistics=("project", "extract", "state"),
)

EXTRACT_ITEM = Contract(
    zone="identifiable",
    name="extract_item",
    grain="one entry of one extract that was to be delivered",
    key=("project", "extract", "uri"),
    comment="What became of each entry that the rules of rejection let pass; never under which name it was delivered.",
    columns=(
        _PROJECT,
        _EXTRACT,
        Column("uri", pa.string(), "Address of the entry, as in archive_entry."),
        Column("content_version", pa.string(), "Version of the content that was treated, as in archive_entry.", nullable=False),
        Column("outcome", pa.string(), "delivered, withheld or unreadable.", nullable=False),
        Column("code", pa.string(), "Why it was not delivered."),
        Column("places", pa.string(), "Where the verifier found what: rules and places, never values."),
        Column("sha256", pa.string(), "SHA-256 (hex) of the file that was delivered."),
        Column("size", pa.int64(), "Its size, bytes."),
        Column("boxes", pa.int64(), "Boxes of pixels that were blanked.", nullable=False),
        Column("frames", pa.int64(), "Frames on which they lie.", nullable=False),
        Column("findings", pa.list_(pa.string()), "Codes of what is to be known of the file."),
        Column("run", pa.string(), "Run that wrote the row.", nullable=False),
    ),
    clustered_by=("project", "extract"),
    statistics=("uri", "outcome", "run"),
)

WITHDRAWAL = Contract(
    zone="identifiable",
    name="withdrawal",
    grain="one person withdrawn from one project",
    key=("project", "person"),
    comment="Who is in no later extract of a project.",
    columns=(
        _PROJECT,
        Column("person", pa.string(), "The CHI, or issuer and local number, as in crossing."),
        Column("withdrawn", MOMENT, "When, UTC.", nullable=False),
        Column("run", pa.string(), "Run that wrote the row.", nullable=False),
    ),
    statistics=("project", "person"),
)
# fmt: on
