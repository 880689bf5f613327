"""From the bytes of headers to rows of `instance`: the one way, whether they were just read or kept in `header_blob`.

No Spark in here. `parser_version` names what decides, beside the bytes, what a row says: the release of the parser and
the columns with the paths that they are taken from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from cairn.dicom.kernel import PARSER_RELEASE, HeaderKernel, Hole, KernelLimits
from cairn.pipelines.entry_rows import table_of
from cairn.settings import Headers
from cairn.tables.instance import INSTANCE, PROJECTED


class KeptHeader(NamedTuple):
    """One header with what its entry says of it.

    Parameters
    ----------
    uri, content_version : str
        The entry.
    size : int or None
        Bytes of the entry.
    extent : int
        Bytes of the header in its entry, the ones left out included.
    pixel_offset : int or None
        Where its pixel data begins.
    data : bytes
        The header without the holes.
    holes : sequence of Hole
        What was left out, by offset in `data`.
    """

    uri: str
    content_version: str
    size: int | None
    extent: int
    pixel_offset: int | None
    data: bytes
    holes: Sequence[Hole]


@dataclass(frozen=True)
class ParsedHeaders:
    """What became of some headers.

    Attributes
    ----------
    instances : pyarrow.Table or None
        Rows of `instance`; None when no header could be parsed.
    rows : list of int
        Which header each row is of.
    failures : list of (int, str)
        Headers that gave no row, with their codes.
    transfer_syntax_uids : list of (str or None)
        Of each row.
    """

    instances: pa.Table | None
    rows: list[int]
    failures: list[tuple[int, str]]
    transfer_syntax_uids: list[str | None]


@cache
def parser_version() -> str:
    """Return what the parser is called in `instance`: its release, and a digest of the columns that it fills.

    Equal versions and equal bytes give equal rows.
    """
    columns = [(column.name, str(column.type), column.paths) for column in PROJECTED]
    return f"{PARSER_RELEASE}-{hashlib.sha256(repr(columns).encode()).hexdigest()[:8]}"


@lru_cache(maxsize=1)
def header_kernel(settings: Headers) -> HeaderKernel:
    """Return the kernel for `instance`, made once per worker process."""
    return HeaderKernel(
        INSTANCE.columns,
        KernelLimits(settings.value_limit_bytes, inflated_limit_bytes=settings.header_limit_bytes),
    )


def parse_headers(settings: Headers, kept: Sequence[KeptHeader], run: str) -> ParsedHeaders:
    """Parse headers into rows of `instance`.

    Parameters
    ----------
    settings : Headers
        The ``headers`` section of the settings.
    kept : sequence of KeptHeader
        At least one.
    run : str
        Run that writes the rows.
    """
    batch = header_kernel(settings).parse([one.data for one in kept], [one.holes for one in kept])
    rows = [int(number) for number in batch.rows]
    if not rows:
        return ParsedHeaders(None, [], batch.failures, [])
    columns = {name: batch.table.column(name) for name in batch.table.column_names}
    # Which of several entries with one SOP Instance UID is primary is decided afterwards, over the whole table.
    columns["is_primary"] = pa.array(np.ones(len(rows), bool))
    columns["parser"] = pa.array(batch.parsers, pa.string())
    columns["parser_version"] = pa.array([parser_version()] * len(rows), pa.string())
    common = entry_columns([kept[number] for number in rows], run)
    instances = table_of(INSTANCE, {**columns, **common})
    return ParsedHeaders(instances, rows, batch.failures, batch.transfer_syntax_uids)


def entry_columns(kept: Sequence[KeptHeader], run: str) -> dict[str, pa.Array]:
    """Return the columns that `header_blob` and `instance` share."""
    return {
        "uri": pa.array([one.uri for one in kept], pa.string()),
        "content_version": pa.array([one.content_version for one in kept], pa.string()),
        "run": pa.array([run] * len(kept), pa.string()),
        "file_size": pa.array([one.size for one in kept], pa.int64()),
        "header_bytes": pa.array([one.extent for one in kept], pa.int64()),
        "pixel_offset": pa.array([one.pixel_offset for one in kept], pa.int64()),
    }


def holes_in_header(holes: Sequence[Mapping[str, Any]]) -> list[Hole]:
    """Return the holes of a `header_blob` row as the kernel wants them: by their offset in the kept bytes."""
    made, left_out = [], 0
    for hole in holes:
        made.append(Hole(hole["offset"] - left_out, hole["length"], bytes.fromhex(hole["sha256"])))
        left_out += hole["length"]
    return made
