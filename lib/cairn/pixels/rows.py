"""Measures as rows of ``pixel_statistics``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from cairn.pixels.description import PixelDescription
from cairn.pixels.histogram import Sparse
from cairn.pixels.measures import HU_BANDS, Measures
from cairn.tables.pixel_statistics import HISTOGRAM, PERCENTILES, PIXEL_STATISTICS

ALGORITHM_VERSION = 1
"""Raise it when a measure changes: the stage then makes all rows of older versions again."""

Row = dict[str, Any]


def describe_row(description: PixelDescription) -> Row:
    """Return the columns that tell what the pixels are."""
    return {
        "pixels": True,
        "sop_instance_uid": description.sop_instance_uid,
        "series_instance_uid": description.series_instance_uid,
        "modality": description.modality,
        "transfer_syntax_uid": description.transfer_syntax_uid,
        "frames": description.frames,
        "samples_per_pixel": description.samples,
        "bits_allocated": description.bits_allocated,
        "bits_stored": description.bits_stored,
        "signed": description.signed,
        "photometric_interpretation": description.photometric,
    }


def measured_row(common: Row, frame: int, shape: Sequence[int], measures: Measures) -> Row:
    """Return the row of one frame or instance.

    Parameters
    ----------
    common : dict
        From :func:`describe_row`.
    frame : int
        0 for the instance.
    shape : sequence of int
        Of the decoded frame.
    measures : Measures
        Its measures.
    """
    m = measures
    row = {
        **common,
        "frame": frame,
        "frames_measured": 1,
        "rows": shape[0],
        "columns": shape[1],
        "minimum": m.minimum,
        "maximum": m.maximum,
        "mean": m.mean,
        "standard_deviation": m.standard_deviation,
        "histogram": m.histogram,
        "perceptual_hash": m.perceptual_hash,
        "padding_fraction": m.padding_fraction,
        "modal_fraction": m.modal_fraction,
        "saturated_fraction": m.saturated_fraction,
        "entropy": m.entropy,
        "sharpness": m.sharpness,
        "noise": m.noise,
        "foreground_fraction": m.foreground_fraction,
        "laterally_empty": m.laterally_empty,
        "constant": m.constant,
        "rescaled_histogram": m.rescaled_histogram,
    }
    if m.percentiles is not None:
        row.update(zip(_PERCENTILES, m.percentiles, strict=True))
    if m.box is not None:
        row.update(zip(_BOX, m.box, strict=True))
    if m.hu_fractions is not None:
        row.update((name, share) for name, share in zip(_BANDS, m.hu_fractions, strict=True) if name)
    if m.rescale is not None:
        _add_rescaled(row, m)
    return row


def _add_rescaled(row: Row, m: Measures) -> None:
    line = m.rescale
    assert line is not None
    ends = sorted((m.minimum * line.slope + line.intercept, m.maximum * line.slope + line.intercept))
    row["rescale_slope"], row["rescale_intercept"], row["rescale_type"] = line.slope, line.intercept, line.type
    row["rescaled_minimum"], row["rescaled_maximum"] = ends
    row["rescaled_mean"] = m.mean * line.slope + line.intercept
    row["rescaled_standard_deviation"] = m.standard_deviation * abs(line.slope)
    if m.rescaled_percentiles is not None:
        row.update(zip(_RESCALED, m.rescaled_percentiles, strict=True))


_PERCENTILES = tuple(f"percentile_{p}" for p in PERCENTILES)
_RESCALED = tuple(f"rescaled_percentile_{p}" for p in PERCENTILES)
_BOX = ("foreground_top", "foreground_left", "foreground_bottom", "foreground_right")
_BANDS = tuple(f"hu_{band}" if band else "" for band in HU_BANDS)
_HISTOGRAMS = frozenset(column.name for column in PIXEL_STATISTICS.columns if column.type == HISTOGRAM)
_REALS = frozenset(column.name for column in PIXEL_STATISTICS.columns if column.type == pa.float64())


def table_of(rows: Iterable[Row]) -> pa.Table:
    """Return rows as a table of the contract.

    Parameters
    ----------
    rows : iterable of dict
        Rows with ``uri``, ``content_version`` and ``run`` added; a key that is missing is NULL.
    """
    made = list(rows)
    arrays = []
    for column in PIXEL_STATISTICS.columns:
        values = [row.get(column.name) for row in made]
        if column.name in _HISTOGRAMS:
            arrays.append(_histograms(values))
        else:
            if column.name in _REALS:
                values = [None if value is None or math.isnan(value) else value for value in values]
            arrays.append(pa.array(values, column.type))
    return pa.Table.from_arrays(arrays, schema=PIXEL_STATISTICS.arrow_schema)


def _histograms(values: Sequence[Sparse | None]) -> pa.Array:
    """Return histograms as lists of (bin, count), without an object per bin."""
    import numpy as np

    sizes = [0 if value is None else value.bins.size for value in values]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    there = [value for value in values if value is not None]
    bins = np.concatenate([value.bins for value in there]) if there else np.empty(0)
    counts = np.concatenate([value.counts for value in there]) if there else np.empty(0)
    pairs = pa.StructArray.from_arrays(
        [pa.array(bins.astype(np.int32)), pa.array(counts.astype(np.int64))], ["bin", "count"]
    )
    missing = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets), pairs, type=HISTOGRAM, mask=missing)
