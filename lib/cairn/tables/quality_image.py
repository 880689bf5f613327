"""What must hold of the tables of the archive, its images and their pixels."""

from __future__ import annotations

from cairn.errors import ENTRY_CONDITIONS
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH
from cairn.tables.crossing import CROSSING
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.pixel_statistics import PIXEL_STATISTICS
from cairn.tables.quality import (
    TODAY,
    WARNING,
    Between,
    Complete,
    Expectation,
    Holds,
    Imaged,
    OneOf,
    Related,
    Side,
    Suite,
    covered,
    made_suite,
    refers,
)
from cairn.tables.quality_codes import MODALITIES
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.series import SERIES
from cairn.tables.study import STUDY_TABLE

CODES = tuple(sorted(ENTRY_CONDITIONS))
MOSTLY = 0.99
"""What leaves room for a source's single mistakes, and none for a fault of a run."""

ENTRIES = Side(ARCHIVE_ENTRY.full_name, ("uri",), "state = 'present' AND NOT (kind = 'container' AND code IS NULL)")
"""Entries that can be read: present, and no archive that was opened, whose members count."""

BEFORE_PIXELS = Side(QUARANTINE.full_name, ("uri",), "stage IN ('inventory', 'headers')")
OF_ENTRIES = "stage IN ('inventory', 'headers', 'pixels', 'deidentify')"
"""Rows of quarantine about entries of the archive; others are about rows of deliveries."""

BLOBS = Side(HEADER_BLOB.full_name, ("uri",))
INSTANCES = Side(INSTANCE.full_name, ("uri",))
READ_HERE = "parser <> 'catalogue'"
"""Rows of `instance` behind which a kept header stands; `catalogue pull` brings documents only."""
FROM_CATALOGUE = Side(INSTANCE.full_name, ("uri",), "parser = 'catalogue'")

IMAGE: tuple[Expectation, ...] = (
    OneOf("modality", MODALITIES, 0.95),
    Between("study_date", "1970-01-01", TODAY, MOSTLY),
    Between("patient_birth_date", "1850-01-01", TODAY, MOSTLY),
    OneOf("patient_sex", ("F", "M", "O"), 0.95, WARNING),
    Between("rows", 1, 1_000_000, MOSTLY),
    Between("columns", 1, 1_000_000, MOSTLY),
    Between("number_of_frames", 1, 1_000_000, MOSTLY),
    Between("samples_per_pixel", 1, 4, MOSTLY),
    Between("bits_allocated", 1, 64, MOSTLY),
    Holds("bits_stored", "bits_stored is at most bits_allocated", "bits_stored <= bits_allocated",
          ("bits_stored", "bits_allocated"), MOSTLY),
    Between("slice_thickness", 0, 500, MOSTLY),
    Between("pixel_spacing", 0.00001, 100, MOSTLY),
    Between("kvp", 0, 1000, MOSTLY),
    Between("magnetic_field_strength", 0, 25, 0.9, WARNING),
    Between("flip_angle", 0, 360, MOSTLY),
    Between("patient_weight", 0, 600, MOSTLY),
    Complete("study_date", 0.9),
    Complete("sop_instance_uid", 0.9),
    Complete("series_instance_uid", 0.9),
    Complete("manufacturer", 0.8),
    Complete("slice_thickness", 0.8, ("CT", "MR", "PT")),
    Complete("pixel_spacing", 0.8, ("CT", "MR", "PT")),
    Complete("kvp", 0.8, ("CT", "MG")),
    Complete("magnetic_field_strength", 0.8, ("MR",)),
)  # fmt: skip
"""Of `instance` in both zones, as far as its columns are there."""

WATCHED = ("study_date", "series_instance_uid", "study_description", "slice_thickness", "manufacturer")

PIXELS: tuple[Expectation, ...] = (
    Between("frame", 0, 10_000_000),
    *(Between(name, 0, 1) for name in (
        "hu_air", "hu_lung", "hu_fat", "hu_soft_tissue", "hu_bone", "hu_metal",
        "padding_fraction", "modal_fraction", "saturated_fraction", "foreground_fraction",
    )),
    Between("entropy", 0, 64),
    *(Between(name, 0, None) for name in ("standard_deviation", "sharpness", "noise", "frames_measured")),
    Holds("mean", "the mean lies between minimum and maximum",
          "mean >= minimum - 1e-6 * abs(minimum) AND mean <= maximum + 1e-6 * abs(maximum)",
          ("mean", "minimum", "maximum")),
    Holds("percentile_50", "the median lies between minimum and maximum",
          "percentile_50 >= minimum AND percentile_50 <= maximum", ("percentile_50", "minimum", "maximum")),
)  # fmt: skip
"""Of `pixel_statistics` in both zones: what Cairn itself computes has no exceptions."""

SERIES_ROWS: tuple[Expectation, ...] = (
    Between("instances", 1, None),
    Holds("images", "a series has no more images than instances", "images <= instances", ("images", "instances")),
    OneOf("orientation", ("axial", "sagittal", "coronal", "oblique")),
    Between("slice_spacing", 0, None),
    Between("missing_slices", 0, None),
    Between("obliquity", 0, 90),
    Holds("studies", "a series belongs to one study", "studies <= 1", ("studies",), 0.95, WARNING),
    Complete("study_date", 0.9),
    Complete("manufacturer", 0.8),
    Complete("orientation", 0.8, ("CT", "MR", "PT")),
    Complete("slice_spacing", 0.5, ("CT", "MR")),
)
STUDY_ROWS: tuple[Expectation, ...] = (
    Between("instances", 1, None),
    Between("series", 0, None),  # images without a SeriesInstanceUID are of a study all the same
    Holds("series", "a study has no more series than instances", "series <= instances", ("series", "instances")),
    Complete("study_date", 0.9),
)
TEXT_SEARCH_ROWS: tuple[Expectation, ...] = (
    Between("boxes", 0, None),
    Holds("own_values", "no more lines hold own values than there are lines", "own_values <= boxes",
          ("own_values", "boxes")),
)  # fmt: skip
TEXT_ROWS: tuple[Expectation, ...] = (
    Between("confidence", 0, 1),
    Between("width", 1, None),
    Between("height", 1, None),
    OneOf("category", ("own_value", "date", "number", "laterality", "measurement", "annotation", "other")),
    Holds("last_frame", "the last frame is not before the first", "last_frame >= frame", ("last_frame", "frame")),
)


def _accounted(says: str, left: Side, *right: Side) -> Related:
    return Related("accounted", says, left, right)


_NO_PIXELS = Side(QUARANTINE.full_name, ("uri",), "stage = 'pixels'")
_IMAGED: Imaged = {"modality": "modality", "date": "study_date"}

# fmt: off
IMAGE_SUITES: tuple[Suite, ...] = (
    made_suite(
        ARCHIVE_ENTRY,
        OneOf("kind", ("file", "member", "container")),
        OneOf("state", ("present", "gone")),
        OneOf("code", CODES),
        Between("size", 0, None),
    ),
    made_suite(
        HEADER_BLOB,
        Between("header_bytes", 0, None),
        Between("file_size", 0, None),
        refers(HEADER_BLOB.full_name, "uri", ARCHIVE_ENTRY.full_name),
        _accounted("every readable entry has a header, a document or a row of quarantine", ENTRIES, BLOBS, FROM_CATALOGUE, BEFORE_PIXELS),
    ),
    made_suite(
        INSTANCE,
        *IMAGE,
        OneOf("parser", ("kernel", "pydicom", "catalogue")),
        Complete("patient_id", 0.9),
        refers(INSTANCE.full_name, "uri", HEADER_BLOB.full_name, where=READ_HERE),
        _accounted("every kept header has its row here or in quarantine", BLOBS, INSTANCES, BEFORE_PIXELS),
        Related("apart", "no entry has both its row here and one in quarantine by inventory or headers", INSTANCES, (BEFORE_PIXELS,)),
        **_IMAGED, nulls=(*WATCHED, "patient_id"),
    ),
    made_suite(
        QUARANTINE,
        OneOf("code", CODES),
        refers(QUARANTINE.full_name, "uri", ARCHIVE_ENTRY.full_name, where=OF_ENTRIES),
        steady=False,  # it shrinks when storage is mended and files are sent again
    ),
    made_suite(
        PIXEL_STATISTICS,
        *PIXELS,
        refers(PIXEL_STATISTICS.full_name, "uri", INSTANCE.full_name),
        _accounted("every instance was measured or has a row of quarantine", INSTANCES, Side(PIXEL_STATISTICS.full_name, ("uri",)), _NO_PIXELS),
        modality="modality", nulls=("mean", "sharpness"),
    ),
    made_suite(
        TEXT_SEARCH,
        *TEXT_SEARCH_ROWS,
        refers(TEXT_SEARCH.full_name, "uri", INSTANCE.full_name),
        modality="modality",
    ),
    made_suite(
        BURNED_IN_TEXT,
        *TEXT_ROWS,
        refers(BURNED_IN_TEXT.full_name, "uri", TEXT_SEARCH.full_name),
        modality="modality", steady=False,  # another reader of text finds other lines
    ),
    made_suite(
        SERIES,
        *SERIES_ROWS,
        refers(SERIES.full_name, "study_instance_uid", STUDY_TABLE.full_name),
        covered(INSTANCE.full_name, "series_instance_uid", SERIES.full_name, "is_primary"),
        **_IMAGED, nulls=("study_date", "orientation", "slice_spacing"),
    ),
    made_suite(
        STUDY_TABLE,
        *STUDY_ROWS,
        covered(INSTANCE.full_name, "study_instance_uid", STUDY_TABLE.full_name, "is_primary"),
        **_IMAGED, nulls=("study_date",),
    ),
    made_suite(
        CROSSING,
        OneOf("outcome", ("crossed", "opted_out", "refused")),
        OneOf("code", CODES),
        Holds("code", "what was refused has a code", "outcome <> 'refused' OR code IS NOT NULL", ("outcome", "code")),
        refers(CROSSING.full_name, "uri", INSTANCE.full_name),
        _accounted("every primary instance crossed, opted out or was refused", Side(INSTANCE.full_name, ("uri",), "is_primary"), Side(CROSSING.full_name, ("uri",))),
    ),
)
# fmt: on
