"""Imaging words on series as sites describe them, each word's value written by hand."""

from typing import Any

import pytest

from cairn.cohort import memory, reading
from cairn.cohort.catalogue import sources
from cairn.cohort.vocabulary import words

# modality, description, word, value
DESCRIBED = [
    ("CT", "Lung 2.0 CE Sagittal", "plane", "sagittal"),
    ("CT", "Chest wo  Cor", "plane", "coronal"),
    ("MR", "ep2d_diff_tra_b0_b1000_128", "plane", "axial"),
    ("MR", "HASTE_OBL_MRCP", "plane", "oblique"),
    ("CT", "HI RES CHEST", "plane", None),
    ("CT", "AXIALS 5x2.5", "plane", "axial"),
    ("CT", "STD 5x2.5", "plane", None),
    ("CT", "ABD/PEL-W", "body_region", "abdomen"),
    ("CT", "CHEST SCOUT", "body_region", "chest"),
    ("CT", "CT_Skull_To_Thigh  5.0  B30f", "body_region", "whole_body"),
    ("PT", "TOF MAC", "body_region", None),
    ("MG", "R ML", "body_region", "breast"),
    ("MR", "L-Spine_Ax", "body_region", "spine"),
    ("CT", "UNENHANCED Head 5.0", "body_region", "head"),
    ("DX", "Shoulder internal rotation AP", "body_region", "upper_limb"),
    ("CT", "Neck_3_000_CE", "body_region", "neck"),
    ("MR", "AX FLAIR", "mr_weighting", "FLAIR"),
    ("MR", "SAG T1 (FLAIR)", "mr_weighting", "T1"),
    ("MR", "2D_COR_T2_FLAIR", "mr_weighting", "FLAIR"),
    ("MR", "AX_DIFFUSION_ADC_DFC_MIX", "mr_weighting", "ADC"),
    ("MR", "Ax DWI BH b=500", "mr_weighting", "DWI"),
    ("MR", "AX T2* GRE", "mr_weighting", "T2star"),
    ("MR", "AX 3D GRE T1 FS 1 MIN", "mr_weighting", "T1"),
    ("MR", "t2_tse_tra 4mm L-Spine", "mr_weighting", "T2"),
    ("MR", "COR PD FS", "mr_weighting", "PD"),
    ("MR", "Sag STIR TSPINE", "mr_weighting", "STIR"),
    ("MR", "3D TOF", "mr_weighting", "angiography"),
    ("CT", "T1 SPINE", "mr_weighting", None),
    ("CT", "Portal Body 1.0 CE", "contrast_given", "yes"),
    ("CT", "CTAC SLICES", "contrast_given", None),
    ("CT", "CHEST C+  3.0  B31f", "contrast_given", "yes"),
    ("MR", "T1 FLAIR FS TRANS +C", "contrast_given", "yes"),
    ("CT", "SafeCT_Abd_Pel_w_o_1_5", "contrast_given", None),
    ("CT", "CT ABD NON CONTRAST", "contrast_given", None),
    ("MR", "AX  3D  FS  PRE  DYNAMIC", "contrast_given", None),
    ("MG", "L MLO C-View", "view", "MLO"),
    ("MG", "3D_PROJ_LCC", "view", "CC"),
    ("CR", "W LUMBAR SPINE LAT", "view", "lateral"),
    ("CR", "X Forearm a.p. Left", "view", "AP"),
    ("CR", "PA Chest Landscape", "view", "PA"),
    ("CT", "Recon 3: C-A-P  PA  POSITION", "view", None),
    ("MR", "LT BREAST 1ST PASS", "side", "left"),
    ("MG", "R CC C-View", "side", "right"),
    ("CT", "Default", "side", None),
]

# columns, word, value
HEADERS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"modality": "CT", "body_part_examined": "BRAIN", "series_description": "CHEST"}, "body_region", "head"),
    ({"modality": "CT", "orientation": "axial", "series_description": "COR"}, "plane", "axial"),
    ({"modality": "CT", "contrast": True}, "contrast_given", "yes"),
    ({"slice_thickness": 1.5}, "thin_slice", "yes"),
    ({"slice_thickness": 5.0, "slice_spacing": 1.0}, "thin_slice", None),
    ({"slice_spacing": 1.0}, "thin_slice", "yes"),
    ({}, "thin_slice", None),
    ({"modality": "CT", "convolution_kernel": ["FC51"]}, "kernel_class", "lung"),
    ({"modality": "CT", "convolution_kernel": ["BONEPLUS"]}, "kernel_class", "bone"),
    ({"modality": "CT", "convolution_kernel": ["B70f"]}, "kernel_class", "bone"),
    ({"modality": "CT", "convolution_kernel": ["Br40d", "3"]}, "kernel_class", "soft"),
    ({"modality": "CT", "convolution_kernel": ["STANDARD"]}, "kernel_class", "soft"),
    ({"modality": "MR", "repetition_time": 500.0, "echo_time": 12.0, "flip_angle": 90.0}, "mr_weighting", "T1"),
    ({"modality": "MR", "repetition_time": 4000.0, "echo_time": 100.0}, "mr_weighting", "T2"),
    ({"view_position": "LL"}, "view", "lateral"),
    ({"laterality": "L"}, "side", "left"),
    ({"image_laterality": "B"}, "side", "both"),
    ({"duplicate_images": 1}, "has_duplicates", "yes"),
    ({"burned_in_images": 2}, "burnt_in_text", "yes"),
    ({"original": True, "localizer": True}, "original_acquisition", None),
    ({"localizer": True}, "is_localizer", "yes"),
    ({"blank_frames": 3, "pixel_standard_deviation": 0.0}, "blank", "yes"),
    ({"blank_frames": 3, "pixel_standard_deviation": 0.1}, "blank", None),
    (
        {**dict.fromkeys(("missing_slices", "duplicate_positions"), 0), "regular": True, "volumes": 1,
         "slice_positions": 10, "localizer": False},
        "whole_volume",
        "yes",
    ),
]  # fmt: skip


def _says(row: dict[str, Any], name: str) -> str | None:
    """Return the value of a word for a series: the one whose condition holds; never two."""
    found = []
    for value, _ in words()[name].values:
        test = name if words()[name].flag else f"{name} = {value}"
        definition = f'cohort: w\nversion: 1\nsets: {{s: {{from: series, where: "{test}"}}}}\n'
        checked = reading.parse(definition, {})
        engine = memory._Engine(checked, {})
        if engine.truth(checked.sets["s"].where, row):
            found.append(value)
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(("modality", "description", "name", "value"), DESCRIBED)
def test_descriptions(modality: str, description: str, name: str, value: str | None):
    assert _says({"modality": modality, "series_description": description}, name) == value


@pytest.mark.parametrize(("row", "name", "value"), HEADERS)
def test_headers(row: dict[str, Any], name: str, value: str | None):
    assert row.keys() <= sources()["series"].columns.keys()
    assert _says(row, name) == value


def test_every_word_is_tested():
    assert {case[-2] for case in (*DESCRIBED, *HEADERS)} == words().keys()
