"""Encapsulated pixel data: which bytes belong to which frame (PS3.5 A.4).

The sequence of items is walked once. Frames are then told apart by the best of what the file offers, and every offset
table is checked against the items before it is believed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np

_ITEM, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_MARKS = (b"\xff\xd8", b"\xff\x4f", b"\x00\x00\x00\x0cjP  ", b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")
_SMALLEST_TABLE_MARK = 8
_MOST_ITEMS = 1 << 24


class Bytes(Protocol):
    """Bytes by offset."""

    def read(self, offset: int, length: int) -> np.ndarray:
        """Return bytes; fewer only at the end."""


@dataclass(frozen=True)
class Fragment:
    """One item's value.

    Attributes
    ----------
    at, length : int
        Its place in the entry's bytes.
    offset : int
        Offset of its item from the first item behind the Basic Offset Table, as offset tables count.
    """

    at: int
    length: int
    offset: int


@dataclass
class Encapsulated:
    """Encapsulated pixel data, cut into frames.

    Attributes
    ----------
    frames : list of list of Fragment
        Fragments of each frame; fewer lists than frames stated when some are missing.
    findings : list of str
        Codes of what was odd.
    """

    frames: list[list[Fragment]]
    findings: list[str] = field(default_factory=list)


def cut_frames(
    source: Bytes,
    start: int,
    frames: int,
    extended: np.ndarray | None,
    extended_lengths: np.ndarray | None,
    big_endian: bool = False,
) -> Encapsulated:
    """Find the fragments of every frame.

    Parameters
    ----------
    source : Bytes
        The entry.
    start : int
        Where the value of Pixel Data begins.
    frames : int
        Number of Frames.
    extended, extended_lengths : numpy.ndarray or None
        Extended Offset Table and its lengths (PS3.3 C.7.6.3.1.8).
    big_endian : bool
        Items are tagged most significant byte first (against the standard, but seen).

    Returns
    -------
    Encapsulated
        Findings: OFFSET_TABLE_BROKEN, OFFSET_TABLE_MISSING, FRAGMENTS_BROKEN, PIXELS_TRUNCATED, FRAMES_MISSING,
        FRAMES_TOO_MANY.
    """
    findings: list[str] = []
    fragments, table = _walk(source, start, findings, ">" if big_endian else "<")
    groups = _by_tables(fragments, frames, extended, table, findings)
    if groups is None:
        groups = _by_marks(source, fragments, frames)
    if extended is not None and extended_lengths is not None and extended_lengths.size == len(groups):
        groups = [_trimmed(group, int(length)) for group, length in zip(groups, extended_lengths, strict=True)]
    if len(groups) < frames:
        findings.append("FRAMES_MISSING")
    if len(groups) > frames:
        findings.append("FRAMES_TOO_MANY")
    return Encapsulated(groups[:frames], findings)


def _walk(source: Bytes, start: int, findings: list[str], order: str) -> tuple[list[Fragment], np.ndarray | None]:
    """Return the fragments, and the Basic Offset Table (None when it is missing or empty)."""
    fragments: list[Fragment] = []
    table: np.ndarray | None = None
    at, first = start, True
    base = start
    while len(fragments) < _MOST_ITEMS:
        head = source.read(at, 8)
        if head.size < 8:
            findings.append("PIXELS_TRUNCATED")
            break
        group, element, length = struct.unpack(order + "HHI", head.tobytes())
        if (group, element) == _END:
            break
        if (group, element) != _ITEM or length == 0xFFFFFFFF:
            findings.append("FRAGMENTS_BROKEN")
            break
        at += 8
        if first:
            first, base = False, at + length
            mark = source.read(at, min(length, _SMALLEST_TABLE_MARK)).tobytes()
            if length % 4 == 0 and not mark.startswith(_MARKS):
                value = source.read(at, length)
                if value.size < length:
                    findings.append("PIXELS_TRUNCATED")
                    break
                table = np.frombuffer(value.tobytes(), order + "u4").astype(np.uint64) if length else None
                at += length
                continue
            findings.append("OFFSET_TABLE_MISSING")  # the first item is a fragment already
            base = at - 8
        present = _present(source, at, length)
        if present:
            fragments.append(Fragment(at, present, at - 8 - base))
        if present < length:
            findings.append("PIXELS_TRUNCATED")
            break
        at += length
    return fragments, table


def _present(source: Bytes, at: int, length: int) -> int:
    """Return how many of an item's bytes are there, without holding them."""
    if length == 0 or source.read(at + length - 1, 1).size:
        return length
    low, high = 0, length - 1  # byte low - 1 is there, byte high is not
    while low < high:
        middle = (low + high) // 2
        if source.read(at + middle, 1).size:
            low = middle + 1
        else:
            high = middle
    return low


def _by_tables(
    fragments: Sequence[Fragment],
    frames: int,
    extended: np.ndarray | None,
    table: np.ndarray | None,
    findings: list[str],
) -> list[list[Fragment]] | None:
    for offsets in (extended, table):
        if offsets is None:
            continue
        groups = _by_offsets(fragments, offsets, frames)
        if groups is not None:
            return groups
        findings.append("OFFSET_TABLE_BROKEN")
    if frames == 1:
        return [list(fragments)] if fragments else []
    if len(fragments) == frames:
        return [[fragment] for fragment in fragments]
    return None


def _by_offsets(fragments: Sequence[Fragment], offsets: np.ndarray, frames: int) -> list[list[Fragment]] | None:
    """Cut at the offsets when each is a fragment's and they ascend from 0; those past a cut end may miss."""
    if offsets.size != frames or not fragments or offsets[0] != 0 or np.any(offsets[1:] <= offsets[:-1]):
        return None
    starts = {fragment.offset: place for place, fragment in enumerate(fragments)}
    last = fragments[-1].offset
    cuts = [starts.get(int(offset)) for offset in offsets if int(offset) <= last]
    if any(cut is None for cut in cuts):
        return None
    places = [cut for cut in cuts if cut is not None] + [len(fragments)]
    return [list(fragments[a:b]) for a, b in pairwise(places)]


def _by_marks(source: Bytes, fragments: Sequence[Fragment], frames: int) -> list[list[Fragment]]:
    """Let a frame begin where a fragment begins as a compressed image does; else one fragment is one frame."""
    groups: list[list[Fragment]] = []
    marked = False
    for fragment in fragments:
        begins = source.read(fragment.at, 12).tobytes().startswith(_MARKS)
        marked = marked or begins
        if begins or not groups:
            groups.append([fragment])
        else:
            groups[-1].append(fragment)
    if marked:
        return groups
    if frames and len(fragments) % frames == 0:
        share = len(fragments) // frames  # such as one RLE frame in equal numbers of fragments
        return [list(fragments[k : k + share]) for k in range(0, len(fragments), share)] if share else []
    return [[fragment] for fragment in fragments]


def _trimmed(group: list[Fragment], length: int) -> list[Fragment]:
    """Cut a frame to the length that the Extended Offset Table states, when it is within the last fragment."""
    before = sum(fragment.length for fragment in group[:-1])
    if not group or not before < length <= before + group[-1].length:
        return group
    last = group[-1]
    return [*group[:-1], Fragment(last.at, length - before, last.offset)]


def join(source: Bytes, group: Sequence[Fragment]) -> bytes:
    """Return the bytes of one frame."""
    if len(group) == 1:
        return source.read(group[0].at, group[0].length).tobytes()
    return b"".join(source.read(fragment.at, fragment.length).tobytes() for fragment in group)
