"""Planes in, one row of geometry per series out: what a worker does with Arrow batches sorted by series. No Spark here.

Batches are cut anywhere; the planes of the last series of a batch wait for the next one, so that memory is bounded by
one batch and one series (20,000 planes are 3 MB).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cairn.dicom.geometry import ORIENTATIONS, Geometry, Planes, measure
from cairn.tables.series import GEOMETRY

PLANES = pa.schema(
    [
        pa.field("series_instance_uid", pa.string()),
        pa.field("orientation_values", pa.list_(pa.float64())),
        pa.field("position_values", pa.list_(pa.float64())),
        pa.field("spacing_values", pa.list_(pa.float64())),
        pa.field("rows", pa.int64()),
        pa.field("columns", pa.int64()),
        pa.field("phase", pa.int64()),
    ]
)
"""What :func:`describe_series` reads: one row per plane, sorted by series_instance_uid."""

DESCRIBED = pa.schema(
    [pa.field("series_instance_uid", pa.string()), *(pa.field(column.name, column.type) for column in GEOMETRY)]
)
"""What :func:`describe_series` yields: one row per series."""


def describe_series(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the geometry of every series.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        Planes as in :data:`PLANES`, the planes of one series in one run over all batches.

    Yields
    ------
    pyarrow.RecordBatch
        One row per series, as in :data:`DESCRIBED`.
    """
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        starts = _series_starts(batch["series_instance_uid"])
        if starts.size == 0:
            continue
        continues = bool(waiting) and waiting[-1]["series_instance_uid"][-1] == batch["series_instance_uid"][0]
        last = int(starts[-1])
        if last == 0 and continues:
            waiting.append(batch)
            continue
        yield from _described([*waiting, batch.slice(0, last)])
        waiting = [batch.slice(last)]
    yield from _described(waiting)


def _series_starts(uids: pa.Array) -> NDArray[np.int64]:
    """Index of the first row of each run of equal UIDs."""
    if len(uids) == 0:
        return np.zeros(0, dtype=np.int64)
    changes = pc.not_equal(uids[1:], uids[:-1]).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.flatnonzero(changes) + 1]).astype(np.int64)


def _described(parts: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    table = pa.Table.from_batches([part for part in parts if part.num_rows], schema=parts[0].schema) if parts else None
    if table is None or table.num_rows == 0:
        return
    table = table.combine_chunks()
    column = {name: table[name].chunk(0) for name in PLANES.names}
    starts = _series_starts(column["series_instance_uid"])
    planes = Planes(
        first=np.append(starts, table.num_rows),
        orientation=matrix(column["orientation_values"], 6),
        position=matrix(column["position_values"], 3),
        pixel_spacing=matrix(column["spacing_values"], 2),
        size=np.stack([_floats(column["rows"]), _floats(column["columns"])], axis=1),
        phase=column["phase"].to_numpy(zero_copy_only=False).astype(np.int64),
    )
    yield _rows(column["series_instance_uid"].take(pa.array(starts)), measure(planes))


def _floats(numbers: pa.Array) -> NDArray[np.float64]:
    return numbers.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)


def matrix(lists: pa.Array, width: int) -> NDArray[np.float64]:
    """Return an array of lists as a matrix.

    Parameters
    ----------
    lists : pyarrow.ListArray of float64
        One list per row.
    width : int
        Length that a list must have.

    Returns
    -------
    ndarray of float64, shape (rows, width)
        NaN in rows that are null or of another length, and for null elements.
    """
    result = np.full((len(lists), width), np.nan)
    fits = pc.fill_null(pc.equal(pc.list_value_length(lists), width), False)
    values = _floats(lists.filter(fits).flatten())
    result[fits.to_numpy(zero_copy_only=False)] = values.reshape(-1, width)
    return result


def _rows(uids: pa.Array, geometry: Geometry) -> pa.RecordBatch:
    words = pa.array(ORIENTATIONS).take(pa.array(geometry.orientation, mask=geometry.orientation < 0))
    rest = {name: getattr(geometry, name) for name in DESCRIBED.names[1:] if name != "orientation"}
    columns = {name: _column(values, DESCRIBED.field(name).type) for name, values in rest.items()}
    columns |= {"series_instance_uid": uids, "orientation": words}
    return pa.RecordBatch.from_arrays([columns[name] for name in DESCRIBED.names], schema=DESCRIBED)


def _column(values: NDArray, kind: pa.DataType) -> pa.Array:
    """Arrow column of one field of :class:`Geometry`; NaN and -1 become NULL where they mean that nothing is known."""
    if values.ndim == 2:
        known = ~np.isnan(values).any(axis=1)
        offsets = np.concatenate([[0], np.cumsum(known * values.shape[1])]).astype(np.int32)
        array = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values[known].ravel()), mask=pa.array(~known))
        return array.cast(kind)
    if kind == pa.bool_():
        return pa.array(values == 1, mask=values < 0)
    if kind == pa.float64():
        return pa.array(values, mask=np.isnan(values))
    return pa.array(values.astype(np.int64))
