"""Where to blank: boxes as callers give them, held against the image that they are for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cairn.errors import EntryError
from cairn.pixels.description import PixelDescription
from cairn.pixels.text.boxes import PIXELS, Rectangle, clipped

EVERY_FRAME = 0
"""Number of a frame that stands for all of them."""


@dataclass(frozen=True)
class Box:
    """A rectangle to blank.

    Parameters
    ----------
    x, y, width, height : int
        In the stored image, pixels from 0. In another plane than the pixels an empty rectangle is the whole plane.
    frame : int
        First frame, DICOM's number from 1; :data:`EVERY_FRAME`.
    last_frame : int or None
        Last frame; None: the first.
    plane : str
        ``pixels`` (the whole pixel words), ``overlay 6000`` …, ``bit 15`` … (bits that belong to no stored value).
    """

    x: int
    y: int
    width: int
    height: int
    frame: int = 1
    last_frame: int | None = None
    plane: str = PIXELS


def of_regions(regions: Iterable[Rectangle]) -> list[Box]:
    """Return a device rule's regions as boxes to blank in every frame."""
    return [Box(*region, frame=EVERY_FRAME) for region in regions]


class OverlayPlane(NamedTuple):
    """Where an overlay lies (PS3.3 C.9.2).

    Attributes
    ----------
    rows, columns, frames : int
        Shape.
    x, y : int
        Place of its first pixel in the image, from 0.
    in_pixels : bool
        Whether it lies in a bit of the pixel words (retired), not in an element of its own.
    """

    rows: int
    columns: int
    frames: int
    x: int
    y: int
    in_pixels: bool


class Areas(NamedTuple):
    """What to blank in one frame.

    Attributes
    ----------
    pixels : list of Rectangle
        Whole pixel words.
    bits : list of Rectangle
        Bits that belong to no stored value.
    """

    pixels: list[Rectangle]
    bits: list[Rectangle]


@dataclass
class Targets:
    """Boxes that fit the image.

    Attributes
    ----------
    pixels, bits : list of (first frame, last frame, Rectangle)
        See :class:`Areas`.
    overlays : dict of int to list of Rectangle
        By group, in the overlay's own coordinates.
    findings : set of str
        REDACTION_BOX_CLIPPED, REDACTION_BOX_OUTSIDE, REDACTION_BOX_WIDENED.
    applied : int
        Boxes that blank something.
    """

    pixels: list[tuple[int, int, Rectangle]] = field(default_factory=list)
    bits: list[tuple[int, int, Rectangle]] = field(default_factory=list)
    overlays: dict[int, list[Rectangle]] = field(default_factory=dict)
    findings: set[str] = field(default_factory=set)
    applied: int = 0

    def frames(self) -> list[int]:
        """Return the numbers of the frames that change, ascending."""
        found: set[int] = set()
        for first, last, _ in (*self.pixels, *self.bits):
            found.update(range(first, last + 1))
        return sorted(found)

    def areas(self, frame: int) -> Areas:
        """Return what to blank in a frame."""
        return Areas(*([r for first, last, r in some if first <= frame <= last] for some in (self.pixels, self.bits)))


def targets_of(
    boxes: Sequence[Box], d: PixelDescription, overlays: Mapping[int, OverlayPlane], in_pairs: bool = False
) -> Targets:
    """Hold boxes against an image.

    Parameters
    ----------
    boxes : sequence of Box
        What to blank.
    d : PixelDescription
        The image.
    overlays : mapping of int to OverlayPlane
        Its overlays by group.
    in_pairs : bool
        Whether two neighbours in a row share their colour (YBR_FULL_422, stored natively).

    Raises
    ------
    EntryError
        REDACTION_FRAME_MISSING, REDACTION_PLANE_UNKNOWN.
    """
    made = Targets()
    for box in boxes:
        _place(box, d, overlays, in_pairs, made)
    return made


def _place(box: Box, d: PixelDescription, overlays: Mapping[int, OverlayPlane], in_pairs: bool, made: Targets) -> None:
    first, last = (1, d.frames) if box.frame == EVERY_FRAME else (box.frame, box.last_frame or box.frame)
    if not 1 <= first <= last <= d.frames:
        raise EntryError("REDACTION_FRAME_MISSING")
    kind, _, name = box.plane.partition(" ")
    if kind == "overlay":
        _overlay(box, name, d, overlays, made)
        return
    if box.plane != PIXELS and not (kind == "bit" and name.isdigit() and int(name) < d.bits_allocated):
        raise EntryError("REDACTION_PLANE_UNKNOWN")
    whole = box.plane != PIXELS and (box.width <= 0 or box.height <= 0)
    rectangle = (0, 0, d.columns, d.rows) if whole else _within(box, 0, 0, d.rows, d.columns, made)
    if rectangle is None:
        return
    if in_pairs and box.plane == PIXELS:
        rectangle = _paired(rectangle, made)
    made.applied += 1
    (made.pixels if box.plane == PIXELS else made.bits).append((first, last, rectangle))


def _overlay(box: Box, name: str, d: PixelDescription, overlays: Mapping[int, OverlayPlane], made: Targets) -> None:
    try:
        group = int(name, 16)
        plane = overlays[group]
    except (ValueError, KeyError):
        raise EntryError("REDACTION_PLANE_UNKNOWN") from None
    # An overlay of several frames is searched as one tall image, of whose place nothing certain is known: all of it.
    whole = box.width <= 0 or box.height <= 0 or plane.frames > 1
    if plane.in_pixels:
        made.bits.append((1, d.frames, (0, 0, d.columns, d.rows)))
        made.applied += 1
        return
    everything = (0, 0, plane.columns, plane.rows * plane.frames)
    rectangle = everything if whole else _within(box, plane.x, plane.y, plane.rows, plane.columns, made)
    if rectangle is not None:
        made.applied += 1
        made.overlays.setdefault(group, []).append(rectangle)


def _within(box: Box, x: int, y: int, rows: int, columns: int, made: Targets) -> Rectangle | None:
    """Return the part of a box that lies in a plane whose corner is at x, y; None when none does."""
    wanted = (box.x - x, box.y - y, box.width, box.height)
    inside = clipped(wanted, rows, columns)
    if inside[2] <= 0 or inside[3] <= 0:
        made.findings.add("REDACTION_BOX_OUTSIDE")
        return None
    if inside != wanted:
        made.findings.add("REDACTION_BOX_CLIPPED")
    return inside


def _paired(rectangle: Rectangle, made: Targets) -> Rectangle:
    left, right = rectangle[0] & ~1, (rectangle[0] + rectangle[2] + 1) & ~1
    if (left, right - left) != (rectangle[0], rectangle[2]):
        made.findings.add("REDACTION_BOX_WIDENED")
    return left, rectangle[1], right - left, rectangle[3]
