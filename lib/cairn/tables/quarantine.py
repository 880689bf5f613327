"""`identifiable.quarantine`: what could not be read, with a code, never dropped."""

import pyarrow as pa

from cairn.tables.contract import Column, Contract

# fmt: off
QUARANTINE = Contract(
    zone="identifiable",
    name="quarantine",
    grain="one failure of one stage",
    key=("uri", "stage"),
    comment="Every entry that a stage could not carry through, with the reason as a stable code.",
    columns=(
        Column("uri", pa.string(), "Address of the entry, as in archive_entry."),
        Column("stage", pa.string(), "Stage that gave up: inventory, headers, pixels …", "keep"),
        Column("content_version", pa.string(), "Version of the content that was tried, as in archive_entry."),
        Column("code", pa.string(), "Error condition: stable, for counting and for rules.", "keep", nullable=False),
        Column("message", pa.string(), "The condition in words; never a value out of the entry.", "keep"),
        Column("detail", pa.string(), "Where or how, e.g. a tag or an offset; never a value out of the entry.", "keep"),
        Column("file_size", pa.int64(), "Size of the entry, bytes, when known.", "keep"),
        Column("algorithm_version", pa.string(), "Versions of what was tried, where a new one tries again (pixels); else NULL.", "keep"),
        Column("run", pa.string(), "Run that wrote the row.", nullable=False),
    ),
    statistics=("uri", "stage", "code", "run"),
)
