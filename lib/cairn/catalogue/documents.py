"""Rows of the tables as documents of the catalogue, whole or in pieces, and documents back as what they hold.

The digest of a document is over the bytes of its blocks as they lie in the server, so that a change that somebody
made by hand shows. A document that the server would not take (16 MiB, or nested deeper than it allows) keeps its
largest values in pieces: the bytes of both blocks are cut into documents of :data:`~cairn.catalogue.layout.PARTS`,
written before it, and what remains in it serves queries. Whoever reads joins the pieces and never looks at the
remainder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bson
import pyarrow as pa
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

from cairn.catalogue import layout
from cairn.catalogue.columns import to_blocks
from cairn.catalogue.variant import to_document
from cairn.errors import EntryError
from cairn.tables.contract import Contract
from cairn.tables.instance import INSTANCE
from cairn.tables.series import SERIES

DEEPEST = 90
"""Levels that a document may nest; MongoDB allows 100."""

DIGEST_BYTES = 16
PLAIN: CodecOptions[dict[str, Any]] = CodecOptions(dict, datetime_conversion=DatetimeConversion.DATETIME_MS)
_INSTANCE_COLUMNS = tuple(column for column in INSTANCE.columns if not column.is_variant)


@dataclass(frozen=True)
class Document:
    """One document to be written.

    Attributes
    ----------
    id : str
        The entry's address, or the series' UID.
    order : int
        The later, the larger.
    collection : str
        Where it belongs.
    digest : bytes
        Of its blocks.
    raw : RawBSONDocument
        Its bytes.
    pieces : tuple of RawBSONDocument
        What is written to :data:`~cairn.catalogue.layout.PARTS` before it.
    """

    id: str
    order: int
    collection: str
    digest: bytes
    raw: RawBSONDocument
    pieces: tuple[RawBSONDocument, ...] = ()


def digest_of(blocks: Sequence[bytes]) -> bytes:
    """Return the digest of a document: of the BSON bytes of its blocks, one after the other."""
    return hashlib.sha256(b"".join(blocks)).digest()[:DIGEST_BYTES]


def instance_documents(batch: pa.RecordBatch, orders: Sequence[int], limit_bytes: int) -> Iterator[Document]:
    """Yield the documents of rows of `instance`.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        All columns of the contract.
    orders : sequence of int
        The order of each row (:func:`cairn.catalogue.layout.order_of`).
    limit_bytes : int
        Larger documents are cut into pieces.
    """
    headers = batch.column(batch.schema.get_field_index(layout.HEADER))
    values, metadata = headers.field("value").to_pylist(), headers.field("metadata").to_pylist()
    for i, columns in enumerate(to_blocks(batch, _INSTANCE_COLUMNS)):
        elements, depth = to_document(values[i], metadata[i])
        entry = {"DicomFilePath": columns["uri"], "DicomFileSize": columns.get("file_size")}
        blocks = {layout.HEADER: entry, layout.INSTANCE: columns, layout.DICOM: elements}
        cairn = {"order": orders[i], "content_version": columns["content_version"]}
        collection = layout.collection_of(columns.get("modality"))
        yield _document(columns["uri"], collection, cairn, blocks, limit_bytes, depth)


def series_documents(batch: pa.RecordBatch, orders: Sequence[int], limit_bytes: int) -> Iterator[Document]:
    """Yield the documents of rows of `series`; see :func:`instance_documents`."""
    for i, columns in enumerate(to_blocks(batch, SERIES.columns)):
        blocks = {layout.HEADER: {"ImagesInSeries": columns.get("instances")}, layout.SERIES: columns}
        yield _document(
            columns["series_instance_uid"], layout.SERIES, {"order": orders[i]}, blocks, limit_bytes, 1
        )  # fmt: skip


def _document(
    key: str, collection: str, cairn: dict[str, Any], blocks: dict[str, dict[str, Any]], limit: int, depth: int
) -> Document:
    raw = {name: bson.encode(block) for name, block in blocks.items()}
    digest = digest_of(tuple(raw.values()))
    cairn = {"layout": layout.LAYOUT, **cairn, "digest": digest, "parts": 0}
    if depth <= DEEPEST and sum(map(len, raw.values())) <= limit:
        return Document(key, cairn["order"], collection, digest, _joined(key, cairn, raw))
    pieces = tuple(_pieces(key, digest, cairn["order"], raw, limit))
    cairn["parts"] = len(pieces)
    kept = _lightened(blocks, limit, depth)
    return Document(key, cairn["order"], collection, digest, _joined(key, cairn, kept), pieces)


def _joined(key: str, cairn: dict[str, Any], raw: Mapping[str, bytes]) -> RawBSONDocument:
    blocks = {name: RawBSONDocument(block) for name, block in raw.items()}
    first = {layout.HEADER: blocks.pop(layout.HEADER), layout.CAIRN: cairn}
    return RawBSONDocument(bson.encode({"_id": key, **first, **blocks}))


def _pieces(key: str, digest: bytes, order: int, raw: Mapping[str, bytes], limit: int) -> Iterator[RawBSONDocument]:
    """Cut the bytes of all blocks into documents."""
    whole = bson.encode({name: RawBSONDocument(block) for name, block in raw.items()})
    size = max(1, limit - 4 * len(key.encode()) - 256)  # room for the names, the key in both places
    for number, start in enumerate(range(0, len(whole), size)):
        name = {"entry": key, "digest": digest, "part": number}
        piece = {"_id": name, "entry": key, "order": order, "bytes": whole[start : start + size]}
        yield RawBSONDocument(bson.encode(piece))


def _lightened(blocks: dict[str, dict[str, Any]], limit: int, depth: int) -> dict[str, bytes]:
    """Return the blocks without their largest values, small enough for queries; without sequences when too deep."""
    kept = {name: dict(block) for name, block in blocks.items()}
    if depth > DEEPEST:
        kept[layout.DICOM] = {key: value for key, value in kept[layout.DICOM].items() if not isinstance(value, list)}
    sizes = [
        (len(bson.encode({key: value})), name, key)
        for name, block in kept.items()
        for key, value in block.items()
        if name != layout.HEADER
    ]
    total = sum(size for size, _, _ in sizes)
    for size, name, key in sorted(sizes, reverse=True):
        if total <= limit // 2:
            break
        del kept[name][key]
        total -= size
    return {name: bson.encode(block) for name, block in kept.items()}


def blocks_of(document: RawBSONDocument, pieces: Sequence[bytes] = ()) -> dict[str, bytes]:
    """Return the BSON bytes of a document's blocks by name, in the order in which the digest has them.

    Parameters
    ----------
    document : RawBSONDocument
        A document of Cairn's layout.
    pieces : sequence of bytes
        Bytes of its pieces, in order, when it says that it has any.

    Raises
    ------
    EntryError
        CATALOGUE_LAYOUT, CATALOGUE_PARTS_MISSING, CATALOGUE_DOCUMENT.
    """
    cairn = document[layout.CAIRN]
    if cairn.get("layout", 0) > layout.LAYOUT:
        raise EntryError("CATALOGUE_LAYOUT")
    source = document
    if parts := cairn.get("parts", 0):
        whole = b"".join(pieces)
        if len(pieces) != parts or len(whole) < 4 or int.from_bytes(whole[:4], "little") != len(whole):
            raise EntryError("CATALOGUE_PARTS_MISSING")
        source = RawBSONDocument(whole)
    names = [name for name in (layout.HEADER, layout.INSTANCE, layout.SERIES, layout.DICOM) if name in source]
    try:
        return {name: source[name].raw for name in names}
    except (AttributeError, bson.errors.InvalidBSON):
        raise EntryError("CATALOGUE_DOCUMENT") from None


def has_layout(document: Mapping[str, Any]) -> bool:
    """Whether a document is of Cairn's own layout."""
    return isinstance(document.get(layout.CAIRN), Mapping)


CONTRACTS: dict[str, Contract] = {layout.INSTANCE: INSTANCE, layout.SERIES: SERIES}
"""The table that each block of typed columns belongs to."""
