"""Where the planes of a series lie: orientation, slice spacing, gaps, repeats, extent.

Works on many series at once: arrays of planes sorted by series, with the first plane of each series given by
an array of offsets; no loop over planes. A plane is an image, or a frame of an enhanced multi-frame image.

Terms (PS3.3 C.7.6.2.1.1): *Image Orientation (Patient)* holds the direction cosines of a row and of a column;
their cross product is the plane's **normal**. The **distance** of a plane is its Image Position (Patient) projected
on that normal. Slice Location and the stated Spacing Between Slices are not used: makers disagree on both.
A **stack** is the planes of a series that share one orientation; a series with several (a three-plane localizer,
a radial acquisition) is described by its **main** stack, the one with most slice positions.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

COSINE_TOLERANCE = 1e-2
"""Largest error of a cosine vector's length from 1, and of the cosine between row and column from 0."""

SAME_ORIENTATION = float(np.cos(np.radians(0.25)))
"""Rows and columns of one stack deviate by no more than a quarter of a degree: least cosine."""

NAMED_ORIENTATION = 0.8
"""A normal whose largest cosine reaches this (within 36.9 degrees of an axis of the patient) is axial, sagittal or
coronal, so that tilted head scans stay axial; below it is oblique. `obliquity` gives the angle itself."""

SAME_POSITION = 0.01
"""Planes nearer than this along the normal, mm, lie at one slice position."""

REGULAR_MM, REGULAR_SHARE = 0.02, 0.02
"""A slice distance is the spacing when it deviates by no more than 0.02 mm or 2 %, whichever is more."""

ISOTROPIC_SHARE = 1e-3
"""Row and column spacing that differ by no more than this share of the larger are square pixels."""

STACK_LIMIT = 256
"""Orientations looked for in one series; the planes of further ones are left out, and `stacks` says 256."""

ORIENTATIONS = ("sagittal", "coronal", "axial", "oblique")
"""Names of `Geometry.orientation`: normal along x, y, z of the patient, or none of them."""


@dataclass(frozen=True)
class Planes:
    """Planes of many series, sorted by series.

    Parameters
    ----------
    first : ndarray of int64, shape (series + 1,)
        Offset of each series' first plane; the last entry is the number of planes.
    orientation : ndarray of float64, shape (planes, 6)
        Image Orientation (Patient): cosines of the row, then of the column; NaN where absent.
    position : ndarray of float64, shape (planes, 3)
        Image Position (Patient), mm; NaN where absent.
    pixel_spacing : ndarray of float64, shape (planes, 2)
        Pixel Spacing, mm: between rows, then between columns; NaN where absent.
    size : ndarray of float64, shape (planes, 2)
        Rows, Columns; NaN where absent.
    phase : ndarray of int64, shape (planes,)
        Equal for planes that no time, echo, diffusion or heart phase tells apart: two of them at one position
        are a repeat by mistake, not a second volume.
    """

    first: Ints
    orientation: Floats
    position: Floats
    pixel_spacing: Floats
    size: Floats
    phase: Ints

    def __post_init__(self) -> None:
        planes = int(self.first[-1])
        for array, width in ((self.orientation, 6), (self.position, 3), (self.pixel_spacing, 2), (self.size, 2)):
            if array.shape != (planes, width):
                raise ValueError(f"planes: shape {array.shape}, not {(planes, width)}")


@dataclass(frozen=True)
class Geometry:
    """What the planes of each series say; arrays of one entry per series, NaN, -1 or 0 where there is nothing to say.

    Parameters
    ----------
    planes : ndarray of int64
        Planes with a valid orientation and position.
    invalid_orientations : ndarray of int64
        Planes whose orientation is present but no pair of orthogonal unit vectors.
    stacks : ndarray of int64
        Distinct orientations.
    orientation : ndarray of int8
        Index into :data:`ORIENTATIONS` for the main stack; -1 when no plane has a geometry.
    named_orientations : ndarray of int64
        Distinct orientation names among the stacks.
    obliquity : ndarray of float64
        Angle between the main stack's normal and the nearest axis of the patient, degrees.
    normal : ndarray of float64, shape (series, 3)
        The main stack's normal.
    slice_positions : ndarray of int64
        Distinct positions along the normal in the main stack.
    slice_spacing : ndarray of float64
        Median distance between neighbouring positions (the lower one of two), mm; NaN below two positions.
    slice_spacing_minimum, slice_spacing_maximum : ndarray of float64
        Smallest and greatest distance between neighbouring positions, mm.
    regular : ndarray of int8
        1 when all distances equal the spacing, 0 when not, -1 below two positions.
    missing_slices : ndarray of int64
        Positions absent from an otherwise regular grid: a distance of n spacings lacks n - 1.
    extent : ndarray of float64
        Distance from the first to the last slice position, mm.
    shear : ndarray of float64
        Angle between the normal and the line through the positions, degrees: the gantry tilt of a tilted CT.
    repeats : ndarray of int64
        Most planes at one position of the main stack.
    repeats_minimum : ndarray of int64
        Fewest planes at one position; below `repeats` when volumes are incomplete.
    volumes : ndarray of int64
        Most planes of different phase at one position: time points, echoes, b values … (4D when above 1).
    duplicate_positions : ndarray of int64
        Planes at a position and phase that another plane already holds.
    spacing_row, spacing_column : ndarray of float64
        Pixel spacing of the main stack's first plane, mm.
    square_pixels : ndarray of int8
        1, 0, or -1 without pixel spacing.
    field_of_view_row, field_of_view_column : ndarray of float64
        Height and width of that plane, mm.
    matrices : ndarray of int64
        Distinct combinations of rows, columns and pixel spacing in the series.
    """

    planes: Ints
    invalid_orientations: Ints
    stacks: Ints
    orientation: NDArray[np.int8]
    named_orientations: Ints
    obliquity: Floats
    normal: Floats
    slice_positions: Ints
    slice_spacing: Floats
    slice_spacing_minimum: Floats
    slice_spacing_maximum: Floats
    regular: NDArray[np.int8]
    missing_slices: Ints
    extent: Floats
    shear: Floats
    repeats: Ints
    repeats_minimum: Ints
    volumes: Ints
    duplicate_positions: Ints
    spacing_row: Floats
    spacing_column: Floats
    square_pixels: NDArray[np.int8]
    field_of_view_row: Floats
    field_of_view_column: Floats
    matrices: Ints


def measure(planes: Planes) -> Geometry:
    """Return the geometry of each series.

    The result does not depend on the order of the planes within a series, unless planes are equal in position and
    phase and differ in pixel spacing or size.

    Parameters
    ----------
    planes : Planes
        Planes of any number of series.

    Returns
    -------
    Geometry
        One entry per series.
    """
    series = np.repeat(np.arange(planes.first.size - 1), np.diff(planes.first))
    axes, present, valid = unit_axes(planes.orientation)
    usable = valid & np.isfinite(planes.position).all(axis=1)
    stack, leader = find_stacks(series, axes, usable)
    slices = _slice_positions(planes, stack, leader, axes)
    stacks = _describe_stacks(planes, slices, series, stack, leader, axes)
    count = planes.first.size - 1
    main = _main_stacks(stacks, count)
    found = {name: _pick(values, main) for name, values in stacks.items() if name in _STACK_FIELDS}
    return Geometry(
        planes=np.bincount(series[usable], minlength=count).astype(np.int64),
        invalid_orientations=np.bincount(series[present & ~valid], minlength=count).astype(np.int64),
        stacks=np.bincount(stacks["series"], minlength=count).astype(np.int64),
        named_orientations=_distinct(stacks["series"], stacks["orientation"], count),
        matrices=_matrices(planes, series, count),
        **found,
    )


def unit_axes(orientation: Floats) -> tuple[Floats, Bools, Bools]:
    """Return unit row, column and normal vectors (PS3.3 C.7.6.2.1.1).

    Parameters
    ----------
    orientation : ndarray of float64, shape (planes, 6)
        Image Orientation (Patient).

    Returns
    -------
    axes : ndarray of float64, shape (planes, 9)
        Row, column, normal; NaN where the orientation is absent or no pair of orthogonal unit vectors
        within :data:`COSINE_TOLERANCE`.
    present, valid : ndarray of bool, shape (planes,)
        Whether six numbers are there, and whether they are an orientation.
    """
    present = np.asarray(np.isfinite(orientation).all(axis=1))
    row, column = orientation[:, :3], orientation[:, 3:]
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        lengths = np.stack([np.linalg.norm(row, axis=1), np.linalg.norm(column, axis=1)], axis=1)
        dot = np.einsum("ij,ij->i", row, column)
        unit = np.asarray((np.abs(lengths - 1) <= COSINE_TOLERANCE).all(axis=1))
        valid = present & unit & (np.abs(dot) <= COSINE_TOLERANCE)
        row, column = row / lengths[:, :1], column / lengths[:, 1:]
        normal = np.cross(row, column)
        axes = np.concatenate([row, column, normal / np.linalg.norm(normal, axis=1, keepdims=True)], axis=1)
    axes[~valid] = np.nan
    return axes, present, valid


def find_stacks(series: Ints, axes: Floats, usable: Bools) -> tuple[Ints, Ints]:
    """Sort the planes of each series into stacks of one orientation.

    In every round the first plane of each series that has no stack yet, in the order of its cosines, leads a
    new stack and takes all planes within :data:`SAME_ORIENTATION` of itself.

    Parameters
    ----------
    series : ndarray of int64, shape (planes,)
        Series of each plane, ascending.
    axes : ndarray of float64, shape (planes, 9)
        From :func:`unit_axes`.
    usable : ndarray of bool, shape (planes,)
        Planes to consider.

    Returns
    -------
    stack : ndarray of int64, shape (planes,)
        Number of the plane's stack, ascending with the series; -1 where it has none.
    leader : ndarray of int64, shape (stacks,)
        Plane that leads each stack.
    """
    lead = np.full(series.size, -1, dtype=np.int64)
    index = np.flatnonzero(usable)
    left = index[np.lexsort((*axes[index, :6].T[::-1], series[index]))]
    for _ in range(STACK_LIMIT):
        if left.size == 0:
            break
        starts = np.flatnonzero(np.diff(series[left], prepend=-1))
        leads = np.repeat(left[starts], np.diff(starts, append=left.size))
        row = np.einsum("ij,ij->i", axes[left, :3], axes[leads, :3])
        column = np.einsum("ij,ij->i", axes[left, 3:6], axes[leads, 3:6])
        member = ((row >= SAME_ORIENTATION) & (column >= SAME_ORIENTATION)) | (left == leads)
        lead[left[member]] = leads[member]
        left = left[~member]
    leader = np.unique(lead[lead >= 0])
    stack = np.where(lead >= 0, np.searchsorted(leader, lead), -1)
    return stack.astype(np.int64), leader.astype(np.int64)


@dataclass(frozen=True)
class _Slices:
    """Slice positions of all stacks, and the planes that lie at them, both sorted by stack and distance."""

    plane: Ints  # planes that have a stack, sorted by stack and distance
    at: Ints  # slice position of each of them
    first: Ints  # per slice position: its first plane in `plane`
    stack: Ints  # per slice position: its stack
    distance: Floats  # per slice position: distance along the stack's normal, mm


def _slice_positions(planes: Planes, stack: Ints, leader: Ints, axes: Floats) -> _Slices:
    plane = np.flatnonzero(stack >= 0)
    normal = axes[leader[stack[plane]], 6:]
    distance = np.einsum("ij,ij->i", planes.position[plane], normal)
    order = np.lexsort((planes.phase[plane], distance, stack[plane]))
    plane, distance = plane[order], distance[order]
    of_stack = stack[plane]
    new = np.diff(of_stack, prepend=-1) != 0
    new |= np.diff(distance, prepend=-np.inf) > SAME_POSITION
    first = np.flatnonzero(new)
    return _Slices(plane, np.cumsum(new) - 1, first, of_stack[first], distance[first])


def _describe_stacks(
    planes: Planes, slices: _Slices, series: Ints, stack: Ints, leader: Ints, axes: Floats
) -> dict[str, NDArray]:
    """Return one array per field of :class:`Geometry` that describes a stack, and ``series``."""
    start = np.searchsorted(slices.stack, np.arange(leader.size))
    last = np.searchsorted(slices.stack, np.arange(leader.size), side="right") - 1
    normal = axes[leader, 6:]
    return {
        "series": series[leader],
        "planes_in_stack": np.bincount(stack[stack >= 0], minlength=leader.size),
        "slice_positions": last - start + 1,
        "extent": slices.distance[last] - slices.distance[start],
        "normal": normal,
        **_orientation(normal),
        **_spacings(slices, leader.size),
        **_repeats(planes, slices, start),
        "shear": _shear(planes, slices, start, last, normal),
        **_plane_size(planes, slices.plane[slices.first[start]]),
    }


def _orientation(normal: Floats) -> dict[str, NDArray]:
    cosine = np.abs(normal)
    largest = cosine.max(axis=1, initial=0.0)
    axis = cosine.argmax(axis=1) if normal.size else np.zeros(0, dtype=np.int64)
    named = largest >= NAMED_ORIENTATION
    return {
        "orientation": np.where(named, axis, ORIENTATIONS.index("oblique")).astype(np.int8),
        "obliquity": np.degrees(np.arccos(np.clip(largest, 0.0, 1.0))),
    }


def _spacings(slices: _Slices, stacks: int) -> dict[str, NDArray]:
    """Spacing of each stack from the distances between neighbouring slice positions."""
    within = np.flatnonzero(np.diff(slices.stack) == 0)
    owner, step = slices.stack[within], np.diff(slices.distance)[within]
    order = np.lexsort((step, owner))
    ranked = step[order]
    count = np.bincount(owner, minlength=stacks)
    start = np.cumsum(count) - count
    have = count > 0

    def ranked_at(rank: Ints) -> Floats:
        result = np.full(stacks, np.nan)
        result[have] = ranked[(start + rank)[have]]
        return result

    spacing = ranked_at((count - 1) // 2)
    multiple = np.rint(step / spacing[owner]) if step.size else step
    allowed = np.maximum(REGULAR_MM, REGULAR_SHARE * spacing[owner]) * np.maximum(multiple, 1)
    on_grid = (multiple >= 1) & (np.abs(step - multiple * spacing[owner]) <= allowed)
    odd = np.bincount(owner[~on_grid], minlength=stacks)
    missing = np.bincount(owner, weights=np.where(on_grid, multiple - 1, 0), minlength=stacks).astype(np.int64)
    return {
        "slice_spacing": spacing,
        "slice_spacing_minimum": ranked_at(np.zeros(stacks, dtype=np.int64)),
        "slice_spacing_maximum": ranked_at(count - 1),
        "regular": np.where(have, (odd == 0) & (missing == 0), -1).astype(np.int8),
        "missing_slices": missing,
    }


def _repeats(planes: Planes, slices: _Slices, start: Ints) -> dict[str, NDArray]:
    """How often each slice position is taken, in all and by different phases."""
    phase = planes.phase[slices.plane]
    # A position may gather planes that differ by less than the tolerance, so phases are sorted anew within it.
    order = np.lexsort((phase, slices.at))
    distinct = np.diff(phase[order], prepend=0) != 0
    distinct[slices.first] = True
    here = np.bincount(slices.at, minlength=slices.first.size)
    phases = np.bincount(slices.at, weights=distinct, minlength=slices.first.size).astype(np.int64)
    if start.size == 0:
        none = np.zeros(0, dtype=np.int64)
        return dict.fromkeys(("repeats", "repeats_minimum", "volumes", "duplicate_positions"), none)
    return {
        "repeats": np.maximum.reduceat(here, start),
        "repeats_minimum": np.minimum.reduceat(here, start),
        "volumes": np.maximum.reduceat(phases, start),
        "duplicate_positions": np.add.reduceat(here - phases, start),
    }


def _shear(planes: Planes, slices: _Slices, start: Ints, last: Ints, normal: Floats) -> Floats:
    """Angle between the normal and the line from the first to the last plane of a stack, degrees."""
    ends = slices.plane[slices.first]
    line = planes.position[ends[last]] - planes.position[ends[start]]
    length = np.linalg.norm(line, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.einsum("ij,ij->i", line, normal) / length
    return np.where(last > start, np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))), np.nan)


def _plane_size(planes: Planes, plane: Ints) -> dict[str, NDArray]:
    spacing, size = planes.pixel_spacing[plane], planes.size[plane]
    spacing = np.where((np.isfinite(spacing) & (spacing > 0)).all(axis=1, keepdims=True), spacing, np.nan)
    known = ~np.isnan(spacing[:, 0])
    with np.errstate(invalid="ignore"):
        difference = np.abs(spacing[:, 0] - spacing[:, 1])
        square = difference <= ISOTROPIC_SHARE * spacing.max(axis=1, initial=0.0)
    return {
        "spacing_row": spacing[:, 0],
        "spacing_column": spacing[:, 1],
        "square_pixels": np.where(known, square, -1).astype(np.int8),
        "field_of_view_row": spacing[:, 0] * size[:, 0],
        "field_of_view_column": spacing[:, 1] * size[:, 1],
    }


def _matrices(planes: Planes, series: Ints, count: int) -> Ints:
    """Distinct combinations of size and spacing per series, to a micrometre; planes without rows do not count."""
    known = np.isfinite(planes.size).all(axis=1)
    spacing = np.rint(np.nan_to_num(planes.pixel_spacing[known], nan=-1.0, posinf=-1.0, neginf=-1.0) * 1000)
    table = np.concatenate([series[known, None], planes.size[known], spacing], axis=1)
    return np.bincount(np.unique(table, axis=0)[:, 0].astype(np.int64), minlength=count).astype(np.int64)


def _main_stacks(stacks: dict[str, NDArray], count: int) -> Ints:
    """Number of each series' main stack, -1 where it has none: most positions, then most planes, then the first."""
    order = np.lexsort((-stacks["planes_in_stack"], -stacks["slice_positions"], stacks["series"]))
    first = np.flatnonzero(np.diff(stacks["series"][order], prepend=-1))
    main = np.full(count, -1, dtype=np.int64)
    main[stacks["series"][order][first]] = order[first]
    return main


def _pick(values: NDArray, main: Ints) -> NDArray:
    """Values of the main stacks; NaN, -1 (int8) or 0 (int64) where a series has none."""
    if values.dtype == np.float64:
        empty: float = np.nan
    else:
        empty = -1 if values.dtype == np.int8 else 0
    picked = np.full((main.size, *values.shape[1:]), empty, dtype=values.dtype)
    picked[main >= 0] = values[main[main >= 0]]
    return picked


def _distinct(series: Ints, values: NDArray, count: int) -> Ints:
    pairs = np.unique(np.stack([series, values.astype(np.int64)], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=count).astype(np.int64)


_STACK_FIELDS = frozenset(field.name for field in fields(Geometry)) - {"planes", "stacks"}
