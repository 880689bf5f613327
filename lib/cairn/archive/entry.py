"""Entries: the rows that listing makes, and the addresses that reading takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

FILE, MEMBER, CONTAINER = "file", "member", "container"


@dataclass(slots=True, frozen=True)
class Entry:
    """One file or archive member as the listing found it; fields are columns of ``archive_entry``.

    `modified` is in microseconds since 1970-01-01 UTC.
    """

    uri: str
    root: str
    container: str | None
    kind: str
    size: int | None
    modified: int | None
    checksum: str | None
    content_version: str
    compression: str | None = None
    data_offset: int | None = None
    compressed_size: int | None = None
    code: str | None = None

    def faulty(self, code: str) -> Entry:
        """Return the same entry with a fault's code."""
        return replace(self, code=code)


@dataclass(slots=True, frozen=True)
class EntryAddress:
    """What reading needs to know of an entry: the columns of ``archive_entry`` with these names.

    `modified` is in microseconds since 1970-01-01 UTC. See :mod:`cairn.archive.steps` for `compression`.
    """

    uri: str
    container: str | None
    kind: str
    size: int | None
    modified: int | None
    compression: str | None
    data_offset: int | None
    compressed_size: int | None
    content_version: str
    checksum: str | None


def address_of(entry: Entry) -> EntryAddress:
    """Return the address of a listed entry."""
    return EntryAddress(
        entry.uri,
        entry.container,
        entry.kind,
        entry.size,
        entry.modified,
        entry.compression,
        entry.data_offset,
        entry.compressed_size,
        entry.content_version,
        entry.checksum,
    )


@dataclass(slots=True, frozen=True)
class Stamp:
    """What a store says of a file without reading it: equal stamps, equal content, as far as one can tell.

    Attributes
    ----------
    size : int
        Bytes.
    modified : int or None
        Microseconds since 1970-01-01 UTC.
    tag : str or None
        An object store's ``etag:…``.
    """

    size: int
    modified: int | None
    tag: str | None = None


def content_version(
    size: int | None, modified: int | None, checksum: str | None, container: Stamp | None = None
) -> str:
    """Return a hash that changes when an entry's content may have changed.

    Parameters
    ----------
    size, modified, checksum
        The entry's.
    container : Stamp or None
        For a member, its outermost archive.

    Returns
    -------
    str
        16 hexadecimal digits (BLAKE2b, 8 bytes).
    """
    outer = () if container is None else (container.size, container.modified, container.tag)
    return hashlib.blake2b(repr((size, modified, checksum, *outer)).encode(), digest_size=8).hexdigest()


def file_entry(uri: str, root: str, stamp: Stamp, code: str | None = None) -> Entry:
    """Return the row of a file; an empty one carries EMPTY_FILE."""
    if code is None and stamp.size == 0:
        code = "EMPTY_FILE"
    version = content_version(stamp.size, stamp.modified, stamp.tag)
    return Entry(uri, root, None, FILE, stamp.size, stamp.modified, stamp.tag, version, code=code)


def faulty_entry(uri: str, root: str, code: str) -> Entry:
    """Return the row of something that could not be looked at."""
    return Entry(uri, root, None, FILE, None, None, None, content_version(None, None, code), code=code)
