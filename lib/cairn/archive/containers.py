"""Archives among the entries: recognised by their first bytes, members listed in place, nested ones too.

A zip is listed from its central directory, a tar header by header, a compressed tar in one pass over its stream.
Nothing is written to disk; memory does not grow with the sizes, which an archive may lie about.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from cairn.archive import steps
from cairn.archive.address import member_uri, unquote
from cairn.archive.entry import CONTAINER, MEMBER, Entry, Stamp, content_version
from cairn.archive.faults import STORAGE_FAULTS, code_of
from cairn.archive.inflate import open_chain, open_step
from cairn.archive.member import Member
from cairn.archive.names import NameCounter
from cairn.archive.sources import BytesSource, Source, WindowSource, measure
from cairn.archive.tar_members import TarMembers, is_tar_header
from cairn.archive.zip_members import LOCAL, Record, find_directory, read_directory
from cairn.archive.zip_salvage import salvage
from cairn.errors import EntryError

HEAD_BYTES = 512
"""How much of an entry tells whether it is an archive."""

ZIP, TAR, OTHER = "zip", "tar", "other"
_COMPRESSED = {b"\x1f\x8b\x08": steps.GZIP, b"BZh": steps.BZIP2, b"\xfd7zXZ\0": steps.XZ}
_ZIP_STARTS = (b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\7\10")
_OTHERS = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x28\xb5\x2f\xfd", b"\x1f\x9d")
_SUFFIXES = {steps.GZIP: (".gz", ".gzip"), steps.BZIP2: (".bz2",), steps.XZ: (".xz",)}
_WINDOW = 64 << 10
_SMALL = 16 << 20
_BATCH = 512
_EXTRA_GUESS = 64


def recognise(head: bytes) -> str | None:
    """Return which kind of archive an entry with these first bytes is; None for no archive.

    Parameters
    ----------
    head : bytes
        The first :data:`HEAD_BYTES`.

    Returns
    -------
    str or None
        ``zip``, ``tar``, ``gzip``, ``bzip2``, ``xz``, or ``other`` (7z, rar, zstd, compress: not read).
    """
    if head[128:132] == b"DICM":  # its preamble may hold anything (PS3.10, 7.1)
        return None
    if head.startswith(_ZIP_STARTS):
        return ZIP
    for magic, method in _COMPRESSED.items():
        if head.startswith(magic) and (method != steps.BZIP2 or head[4:10] == b"\x31\x41\x59\x26\x53\x59"):
            return method
    if head.startswith(_OTHERS):
        return OTHER
    return TAR if is_tar_header(head[:HEAD_BYTES]) else None


def expand(entry: Entry, source: Source, depth: int) -> Iterator[Entry]:
    """Yield the rows that one file makes.

    Parameters
    ----------
    entry : Entry
        The file as the listing found it.
    source : Source
        Its bytes. A method ``prefetch(ranges)``, if it has one, is told the (offset, length) ranges that come next.
    depth : int
        How many archives deep to go; 1 opens no archive within an archive.

    Yields
    ------
    Entry
        The file itself when it is no archive; else its members, those of archives within before the archive's own row,
        and last the file's row as ``container``, with a code when not all of it could be listed.
    """
    stamp = Stamp(entry.size or 0, entry.modified, entry.checksum)
    opening = _Opening(entry, source, stamp, depth)
    try:
        head = source.read(0, HEAD_BYTES)
        kind = recognise(head)
        if kind is None and head.startswith(b"MZ") and find_directory(source) is not None:
            kind = ZIP  # a self-extracting zip: a program, and the archive behind it (APPNOTE 4.1.9)
        if kind is None:
            yield entry
            return
        code = yield from opening.members(_Place(entry.uri, source, (), 1), kind)
    except STORAGE_FAULTS as fault:
        code = code_of(fault)
    except EntryError as fault:
        code = fault.code
    yield replace(entry, kind=CONTAINER, code=code)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one archive lies: its URI, its bytes, how they are reached from the outermost file, how deep it is."""

    uri: str
    space: Source
    chain: steps.Chain
    level: int


Rows = Generator[Entry, None, str | None]
"""Rows of members; at the end the archive's own code."""


class _Opening:
    """The listing of one outermost archive."""

    def __init__(self, entry: Entry, source: Source, stamp: Stamp, depth: int) -> None:
        self._entry = entry
        self._source = source
        self._stamp = stamp
        self._depth = depth

    def members(self, place: _Place, kind: str) -> Rows:
        """List an archive of a known kind."""
        if place.level > self._depth:
            return "ARCHIVE_TOO_DEEP"
        if kind == OTHER:
            return "ARCHIVE_UNSUPPORTED"
        try:
            if kind == ZIP:
                return (yield from self._zip(place))
            if kind == TAR:
                return (yield from self._tar(place))
            return (yield from self._compressed(place, kind))
        except EntryError as fault:
            return fault.code

    def _compressed(self, place: _Place, method: str) -> Rows:
        step = steps.Step(method, 0, place.space.size)
        stream = WindowSource(open_step(place.space, step), _WINDOW)
        if recognise(stream.read(0, HEAD_BYTES)) == TAR:
            inside = _Place(place.uri, stream, steps.extend(place.chain, step), place.level)
            return (yield from self._tar(inside))
        name = _inner_name(place.uri, method)
        yield from self._rows(place, [Member(name, step)])
        return None

    def _tar(self, place: _Place) -> Rows:
        space = place.space if isinstance(place.space, WindowSource) else WindowSource(place.space, _WINDOW)
        members = TarMembers(space)
        yield from self._rows(replace(place, space=space), members)
        return "ARCHIVE_CORRUPT" if members.damaged else None

    def _zip(self, place: _Place) -> Rows:
        directory = find_directory(place.space)
        if directory is None:
            yield from self._rows(place, salvage(place.space, measure(place.space)))
            return "ARCHIVE_CORRUPT"
        records = read_directory(place.space, directory)
        names = NameCounter()
        while True:
            batch, code = _take(records)
            members = (_located(place.space, record) for record in _prefetched(place.space, batch))
            yield from self._rows(place, members, names)
            if code or not batch:
                return code

    def _rows(self, place: _Place, members: Iterable[Member], names: NameCounter | None = None) -> Iterator[Entry]:
        names = names or NameCounter()
        for member in members:
            uri = member_uri(place.uri, member.name, names.ordinal(member.name))
            yield from self._member(place, member, uri)

    def _member(self, place: _Place, member: Member, uri: str) -> Iterator[Entry]:
        row = self._row(place, member, uri)
        if member.code is not None or member.step is None:
            yield row
            return
        try:
            content = open_step(place.space, member.step, member.size)
            kind = recognise(content.read(0, HEAD_BYTES))
            if kind is None:
                yield row
                return
            nested = _Place(uri, self._space(place, member), steps.extend(place.chain, member.step), place.level + 1)
            code = yield from self.members(nested, kind)
        except EntryError as fault:
            yield row.faulty(fault.code)
            return
        yield replace(row, kind=CONTAINER, code=code)

    def _space(self, place: _Place, member: Member) -> Source:
        """Return a nested archive's bytes: few at hand, many by a way of their own: the outer walk goes on."""
        step = member.step or steps.Step(steps.STORED, 0, None)
        if member.size is not None and member.size <= _SMALL:
            data = open_step(place.space, step, member.size).read(0, member.size)
            return BytesSource(data)
        return open_chain(self._source, steps.extend(place.chain, step), member.size)

    def _row(self, place: _Place, member: Member, uri: str) -> Entry:
        columns: tuple[str | None, int | None, int | None] = (None, None, None)
        if member.step is not None:
            columns = steps.to_columns(steps.extend(place.chain, member.step))
        version = content_version(member.size, member.modified, member.checksum, self._stamp)
        outermost, root = self._entry.uri, self._entry.root
        found = (member.size, member.modified, member.checksum, version)
        return Entry(uri, root, outermost, MEMBER, *found, *columns, member.code)


def _inner_name(uri: str, method: str) -> bytes:
    """Return the name of the one file in a .gz, .bz2 or .xz: the archive's without its suffix."""
    from_uri = uri.rstrip("/").rsplit("/", 1)[-1]
    for suffix in _SUFFIXES[method]:
        if from_uri.lower().endswith(suffix):
            return unquote(from_uri[: -len(suffix)])
    return b"content"


def _take(records: Iterator[Record]) -> tuple[list[Record], str | None]:
    """Return the next records that name files, and the code of what ended them early."""
    batch: list[Record] = []
    try:
        batch.extend(islice(records, _BATCH))
    except EntryError as fault:
        return batch, fault.code
    return batch, None


def _prefetched(space: Source, batch: list[Record]) -> Iterator[Record]:
    prefetch = getattr(space, "prefetch", None)
    files = [record for record in batch if not record.is_folder]
    if prefetch is not None:
        prefetch((record.header_offset, _reach(record)) for record in files)
    return iter(files)


def _reach(record: Record) -> int:
    """Return how many bytes from a local header on tell where the data begins and what it is."""
    return 30 + len(record.name) + _EXTRA_GUESS + min(record.compressed_size, HEAD_BYTES)


def _located(space: Source, record: Record) -> Member:
    """Return a record's member with the offset of its data, which only the local header tells (APPNOTE 4.3.7)."""
    head = space.read(record.header_offset, 30)
    if len(head) < 30 or not head.startswith(LOCAL):
        return record.member(None, "ARCHIVE_CORRUPT")
    offset = record.header_offset + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    cut = space.size is not None and offset + record.compressed_size > space.size
    return record.member(offset, "ARCHIVE_CORRUPT" if cut else None)
