"""The header kernel: the bytes of many headers become Arrow columns and VARIANTs, whole batches at a time.

One batch goes through compiled passes over one buffer: tokens (:mod:`cairn.dicom.tokenise`), text in other character
sets (:mod:`cairn.dicom.charset`), typed columns (:mod:`cairn.dicom.columns`), VARIANT (:mod:`cairn.dicom.variant`).
Headers whose structure the tokeniser does not trust are read by pydicom and come back through the same passes
(:mod:`cairn.dicom.fallback`), with a finding that says so.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from cairn.dicom import tokenise as tk
from cairn.dicom.charset import decode_values
from cairn.dicom.columns import FAULT_CODES, ColumnCaster, Tokens
from cairn.dicom.dictionary import EXTRA_KEYS, VR, dictionary
from cairn.dicom.fallback import canonical
from cairn.dicom.projection import compile_projection
from cairn.dicom.variant import KIND, SIGNED, STRIPS_LEFT, WIDTH, encode_trees, encode_values
from cairn.tables.contract import FINDINGS, VARIANT, Column

_STATUS_CODE = {
    tk.NOT_DICOM: "NOT_DICOM",
    tk.ODD: "HEADER_CORRUPT",
    tk.TRUNCATED: "HEADER_TRUNCATED",
    tk.TOO_DEEP: "HEADER_TOO_DEEP",
    tk.EMPTY: "EMPTY_FILE",
    tk.DEFLATED: "DEFLATE_CORRUPT",
}
_USES_CHARSET = np.array([code in tk.CHARSET_CODES for code in range(256)], bool)
# Their own parsers tell of what such values should not hold; a second finding would say the same.
_NUMBERS_AND_TIMES = np.isin(np.arange(256), [VR[vr] for vr in ("DS", "IS", "DA", "DT", "TM")])
_VARIANT_LIMIT = 16 << 20
PARSER_RELEASE = 1
"""Rises with every change after which the same bytes give another row; `reprocess` then finds the rows of older ones."""

_MEDIA_STORAGE_CLASS_TAG = 0x00020002
_DIRECTORY_CLASS = b"1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class KernelLimits:
    """Bounds on what one header may cost.

    Parameters
    ----------
    value_limit_bytes : int
        Longer values are kept by length and hash in the VARIANT.
    max_depth : int
        Deepest nesting of sequences, at most 250.
    inflated_limit_bytes : int
        Most bytes that a deflated dataset's header may have.
    """

    value_limit_bytes: int = 16_384
    max_depth: int = 200
    inflated_limit_bytes: int = 64 << 20


@dataclass(frozen=True)
class Hole:
    """A long value that was left out of a header's bytes.

    Parameters
    ----------
    offset : int
        Where in the compact bytes the value would begin.
    length : int
        Its length in bytes.
    sha256 : bytes
        Its hash, 32 bytes.
    """

    offset: int
    length: int
    sha256: bytes


@dataclass
class ParsedBatch:
    """What became of a batch.

    Attributes
    ----------
    table : pyarrow.Table
        One row per parsed header: the projection's columns, ``header`` (VARIANT) and ``findings``.
    rows : numpy.ndarray of int64
        Index into the batch of each row, ascending.
    failures : list of (int, str)
        Index into the batch and code of each header that gave no row.
    pixel_offsets : numpy.ndarray of int64
        Of each row: offset of the pixel data element's tag in the header's bytes (of a deflated one: in the
        inflated bytes), or their length when there is none.
    transfer_syntax_uids : list of (str or None)
        Of each row, from the file meta.
    parsers : list of str
        Of each row: ``kernel``, or ``pydicom`` when it went that way.
    """

    table: pa.Table
    rows: np.ndarray
    failures: list[tuple[int, str]]
    pixel_offsets: np.ndarray
    transfer_syntax_uids: list[str | None]
    parsers: list[str]


@dataclass
class _Batch:
    """The arrays of one batch on its way through the passes."""

    buf: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    forms: np.ndarray
    hole_first: np.ndarray
    hole_at: np.ndarray
    hole_length: np.ndarray
    hole_sha256: np.ndarray
    tag: np.ndarray = field(init=False)
    vr: np.ndarray = field(init=False)
    at: np.ndarray = field(init=False)
    length: np.ndarray = field(init=False)
    parent: np.ndarray = field(init=False)
    tail: np.ndarray = field(init=False)
    pixels: np.ndarray = field(init=False)
    first: np.ndarray = field(init=False)
    match: np.ndarray = field(init=False)
    status: np.ndarray = field(init=False)
    pixel_offset: np.ndarray = field(init=False)
    dataset: np.ndarray = field(init=False)
    big: np.ndarray = field(init=False)
    root_pixels: np.ndarray = field(init=False)
    decode: np.ndarray = field(init=False)
    long: np.ndarray = field(init=False)


def _gather(headers: Sequence[bytes], forms: Sequence[int], holes: Sequence[Sequence[Hole]]) -> _Batch:
    """Lay a batch out in one buffer."""
    # Every array is writable: a read-only one is another type to numba, and would be compiled for once more.
    sizes = np.fromiter(map(len, headers), np.int64, len(headers))
    ends = np.cumsum(sizes)
    flat = [hole for own in holes for hole in own]
    counts = np.fromiter(map(len, holes), np.int64, len(headers))
    return _Batch(
        buf=np.frombuffer(bytearray().join(headers), np.uint8),
        starts=ends - sizes,
        ends=ends,
        forms=np.array(forms, np.uint8),
        hole_first=np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
        hole_at=np.array([hole.offset for hole in flat], np.int64),
        hole_length=np.array([hole.length for hole in flat], np.int64),
        hole_sha256=np.frombuffer(bytearray().join(hole.sha256 for hole in flat), np.uint8).reshape(-1, 32),
    )


class HeaderKernel:
    """Parses batches of headers.

    Parameters
    ----------
    columns : sequence of Column
        A contract's columns; those with paths are cast, in order.
    limits : KernelLimits
        Bounds on what one header may cost.
    """

    def __init__(self, columns: Sequence[Column], limits: KernelLimits | None = None) -> None:
        self.limits = limits or KernelLimits()
        self.projection = compile_projection(columns)
        self._caster = ColumnCaster(self.projection)
        self._dictionary = dictionary()
        names = self._dictionary.key_names
        self._extra = tuple(names.index(name) for name in EXTRA_KEYS)
        self.schema = pa.schema(
            [pa.field(column.name, column.type) for column in self.projection.columns]
            + [pa.field("header", VARIANT), pa.field("findings", FINDINGS)]
        )

    def parse(self, headers: Sequence[bytes], holes: Sequence[Sequence[Hole]] | None = None) -> ParsedBatch:
        """Parse a batch.

        Parameters
        ----------
        headers : sequence of bytes
            Each the bytes of one entry from its beginning up to the pixel data element at least, or all of it.
        holes : sequence of sequence of Hole, optional
            For each header, the values that were left out of its bytes, ascending.

        Returns
        -------
        ParsedBatch
            Every header is in `rows` or in `failures`, never in both. Nothing is raised for bad bytes.
        """
        own_holes: list[Sequence[Hole]] = list(holes) if holes is not None else [()] * len(headers)
        forms = [tk.AS_STORED] * len(headers)
        parsed, odd, deflated = self._parse_stored(list(headers), forms, own_holes, "kernel")
        parts = [(np.arange(len(headers), dtype=np.int64), parsed)]
        if deflated:
            parts += self._again(deflated, headers, self._inflate, tk.INFLATED, "kernel")
        failed = {}
        for places, batch in parts:
            failed.update({int(places[i]): code for i, code in batch.failures})
        second = list(odd) + [i for i, code in failed.items() if code == "HEADER_CORRUPT" and i not in odd]
        if second:
            parts += self._again(sorted(set(second)), headers, self._canonical, tk.CANONICAL, "pydicom")
        return self._join(parts)

    def _again(self, places, headers, remake, form, parser):  # type: ignore[no-untyped-def]
        """Parse some headers of a batch once more, in another form."""
        made = [(i, remake(headers[i])) for i in places]
        good = [(i, data) for i, data in made if data is not None]
        if not good:
            return []
        batch, _, _ = self._parse_stored([data[0] for _, data in good], [form] * len(good), [()] * len(good), parser)
        for row, index in enumerate(batch.rows):
            offset = good[int(index)][1][1]
            if offset is not None:
                batch.pixel_offsets[row] = offset
        return [(np.array([i for i, _ in good], np.int64), batch)]

    def _inflate(self, header: bytes) -> tuple[bytes, None] | None:
        """Return a deflated header with its dataset inflated (PS3.5 A.5), or None."""
        start = self._dataset_offset(header)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            plain = inflater.decompress(header[start:], self.limits.inflated_limit_bytes)
        except zlib.error:
            return None
        return (header[:start] + plain, None) if plain else None

    def _dataset_offset(self, header: bytes) -> int:
        buf = np.frombuffer(bytearray(header), np.uint8)
        tables = self._dictionary
        return int(tk.locate(buf, 0, buf.size, tk.INFLATED, tables.vr_of_bytes, tables.vr_is_long, tk.UIDS)[2])

    def _canonical(self, header: bytes) -> tuple[bytes, int] | None:
        made = canonical(header, self.limits.max_depth)
        return None if made is None else (made.data, made.pixel_offset)

    def _parse_stored(
        self, headers: list[bytes], forms: list[int], holes: list[Sequence[Hole]], parser: str
    ) -> tuple[ParsedBatch, list[int], list[int]]:
        """Run the compiled passes; also return the places that need pydicom and those that need inflating."""
        batch = _gather(headers, forms, holes)
        self._tokenise(batch)
        digest, digests = self._digests(batch)
        batch.buf, text_findings = decode_values(
            batch.buf, batch.decode, batch.vr, batch.at, batch.length, _USES_CHARSET
        )
        failures, files = self._outcomes(batch)
        tokens = Tokens(
            batch.buf, batch.starts, batch.dataset, batch.big, batch.root_pixels, batch.vr, batch.at, batch.length,
            batch.parent, batch.pixels, digest, WIDTH, SIGNED, STRIPS_LEFT,
        )  # fmt: skip
        header, kept, token_findings = self._encode(batch, files, digest, digests)
        if not kept.all():
            failures += [(int(f), "HEADER_TOO_LARGE") for f in files[~kept]]
            files = files[kept]
        arrays, faults = self._caster.cast(tokens, batch.match, files)
        findings = _Findings(batch, files)
        findings.add_tokens([found for found in text_findings if not _NUMBERS_AND_TIMES[batch.vr[found[0]]]])
        findings.add_tokens(token_findings)
        rows, fault_tokens, codes = faults.table()
        findings.add_rows(rows, fault_tokens, [FAULT_CODES[code] for code in codes])
        findings.add_truncated()
        if parser == "pydicom":
            findings.add_all("PARSED_BY_PYDICOM")
        table = pa.Table.from_arrays([*arrays, header, findings.array()], schema=self.schema)
        parsed = ParsedBatch(
            table, files, failures, batch.pixel_offset[files], self._syntaxes(batch, files), [parser] * files.size
        )
        odd = [int(f) for f in np.flatnonzero(batch.status == tk.ODD)]
        deflated = [int(f) for f in np.flatnonzero(batch.status == tk.DEFLATED)]
        return parsed, odd, deflated

    def _tokenise(self, batch: _Batch) -> None:
        files = batch.starts.size
        room = int(batch.buf.size // 20 + 16 * files + 64)
        text_room = long_room = 4 * files + 64
        while True:
            batch.tag, batch.vr = np.empty(room, np.int64), np.empty(room, np.uint8)
            batch.at, batch.length = np.empty(room, np.int64), np.empty(room, np.int64)
            batch.parent, batch.tail = np.empty(room, np.int64), np.empty(room, np.int64)
            batch.pixels = np.empty(room, np.int8)
            batch.first = np.zeros(files + 1, np.int64)
            batch.match = np.full((self.projection.paths, files), -1, np.int64)
            batch.status, batch.pixel_offset = np.zeros(files, np.uint8), np.zeros(files, np.int64)
            batch.dataset, batch.big = np.zeros(files, np.int64), np.zeros(files, np.uint8)
            batch.root_pixels = np.zeros(files, np.int8)
            batch.decode, batch.long = np.empty((text_room, 2), np.int64), np.empty(long_room, np.int64)
            n, decodes, longs = tk.tokenise(
                batch.buf, batch.starts, batch.ends, batch.forms, tk.UIDS, batch.hole_first, batch.hole_at,
                batch.hole_length, self.limits.max_depth, self.limits.value_limit_bytes, self._dictionary.tables(),
                tk.IS_TEXT, self.projection.keys, self.projection.nodes, self.projection.node_path, batch.tag, batch.vr,
                batch.at, batch.length, batch.parent, batch.tail, batch.pixels, batch.first, batch.match, batch.status,
                batch.pixel_offset, batch.dataset, batch.big, batch.root_pixels, batch.decode, batch.long,
            )  # fmt: skip
            if n != tk.NEED_ROOM:
                break
            room, text_room, long_room = 2 * room, 4 * text_room, 4 * long_room
        for name in ("tag", "vr", "at", "length", "parent", "tail", "pixels"):
            setattr(batch, name, getattr(batch, name)[:n])
        batch.decode, batch.long = batch.decode[:decodes], batch.long[:longs]

    def _digests(self, batch: _Batch) -> tuple[np.ndarray, np.ndarray]:
        """Hash the values that the VARIANT keeps by length and hash."""
        digest = np.full(batch.tag.size, -1, np.int64)
        left_out = np.flatnonzero(batch.at < 0)
        digest[left_out] = -1 - batch.at[left_out]
        made: list[bytes] = []
        for token in batch.long.tolist():
            start = int(batch.at[token])
            value = batch.buf[start : start + int(batch.length[token])].data
            digest[token] = batch.hole_sha256.shape[0] + len(made)
            made.append(hashlib.sha256(value).digest())
        own = np.frombuffer(bytearray().join(made), np.uint8).reshape(-1, 32)
        return digest, np.concatenate([batch.hole_sha256, own])

    def _outcomes(self, batch: _Batch) -> tuple[list[tuple[int, str]], np.ndarray]:
        """Decide which headers become rows; the others get their codes."""
        failures, files = [], []
        counts = np.diff(batch.first)
        for f in np.flatnonzero((batch.status != tk.OK) | (counts == 0)).tolist():
            status = int(batch.status[f])
            if status == tk.TRUNCATED and self._is_identified(batch, f):
                files.append(f)
            elif status == tk.OK:
                failures.append((f, "HEADER_TRUNCATED"))
            else:
                failures.append((f, _STATUS_CODE[status]))
        whole = np.flatnonzero((batch.status == tk.OK) & (counts > 0))
        return failures, np.sort(np.concatenate([whole, np.array(files, np.int64)])).astype(np.int64)

    @staticmethod
    def _is_identified(batch: _Batch, f: int) -> bool:
        """Whether a truncated header still holds its whole SOP Instance UID, or is a directory (PS3.3 F), which has none."""
        first, last = int(batch.first[f]), int(batch.first[f + 1])
        for token in range(first, min(first + 16, last)):
            if batch.tag[token] == _MEDIA_STORAGE_CLASS_TAG:
                at = int(batch.at[token])
                if batch.buf[at : at + int(batch.length[token])].tobytes().rstrip(b"\0 ") == _DIRECTORY_CLASS:
                    return True
        mine = np.flatnonzero((batch.tag[first:last] == tk.SOP_INSTANCE_UID_TAG) & (batch.parent[first:last] < 0))
        if mine.size == 0:
            return False
        token = first + int(mine[-1])
        return token < last - 1 or bool(batch.at[token] + batch.length[token] < batch.ends[f])

    def _encode(
        self, batch: _Batch, files: np.ndarray, digest: np.ndarray, digests: np.ndarray
    ) -> tuple[pa.Array, np.ndarray, list[tuple[int, str]]]:
        """Encode the VARIANTs of some files; also say which fitted, and which tokens have findings."""
        tokens = batch.tag.size
        at = np.zeros(tokens + 1, np.int64)
        faults, dropped = np.zeros(tokens, np.uint8), np.zeros(tokens, np.uint8)
        room = batch.buf.size + 24 * tokens + 1024
        while True:
            values = np.empty(room, np.uint8)
            used = encode_values(
                batch.buf, batch.first, batch.starts, batch.dataset, batch.big, batch.root_pixels, batch.tag, batch.vr,
                batch.at, batch.length, batch.parent, batch.pixels, digest, KIND, WIDTH, SIGNED, STRIPS_LEFT, values, at,
                faults,
            )  # fmt: skip
            if used != tk.NEED_ROOM:
                break
            room *= 2
        value_room, metadata_room = int(used + 40 * tokens + 1024), 4096 * files.size + 65536
        tables = self._dictionary
        while True:
            value, metadata = np.empty(value_room, np.uint8), np.empty(metadata_room, np.uint8)
            value_at, metadata_at = np.zeros(files.size + 1, np.int64), np.zeros(files.size + 1, np.int64)
            dropped[:] = 0
            if encode_trees(
                files, batch.first, batch.tag, batch.vr, batch.length, batch.parent, batch.tail, digest, digests, values,
                at, tables.keys, tables.ranks, self._extra, tables.key_text, tables.key_start, _VARIANT_LIMIT, value,
                value_at, metadata, metadata_at, dropped,
            ):  # fmt: skip
                break
            value_room, metadata_room = 2 * value_room, 2 * metadata_room
        kept = np.diff(value_at) > 0
        findings = [(int(t), "VALUE_LENGTH") for t in np.flatnonzero(faults)]
        findings += [(int(t), "DUPLICATE_TAG") for t in np.flatnonzero(dropped)]
        keep_at = np.concatenate([np.flatnonzero(kept), [files.size]]).astype(np.int64)
        header = pa.StructArray.from_arrays(
            [_binary(value, value_at[keep_at]), _binary(metadata, metadata_at[keep_at])], fields=list(VARIANT)
        )
        return header, kept, findings

    def _syntaxes(self, batch: _Batch, files: np.ndarray) -> list[str | None]:
        """Return the transfer syntax of each file's meta group."""
        by_file: dict[int, str] = {}
        for token in np.flatnonzero((batch.tag == 0x00020010) & (batch.parent < 0) & (batch.at >= 0)).tolist():
            start = int(batch.at[token])
            raw = batch.buf[start : start + int(batch.length[token])].tobytes()
            f = int(np.searchsorted(batch.starts, start, side="right")) - 1
            by_file.setdefault(f, raw.rstrip(b" \0").decode("ascii", "replace"))
        return [by_file.get(f) or None for f in files.tolist()]

    def _join(self, parts: list[tuple[np.ndarray, ParsedBatch]]) -> ParsedBatch:
        """Put the parts of a batch back in its order; a row of a later part replaces an earlier failure."""
        rows = np.concatenate([places[batch.rows] for places, batch in parts])
        failed: dict[int, str] = {}
        for places, batch in parts:
            failed.update({int(places[i]): code for i, code in batch.failures})
        done = set(rows.tolist())
        failures = sorted((i, code) for i, code in failed.items() if i not in done)
        order = np.argsort(rows, kind="stable")
        tables = [batch.table for _, batch in parts]
        table = tables[0] if len(tables) == 1 else pa.concat_tables(tables).take(pa.array(order))
        syntaxes = [uid for _, batch in parts for uid in batch.transfer_syntax_uids]
        parsers = [parser for _, batch in parts for parser in batch.parsers]
        offsets = np.concatenate([batch.pixel_offsets for _, batch in parts])
        return ParsedBatch(
            table, rows[order], failures, offsets[order], [syntaxes[i] for i in order], [parsers[i] for i in order]
        )


def _binary(data: np.ndarray, at: np.ndarray) -> pa.Array:
    """Return a binary array over `data` with offsets `at`."""
    offsets = at.astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), at.size - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)], 0)


class _Findings:
    """Collects the findings of a batch's rows."""

    def __init__(self, batch: _Batch, files: np.ndarray) -> None:
        self._batch = batch
        self._files = files
        self._row_of = {int(f): row for row, f in enumerate(files.tolist())}
        self._by_row: dict[int, list[tuple[str, str]]] = {}

    def add_tokens(self, found: list[tuple[int, str]]) -> None:
        for token, code in found:
            f = int(np.searchsorted(self._batch.first, token, side="right")) - 1
            while self._batch.first[f + 1] == self._batch.first[f]:
                f -= 1
            if f in self._row_of:
                self._by_row.setdefault(self._row_of[f], []).append((code, self.place(token)))

    def add_rows(self, rows: np.ndarray, tokens: np.ndarray, codes: list[str]) -> None:
        for row, token, code in zip(rows.tolist(), tokens.tolist(), codes, strict=True):
            self._by_row.setdefault(row, []).append((code, self.place(token)))

    def add_truncated(self) -> None:
        for row, f in enumerate(self._files.tolist()):
            if self._batch.status[f] == tk.TRUNCATED:
                self._by_row.setdefault(row, []).append(("HEADER_TRUNCATED", ""))

    def add_all(self, code: str) -> None:
        for row in range(self._files.size):
            self._by_row.setdefault(row, []).append((code, ""))

    def place(self, token: int) -> str:
        """Return a token's tag path, such as ``(0040,A730)(0040,A123)``."""
        tags = []
        while token >= 0:
            if self._batch.vr[token] != tk.ITEM_VR:
                tag = int(self._batch.tag[token])
                tags.append(f"({tag >> 16:04X},{tag & 0xFFFF:04X})")
            token = int(self._batch.parent[token])
        return "".join(reversed(tags))

    def array(self) -> pa.Array:
        """Return the column, one (possibly empty) sorted list per row."""
        if not self._by_row:
            none = pa.array([], FINDINGS.value_type)
            offsets = np.zeros(self._files.size + 1, np.int32)
            return pa.Array.from_buffers(FINDINGS, self._files.size, [None, pa.py_buffer(offsets)], 0, children=[none])
        lists = [sorted(set(self._by_row.get(row, ()))) for row in range(self._files.size)]
        flat = [{"code": code, "place": place} for own in lists for code, place in own]
        offsets = np.cumsum([0, *map(len, lists)]).astype(np.int32)
        return pa.Array.from_buffers(
            FINDINGS, len(lists), [None, pa.py_buffer(offsets)], 0, children=[pa.array(flat, FINDINGS.value_type)]
        )
