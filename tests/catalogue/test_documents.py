"""Rows as documents: what they hold, how large ones are cut and joined, what breaks them."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import bson
import pyarrow as pa
import pytest
from bson.raw_bson import RawBSONDocument

sys.path.append(str(Path(__file__).resolve().parents[1] / "dicom"))

from made_headers import element, small_file

from cairn.catalogue import layout
from cairn.catalogue.columns import to_array
from cairn.catalogue.documents import PLAIN, Document, blocks_of, digest_of, instance_documents
from cairn.catalogue.variant import from_document
from cairn.dicom.kernel import HeaderKernel
from cairn.errors import EntryError
from cairn.tables.instance import INSTANCE

KERNEL = HeaderKernel(INSTANCE.columns)
LIMIT = 16 << 20


def rows_of(*headers: bytes, **changes: object) -> pa.Table:
    """Return rows of `instance` for some headers."""
    parsed = KERNEL.parse(list(headers)).table
    columns = {name: parsed.column(name) for name in parsed.column_names}
    n = parsed.num_rows
    given = {"uri": [f"file:///a/{i}.dcm" for i in range(n)], "content_version": ["v1"] * n, "run": ["r"] * n,
             "file_size": [1000] * n, "header_bytes": [500] * n, "pixel_offset": [None] * n, "is_primary": [True] * n,
             "parser": ["kernel"] * n, "parser_version": ["kernel 1"] * n} | changes  # fmt: skip
    made = {name: pa.array(values, INSTANCE.column(name).type) for name, values in given.items()}
    return pa.Table.from_arrays(
        [(columns | made)[column.name] for column in INSTANCE.columns], schema=INSTANCE.arrow_schema
    )


def one(table: pa.Table, limit: int = LIMIT) -> Document:
    (batch,) = table.combine_chunks().to_batches()
    (made,) = instance_documents(batch, [7], limit)
    return made


CT = small_file(
    element(0x00080020, "DA", b"20200102") + element(0x00080060, "CS", b"CT")
    + element(0x00080008, "CS", b"ORIGINAL\\PRIMARY ") + element(0x0008002A, "DT", b"20200102030405.123456")
)  # fmt: skip


def test_a_document_says_what_the_row_says() -> None:
    made = one(rows_of(CT))
    held = bson.decode(made.raw.raw, CODEC)
    assert (made.id, made.collection, made.pieces) == ("file:///a/0.dcm", "image_CT", ())
    assert held["_id"] == "file:///a/0.dcm"
    assert held["header"] == {"DicomFilePath": "file:///a/0.dcm", "DicomFileSize": 1000}
    assert held["dicom"]["ImageType"] == ["ORIGINAL", "PRIMARY"]
    assert held["dicom"]["StudyDate"] == "20200102"
    assert held["instance"]["study_date"] == dt.datetime(2020, 1, 2, tzinfo=dt.UTC)
    assert held["instance"]["image_type"] == ["ORIGINAL", "PRIMARY"]
    assert "pixel_offset" not in held["instance"]
    assert held["cairn"] == {"layout": 1, "order": 7, "content_version": "v1", "digest": made.digest, "parts": 0}


CODEC = bson.CodecOptions(tz_aware=True)


def test_every_typed_column_comes_back() -> None:
    table = rows_of(CT)
    block = bson.decode(blocks_of(one(table).raw)["instance"], PLAIN)
    for column in INSTANCE.columns:
        if not column.is_variant:
            assert to_array(column, [block.get(column.name)]).equals(
                table.column(column.name).combine_chunks().cast(column.type)
            ), column.name
    assert block["acquisition_date_time"]["microseconds"] == 456


def test_the_digest_changes_with_content_and_not_with_the_order() -> None:
    (batch,) = rows_of(CT).combine_chunks().to_batches()
    (later,) = instance_documents(batch, [99], LIMIT)
    assert later.digest == one(rows_of(CT)).digest
    assert one(rows_of(CT, file_size=[1001])).digest != later.digest
    assert digest_of(tuple(blocks_of(later.raw).values())) == later.digest


@pytest.mark.parametrize(
    ("modality", "collection"),
    [(b"MR", "image_MR"), (b"ZZ", "image_OTHER"), (b"", "image_OTHER"), (b"CT\\MR ", "image_CT")],
)
def test_collections_are_those_of_the_scottish_service(modality: bytes, collection: str) -> None:
    assert one(rows_of(small_file(element(0x00080060, "CS", modality)))).collection == collection


def large(count: int = 40, size: int = 1000) -> bytes:
    """Return a header with some long private values."""
    body = b"".join(element(0x00190000 | 0x1000 + i, "OB", bytes([i]) * size) for i in range(count))
    return small_file(element(0x00080060, "CS", b"MR") + element(0x00190010, "LO", b"MAKER ") + body)


@pytest.mark.parametrize("limit", [4000, 20_000, 39_000])
def test_large_documents_are_cut_and_joined_without_loss(limit: int) -> None:
    table = rows_of(large())
    whole, cut = one(table), one(table, limit)
    assert whole.pieces == () and len(cut.pieces) > 1
    assert cut.digest == whole.digest
    assert all(len(piece.raw) <= limit + 1024 for piece in (*cut.pieces, cut.raw))
    joined = blocks_of(cut.raw, [piece["bytes"] for piece in cut.pieces])
    assert joined == blocks_of(whole.raw)
    value = table.column("header").to_pylist()[0]
    assert from_document(bson.decode(joined["dicom"], PLAIN)) == (value["value"], value["metadata"])
    assert bson.decode(cut.raw.raw)["instance"]["modality"] == "MR"  # what queries ask for stays


def test_a_document_nested_too_deep_is_cut_too() -> None:
    item = element(0x00080100, "SH", b"X ")
    for _ in range(60):
        wrapped = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
        item = element(0x0040A730, "SQ", wrapped)
    cut = one(rows_of(small_file(element(0x00080060, "CS", b"SR") + item)))
    assert cut.pieces
    assert "ContentSequence" not in bson.decode(cut.raw.raw)["dicom"]
    assert "ContentSequence" in bson.decode(blocks_of(cut.raw, [p["bytes"] for p in cut.pieces])["dicom"])


@pytest.mark.parametrize("keep", [slice(0, 0), slice(1, None), slice(0, -1)])
def test_missing_pieces_are_told(keep: slice) -> None:
    cut = one(rows_of(large()), 5000)
    with pytest.raises(EntryError, match="CATALOGUE_PARTS_MISSING"):
        blocks_of(cut.raw, [piece["bytes"] for piece in cut.pieces][keep])


def test_a_newer_layout_is_refused() -> None:
    newer = RawBSONDocument(bson.encode({"_id": "a", "cairn": {"layout": layout.LAYOUT + 1}}))
    with pytest.raises(EntryError, match="CATALOGUE_LAYOUT"):
        blocks_of(newer)


def test_orders_of_a_table_made_anew_come_after_those_of_the_old_one() -> None:
    assert layout.order_of(0, 10) < layout.order_of(0, 11) < layout.order_of(1, 0)
