"""`identifiable.header_blob`: the header's bytes, so that reprocessing never reads the archive again."""

import pyarrow as pa

from cairn.tables.contract import Column, Contract

HOLES = pa.list_(
    pa.struct([pa.field("offset", pa.int64()), pa.field("length", pa.int64()), pa.field("sha256", pa.string())])
)
"""Values that were left out of a header: where they belong, how long they are, SHA-256 of their bytes (hex)."""

# fmt: off
HEADER_BLOB = Contract(
    zone="identifiable",
    name="header_blob",
    grain="one parsed header",
    key=("uri",),
    comment="The bytes of every header that was parsed, up to the pixel data: reprocessing reads them here, not in the archive.",
    columns=(
        Column("uri", pa.string(), "Address of the entry, as in archive_entry."),
        Column("content_version", pa.string(), "Version of the content that was read, as in archive_entry.", nullable=False),
        Column("header", pa.binary(), "Bytes from the entry's start to its pixel data, without the holes.", nullable=False),
        Column("header_bytes", pa.int64(), "Bytes from the entry's start to its pixel data, holes included.", nullable=False),
        Column("pixel_offset", pa.int64(), "Offset of the pixel data element, bytes; NULL when there is none."),
        Column("transfer_syntax_uid", pa.string(), "Transfer syntax of the dataset (file meta; as found out when that is missing or wrong)."),
        Column("header_sha256", pa.string(), "SHA-256 (hex) of `header` followed by the hashes of the holes: equal headers, equal hash."),
        Column("holes", HOLES, "Long values left out of `header`: offset in the entry, length in bytes, SHA-256 (hex); in order."),
        Column("file_size", pa.int64(), "Size of the entry, bytes."),
        Column("run", pa.string(), "Run that wrote the row.", nullable=False),
    ),
    statistics=("uri", "run"),
)
