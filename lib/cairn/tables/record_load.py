"""`identifiable.record_load`: which files of health records were loaded, with what content and what result."""

from cairn.tables.contract import Column, Contract
from cairn.tables.ehr_columns import DATE, INT, TEXT, WHEN

# fmt: off
RECORD_LOAD = Contract(
    zone="identifiable",
    name="record_load",
    grain="one load of one file of health records",
    key=("uri", "delivered_on", "run"),
    comment="Every load of a delivery: what it held, and what came of it. A file that is as it was loaded last is not read again.",
    columns=(
        Column("uri", TEXT, "Address of the file."),
        Column("delivered_on", DATE, "Date of the delivery."),
        Column("run", TEXT, "Run that loaded it."),
        Column("delivery", TEXT, "Its name in the column delivery of the records' tables: mapping and file.", nullable=False),
        Column("table_name", TEXT, "Table that its rows went to.", nullable=False),
        Column("table_version", INT, "Delta version of that table after the load.", nullable=False),
        Column("sha256", TEXT, "SHA-256 (hex) of the file.", nullable=False),
        Column("reading", TEXT, "Mapping, by its hash, and release of the reader: another one reads the file again.", nullable=False),
        Column("rows", INT, "Rows of the file.", nullable=False),
        Column("typed", INT, "Rows that were typed.", nullable=False),
        Column("quarantined", INT, "Rows that went to quarantine.", nullable=False),
        Column("loaded", WHEN, "When, UTC.", nullable=False),
    ),
    statistics=("uri", "delivered_on"),
)
# fmt: on
