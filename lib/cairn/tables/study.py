"""`identifiable.study`: one row per StudyInstanceUID, made of its primary instances."""

import pyarrow as pa

from cairn.tables.contract import Column, Contract
from cairn.tables.series_columns import PATIENT, STUDY, STUDY_SAMPLED, taken

TEXTS = pa.list_(pa.string())

KEY_ATTRIBUTES = taken({"study_instance_uid": "uid"}, "")

COMPARED = taken(
    {name: rule for name, rule in {**PATIENT, **STUDY}.items() if name != "study_instance_uid"},
    "Where images disagree: the smallest.",
)

SAMPLED = taken(STUDY_SAMPLED, "The smallest of the images' values.")

# fmt: off
COUNTS = (
    Column("modality", pa.string(), "The modality of most images (of most instances where there are no images); equals go by name.", "keep"),
    Column("modalities", TEXTS, "Modalities in the study, sorted, as found.", "keep", nullable=False),
    Column("body_parts", TEXTS, "Body Part Examined of its series, sorted.", "text", nullable=False),
    Column("sop_class_uids", TEXTS, "SOP classes in the study, sorted.", "keep", nullable=False),
    Column("series", pa.int64(), "Series.", "keep", nullable=False),
    Column("instances", pa.int64(), "Primary instances.", "keep", nullable=False),
    Column("images", pa.int64(), "Primary instances with Rows and Columns.", "keep", nullable=False),
    Column("frames", pa.int64(), "Frames of those images.", "keep", nullable=False),
    Column("bytes", pa.int64(), "Size of the primary instances, bytes.", "keep", nullable=False),
    Column("faulty_instances", pa.int64(), "Primary instances with findings.", "keep", nullable=False),
    Column("original_images", pa.int64(), "Images whose Image Type begins with ORIGINAL.", "keep", nullable=False),
    Column("derived_images", pa.int64(), "Images whose Image Type begins with DERIVED.", "keep", nullable=False),
    Column("contrast_images", pa.int64(), "Images that name a contrast agent.", "keep", nullable=False),
    Column("burned_in_images", pa.int64(), "Images whose Burned In Annotation says YES.", "keep", nullable=False),
    Column("contrast", pa.bool_(), "Whether any image names a contrast agent; NULL without images.", "keep"),
    Column("patients", pa.int64(), "Distinct PatientIDs; more than 1 is a fault of the source.", "keep", nullable=False),
    Column("frames_of_reference", pa.int64(), "Distinct coordinate systems.", "keep", nullable=False),
    Column("first_acquisition", pa.timestamp("us", tz="UTC"), "Earliest acquisition date and time of an image.", "date"),
    Column("last_acquisition", pa.timestamp("us", tz="UTC"), "Latest acquisition date and time of an image.", "date"),
    Column("disagreements", TEXTS, "Columns of this table for which images hold several values, sorted.", "keep", nullable=False),
)
# fmt: on

STUDY_TABLE = Contract(
    zone="identifiable",
    name="study",
    grain="one StudyInstanceUID",
    key=("study_instance_uid",),
    comment="Studies of primary instances: attributes, counts, and where the images disagree.",
    columns=(*KEY_ATTRIBUTES, *COMPARED, *COUNTS, *SAMPLED),
    clustered_by=("modality", "study_date"),
    statistics=("study_instance_uid", "patient_id"),
)
