"""Names of the catalogue: collections, fields, indexes.

A document of Cairn's own layout::

    {_id: <uri>,
     header: {DicomFilePath: <uri>, DicomFileSize: <bytes>},    as in the Scottish service's layout
     cairn: {layout, order, digest, content_version, parts},    what Cairn needs to know
     instance: {<column>: <value>, ...},                        typed columns, those that are not NULL
     dicom: {<keyword>: <value>, ...}}                          every element of the header (docs/header.md)

Documents of the Scottish service have an ObjectId, their `header` block, and the keywords beside it
(:mod:`cairn.catalogue.scottish`).
"""

from __future__ import annotations

LAYOUT = 1
"""Version of the layout; a reader refuses what it does not know."""

IMAGE_PREFIX = "image_"
OTHER = "OTHER"
MODALITIES = ("CR", "CT", "DX", "MG", "MR", "NM", "OT", "PR", "PT", "RF", "SR", "US", "XA")
"""Modalities with a collection of their own, as the Scottish service has them; all others share one."""

IMAGE_COLLECTIONS = tuple(f"{IMAGE_PREFIX}{modality}" for modality in (*MODALITIES, OTHER))
SERIES = "series"
PARTS = "cairn_parts"
"""Documents beyond the server's limit: their bytes in pieces."""
DELETED = "cairn_deleted"
"""What was deleted, and by which order: an older push must not bring it back."""
STATE = "cairn_state"
"""What was pushed last, from which table."""

HEADER, CAIRN, INSTANCE, DICOM = "header", "cairn", "instance", "dicom"
ORDER = f"{CAIRN}.order"
DIGEST = f"{CAIRN}.digest"

Indexes = tuple[tuple[str, ...], ...]
IMAGE_INDEXES: Indexes = (
    ("instance.sop_instance_uid",),
    ("instance.series_instance_uid",),
    ("instance.study_instance_uid",),
    ("instance.patient_id", "instance.study_date"),
)
SERIES_INDEXES: Indexes = (("series.study_instance_uid",), ("series.modality", "series.study_date"))
PARTS_INDEXES: Indexes = (("entry",),)

EPOCH = 1 << 40
"""Orders of one epoch: more versions than a table ever has."""


def collection_of(modality: str | None) -> str:
    """Return the collection of an instance, by its Modality as it stands in the header."""
    return f"{IMAGE_PREFIX}{modality if modality in MODALITIES else OTHER}"


def order_of(epoch: int, version: int) -> int:
    """Return the order of what a push writes: the later the table's content, the larger.

    Parameters
    ----------
    epoch : int
        How many tables the catalogue has mirrored before this one; a table made anew begins at version 0 again.
    version : int
        Version of the Delta table.
    """
    return epoch * EPOCH + version
