"""How a member's bytes are reached from its outermost archive: a chain of steps, kept in three columns.

A step takes bytes ``offset … offset + length`` of the space it stands in and, unless its method is ``stored``, inflates
them, which makes the next space. Neighbouring steps that inflate nothing become one, so that a member of an
uncompressed tar within an uncompressed zip is still one range of the outermost file. The columns say:

=====================  ====================================================================================
``compression``        meaning of ``data_offset`` and ``compressed_size``
=====================  ====================================================================================
``stored deflate``     the member's range in the outermost archive
``bzip2 lzma``         the same
``gzip``               of a .tar.gz: the member's range in the inflated tar; with no data_offset, the whole .gz
``nested:STEPS>LAST``  STEPS (``method@offset+length``, joined by ``>``) lead to the space in which the range lies;
                       LAST is the range's own method
=====================  ====================================================================================

A sparse tar member has the method ``sparse(0+512.4096+100)``: pieces of the content, at these offsets and of these
lengths, follow each other in the range; zeros lie between them. ``unsupported`` stands for any method that is
not read, ``encrypted`` for a member with a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cairn.errors import EntryError

STORED, DEFLATE, BZIP2, LZMA, GZIP, XZ = "stored", "deflate", "bzip2", "lzma", "gzip", "xz"
SPARSE, UNSUPPORTED, ENCRYPTED = "sparse", "unsupported", "encrypted"
_STEP = re.compile(r"([a-z0-9]+)@(\d+)\+(\d+|)")
_NESTED = "nested:"
_MOST_PIECES = 1024


@dataclass(slots=True, frozen=True)
class Step:
    """One range of a space and how it is inflated; `length` None: as far as the space goes."""

    method: str
    offset: int
    length: int | None


Chain = tuple[Step, ...]


def extend(chain: Chain, step: Step) -> Chain:
    """Return a chain with one more step, taken within the last one's space."""
    if chain and chain[-1].method == STORED:
        return (*chain[:-1], Step(step.method, chain[-1].offset + step.offset, step.length))
    return (*chain, step)


def to_columns(chain: Chain) -> tuple[str, int | None, int | None]:
    """Return ``compression``, ``data_offset`` and ``compressed_size`` for a chain of at least one step."""
    *outer, last = chain
    if not outer:
        whole = last.method == GZIP and last.offset == 0
        return last.method, None if whole else last.offset, last.length
    if len(outer) == 1 and outer[0].method == GZIP and outer[0].offset == 0 and last.method == STORED:
        return GZIP, last.offset, last.length
    steps = ">".join(f"{s.method}@{s.offset}+{'' if s.length is None else s.length}" for s in outer)
    return f"{_NESTED}{steps}>{last.method}", last.offset, last.length


def from_columns(compression: str | None, data_offset: int | None, compressed_size: int | None) -> Chain:
    """Return the chain that the three columns describe.

    Raises
    ------
    EntryError
        ARCHIVE_CORRUPT if they are not what :func:`to_columns` writes.
    """
    if compression is None:
        raise EntryError("ARCHIVE_CORRUPT")
    if compression == GZIP:
        if data_offset is None:
            return (Step(GZIP, 0, compressed_size),)
        return (Step(GZIP, 0, None), Step(STORED, data_offset, compressed_size))
    if not compression.startswith(_NESTED):
        if data_offset is None:
            raise EntryError("ARCHIVE_CORRUPT")
        return (Step(compression, data_offset, compressed_size),)
    *outer, last = compression[len(_NESTED) :].split(">")
    return (*map(_parse, outer), Step(last, data_offset or 0, compressed_size))


def _parse(text: str) -> Step:
    found = _STEP.fullmatch(text)
    if not found:
        raise EntryError("ARCHIVE_CORRUPT")
    method, offset, length = found.groups()
    return Step(method, int(offset), int(length) if length else None)


def sparse_method(pieces: list[tuple[int, int]]) -> str:
    """Return the method of a sparse tar member from its pieces (offset in the content, length)."""
    if len(pieces) > _MOST_PIECES:
        return UNSUPPORTED
    return f"{SPARSE}({'.'.join(f'{offset}+{length}' for offset, length in pieces)})"


def sparse_pieces(method: str) -> list[tuple[int, int]]:
    """Return the pieces that a sparse method names."""
    inside = method[len(SPARSE) + 1 : -1]
    pairs = (piece.split("+") for piece in inside.split(".") if piece)
    return [(int(offset), int(length)) for offset, length in pairs]
