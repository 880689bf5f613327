"""Archives made in memory, and the whole way from a file to its members' bytes."""

from __future__ import annotations

import io
import os
import tarfile
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

from cairn.archive.address import local_uri
from cairn.archive.containers import expand
from cairn.archive.entry import Entry, EntryAddress, address_of, file_entry
from cairn.archive.reader import read_entries
from cairn.archive.sources import LocalSource, stamp_of
from cairn.errors import EntryError

Members = Sequence[tuple[str, bytes]]


def made_zip(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as archive:
        warnings.simplefilter("ignore")  # names that occur twice are the point
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (2020, 3, 1, 12, 30, 10)), data, method)
    return out.getvalue()


def made_tar(members: Members, form: int = tarfile.PAX_FORMAT, mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form, encoding="utf-8", errors="surrogateescape") as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1_583_066_400
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def listed(path: Path, depth: int = 3) -> list[Entry]:
    """Every row that one file makes."""
    entry = file_entry(local_uri(os.fspath(path)), "root", stamp_of(os.stat(path)))
    source = LocalSource(os.fspath(path))
    try:
        return list(expand(entry, source, depth))
    finally:
        source.close()


def codes(rows: Sequence[Entry]) -> dict[str, str | None]:
    """Member or file name to code."""
    return {row.uri.rsplit("/", 1)[-1]: row.code for row in rows}


def readable(rows: Sequence[Entry]) -> list[EntryAddress]:
    """What the next stage would read."""
    return [address_of(row) for row in rows if row.kind != "container" and row.code is None]


def read_all(entries: Sequence[EntryAddress], step: int = 1000) -> dict[str, bytes | str]:
    """URI to content, read piece by piece, or to the code of the fault."""

    def whole(handle):  # type: ignore[no-untyped-def]
        parts, at = [], 0
        while data := handle.read(at, step):
            parts.append(data)
            at += len(data)
        return b"".join(parts)

    results = read_entries(entries, whole, overlap=4, tries=2, timeout_seconds=20, sleep=lambda seconds: None)
    return {entry.uri: out.code if isinstance(out, EntryError) else out for entry, out in results}
