"""What pixels say of a series: rows of `pixel_statistics` and `text_search` in, columns of `series` out."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.pixels.series_features import VOLUMES, SeriesFeatures, series_features
from cairn.spark.schema import sql_type
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.series import PIXELS, SERIES, TEXT

KEY = SERIES.key[0]
MEASURES = (
    "uri", "frame", "pixels", "frames_measured", "rows", "columns", "samples_per_pixel", "minimum", "maximum", "mean",
    "standard_deviation", "rescaled_minimum", "rescaled_maximum", "rescaled_mean", "rescaled_standard_deviation",
    "sharpness", "noise", "constant", "pixel_sha256", "padding_fraction", *VOLUMES,
)  # fmt: skip
"""Columns of `pixel_statistics` that :func:`cairn.pixels.series_features.series_features` reads."""

FEATURES = pa.schema([pa.field(KEY, pa.string()), *(pa.field(column.name, column.type) for column in PIXELS)])


def with_pixels(rows: DataFrame, instances: DataFrame, statistics: DataFrame | None) -> DataFrame:
    """Return rows of `series` with their pixel columns.

    Parameters
    ----------
    rows : DataFrame
        As :func:`cairn.pipelines.series_aggregate.series_rows` returns them, the pixel columns NULL.
    instances : DataFrame
        Rows of `instance` of these series.
    statistics : DataFrame or None
        `pixel_statistics`; None before its stage has run.

    Returns
    -------
    DataFrame
        The same columns. Volumes only where the pixels of all images have one area and the slice spacing is known.
    """
    if statistics is None:
        return rows
    made = feature_rows(instances, statistics)
    names = [column.name for column in PIXELS]
    joined = rows.drop(*names).join(made, KEY, "left")
    area = F.when(F.col("matrices") == 1, F.col("spacing_row") * F.col("spacing_column"))
    millilitres = area * F.col("slice_spacing") / 1000.0
    volumes = {volume_name(band): F.col(volume_name(band)) * millilitres for band in VOLUMES}
    return joined.withColumns(volumes).select(*rows.columns)


def with_text(rows: DataFrame, instances: DataFrame, searched: DataFrame | None) -> DataFrame:
    """Return rows of `series` with what the search for text says.

    Parameters
    ----------
    rows, instances : DataFrame
        As for :func:`with_pixels`.
    searched : DataFrame or None
        `text_search`; None before its stage has run.
    """
    if searched is None:
        return rows
    primary = instances.where(F.col("is_primary") & F.col(KEY).isNotNull()).select("uri", KEY)
    looked = searched.where("pixels").select("uri", "boxes", "own_values").join(primary, "uri")
    made = looked.groupBy(KEY).agg(
        F.count("*").alias("text_looked_images"),
        F.count_if(F.col("boxes") > 0).alias("text_images"),
        F.count_if(F.col("own_values") > 0).alias("own_value_images"),
    )
    return rows.drop(*(column.name for column in TEXT)).join(made, KEY, "left").select(*rows.columns)


def feature_rows(instances: DataFrame, statistics: DataFrame) -> DataFrame:
    """Return the pixel columns of each series; volumes in voxels, for the geometry is not known here."""
    primary = instances.where(F.col("is_primary") & F.col(KEY).isNotNull()).select("uri", KEY)
    measured = statistics.select(*MEASURES).join(primary, "uri")
    fields = ", ".join(f"{field.name} {sql_type(field.type)}" for field in FEATURES)
    return measured.groupBy(KEY).applyInArrow(_features, fields)


def _features(table: pa.Table) -> pa.Table:
    (uid,) = table[KEY].unique().to_pylist()
    rows = table.drop_columns([KEY]).to_pylist()
    return pa.Table.from_pylist([{KEY: uid} | columns_of(series_features(rows, 1.0, 1000.0))], schema=FEATURES)


def columns_of(features: SeriesFeatures) -> dict[str, object]:
    """Return features as the pixel columns of `series`."""
    return {
        "measured_images": features.images,
        "measured_frames": features.frames,
        "pixel_rescaled": features.rescaled if features.images else None,
        "pixel_minimum": features.minimum,
        "pixel_maximum": features.maximum,
        "pixel_mean": features.mean,
        "pixel_standard_deviation": features.standard_deviation,
        "blank_frames": features.blank_frames,
        "duplicate_images": features.duplicate_frames,
        "outlier_frames": len(features.outlier_frames),
        "outliers": [{"uri": uri, "frame": frame} for uri, frame in features.outlier_frames],
        **{volume_name(band): volume for band, volume in features.volumes.items()},
    }


def volume_name(band: str) -> str:
    """Return the column of `series` that holds the volume of a Hounsfield band (``hu_lung``: ``volume_lung``)."""
    return "volume_" + band.removeprefix("hu_")


def series_of_changed(statistics: DataFrame, instances: DataFrame) -> DataFrame:
    """Return the series and studies with an image among some changed rows of `pixel_statistics` or `text_search`.

    Parameters
    ----------
    statistics : DataFrame
        Changed rows, before and after.
    instances : DataFrame
        Rows of `instance`.
    """
    uris = statistics.select(PIXEL_STATISTICS.key[0]).distinct()
    return instances.join(uris, "uri", "left_semi").select(KEY, "study_instance_uid").distinct()
