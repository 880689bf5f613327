"""`identifiable.series`: one row per SeriesInstanceUID, made of its primary instances."""

import pyarrow as pa

from cairn.tables.contract import Column, Contract
from cairn.tables.series_columns import PATIENT, STUDY, same_rule, taken

TEXTS = pa.list_(pa.string())

KEY_ATTRIBUTES = taken({"series_instance_uid": "uid"}, "")

MODALITY = taken({"modality": "keep"}, "That of its images where a report shares the series; several: the smallest.")

COMPARED = MODALITY + taken(
    {
        **PATIENT,
        **STUDY,
        "series_number": "keep",
        "series_date": "date",
        "series_time": "keep",
        **same_rule("text", "series_description protocol_name body_part_examined performed_procedure_step_description"),
        "performed_procedure_step_id": "drop",
        **same_rule("keep", "laterality patient_position"),
        **same_rule("keep", "manufacturer manufacturer_model_name software_versions"),
        **same_rule("drop", "device_serial_number station_name institution_name institutional_department_name"),
        "frame_of_reference_uid": "uid",
        **same_rule("keep", "performed_protocol_code_sequence_code_value magnetic_field_strength mr_acquisition_type"),
    },
    "Where images disagree: the smallest.",
)
"""Attributes that PS3.3 C.7.1 to C.7.5 keep constant over a series."""

SAMPLED = taken(
    {
        **same_rule("text", "requested_procedure_description admitting_diagnoses_description"),
        **same_rule("text", "clinical_trial_time_point_id clinical_trial_time_point_description"),
        **same_rule("keep", "patient_age patient_size patient_weight angio_flag transmit_coil_name receive_coil_name"),
        **same_rule("keep", "scanning_sequence sequence_variant sequence_name repetition_time echo_time inversion_time flip_angle"),
        **same_rule("keep", "slice_thickness spacing_between_slices kvp convolution_kernel spiral_pitch_factor scan_options"),
        **same_rule("keep", "gantry_detector_tilt reconstruction_diameter"),
        **same_rule("text", "contrast_bolus_agent contrast_bolus_route"),
        **same_rule("keep", "view_position image_laterality view_code_sequence_code_value image_type units"),
        **same_rule("keep", "rows columns bits_stored photometric_interpretation lossy_image_compression"),
        **same_rule("keep", "number_of_slices energy_window_range_energy_window_lower_limit energy_window_range_energy_window_upper_limit"),
        **same_rule("keep", "radiopharmaceutical_radiopharmaceutical radiopharmaceutical_radiopharmaceutical_volume"),
        **same_rule("keep", "radiopharmaceutical_radionuclide_code_code_value radiopharmaceutical_radionuclide_code_code_meaning"),
        **same_rule("keep", "radiopharmaceutical_radionuclide_total_dose randoms_correction_method attenuation_correction_method"),
        **same_rule("keep", "scatter_correction_method decay_correction reconstruction_method number_of_detectors"),
        **same_rule("date", "date_of_last_calibration"),
        **same_rule("keep", "time_of_last_calibration type_of_detector_motion"),
        **same_rule("keep", "detector_information_collimator_grid_name detector_information_collimator_type detector_information_field_of_view_shape"),
        **same_rule("keep", "detector_information_field_of_view_dimensions detector_information_zoom_factor detector_information_radial_position"),
        **same_rule("keep", "rotation_information_scan_arc rotation_information_angular_step rotation_information_number_of_frames_in_rotation"),
        **same_rule("keep", "longitudinal_temporal_offset_from_event longitudinal_temporal_event_type"),
    },
    "The smallest of the images' values.",
)  # fmt: skip

# fmt: off
COUNTS = (
    Column("instances", pa.int64(), "Primary instances.", "keep", nullable=False),
    Column("images", pa.int64(), "Primary instances with Rows and Columns.", "keep", nullable=False),
    Column("frames", pa.int64(), "Frames of those images.", "keep", nullable=False),
    Column("bytes", pa.int64(), "Size of the primary instances, bytes.", "keep", nullable=False),
    Column("faulty_instances", pa.int64(), "Primary instances with findings.", "keep", nullable=False),
    Column("original_images", pa.int64(), "Images whose Image Type begins with ORIGINAL.", "keep", nullable=False),
    Column("derived_images", pa.int64(), "Images whose Image Type begins with DERIVED.", "keep", nullable=False),
    Column("primary_images", pa.int64(), "Images whose Image Type goes on with PRIMARY.", "keep", nullable=False),
    Column("secondary_images", pa.int64(), "Images whose Image Type goes on with SECONDARY.", "keep", nullable=False),
    Column("contrast_images", pa.int64(), "Images that name a contrast agent; NONE and the like do not count.", "keep", nullable=False),
    Column("burned_in_images", pa.int64(), "Images whose Burned In Annotation says YES.", "keep", nullable=False),
    Column("original", pa.bool_(), "Whether all images are original; NULL when none says.", "keep"),
    Column("contrast", pa.bool_(), "Whether any image names a contrast agent; NULL without images.", "keep"),
    Column("modalities", TEXTS, "Modalities in the series, sorted: a report may share its images' series.", "keep", nullable=False),
    Column("sop_class_uids", TEXTS, "SOP classes in the series, sorted.", "keep", nullable=False),
    Column("transfer_syntax_uids", TEXTS, "Transfer syntaxes in the series, sorted.", "keep", nullable=False),
    Column("studies", pa.int64(), "Distinct StudyInstanceUIDs; more than 1 is a fault of the source.", "keep", nullable=False),
    Column("patients", pa.int64(), "Distinct PatientIDs; more than 1 is a fault of the source.", "keep", nullable=False),
    Column("first_acquisition", pa.timestamp("us", tz="UTC"), "Earliest acquisition date and time of an image.", "date"),
    Column("last_acquisition", pa.timestamp("us", tz="UTC"), "Latest acquisition date and time of an image.", "date"),
    Column("disagreements", TEXTS, "Columns of this table for which images hold several values, sorted.", "keep", nullable=False),
)

GEOMETRY = (
    Column("planes", pa.int64(), "Images and frames with a valid orientation and position.", "keep", nullable=False),
    Column("invalid_orientations", pa.int64(), "Planes whose orientation is no pair of orthogonal unit vectors.", "keep", nullable=False),
    Column("stacks", pa.int64(), "Distinct orientations; the columns below describe the one with most slice positions.", "keep", nullable=False),
    Column("named_orientations", pa.int64(), "Distinct orientation names among the stacks.", "keep", nullable=False),
    Column("orientation", pa.string(), "axial, sagittal, coronal (normal within 36.9° of the axis) or oblique; NULL without geometry.", "keep"),
    Column("obliquity", pa.float64(), "Angle between the normal and the nearest axis of the patient, degrees.", "keep"),
    Column("normal", pa.list_(pa.float64()), "Unit vector across the slices, patient coordinates.", "keep"),
    Column("slice_positions", pa.int64(), "Distinct positions along the normal.", "keep", nullable=False),
    Column("slice_spacing", pa.float64(), "Median distance between neighbouring positions, mm; computed, not as stated.", "keep"),
    Column("slice_spacing_minimum", pa.float64(), "Smallest distance between neighbouring positions, mm.", "keep"),
    Column("slice_spacing_maximum", pa.float64(), "Greatest distance between neighbouring positions, mm.", "keep"),
    Column("regular", pa.bool_(), "Whether all distances equal the spacing within 0.02 mm or 2 %; NULL below two positions.", "keep"),
    Column("missing_slices", pa.int64(), "Positions absent from the grid of slices.", "keep", nullable=False),
    Column("extent", pa.float64(), "Distance from the first to the last slice position, mm.", "keep"),
    Column("shear", pa.float64(), "Angle between the normal and the line through the positions, degrees: gantry tilt.", "keep"),
    Column("repeats", pa.int64(), "Most planes at one position.", "keep", nullable=False),
    Column("repeats_minimum", pa.int64(), "Fewest planes at one position; below repeats when volumes are incomplete.", "keep", nullable=False),
    Column("volumes", pa.int64(), "Time points, echoes, b values … at one position; above 1 the series is 4D.", "keep", nullable=False),
    Column("duplicate_positions", pa.int64(), "Planes at a position that another plane of the same time, echo … holds.", "keep", nullable=False),
    Column("spacing_row", pa.float64(), "Distance between rows of the first plane, mm.", "keep"),
    Column("spacing_column", pa.float64(), "Distance between columns of the first plane, mm.", "keep"),
    Column("square_pixels", pa.bool_(), "Whether the two are equal within 0.1 %; NULL without pixel spacing.", "keep"),
    Column("field_of_view_row", pa.float64(), "Height of the first plane, mm.", "keep"),
    Column("field_of_view_column", pa.float64(), "Width of the first plane, mm.", "keep"),
    Column("matrices", pa.int64(), "Distinct combinations of rows, columns and pixel spacing among the planes.", "keep", nullable=False),
)

LOCALIZER = (
    Column("localizer", pa.bool_(), "Whether it is a localizer; localizer_basis says why.", "keep", nullable=False),
    Column("localizer_basis", pa.string(), "header (Image Type or Series Description) or geometry; NULL when it is none.", "keep"),
)
PIXELS = (
    Column("measured_images", pa.int64(), "Primary images whose pixels were measured; NULL before the pixel stage.", "keep"),
    Column("measured_frames", pa.int64(), "Frames measured of those.", "keep"),
    Column("pixel_rescaled", pa.bool_(), "Whether the four columns below are in rescaled units (HU for CT) or stored values.", "keep"),
    Column("pixel_minimum", pa.float64(), "Smallest value over all images.", "keep"),
    Column("pixel_maximum", pa.float64(), "Greatest value over all images.", "keep"),
    Column("pixel_mean", pa.float64(), "Mean over all images.", "keep"),
    Column("pixel_standard_deviation", pa.float64(), "Population standard deviation over all images.", "keep"),
    Column("volume_air", pa.float64(), "CT: millilitres below -900 HU; NULL without one pixel spacing and slice spacing.", "keep"),
    Column("volume_lung", pa.float64(), "CT: millilitres from -900 to below -500 HU.", "keep"),
    Column("volume_fat", pa.float64(), "CT: millilitres from -190 to below -30 HU.", "keep"),
    Column("volume_soft_tissue", pa.float64(), "CT: millilitres from -30 to below 150 HU.", "keep"),
    Column("volume_bone", pa.float64(), "CT: millilitres from 150 to below 3000 HU; contrast agent is in it.", "keep"),
    Column("volume_metal", pa.float64(), "CT: millilitres from 3000 HU.", "keep"),
    Column("blank_frames", pa.int64(), "Frames whose samples are all equal.", "keep"),
    Column("duplicate_images", pa.int64(), "Images whose decoded pixels another image of the series has too.", "keep"),
    Column("outlier_frames", pa.int64(), "Frames that stand out in mean, deviation, sharpness or noise (modified z-score above 3.5).", "keep"),
    Column("outliers", pa.list_(pa.struct([pa.field("uri", pa.string()), pa.field("frame", pa.int32())])), "Which frames those are: entry and frame number."),
)
"""What the pixels of its primary images say together (:mod:`cairn.pixels.series_features`)."""

TEXT = (
    Column("text_looked_images", pa.int64(), "Primary images that were looked at for burnt-in text; NULL before the pixel stage.", "keep"),
    Column("text_images", pa.int64(), "Images of those in which text was found, in the pixels or in overlays.", "keep"),
    Column("own_value_images", pa.int64(), "Images of those in which a value of their own header was found.", "keep"),
)
"""What the search for text says of its primary images."""
# fmt: on

SERIES = Contract(
    zone="identifiable",
    name="series",
    grain="one SeriesInstanceUID",
    key=("series_instance_uid",),
    comment="Series of primary instances: attributes, counts, geometry, and where the images disagree.",
    columns=(*KEY_ATTRIBUTES, *COMPARED, *COUNTS, *LOCALIZER, *GEOMETRY, *PIXELS, *TEXT, *SAMPLED),
    clustered_by=("modality", "study_date"),
    statistics=("series_instance_uid", "study_instance_uid", "patient_id"),
)
