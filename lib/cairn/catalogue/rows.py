"""Documents as rows of the tables: Cairn's own exactly as they were pushed, the Scottish service's by the kernel.

Header bytes are put together from the document in either case (:mod:`cairn.catalogue.canonical`), so that what follows
`header_blob`, de-identification above all, needs no archive. They are not the file's bytes: the ledger tells them by
their run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import bson
import pyarrow as pa

from cairn.catalogue import layout, scottish
from cairn.catalogue.canonical import Written, write
from cairn.catalogue.columns import to_array, to_blocks
from cairn.catalogue.documents import PLAIN, digest_of
from cairn.catalogue.header_elements import elements_of
from cairn.catalogue.variant import from_document
from cairn.dicom.dictionary import keywords
from cairn.dicom.kernel import HeaderKernel
from cairn.errors import EntryError, Finding
from cairn.tables.contract import FINDINGS, VARIANT, Column, Contract
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE

PARSER = "catalogue"
"""`parser` of rows that the kernel made of a document in another layout."""

_BYTES = ("OB", "OW", "OV", "UN")


def _is_compared(column: Column) -> bool:
    """Whether a document of the Scottish service can tell a column: not from the file meta, nor from bytes alone."""
    ends = [keywords()[path.rpartition(".")[2]] for path in column.paths]
    return any(tag >> 16 != 2 and vr[:2] not in _BYTES for tag, vr in ends)


COMPARED = tuple(column for column in INSTANCE.columns if _is_compared(column))
"""Columns by which a document of another layout is compared with a row."""

_REQUIRED = tuple(column.name for column in INSTANCE.columns if not column.nullable)
_WRONG = (pa.ArrowException, TypeError, ValueError, KeyError, IndexError, OverflowError, UnicodeError)


def column_digests(rows: pa.RecordBatch) -> list[bytes]:
    """Return a digest of each row's :data:`COMPARED` columns.

    Parameters
    ----------
    rows : pyarrow.RecordBatch
        Rows of `instance`.
    """
    return [digest_of((bson.encode(block),)) for block in to_blocks(rows, COMPARED)]


@dataclass(frozen=True)
class Wanted:
    """One entry to be made a row of.

    Parameters
    ----------
    uri : str
        Its address.
    content_version : str
        The version of the content that the row will stand for.
    file_size : int or None
        Bytes of the entry.
    """

    uri: str
    content_version: str
    file_size: int | None


@dataclass
class Made:
    """What became of some documents.

    Attributes
    ----------
    tables : list of (str, pyarrow.Table)
        Table name and rows.
    failures : list of (Wanted, str)
        Entries that gave no row, and why.
    """

    tables: list[tuple[str, pa.Table]] = field(default_factory=list)
    failures: list[tuple[Wanted, str]] = field(default_factory=list)


def own_rows(found: Sequence[tuple[Wanted, Mapping[str, bytes]]], run: str) -> Made:
    """Return the rows of documents of Cairn's own layout.

    Parameters
    ----------
    found : sequence of (Wanted, mapping)
        Entries and the bytes of their documents' blocks (:func:`cairn.catalogue.documents.blocks_of`).
    run : str
        Run that writes the rows.
    """
    made, good = Made(), []
    for wanted, blocks in found:
        try:
            good.append((wanted, *_decoded(wanted, blocks, run)))
        except (*_WRONG, bson.errors.BSONError):
            made.failures.append((wanted, "CATALOGUE_DOCUMENT"))
    try:
        instances = _instance([columns for _, columns, _ in good])
    except _WRONG:  # one wrong value must not take others along: look at each
        sound = [_is_sound(columns) for _, columns, _ in good]
        made.failures += [
            (one[0], "CATALOGUE_DOCUMENT") for one, is_sound in zip(good, sound, strict=True) if not is_sound
        ]
        good = [one for one, is_sound in zip(good, sound, strict=True) if is_sound]
        instances = _instance([columns for _, columns, _ in good])
    if good:
        syntaxes = [columns.get("transfer_syntax_uid") for _, columns, _ in good]
        blobs = _blobs([(wanted, header) for wanted, _, header in good], syntaxes, run)
        made.tables += [(INSTANCE.name, instances), (HEADER_BLOB.name, blobs)]
    return made


def _decoded(wanted: Wanted, blocks: Mapping[str, bytes], run: str) -> tuple[dict[str, Any], Written]:
    """Return the columns that a document states, and its header's bytes."""
    columns = bson.decode(blocks[layout.INSTANCE], PLAIN)
    elements = bson.decode(blocks[layout.DICOM], PLAIN)
    columns |= {"uri": wanted.uri, "content_version": wanted.content_version, "run": run}
    value, metadata = from_document(elements)
    columns[layout.HEADER] = {"value": value, "metadata": metadata}
    return columns, write(elements_of(elements))


def _is_sound(columns: Mapping[str, Any]) -> bool:
    try:
        _instance([columns])
    except _WRONG:
        return False
    return True


def _instance(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows of `instance`; columns that the documents do not know are NULL."""
    for name in _REQUIRED:
        if any(row.get(name) is None for row in rows):
            raise ValueError("a required column is missing")
    return _table(INSTANCE, {c.name: _array(c, [row.get(c.name) for row in rows]) for c in INSTANCE.columns})


def _array(column: Column, values: list[Any]) -> pa.Array:
    return pa.array(values, VARIANT) if column.is_variant else to_array(column, values)


def _table(contract: Contract, columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    return pa.Table.from_arrays([columns[c.name] for c in contract.columns], schema=contract.arrow_schema)


def scottish_rows(found: Sequence[tuple[Wanted, Mapping[str, Any]]], run: str, kernel: HeaderKernel) -> Made:
    """Return the rows of documents of the Scottish service's layout.

    Parameters
    ----------
    found : sequence of (Wanted, mapping)
        Entries and their documents as plain values.
    run : str
        Run that writes the rows.
    kernel : HeaderKernel
        For `instance`.
    """
    made = Made()
    written, findings, wanted = [], [], []
    for entry, document in found:
        try:
            header, own = scottish.header_of(document)
        except (*_WRONG, EntryError):
            made.failures.append((entry, "CATALOGUE_DOCUMENT"))
            continue
        written.append(header)
        findings.append(own)
        wanted.append(entry)
    if not written:
        return made
    batch = kernel.parse([one.data for one in written], [one.holes for one in written])
    made.failures += [(wanted[i], code) for i, code in batch.failures]
    if batch.rows.size:
        entries = [wanted[i] for i in batch.rows]
        made.tables.append((INSTANCE.name, _parsed(batch.table, entries, [findings[i] for i in batch.rows], run)))
        blobs = [(entry, written[i]) for entry, i in zip(entries, batch.rows, strict=True)]
        made.tables.append((HEADER_BLOB.name, _blobs(blobs, [None] * len(blobs), run)))
    return made


def _parsed(table: pa.Table, entries: Sequence[Wanted], findings: Sequence[Sequence[Finding]], run: str) -> pa.Table:
    columns = {name: table.column(name) for name in table.column_names}
    n = len(entries)
    columns |= {
        "uri": pa.array([entry.uri for entry in entries], pa.string()),
        "content_version": pa.array([entry.content_version for entry in entries], pa.string()),
        "run": pa.array([run] * n, pa.string()),
        "file_size": pa.array([entry.file_size for entry in entries], pa.int64()),
        "header_bytes": pa.nulls(n, pa.int64()),  # of the file: nobody told
        "pixel_offset": pa.nulls(n, pa.int64()),
        "is_primary": pa.array([True] * n, pa.bool_()),
        "parser": pa.array([PARSER] * n, pa.string()),
        "parser_version": pa.nulls(n, pa.string()),
    }
    if any(findings):
        columns["findings"] = pa.array(list(_merged(table.column("findings").to_pylist(), findings)), FINDINGS)
    return _table(INSTANCE, columns)


def _merged(told: Sequence[list[dict[str, str]]], more: Sequence[Sequence[Finding]]) -> Iterator[list[dict[str, str]]]:
    for own, others in zip(told, more, strict=True):
        every = {(one["code"], one["place"]) for one in own} | {(one.code, one.place) for one in others}
        yield [{"code": code, "place": place} for code, place in sorted(every)]


def _blobs(headers: Sequence[tuple[Wanted, Written]], syntaxes: Sequence[str | None], run: str) -> pa.Table:
    shifted = [list(_holes_in_entry(written)) for _, written in headers]
    columns = {
        "uri": pa.array([wanted.uri for wanted, _ in headers], pa.string()),
        "content_version": pa.array([wanted.content_version for wanted, _ in headers], pa.string()),
        "header": pa.array([written.data for _, written in headers], pa.binary()),
        "header_bytes": pa.array([_extent(written) for _, written in headers], pa.int64()),
        "pixel_offset": pa.nulls(len(headers), pa.int64()),
        "transfer_syntax_uid": pa.array(syntaxes, pa.string()),
        "header_sha256": pa.array([_sha256(written) for _, written in headers], pa.string()),
        "holes": pa.array(shifted, HEADER_BLOB.column("holes").type),
        "file_size": pa.array([wanted.file_size for wanted, _ in headers], pa.int64()),
        "run": pa.array([run] * len(headers), pa.string()),
    }
    return _table(HEADER_BLOB, columns)


def _extent(written: Written) -> int:
    return len(written.data) + sum(hole.length for hole in written.holes)


def _sha256(written: Written) -> str:
    digest = hashlib.sha256(written.data)
    for hole in written.holes:
        digest.update(hole.sha256)
    return digest.hexdigest()


def _holes_in_entry(written: Written) -> Iterator[dict[str, Any]]:
    shift = 0
    for hole in written.holes:
        yield {"offset": hole.offset + shift, "length": hole.length, "sha256": hole.sha256.hex()}
        shift += hole.length
