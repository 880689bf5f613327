"""A batch of a source's rows, all text, to typed rows and the rows that go to quarantine. A pure function.

A cell that cannot be read is NULL and a finding; a row without a required field, or without a person, goes to
quarantine with a code. Rows in = rows out + rows quarantined.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cairn.ehr import cells, chi
from cairn.ehr.mapping import FieldMap, Mapping
from cairn.errors import CairnError, nearest
from cairn.tables.contract import FINDINGS

QUARANTINED = pa.schema([("row", pa.int64()), ("code", pa.string()), ("field", pa.string())])
LOCAL = "LOCAL"
READER_RELEASE = 1
"""Raised by hand when the same file under the same mapping gives other rows: deliveries are then read again."""

_SEPARATOR, _NOTHING = "\x1f", "\x1e"


@dataclass(frozen=True)
class Delivery:
    """One file that a source delivered.

    Parameters
    ----------
    name : str
        Its name, unique for the source; later files of one day go by name.
    delivered_on : datetime.date
        When.
    """

    name: str
    delivered_on: dt.date


@dataclass
class Rows:
    """What became of a batch.

    Parameters
    ----------
    typed : pyarrow.Table
        Rows by the table's contract.
    quarantined : pyarrow.Table
        :data:`QUARANTINED`: number of the row in its delivery, code, field.
    findings : collections.Counter
        Cells that could not be read, by code and field.
    """

    typed: pa.Table
    quarantined: pa.Table
    findings: Counter[tuple[str, str]] = field(default_factory=Counter)


def source_columns(mapping: Mapping, names: Sequence[str]) -> dict[str, list[int]]:
    """Return for each field the numbers of its columns in a source; names differ in case and blanks.

    Raises
    ------
    CairnError
        ``MAPPING_COLUMNS`` when a field that the mapping requires has no column.
    """
    places = {name.strip().strip("\ufeff").upper(): number for number, name in reversed(list(enumerate(names)))}
    found = {name: [places[s.upper()] for s in f.source if s.upper() in places] for name, f in mapping.fields.items()}
    needed = {"patient_id", *mapping.required} & set(mapping.fields)
    lacking = sorted(name for name in needed if not found[name])
    if lacking:
        wanted = [mapping.fields[name].source[0] for name in lacking]
        raise CairnError(
            "MAPPING_COLUMNS", columns=", ".join(wanted), mapping=mapping.mapping, nearest=nearest(wanted[0], names)
        )
    return {name: numbers if mapping.fields[name].each or mapping.fields[name].coalesce else numbers[:1]
            for name, numbers in found.items()}  # fmt: skip


def unmapped_columns(mapping: Mapping, names: Iterable[str]) -> list[str]:
    """Return the columns of a source of which the mapping says nothing, for the report of a load."""
    known = {name.upper() for f in mapping.fields.values() for name in f.source} | {n.upper() for n in mapping.ignored}
    return [name for name in names if name.strip().strip("\ufeff").upper() not in known]


def typed(
    batch: pa.Table | pa.RecordBatch, mapping: Mapping, delivery: Delivery, row_numbers: pa.Array | None = None
) -> Rows:
    """Return typed rows of a batch, and what goes to quarantine.

    Parameters
    ----------
    batch : pyarrow.Table or pyarrow.RecordBatch
        Columns of the source; those that are no text (Parquet) are taken as the text they print.
    mapping : Mapping
        What the columns are.
    delivery : Delivery
        Which file it is.
    row_numbers : pyarrow.Array, optional
        Numbers of the rows in the file; from 1 when left out.

    Returns
    -------
    Rows
        ``typed`` has the schema of the contract, ``record_id`` of the mapping's key.
    """
    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    numbers = row_numbers if row_numbers is not None else pa.array(range(1, len(table) + 1), pa.int64())
    work = _Batch(table, mapping)
    columns = work.columns()
    columns.update(_bookkeeping(columns, mapping, delivery, numbers))
    refused, codes, places = work.refused(columns)
    keep = pa.array(~refused)
    columns["findings"] = work.findings()
    schema = mapping.contract.arrow_schema
    made = pa.table([_fill(columns, f, len(table)).filter(keep) for f in schema], schema=schema)
    out = pa.table([numbers.filter(pa.array(refused)), codes, places], schema=QUARANTINED)
    return Rows(made, out, work.counted(~refused))


def _fill(columns: dict[str, pa.Array], wanted: pa.Field, rows: int) -> pa.Array:
    return columns[wanted.name].cast(wanted.type) if wanted.name in columns else pa.nulls(rows, wanted.type)


class _Batch:
    """The columns of one batch under way from text to types."""

    def __init__(self, table: pa.Table, mapping: Mapping) -> None:
        self._table = table
        self._mapping = mapping
        self._places = source_columns(mapping, table.column_names)
        self._bad: list[tuple[str, str, cells.Mask]] = []
        self._texts: dict[tuple[int, tuple[str, ...]], pa.Array] = {}

    def _text(self, place: int, nulls: tuple[str, ...]) -> pa.Array:
        """Return a column as text without blanks around it; the mapping's words for nothing are NULL."""
        if (place, nulls) not in self._texts:
            column = self._table.column(place)
            column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
            values = pc.utf8_trim(pc.cast(column, pa.string()), " \t\r\n\0\u00a0")
            words = pa.array([*self._mapping.nulls, *nulls], pa.string())
            self._texts[place, nulls] = pc.if_else(pc.is_in(values, words), pa.scalar(None, pa.string()), values)
        return self._texts[place, nulls]

    def columns(self) -> dict[str, pa.Array]:
        """Return the fields that the source has, by name, with what is said about the person's number."""
        made: dict[str, pa.Array] = {}
        for name, rule in self._mapping.fields.items():
            if not self._places[name]:
                continue
            if name == "patient_id":
                made.update(self._person(rule))
            else:
                made[name] = self._field(name, rule)
        return made

    def _field(self, name: str, rule: FieldMap) -> pa.Array:
        texts = [self._text(place, rule.nulls) for place in self._places[name]]
        if rule.each:
            return _lists([self._cells(name, rule, values) for values in texts], rule.distinct)
        if rule.coalesce:
            texts = [pc.coalesce(*texts)]
        return self._cells(name, rule, texts[0])

    def _cells(self, name: str, rule: FieldMap, values: pa.Array) -> pa.Array:
        broken = pc.fill_null(pc.match_substring(values, "\ufffd"), False)
        if pc.any(broken).as_py():
            self._bad.append(("EHR_ENCODING", name, np.asarray(broken.to_numpy(zero_copy_only=False), dtype=bool)))
        made, bad = _converted(rule, values, self._mapping.formats)
        if bad.any():
            self._bad.append((cells.CODES.get(rule.kind, "EHR_CODE"), name, bad))
        return made

    def _person(self, rule: FieldMap) -> dict[str, pa.Array]:
        """Return the person's number, cleaned, as submitted, and the verdict on it."""
        texts = [self._text(place, rule.nulls) for place in self._places["patient_id"]]
        submitted = pc.coalesce(*texts)
        if rule.kind == "local":
            number = pc.utf8_upper(pc.replace_substring_regex(submitted, r"^0+(\d)", r"\1"))
            clean = pc.binary_join_element_wise(rule.issuer, number, "\0")
            verdict = pc.if_else(pc.is_valid(number), LOCAL, chi.MISSING)
        else:
            clean = chi.normalise(submitted)
            verdict = chi.check(clean)
        return {"patient_id": clean, "patient_id_submitted": submitted, "patient_id_verdict": verdict}

    def refused(self, columns: dict[str, pa.Array]) -> tuple[cells.Mask, pa.Array, pa.Array]:
        """Return which rows go to quarantine, and the code and field of each of them."""
        rows = len(self._table)
        codes = np.full(rows, None, dtype=object)
        places = np.full(rows, None, dtype=object)
        for name in reversed(self._mapping.required):
            if name == "patient_id" or name not in columns:
                continue
            empty = np.asarray(pc.is_null(columns[name]).to_numpy(zero_copy_only=False), dtype=bool)
            codes[empty], places[empty] = "EHR_REQUIRED", name
            for code, place, bad in self._bad:
                if place == name:
                    codes[empty & bad] = code
        if "patient_id" in columns:
            verdicts = np.asarray(columns["patient_id_verdict"].to_numpy(zero_copy_only=False), dtype=object)
            wrong = (verdicts != chi.VALID) & (verdicts != LOCAL)
            codes[wrong], places[wrong] = verdicts[wrong], "patient_id"
        refused = np.array([code is not None for code in codes], dtype=bool)
        return refused, pa.array(codes[refused], pa.string()), pa.array(places[refused], pa.string())

    def findings(self) -> pa.Array:
        """Return each row's findings."""
        if not any(bad.any() for _, _, bad in self._bad):
            return pa.ListArray.from_arrays(np.zeros(len(self._table) + 1, np.int32), pa.array([], FINDINGS.value_type))
        lists: list[list[dict[str, str]]] = [[] for _ in range(len(self._table))]
        for code, name, bad in self._bad:
            for row in np.flatnonzero(bad):
                lists[row].append({"code": code, "place": name})
        return pa.array(lists, FINDINGS)

    def counted(self, kept: cells.Mask) -> Counter[tuple[str, str]]:
        """Return how many cells of rows that were kept could not be read."""
        counts: Counter[tuple[str, str]] = Counter()
        for code, name, bad in self._bad:
            counts[code, name] += int((bad & kept).sum())
        return +counts


def _converted(rule: FieldMap, values: pa.Array, formats: tuple[str, ...]) -> cells.Typed:
    """Return typed cells; dates and codes repeat, so each value is looked at once."""
    encoded = values.dictionary_encode()
    if 2 * len(encoded.dictionary) > len(values):
        return _convert(rule, values, formats)
    made, bad = _convert(rule, encoded.dictionary, formats)
    places = encoded.indices
    # An empty dictionary has no value to take, not even for NULL.
    taken = pc.take(made, places) if len(made) else pa.nulls(len(values), made.type)
    wrong = pc.fill_null(pc.take(pa.array(bad), places), False) if bad.any() else None
    mask = np.zeros(len(values), dtype=bool) if wrong is None else wrong.to_numpy(zero_copy_only=False)
    return taken, np.asarray(mask, dtype=bool)


def _convert(rule: FieldMap, values: pa.Array, formats: tuple[str, ...]) -> cells.Typed:
    if rule.kind in cells.PLAIN:
        return cells.PLAIN[rule.kind](values)
    if rule.kind == "date":
        return cells.date(values, rule.formats or formats)
    if rule.kind == "timestamp":
        return cells.timestamp(values, rule.formats or formats)
    if rule.kind == "category":
        return cells.category(values, rule.values)
    if rule.kind == "flag":
        return cells.flag(values, rule.values)
    return cells.text(chi.normalise(values))  # a CHI beside the person's own


def _lists(columns: list[pa.Array], distinct: bool) -> pa.Array:
    """Return lists of the values of several columns, in order, without empty ones."""
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    lists = ([value for value in row if value is not None] for row in rows)
    return pa.array([list(dict.fromkeys(row)) if distinct else row for row in lists], pa.list_(columns[0].type))


def _bookkeeping(
    columns: dict[str, pa.Array], mapping: Mapping, delivery: Delivery, numbers: pa.Array
) -> dict[str, pa.Array]:
    """Return record id, content hash and where the rows came from."""
    rows = len(numbers)
    contents = _digests([columns[name] for name in sorted(columns) if name != "patient_id_submitted"], rows, mapping)
    keys = (
        _digests([columns[name] for name in mapping.key if name in columns], rows, mapping) if mapping.key else contents
    )
    return {
        "record_id": pa.array([key[:32] for key in keys], pa.string()),
        "content_sha256": pa.array(contents, pa.string()),
        "delivery": pa.array([delivery.name] * rows, pa.string()),
        "delivered_on": pa.array([delivery.delivered_on] * rows, pa.date32()),
        "delivery_row": numbers,
    }


def _digests(columns: list[pa.Array], rows: int, mapping: Mapping) -> list[str]:
    """Return SHA-256 of the values of each row; NULL differs from an empty text."""
    if not columns:
        return [hashlib.sha256(mapping.table.encode()).hexdigest()] * rows
    texts = [pc.fill_null(_printed(column), _NOTHING) for column in columns]
    joined = pc.binary_join_element_wise(mapping.table, *texts, _SEPARATOR)
    return [hashlib.sha256(text.encode()).hexdigest() for text in joined.to_pylist()]


def _printed(column: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type):
        return pc.binary_join(column, "\x1d")
    return pc.cast(column, pa.string())
