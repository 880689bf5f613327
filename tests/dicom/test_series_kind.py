"""Localizer and contrast, as makers write them."""

import pytest

from cairn.dicom.series_kind import says_contrast, says_localizer


@pytest.mark.parametrize(
    ("modality", "image_type", "description", "expected"),
    [
        ("CT", ["ORIGINAL", "PRIMARY", "LOCALIZER"], None, True),
        ("CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "Topogram  1.0  T20s", True),
        ("CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "Thorax 5.0", False),
        ("CT", ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI", "LOCALIZER"], "x", True),
        ("CT", ["LOCALIZER", "PRIMARY"], "x", False),
        ("CT", None, "Topogram_1_0_T80s", True),
        ("CT", None, "LOcontrast_scan07", False),
        ("CT", [], None, False),
        ("MR", [None, None, None], "3 PLANE LOC", True),
        ("MR", None, "t2_loc tra", True),
        ("MR", None, "II_AASpine_Scout_MPR_sag", True),
        ("MR", None, "SURVEY", True),
        ("MR", None, "velocity map", False),
        ("CR", None, "SKELETAL SURVEY", False),
        (None, None, "scout", False),
    ],
)
def test_localizer(modality, image_type, description, expected):
    assert says_localizer(modality, image_type, description) is expected


@pytest.mark.parametrize("agent", ["", " ", "NONE", "none", "No", "N", "NO CONTRAST", "non-contrast", "NO IV CONTRAST",
                                   "NOT CONTRAST", "N/A", "Without", "W/O", "0", "0.0", "-",
                                   "UNENHANCED", None])  # fmt: skip
def test_no_contrast(agent):
    assert says_contrast(agent) is False


@pytest.mark.parametrize(
    "agent", ["OMNIPAQUE 300", "Gadovist", "APPLIED", "ORAL & IV", "NONIONIC 350", "IV", "Niopam", "YES"]
)
def test_contrast(agent):
    assert says_contrast(agent) is True


def test_enhanced_images_say_it_in_other_places():
    assert says_contrast(None, agent_code="C-B0322") is True
    assert says_contrast(None, administered="YES") is True
    assert says_contrast("OMNIPAQUE", administered="NO") is False
