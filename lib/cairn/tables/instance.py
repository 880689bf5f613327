"""`identifiable.instance`: one row per entry that is DICOM, with its header as typed columns and as a VARIANT.

The column lists lie beside this module, one line per column: ``instance_columns_identity``, ``_image``,
``_acquisition``, ``_projection`` and ``_documents``. Adding a column is one line there. Every attribute of
``header`` stays reachable without a column; a column makes it typed, prunable and quick. In a path the keyword of
a repeating group means its first group (``OverlayRows``: 6000,0010), as in docs/header.md.
"""

import pyarrow as pa

from cairn.tables.contract import FINDINGS, VARIANT, Column, Contract
from cairn.tables.instance_columns_acquisition import ACQUISITION
from cairn.tables.instance_columns_documents import DOCUMENTS
from cairn.tables.instance_columns_identity import IDENTITY
from cairn.tables.instance_columns_image import IMAGE
from cairn.tables.instance_columns_projection import PROJECTION

# fmt: off
ENTRY = (
    Column("uri", pa.string(), "Address of the entry, as in archive_entry.", "drop"),
    Column("content_version", pa.string(), "Version of the content that was read, as in archive_entry.", "drop", nullable=False),
    Column("run", pa.string(), "Run that wrote the row.", "drop", nullable=False),
    Column("file_size", pa.int64(), "Size of the entry, bytes.", "keep"),
    Column("header_bytes", pa.int64(), "Bytes from the start of the entry to its pixel data.", "drop"),
    Column("pixel_offset", pa.int64(), "Offset of the pixel data element, bytes; NULL when there is none.", "drop"),
    Column("is_primary", pa.bool_(), "True for the one entry that stands for its SOPInstanceUID; see docs for the order.", "drop", nullable=False),
    Column("parser", pa.string(), "What read the header: kernel or pydicom.", "keep"),
    Column("parser_version", pa.string(), "Version of the parser and its columns that made the row; NULL: made before versions were kept. See docs/reprocess.md.", "drop"),
)

REST = (
    Column("header", VARIANT, "All elements of the header, by keyword; see docs/header.md.", "header"),
    Column("findings", FINDINGS, "Faults found in the entry: code and tag, never the value.", "keep"),
)
# fmt: on

PROJECTED: tuple[Column, ...] = (*IDENTITY, *IMAGE, *ACQUISITION, *PROJECTION, *DOCUMENTS)
"""The columns that come out of the header: the kernel's projection."""

INSTANCE = Contract(
    zone="identifiable",
    name="instance",
    grain="one entry that is DICOM",
    key=("uri",),
    comment="Every readable DICOM entry of the archive: typed columns named after the DICOM keyword, and the whole header.",
    columns=(*ENTRY, *PROJECTED, *REST),
    clustered_by=("modality", "study_date"),
    statistics=(
        "sop_instance_uid",
        "series_instance_uid",
        "study_instance_uid",
        "patient_id",
        "run",
        "number_of_frames",
    ),
)
