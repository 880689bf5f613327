"""What workers do for `catalogue pull` and `catalogue diff`: documents in, rows out. No Spark in here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import bson
import pyarrow as pa
from bson.raw_bson import RawBSONDocument

from cairn.archive.entry import FILE, EntryAddress
from cairn.catalogue import layout, scottish
from cairn.catalogue.connection import Connection
from cairn.catalogue.documents import PLAIN, blocks_of, digest_of, has_layout
from cairn.catalogue.reading import Reader, Share
from cairn.catalogue.rows import Made, Wanted, column_digests, own_rows, scottish_rows
from cairn.errors import EntryError
from cairn.pipelines.entry_rows import failed_rows
from cairn.pipelines.header_rows import header_kernel
from cairn.settings import Headers
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE

STAGE = "catalogue-pull"
BROKEN = b"broken"
"""Digest of a document whose pieces are lost: equal to none."""
FIELDS = (layout.HEADER, f"{layout.CAIRN}.layout", f"{layout.CAIRN}.content_version")
LISTED = pa.schema(
    [
        pa.field("uri", pa.string()),
        pa.field("document", pa.binary()),
        pa.field("collection", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("stated_version", pa.string()),
        pa.field("code", pa.string()),
    ]
)
LISTED_SQL = "uri STRING, document BINARY, collection STRING, size BIGINT, stated_version STRING, code STRING"
DIGESTED = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("collection", pa.string()),
        pa.field("digest", pa.binary()),
        pa.field("columns", pa.binary()),
    ]
)
DIGESTED_SQL = "id STRING, collection STRING, digest BINARY, columns BINARY"
"""Of a document or row: `digest` of all of it in Cairn's layout, `columns` of what another layout can tell too."""


def name_of(connection: Connection, collection: str, key: Any) -> str:
    """Return the address of a document that names no entry."""
    return f"mongodb:{connection.settings.database}/{collection}/{key}"


@dataclass(frozen=True)
class ListWork:
    """Lists documents: which entry each is of.

    Parameters
    ----------
    connection : Connection
        Where the catalogue is.
    shares : tuple of Share
        Batches hold their numbers.
    """

    connection: Connection
    shares: tuple[Share, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches of :data:`LISTED`."""
        reader = Reader(self.connection)
        step = self.connection.settings.documents_per_read
        for batch in batches:
            for number in batch.column(0).to_pylist():
                share = self.shares[number]
                found = (self._listed(share.collection, one) for one in reader.documents(share, FIELDS))
                yield from _in_batches(found, LISTED, step)

    def _listed(self, collection: str, document: RawBSONDocument) -> dict[str, Any]:
        key = document["_id"]
        row = {"document": bson.encode({"_id": key}), "collection": collection}
        try:
            path, size = scottish.entry_of(document)
        except EntryError as fault:
            return {**row, "uri": name_of(self.connection, collection, key), "code": fault.code}
        if has_layout(document):
            stated = document[layout.CAIRN].get("content_version")
            return {**row, "uri": path, "size": size, "stated_version": stated}
        return {**row, "uri": scottish.uri_of(path, self.connection.settings.archive_root), "size": size}


def _in_batches(rows: Iterator[dict[str, Any]], schema: pa.Schema, step: int) -> Iterator[pa.RecordBatch]:
    held: list[dict[str, Any]] = []
    for row in rows:
        held.append(row)
        if len(held) >= step:
            yield pa.RecordBatch.from_pylist(held, schema=schema)
            held = []
    if held:
        yield pa.RecordBatch.from_pylist(held, schema=schema)


@dataclass(frozen=True)
class PullWork:
    """Makes rows of documents, as the stage runner sends it to the workers.

    Parameters
    ----------
    connection : Connection
        Where the catalogue is.
    headers : Headers
        The ``headers`` section of the settings: limits of the kernel.
    run : str
        Run that writes the rows.
    """

    connection: Connection
    headers: Headers
    run: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.Table]]:
        """Yield rows of `instance`, `header_blob` and `quarantine`; each entry is in the first or the last."""
        step = self.connection.settings.documents_per_read
        for batch in batches:
            for start in range(0, batch.num_rows, step):
                yield from self._pulled(batch.slice(start, step).to_pylist())

    def _pulled(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, pa.Table]]:
        failed = [(_wanted(row), row["code"]) for row in rows if row["code"]]
        own, others = [], []
        reader = Reader(self.connection)
        for collection, some in _by_collection(row for row in rows if not row["code"]).items():
            ids = {row["uri"]: bson.decode(row["document"])["_id"] for row in some}
            found = reader.fetch(collection, list(ids.values()))
            pieces = reader.pieces(list(found.values()))
            for row in some:
                wanted, document = _wanted(row), found.get(ids[row["uri"]])
                if document is None:
                    failed.append((wanted, "CATALOGUE_GONE"))
                elif has_layout(document):
                    own.append((wanted, document, pieces.get(document["_id"], ())))
                else:
                    others.append((wanted, bson.decode(document.raw, PLAIN)))
        blocks = []
        for wanted, document, parts in own:
            try:
                blocks.append((wanted, blocks_of(document, parts)))
            except EntryError as fault:
                failed.append((wanted, fault.code))
        for made in (own_rows(blocks, self.run), self._scottish(others)):
            yield from made.tables
            failed += made.failures
        if failed:
            yield QUARANTINE.name, failed_rows([(_address(w), code) for w, code in failed], STAGE, self.run)

    def _scottish(self, found: Sequence[tuple[Wanted, Mapping[str, Any]]]) -> Made:
        return scottish_rows(found, self.run, header_kernel(self.headers)) if found else Made()


def _wanted(row: Mapping[str, Any]) -> Wanted:
    return Wanted(row["uri"], row["content_version"], row["size"])


def _address(wanted: Wanted) -> EntryAddress:
    return EntryAddress(
        wanted.uri, None, FILE, wanted.file_size, None, None, None, None, wanted.content_version, None
    )  # fmt: skip


def _by_collection(rows: Iterator[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    out: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        out[row["collection"]].append(row)
    return out


@dataclass(frozen=True)
class DigestWork:
    """Digests documents as they lie in the server.

    Parameters
    ----------
    connection : Connection
        Where the catalogue is.
    headers : Headers
        The ``headers`` section of the settings: limits of the kernel, for documents of another layout.
    shares : tuple of Share
        Batches hold their numbers.
    """

    connection: Connection
    headers: Headers
    shares: tuple[Share, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches of :data:`DIGESTED`; a document that cannot be read has no digest."""
        reader = Reader(self.connection)
        step = self.connection.settings.documents_per_read
        for batch in batches:
            for number in batch.column(0).to_pylist():
                share = self.shares[number]
                documents = reader.documents(share)
                while some := list(islice(documents, step)):
                    rows = [*self._own(reader, some), *self._others(some)]
                    told = [{"collection": share.collection, **row} for row in rows]
                    yield pa.RecordBatch.from_pylist(told, schema=DIGESTED)

    @staticmethod
    def _own(reader: Reader, documents: Sequence[RawBSONDocument]) -> Iterator[dict[str, Any]]:
        for document in filter(has_layout, documents):
            parts = reader.pieces([document]).get(document["_id"], ())
            try:
                digest = digest_of(tuple(blocks_of(document, parts).values()))
            except EntryError:
                digest = BROKEN
            yield {"id": str(document["_id"]), "digest": digest}

    def _others(self, documents: Sequence[RawBSONDocument]) -> Iterator[dict[str, Any]]:
        found, root = [], self.connection.settings.archive_root
        for document in documents:
            if has_layout(document):
                continue
            try:
                path, size = scottish.entry_of(document)
            except EntryError:
                yield {"id": str(document["_id"])}
                continue
            found.append((Wanted(scottish.uri_of(path, root), "", size), bson.decode(document.raw, PLAIN)))
        made = scottish_rows(found, "", header_kernel(self.headers)) if found else Made()
        for name, table in made.tables:
            if name == INSTANCE.name:
                (rows,) = table.combine_chunks().to_batches()
                for uri, columns in zip(table.column("uri").to_pylist(), column_digests(rows), strict=True):
                    yield {"id": uri, "columns": columns}
        for wanted, _ in made.failures:
            yield {"id": wanted.uri}
