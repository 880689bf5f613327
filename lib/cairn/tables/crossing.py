"""`identifiable.crossing`: which entry crossed into the de-identified zone under which rules, or why it did not.

It holds real values only, never a pseudonym: what stands for an entry beyond can be computed with the key alone.
"""

import pyarrow as pa

from cairn.tables.contract import Column, Contract

# fmt: off
CROSSING = Contract(
    zone="identifiable",
    name="crossing",
    grain="one primary entry",
    key=("uri",),
    comment="Every primary entry's way into the de-identified zone: crossed, opted out, or refused with a code.",
    columns=(
        Column("uri", pa.string(), "Address of the entry, as in archive_entry."),
        Column("content_version", pa.string(), "Version of the content that was treated, as in archive_entry.", nullable=False),
        Column("instance", pa.string(), "What the new SOP Instance UID stands for: the old one; of an entry without it, its header's hash. NULL when refused."),
        Column("person", pa.string(), "Whose it is: the CHI that its PatientID is, else issuer and local number, else its study. NULL when refused."),
        Column("outcome", pa.string(), "crossed, opted_out or refused.", nullable=False),
        Column("code", pa.string(), "Why it was refused."),
        Column("version", pa.string(), "Rule set, keys and code under which that was decided: another one decides anew.", nullable=False),
        Column("parser_version", pa.string(), "parser_version of its row of instance when that was decided: another one decides anew."),
        Column("run", pa.string(), "Run that wrote the row.", nullable=False),
    ),
    statistics=("uri", "person", "version", "run"),
)
