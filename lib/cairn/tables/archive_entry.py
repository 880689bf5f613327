"""`identifiable.archive_entry`: one row per file or archive member, found once."""

import pyarrow as pa

from cairn.tables.contract import Column, Contract

ARCHIVE_ENTRY = Contract(
    zone="identifiable",
    name="archive_entry",
    grain="one file or one archive member",
    key=("uri",),
    comment="Everything that the archive holds, readable or not: the list against which nothing can be lost.",
    columns=(
        Column(
            "uri",
            pa.string(),
            "Address: a file's URI, or container!/member (nested: a.zip!/b.tar!/c.dcm); bytes that are no UTF-8 percent-encoded.",
        ),
        Column("root", pa.string(), "The root, as given to inventory, under which it was found."),
        Column("container", pa.string(), "URI of the outermost archive file that holds it; NULL for a plain file."),
        Column(
            "kind",
            pa.string(),
            "file, member, or container (an archive that was opened; its members have rows of their own).",
            nullable=False,
        ),
        Column("size", pa.int64(), "Bytes, uncompressed; NULL when the archive does not say."),
        Column(
            "modified",
            pa.timestamp("us", tz="UTC"),
            "Modification time: the file's, or the member's as its archive holds it.",
        ),
        Column(
            "checksum",
            pa.string(),
            "Checksum that the container holds, e.g. crc32:1a2b3c4d; for an object store its ETag; NULL otherwise.",
        ),
        Column(
            "content_version",
            pa.string(),
            "Hash of size, modification time and checksum (for members also the container's): changes when the content may have.",
            nullable=False,
        ),
        Column(
            "compression",
            pa.string(),
            "How the member is stored: stored, deflate, bzip2, lzma, gzip (a whole .tar.gz), nested; NULL for a plain file.",
        ),
        Column(
            "data_offset",
            pa.int64(),
            "First byte of the member's (compressed) data in the outermost container; NULL when it cannot be addressed directly.",
        ),
        Column("compressed_size", pa.int64(), "Bytes that the member occupies in its container."),
        Column(
            "code",
            pa.string(),
            "Fault found while listing (ARCHIVE_ENCRYPTED, EMPTY_FILE, LINK_LOOP …); such an entry is quarantined, not read.",
        ),
        Column("first_seen_run", pa.string(), "Run that found it first."),
        Column("last_seen_run", pa.string(), "Run that last found it new or changed."),
        Column("state", pa.string(), "present, or gone (was listed once, is no longer there).", nullable=False),
    ),
    statistics=("uri", "state"),
)
