"""Reading a delivery, and what late, corrected and repeated deliveries leave in force.

CSV comes in any delimiter and encoding, gzip or plain. A row with too few or too many fields is counted and coded,
not an end of the load; bytes outside the encoding become U+FFFD and a finding.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from cairn.ehr.mapping import Mapping
from cairn.ehr.rows import QUARANTINED, Delivery, Rows, typed

BLOCK_BYTES = 4 * 1024 * 1024


class _Utf8(io.RawIOBase):
    """A stream in another encoding, read as UTF-8; what cannot be decoded is U+FFFD."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._ready and not self._ended:
            raw = self._stream.read(max(len(buffer), 1))
            self._ended = not raw
            self._ready = self._decoder.decode(raw, final=self._ended).encode("utf-8")
        taken, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


@dataclass
class Piece:
    """Rows of a delivery: columns as text, their numbers, and the numbers of rows that are no rows."""

    table: pa.Table
    numbers: pa.Array
    misshapen: list[int]


def opened(stream: BinaryIO) -> BinaryIO:
    """Return a stream's content, inflated when it is gzip, whatever its name says."""
    buffered: Any = stream if hasattr(stream, "peek") else io.BufferedReader(stream)
    zipped = buffered.peek(2)[:2] == b"\x1f\x8b"
    inflated: Any = gzip.GzipFile(fileobj=buffered) if zipped else buffered
    return cast(BinaryIO, inflated)


def pieces(stream: BinaryIO, mapping: Mapping) -> Iterator[Piece]:
    """Yield the rows of a delivery in bounded pieces.

    Parameters
    ----------
    stream : binary file
        CSV as the mapping says, or Parquet (seekable).
    mapping : Mapping
        Format, delimiter, quote, encoding.
    """
    if mapping.format == "parquet":
        yield from _parquet(stream)
        return
    source: Any = io.BufferedReader(_Utf8(opened(stream), mapping.encoding), BLOCK_BYTES)
    if not source.peek(1):
        return
    wrong: list[int] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        wrong.append(row.number)
        return "skip"

    names = _header(source, mapping)
    if not source.peek(1):
        return
    parse = pyarrow.csv.ParseOptions(
        delimiter=mapping.delimiter,
        quote_char=mapping.quote or False,
        newlines_in_values=bool(mapping.quote),
        invalid_row_handler=note,
    )
    read = pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=names)
    convert = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    done, told = 0, 0
    for batch in pyarrow.csv.open_csv(source, read_options=read, parse_options=parse, convert_options=convert):
        numbers = _numbers(len(batch), done, set(wrong))
        done = max([done, *numbers[-1:]])
        yield Piece(pa.Table.from_batches([batch]), pa.array(numbers, pa.int64()), wrong[told:])
        told = len(wrong)
    if told < len(wrong):
        empty = pa.table({name: pa.array([], pa.string()) for name in names})
        yield Piece(empty, pa.array([], pa.int64()), wrong[told:])


def _numbers(rows: int, done: int, wrong: set[int]) -> list[int]:
    """Return the next numbers of rows, leaving out those of rows that are no rows."""
    numbers: list[int] = []
    number = done
    while len(numbers) < rows:
        number += 1
        if number not in wrong:
            numbers.append(number)
    return numbers


def _header(source: BinaryIO, mapping: Mapping) -> list[str]:
    """Take the first line off a stream and return its names; repeated ones get a number."""
    line = source.readline().decode("utf-8").strip("\r\n\ufeff")
    quote = mapping.quote or None
    names = next(csv.reader([line], delimiter=mapping.delimiter, quotechar=quote, quoting=0 if quote else 3), [])
    made: list[str] = []
    for name in names:
        repeat = made.count(name)
        made.append(f"{name}#{repeat + 1}" if repeat else name)
    return made


def _parquet(stream: BinaryIO) -> Iterator[Piece]:
    done = 0
    for batch in pq.ParquetFile(stream).iter_batches(65_536):
        yield Piece(pa.Table.from_batches([batch]), pa.array(range(done + 1, done + len(batch) + 1), pa.int64()), [])
        done += len(batch)


def load(stream: BinaryIO, mapping: Mapping, delivery: Delivery) -> Iterator[Rows]:
    """Yield typed rows and quarantined ones of a delivery, piece by piece."""
    for piece in pieces(stream, mapping):
        made = typed(piece.table, mapping, delivery, piece.numbers)
        if piece.misshapen:
            bad = [{"row": n, "code": "EHR_ROW_WIDTH", "field": None} for n in piece.misshapen]
            made.quarantined = pa.concat_tables([made.quarantined, pa.Table.from_pylist(bad, QUARANTINED)])
        yield made


def in_force(rows: pa.Table, keyed: bool = True) -> pa.Table:
    """Return the rows that stand after all deliveries, one a record.

    A record's row is the one of its latest delivery (date, name, row): a correction replaces, a repetition changes
    nothing, and the order in which deliveries are loaded does not matter. Where nothing identifies a record but its
    values (`keyed` false), equal rows of *one* delivery are several records, and those of several deliveries are
    repetitions: their ids get the number of the repeat.

    Parameters
    ----------
    rows : pyarrow.Table
        Typed rows of any deliveries of one table.
    keyed : bool
        Whether the mapping names a key.
    """
    if not keyed:
        rows = _numbered(rows)
    order = [("record_id", "ascending"), ("delivered_on", "descending"), ("delivery", "descending")]
    rows = rows.take(pc.sort_indices(rows, sort_keys=[*order, ("delivery_row", "descending")]))
    ids = rows.column("record_id").combine_chunks()
    if len(ids) == 0:
        return rows
    first = pa.concat_arrays([pa.array([True]), pc.not_equal(ids[1:], ids[:-1])])
    return rows.filter(first)


def _numbered(rows: pa.Table) -> pa.Table:
    """Return rows whose ids tell equal rows of one delivery apart."""
    seen: dict[tuple[str, str], int] = {}
    ids = []
    for record, delivery in zip(rows["record_id"].to_pylist(), rows["delivery"].to_pylist(), strict=True):
        repeat = seen[record, delivery] = seen.get((record, delivery), 0) + 1
        ids.append(f"{record}-{repeat}" if repeat > 1 else record)
    return rows.set_column(rows.schema.get_field_index("record_id"), rows.schema.field("record_id"), [ids])
