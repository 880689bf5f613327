"""Members of a tar: ustar, pax, GNU and the oldest kind, with long names, sparse files and links.

Python's tarfile reads the headers; this adds what an archive of record needs: nothing kept in memory, a damaged header
does not end the listing unnoticed, links lead to the content that they share.
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import replace

from cairn.archive import steps
from cairn.archive.member import Member
from cairn.archive.sources import Source, SourceFile
from cairn.errors import EntryError

_BLOCK = 512
_PIECE = 1 << 20
_LONGEST_HEADER = 16 << 20
_MOST_HOPS = 16
_LAST_SECOND = 253_402_300_799  # of the year 9999
_FAULTS = (tarfile.TarError, EntryError, ValueError, EOFError, LookupError, ArithmeticError, RecursionError)


def is_tar_header(block: bytes) -> bool:
    """Return whether 512 bytes are a tar header: its checksum holds (POSIX.1-1988, ustar)."""
    if len(block) < _BLOCK or block[0] == 0:
        return False
    digits = block[148:156].strip(b" \0")
    try:
        claimed = int(digits, 8)
    except ValueError:
        return False
    total = sum(block[:148]) + 8 * 32 + sum(block[156:_BLOCK])
    return claimed == total


class _Walk(tarfile.TarFile):
    """tarfile, from any source and offset, keeping no member."""

    def __init__(self, source: Source, offset: int) -> None:
        blocks = SourceFile(source, _LONGEST_HEADER)
        blocks.seek(offset)
        super().__init__(fileobj=blocks, mode="r", encoding="utf-8", errors="surrogateescape")

    def following(self) -> tarfile.TarInfo | None:
        """Return the next member; None at the end or where a header is damaged."""
        self.members.clear()  # type: ignore[attr-defined]
        return self.next()


class TarMembers:
    """The members of one tar.

    Parameters
    ----------
    source : Source
        The tar, inflated. Read forward, but for a second time where the tar holds links.

    Attributes
    ----------
    damaged : bool
        After the iteration: whether the tar is cut or a header in it damaged. Members beyond it were found.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.damaged = False

    def __iter__(self) -> Iterator[Member]:
        links: list[tarfile.TarInfo] = []
        for info, is_cut in self._headers():
            if info.islnk() or info.issym():
                links.append(info)
            elif not info.isdir():
                yield _cut(_member(info)) if is_cut else _member(info)
        damaged = self.damaged
        if links:
            yield from self._linked(links)
        self.damaged = damaged

    def _headers(self) -> Iterator[tuple[tarfile.TarInfo, bool]]:
        """Yield each header, and whether its content is cut; set `damaged`."""
        start: int | None = 0
        self.damaged = False
        while start is not None:
            position, last = start, None
            try:
                walk = _Walk(self._source, start)
                while (info := walk.following()) is not None:
                    if last is not None:
                        yield last, False
                    last, position = info, walk.offset
                ends_well = self._source.read(position, _BLOCK) == bytes(_BLOCK)
            except _FAULTS:
                ends_well = False
            if last is not None:
                yield last, not ends_well and self._is_cut(last)
            if ends_well:
                return
            self.damaged = True
            start = self._next_header(max(position, start + _BLOCK))

    def _is_cut(self, info: tarfile.TarInfo) -> bool:
        end = info.offset_data + _stored_size(info)
        try:
            return bool(info.isreg()) and end > info.offset_data and not self._source.read(end - 1, 1)
        except EntryError:
            return True

    def _next_header(self, offset: int) -> int | None:
        """Return where the next sound header lies from a block's boundary on."""
        offset = -(-offset // _BLOCK) * _BLOCK
        try:
            while data := self._source.read(offset, _PIECE):
                for at in range(0, len(data), _BLOCK):
                    if is_tar_header(data[at : at + _BLOCK]):
                        return offset + at
                offset += len(data)
        except EntryError:
            return None
        return None

    def _linked(self, links: list[tarfile.TarInfo]) -> Iterator[Member]:
        """Yield links with their targets' content, found in a second walk; only names that links ask for are kept."""
        wanted = {_target(link) for link in links}
        known: dict[str, tarfile.TarInfo] = {}
        hard: dict[int, tarfile.TarInfo] = {}  # a hard link means the member of that name before it
        for info, _ in self._headers():
            if info.islnk() and _target(info) in known:
                hard[info.offset] = known[_target(info)]
            if (name := posixpath.normpath(info.name)) in wanted:
                known[name] = hard.get(info.offset, info)
        for link in links:
            yield _follow(link, known, hard)


def _follow(link: tarfile.TarInfo, known: dict[str, tarfile.TarInfo], hard: dict[int, tarfile.TarInfo]) -> Member:
    found: tarfile.TarInfo | None = hard.get(link.offset)
    if link.issym():
        found = known.get(_target(link))
    for _ in range(_MOST_HOPS):
        if found is None or found.islnk():
            return _faulty(link, "LINK_BROKEN")
        if found.isdir():
            return _faulty(link, "LINK_REPEATED")
        if not found.issym():
            return replace(_member(found), name=_raw(link.name), modified=_modified(link))
        found = known.get(_target(found))
    return _faulty(link, "LINK_LOOP")


def _target(link: tarfile.TarInfo) -> str:
    """Return the name that a link leads to: within the archive for a hard link, beside the link for a symbolic one."""
    base = "" if link.islnk() else posixpath.dirname(link.name)
    return posixpath.normpath(posixpath.join(base, link.linkname))


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _modified(info: tarfile.TarInfo) -> int | None:
    return int(info.mtime * 1_000_000) if 0 <= info.mtime <= _LAST_SECOND else None


def _pieces(info: tarfile.TarInfo) -> list[tuple[int, int]] | None:
    """Return a sparse member's pieces (offset, length), None for any other."""
    pieces: list[tuple[int, int]] | None = info.sparse  # type: ignore[assignment]
    return pieces


def _stored_size(info: tarfile.TarInfo) -> int:
    pieces = _pieces(info)
    return info.size if pieces is None else sum(length for _, length in pieces)


def _member(info: tarfile.TarInfo) -> Member:
    if not info.isreg():
        return _faulty(info, "NOT_A_FILE")
    pieces = _pieces(info)
    method = steps.STORED if pieces is None else steps.sparse_method([(o, n) for o, n in pieces if n])
    code = "EMPTY_FILE" if info.size == 0 else "ARCHIVE_UNSUPPORTED" if method == steps.UNSUPPORTED else None
    step = steps.Step(method, info.offset_data, _stored_size(info))
    return Member(_raw(info.name), step, info.size, _modified(info), None, code)


def _faulty(info: tarfile.TarInfo, code: str) -> Member:
    return Member(_raw(info.name), None, None, _modified(info), None, code)


def _cut(member: Member) -> Member:
    return replace(member, code=member.code or "ARCHIVE_CORRUPT")
