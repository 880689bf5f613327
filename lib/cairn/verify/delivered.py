"""One file that leaves, whatever it is: DICOM, tables as text, JSON, Parquet, anything else as bytes."""

from __future__ import annotations

import csv
import datetime
import io
import json
from collections.abc import Iterator
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from cairn.verify.known import Known
from cairn.verify.search import UNREADABLE, Others, Place, Sought, check_file, inflated, plain

NOBODY = Known(frozenset(), frozenset(), {})
_SHORTEST_AMONG_BYTES = 6
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LONGEST_CELL = 1 << 27
_GROUPS = (b"\2\0", b"\x08\0", b"\0\2", b"\0\x08")
"""The first group of a file without preamble: file meta or identification, in both byte orders."""


def check_delivered(name: str, data: bytes, known: Known | None, others: Others) -> list[Place]:
    """Return where a file that leaves tells of anybody.

    Parameters
    ----------
    name : str
        Path under the folder that leaves.
    data : bytes
        Content.
    known : Known or None
        Of the original that it was made of; None: not known which that was, so that nothing can be said of its dates.
    others : Others
        What is known of everybody.
    """
    sought = Sought(known or NOBODY, others, known is None)
    found = dict.fromkeys(Place("name", rule) for rule in _rules_of_name(sought, name))
    if is_dicom(data):
        found |= dict.fromkeys(check_file(sought.known, data, others, sought.with_names))
    else:
        found |= dict.fromkeys(_texts(sought, name, data))
        for place in (*plain(sought, data, "bytes", _SHORTEST_AMONG_BYTES), *inflated(sought, data)):
            if not any(other.rule == place.rule for other in found):
                found[place] = None
    return list(found)


def check_name(name: str, others: Others) -> list[Place]:
    """Return the rules by which a path alone tells of anybody."""
    return [Place("name", rule) for rule in _rules_of_name(Sought(NOBODY, others, True), name)]


def is_dicom(data: bytes) -> bool:
    """Whether bytes are a DICOM file, with preamble (PS3.10 7.1) or without."""
    return data[128:132] == b"DICM" or data[:2] in _GROUPS


def _rules_of_name(sought: Sought, name: str) -> list[str]:
    path = PurePosixPath(name)
    texts = (*path.parts[:-1], path.name, path.stem)
    return list(dict.fromkeys(rule for text in texts for rule in sought.rules_of(text)))


def _texts(sought: Sought, name: str, data: bytes) -> Iterator[Place]:
    suffix = PurePosixPath(name).suffix.lower()
    if data[:4] == b"PAR1":
        cells = _parquet(data)
    else:
        text = _decoded(data)
        if text is None:
            return
        lines = ((f"line {number}", line) for number, line in enumerate(text.splitlines(), start=1))
        cells = _csv(text, _DELIMITERS[suffix]) if suffix in _DELIMITERS else lines
        if suffix in (".json", ".jsonl", ".ndjson", ".ipynb"):
            yield from _checked(sought, _json(text))
    yield from _checked(sought, cells)


def _checked(sought: Sought, cells: Iterator[tuple[str, str]]) -> Iterator[Place]:
    seen: dict[str, list[str]] = {}
    try:
        for where, text in cells:
            if text not in seen:
                if len(seen) > 100_000:
                    seen.clear()
                seen[text] = sought.rules_of(text)
            yield from (Place(where, rule) for rule in seen[text])
    except (csv.Error, pa.ArrowException):
        yield Place("file", UNREADABLE)


def _decoded(data: bytes) -> str | None:
    """Return bytes as text; None when they are none."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:4096]:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _csv(text: str, delimiter: str) -> Iterator[tuple[str, str]]:
    """Yield cells; without quotes in them a name that is split by a line's end is one text again."""
    csv.field_size_limit(_LONGEST_CELL)
    for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), start=1):
        for column, cell in enumerate(row, start=1):
            yield f"row {number}, column {column}", cell


def _json(text: str) -> Iterator[tuple[str, str]]:
    """Yield the strings of JSON, or of lines of JSON, as they are meant: escapes resolved. What is no JSON is text."""
    try:
        documents = [json.loads(text)]
    except (ValueError, RecursionError):
        documents = [document for line in text.splitlines() if (document := _parsed(line)) is not None]
    strings = (string for document in documents for string in _strings(document))
    return ((f"string {number}", string) for number, string in enumerate(strings, start=1))


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _strings(document: object) -> Iterator[str]:
    waiting = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, bytes):
            yield item.decode("latin-1")
        elif isinstance(item, (int, float, datetime.date)):
            yield str(item)
        elif isinstance(item, list):
            waiting += reversed(item)
        elif isinstance(item, dict):
            waiting += [part for pair in reversed(item.items()) for part in reversed(pair)]


def _parquet(data: bytes) -> Iterator[tuple[str, str]]:
    file = pq.ParquetFile(io.BytesIO(data))
    about = file.schema_arrow
    for name in about.names:
        yield "names of columns", name
    for key, value in (about.metadata or {}).items():
        yield "metadata", f"{key.decode('latin-1')} {value.decode('latin-1')}"
    at = 0
    for batch in file.iter_batches():
        for column, values in enumerate(batch.columns, start=1):
            for row, value in enumerate(values.to_pylist(), start=at + 1):
                for text in _strings(value):
                    yield f"row {row}, column {column}", text
        at += batch.num_rows
