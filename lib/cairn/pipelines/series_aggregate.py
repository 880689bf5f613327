"""Instances in, rows of `series` and `study` out: set-wise, over any selection of whole series and studies.

Only primary instances count. Nothing here knows which zone the instances come from.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.dicom.series_kind import LOCALIZER_MODALITIES, LOCALIZER_PLANES, LOCALIZER_WORDS, NO_CONTRAST
from cairn.pipelines.series_geometry import PLANES, describe_series
from cairn.spark.schema import sql_type
from cairn.tables import series as series_table
from cairn.tables import study as study_table
from cairn.tables.contract import Column as ContractColumn
from cairn.tables.contract import Contract
from cairn.tables.series import GEOMETRY, SERIES
from cairn.tables.study import STUDY_TABLE

PHASE = (
    "temporal_position_identifier", "echo_numbers", "echo_time", "acquisition_number", "acquisition_time",
    "acquisition_date_time", "trigger_time", "diffusion_b_value", "nominal_percentage_of_cardiac_phase",
    "frame_reference_time", "image_type", "convolution_kernel", "inversion_time",
)  # fmt: skip
"""Columns that tell apart images meant to lie at one position."""

FRAME_PHASE = {
    "FrameContentSequence": ("TemporalPositionIndex", "FrameAcquisitionNumber", "FrameAcquisitionDateTime"),
    "MREchoSequence": ("EffectiveEchoTime",),
    "MRDiffusionSequence": ("DiffusionBValue",),
    "CardiacSynchronizationSequence": ("NominalPercentageOfCardiacPhase", "NominalCardiacTriggerDelayTime"),
    "SegmentIdentificationSequence": ("ReferencedSegmentNumber",),
    "CTImageFrameTypeSequence": ("FrameType",),
    "MRImageFrameTypeSequence": ("FrameType",),
}
"""Functional groups and attributes that tell apart frames meant to lie at one position (PS3.3 C.7.6.16.2)."""

FRAME_PLACE = {
    "PlanePositionSequence": "ImagePositionPatient",
    "PlaneOrientationSequence": "ImageOrientationPatient",
    "PixelMeasuresSequence": "PixelSpacing",
}


FLAGGED = (
    "uri", "is_primary", "series_instance_uid", "study_instance_uid", "patient_id", "modality", "rows", "columns",
    "number_of_frames", "image_type", "series_description", "findings", "file_size", "burned_in_annotation",
    "sop_class_uid", "transfer_syntax_uid", "acquisition_date", "acquisition_time", "acquisition_date_time",
    "contrast_bolus_agent", "contrast_bolus_agent_administered", "contrast_bolus_agent_sequence_code_value",
    "body_part_examined", "frame_of_reference_uid",
)  # fmt: skip
"""Columns that counts and flags look at."""

PLACED = ("image_orientation_patient", "image_position_patient", "pixel_spacing", "header", *PHASE)
"""Columns that the geometry looks at, beside some of those."""


def _narrow(instances: DataFrame, *columns: Iterable[str]) -> DataFrame:
    """Return only some columns: Spark plans, and carries through every join, what is selected; all take minutes."""
    wanted = {name for names in columns for name in names}
    return instances.select(*(name for name in instances.columns if name in wanted))


def series_rows(instances: DataFrame) -> DataFrame:
    """Return the rows of `series` for the series of some instances.

    Parameters
    ----------
    instances : DataFrame
        Rows of `instance`, with all rows of every series that is to be described.

    Returns
    -------
    DataFrame
        As :data:`cairn.tables.series.SERIES`, its pixel columns NULL; instances without SeriesInstanceUID are in none.
    """
    attributes = [column.name for column in (*series_table.COMPARED, *series_table.SAMPLED)]
    counted = with_flags(_narrow(instances, FLAGGED, attributes)).where("series_instance_uid IS NOT NULL")
    facts = counted.groupBy("series_instance_uid").agg(
        *_attributes(series_table.COMPARED, series_table.SAMPLED),
        *_counts(),
        F.sum("is_primary_image").alias("primary_images"),
        F.sum("is_secondary_image").alias("secondary_images"),
        F.min("says_original").alias("original"),
        F.min(F.when(F.col("is_image") == 1, F.col("modality"))).alias("image_modality"),
        F.count_if("says_localizer").alias("localizer_images"),
        _sorted_set("transfer_syntax_uid").alias("transfer_syntax_uids"),
        F.size(F.collect_set("study_instance_uid")).cast("bigint").alias("studies"),
    )
    facts = facts.withColumn("modality", F.coalesce("image_modality", "modality"))
    joined = facts.join(geometry_rows(instances), "series_instance_uid", "left")
    joined = joined.withColumns(
        {column.name: F.coalesce(F.col(column.name), F.lit(0)) for column in GEOMETRY if not column.nullable}
    )
    joined = _with_disagreements(joined, series_table.COMPARED).withColumns(_localizer())
    joined = joined.withColumns({column.name: F.lit(None) for column in (*series_table.PIXELS, *series_table.TEXT)})
    return _in_contract(joined, SERIES)


def study_rows(instances: DataFrame) -> DataFrame:
    """Return the rows of `study` for the studies of some instances.

    Parameters
    ----------
    instances : DataFrame
        Rows of `instance`, with all rows of every study that is to be described.

    Returns
    -------
    DataFrame
        As :data:`cairn.tables.study.STUDY_TABLE`; instances without StudyInstanceUID are in none.
    """
    attributes = [column.name for column in (*study_table.COMPARED, *study_table.SAMPLED)]
    counted = with_flags(_narrow(instances, FLAGGED, attributes)).where("study_instance_uid IS NOT NULL")
    facts = counted.groupBy("study_instance_uid").agg(
        *_attributes(study_table.COMPARED, study_table.SAMPLED),
        *_counts(),
        F.mode(F.when(F.col("is_image") == 1, F.col("modality")), True).alias("image_modality"),
        F.mode("modality", True).alias("any_modality"),
        F.size(F.collect_set("series_instance_uid")).cast("bigint").alias("series"),
        _sorted_set("body_part_examined").alias("body_parts"),
        F.size(F.collect_set("frame_of_reference_uid")).cast("bigint").alias("frames_of_reference"),
    )
    facts = facts.withColumn("modality", F.coalesce("image_modality", "any_modality"))
    return _in_contract(_with_disagreements(facts, study_table.COMPARED), STUDY_TABLE)


def with_flags(instances: DataFrame) -> DataFrame:
    """Return the primary instances with what each of them says about itself (:mod:`cairn.dicom.series_kind`)."""
    image = F.col("rows").isNotNull() & F.col("columns").isNotNull()
    kind, value = F.upper(F.trim(F.get("image_type", F.lit(0)))), F.upper(F.trim(F.get("image_type", F.lit(1))))

    def images(condition: Column) -> Column:
        return (image & F.coalesce(condition, F.lit(False))).cast("bigint")

    return instances.where("is_primary").withColumns(
        {
            "is_image": image.cast("bigint"),
            "image_frames": F.when(image, F.greatest(F.coalesce("number_of_frames", F.lit(1)), F.lit(1))),
            "is_original": images(kind == "ORIGINAL"),
            "is_derived": images(kind == "DERIVED"),
            "is_primary_image": images(value == "PRIMARY"),
            "is_secondary_image": images(value == "SECONDARY"),
            "says_original": F.when(image & kind.isin("ORIGINAL", "DERIVED"), kind == "ORIGINAL"),
            "shows_contrast": images(_says_contrast()),
            "is_burned_in": images(F.upper(F.trim("burned_in_annotation")) == "YES"),
            "says_localizer": _says_localizer(),
            "is_faulty": (F.coalesce(F.size("findings"), F.lit(0)) > 0).cast("bigint"),
            "acquired": _acquired(),
        }
    )


def _says_contrast() -> Column:
    """:func:`cairn.dicom.series_kind.says_contrast` over columns."""
    administered = F.upper(F.trim(F.coalesce("contrast_bolus_agent_administered", F.lit(""))))
    named = F.coalesce(~F.col("contrast_bolus_agent").rlike(NO_CONTRAST), F.lit(False))
    coded = F.trim(F.coalesce("contrast_bolus_agent_sequence_code_value", F.lit(""))) != ""
    return (administered != "NO") & (named | coded | (administered == "YES"))


def _says_localizer() -> Column:
    """:func:`cairn.dicom.series_kind.says_localizer` over columns."""
    later = F.slice(F.coalesce("image_type", F.array().cast("array<string>")), 3, 16)
    typed = F.exists(later, lambda v: F.upper(F.trim(F.coalesce(v, F.lit("")))).isin("LOCALIZER", "SCOUT"))
    worded = F.col("modality").isin(*LOCALIZER_MODALITIES) & F.col("series_description").rlike(LOCALIZER_WORDS)
    return typed | F.coalesce(worded, F.lit(False))


def _acquired() -> Column:
    """Date and time of acquisition; a missing time is midnight, a time that is none is no timestamp."""
    digits = F.rpad(F.substring(F.regexp_replace(F.coalesce("acquisition_time", F.lit("")), ":", ""), 1, 6), 6, "0")
    text = F.concat(F.date_format("acquisition_date", "yyyyMMdd"), digits)
    return F.coalesce("acquisition_date_time", F.try_to_timestamp(text, F.lit("yyyyMMddHHmmss")))


def _attributes(compared: Iterable[ContractColumn], sampled: Iterable[ContractColumn]) -> list[Column]:
    """Smallest value of every attribute, and the greatest of those that are compared."""
    lowest = [F.min(column.name).alias(column.name) for column in (*compared, *sampled)]
    return lowest + [F.max(column.name).alias(f"greatest_{column.name}") for column in compared]


def _counts() -> list[Column]:
    image = F.sum("is_image")
    return [
        F.count("*").alias("instances"),
        image.alias("images"),
        F.coalesce(F.sum("image_frames"), F.lit(0)).alias("frames"),
        F.coalesce(F.sum("file_size"), F.lit(0)).alias("bytes"),
        F.sum("is_faulty").alias("faulty_instances"),
        F.sum("is_original").alias("original_images"),
        F.sum("is_derived").alias("derived_images"),
        F.sum("shows_contrast").alias("contrast_images"),
        F.sum("is_burned_in").alias("burned_in_images"),
        F.when(image > 0, F.sum("shows_contrast") > 0).alias("contrast"),
        _sorted_set("modality").alias("modalities"),
        _sorted_set("sop_class_uid").alias("sop_class_uids"),
        F.size(F.collect_set("patient_id")).cast("bigint").alias("patients"),
        F.min("acquired").alias("first_acquisition"),
        F.max("acquired").alias("last_acquisition"),
    ]


def _sorted_set(name: str) -> Column:
    return F.sort_array(F.collect_set(name))


def _with_disagreements(facts: DataFrame, compared: Iterable[ContractColumn]) -> DataFrame:
    """Add the sorted names of the compared columns that hold more than one value."""
    names = sorted(column.name for column in compared)
    # `modality` itself may have been replaced by that of the images, so its own set is asked.
    differs = {name: F.col(name) != F.col(f"greatest_{name}") for name in names}
    if "modality" in differs:
        differs["modality"] = F.size("modalities") > 1
    told = F.array(*(F.when(F.coalesce(test, F.lit(False)), F.lit(name)) for name, test in differs.items()))
    return facts.withColumn("disagreements", F.array_compact(told))


def _localizer() -> dict[str, Column]:
    """A series is a localizer by its headers, or by its geometry (see :data:`LOCALIZER_PLANES`)."""
    by_header = (F.col("images") > 0) & (F.col("localizer_images") * 2 > F.col("images"))
    plain = (F.col("modality") == "CT") & F.col("original") & (F.col("slice_positions") <= LOCALIZER_PLANES)
    by_geometry = plain & (F.col("frames") <= LOCALIZER_PLANES) & F.col("orientation").isin("sagittal", "coronal")
    basis = F.when(by_header, "header").when(by_geometry, "geometry")
    return {"localizer": basis.isNotNull(), "localizer_basis": basis}


def _in_contract(rows: DataFrame, contract: Contract) -> DataFrame:
    return rows.select(*(F.col(c.name).cast(sql_type(c.type)).alias(c.name) for c in contract.columns))


def geometry_rows(instances: DataFrame) -> DataFrame:
    """Return the geometry of each series: planes hashed by series, sorted, and described by :func:`describe_series`."""
    instances = _narrow(instances, FLAGGED, PLACED)
    planes = image_planes(instances).unionByName(frame_planes(instances))
    by_series = planes.repartition("series_instance_uid").sortWithinPartitions("series_instance_uid")
    fields = ", ".join(f"{c.name} {sql_type(c.type)}" for c in GEOMETRY)
    return by_series.mapInArrow(describe_series, f"series_instance_uid STRING, {fields}")


def image_planes(instances: DataFrame) -> DataFrame:
    """Return one plane per image of a single frame, or whose frames have no place of their own."""
    single = F.coalesce("number_of_frames", F.lit(1)) <= 1
    return _primary_images(instances).where(single).select(*_image_plane())


def frame_planes(instances: DataFrame) -> DataFrame:
    """Return one plane per frame of enhanced multi-frame images, from the functional groups in `header`.

    Only files with multi-frame images are read for it (statistics on number_of_frames). Where the functional groups are
    absent or are no sequence of the usual shape, the image counts as one plane with the place of its first frame.
    """
    several = _primary_images(instances).where("number_of_frames > 1").withColumns(_groups())
    with_groups = several.where(F.size("frame_groups") > 0)
    frames = with_groups.withColumn("frame", F.explode("frame_groups")).select(
        "series_instance_uid",
        *(_placed(*place).alias(name) for place, name in zip(FRAME_PLACE.items(), PLACE_NAMES, strict=True)),
        "rows",
        "columns",
        F.xxhash64(*(f"frame.{group}" for group in FRAME_PHASE), *PHASE).alias("phase"),
    )
    plain = several.where(F.coalesce(F.size("frame_groups"), F.lit(0)) <= 0).select(*_image_plane())
    return frames.unionByName(plain)


PLACE_NAMES = ("position_values", "orientation_values", "spacing_values")


def _primary_images(instances: DataFrame) -> DataFrame:
    usable = "is_primary AND series_instance_uid IS NOT NULL AND rows IS NOT NULL AND columns IS NOT NULL"
    return instances.where(usable)


def _image_plane() -> list[Column]:
    values = {
        "orientation_values": F.col("image_orientation_patient"),
        "position_values": F.col("image_position_patient"),
        "spacing_values": F.col("pixel_spacing"),
        "phase": F.xxhash64(*PHASE),
    }
    return [values.get(name, F.col(name)).alias(name) for name in PLANES.names]


def _groups() -> dict[str, Column]:
    """The functional groups as arrays of structs; NULL where the header has none of that shape."""
    place = [f"{group}: ARRAY<STRUCT<{name}: ARRAY<STRING>>>" for group, name in FRAME_PLACE.items()]
    phase = [
        f"{group}: ARRAY<STRUCT<{', '.join(f'{name}: STRING' for name in names)}>>"
        for group, names in FRAME_PHASE.items()
    ]
    shared = f"ARRAY<STRUCT<{', '.join(place)}>>"
    frames = f"ARRAY<STRUCT<{', '.join([*place, *phase])}>>"
    return {
        "shared_groups": F.try_variant_get("header", "$.SharedFunctionalGroupsSequence", shared),
        "frame_groups": F.try_variant_get("header", "$.PerFrameFunctionalGroupsSequence", frames),
    }


def _placed(group: str, name: str) -> Column:
    """An attribute of the frame's own functional group, else of the shared one, as numbers."""
    own = F.get(F.col(f"frame.{group}.{name}"), F.lit(0))
    shared = F.get(F.get(F.col(f"shared_groups.{group}"), F.lit(0)), F.lit(0))[name]
    return F.transform(F.coalesce(own, shared), lambda text: text.try_cast("double"))
