"""The columns of `instance`: names, types and paths against the data dictionary and the service's public schema."""

import os
import re
from pathlib import Path

import pyarrow as pa
import pytest
from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword

from cairn.tables.contract import FINDINGS, VARIANT
from cairn.tables.instance import INSTANCE, PROJECTED
from cairn.tables.instance_columns import EXCEPTIONS, column_name, element

SHARED = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared"))
NAMES = {column.name for column in INSTANCE.columns}

ARROW_TYPE = {
    **dict.fromkeys(["AE", "AS", "AT", "CS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"], pa.string()),
    **dict.fromkeys(["DS", "FL", "FD"], pa.float64()),
    **dict.fromkeys(["IS", "US", "SS", "UL", "SL", "UV", "SV", "US or SS"], pa.int64()),
    "DA": pa.date32(),
    "DT": pa.timestamp("us", tz="UTC"),
}


OVERLAY = {keyword_for_tag(tag): tag for tag in range(0x60000010, 0x60001502) if keyword_for_tag(tag)}


def tag_of(keyword: str) -> int | None:
    """Tag of a keyword; a keyword of a repeating group means its first group (docs/header.md)."""
    return tag_for_keyword(keyword) or OVERLAY.get(keyword)


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [
        ("SliceThickness", "slice_thickness"),
        ("KVP", "kvp"),
        ("SOPInstanceUID", "sop_instance_uid"),
        ("PatientID", "patient_id"),
        ("OtherPatientIDs", "other_patient_ids"),
        ("MRAcquisitionType", "mr_acquisition_type"),
        ("XRayTubeCurrentInuA", "xray_tube_current_in_ua"),
        ("RelativeXRayExposure", "relative_xray_exposure"),
        ("ExposureInuAs", "exposure_in_uas"),
        ("ExposureTimeInms", "exposure_time_in_ms"),
        ("VOILUTFunction", "voi_lut_function"),
        ("PresentationLUTShape", "presentation_lut_shape"),
        ("CTDIvol", "ctdi_vol"),
        ("NumberOfKSpaceTrajectories", "number_of_k_space_trajectories"),
        ("ViewCodeSequence_CodeValue", "view_code_sequence_code_value"),
    ],
)
def test_column_name(keyword, expected):
    assert column_name(keyword) == expected


def test_every_name_that_is_an_exception_is_used():
    used = {path.rsplit(".", 1)[-1] for column in PROJECTED for path in column.paths}
    assert set(EXCEPTIONS) <= used


@pytest.mark.parametrize("column", PROJECTED, ids=lambda column: column.name)
def test_paths_exist_in_the_dictionary_and_fit_the_type(column):
    assert column.rule == "header"
    assert column.paths
    assert len(set(column.paths)) == len(column.paths)
    for path in column.paths:
        *sequences, keyword = path.split(".")
        assert [dictionary_VR(tag_of(sequence)) for sequence in sequences] == ["SQ"] * len(sequences)
        tag = tag_of(keyword)
        assert tag is not None
        single = ARROW_TYPE[dictionary_VR(tag)]
        assert column.type == (single if dictionary_VM(tag) == "1" else pa.list_(single))


@pytest.mark.parametrize("column", PROJECTED, ids=lambda column: column.name)
def test_the_name_follows_from_the_first_path(column):
    *sequences, keyword = column.paths[0].split(".")
    assert column.name.endswith(column_name(keyword))
    if column.name == column_name(keyword):
        return
    kept = column.name[: -len(column_name(keyword)) - 1]
    lifted = [re.sub("(_information)?_sequence$", "", column_name(s)) for s in sequences]
    spellings = {column_name(sequences[-1]), lifted[-1], "_".join(lifted[-2:]), lifted[0]}
    spellings |= {column_name(s) for s in sequences} | {re.sub("_sequence$", "", column_name(s)) for s in sequences}
    assert kept in spellings


def test_functional_groups_come_after_the_plain_attribute_and_shared_before_per_frame():
    assert element("SliceThickness", pa.float64(), "x", "*.PixelMeasuresSequence.").paths == (
        "SliceThickness",
        "SharedFunctionalGroupsSequence.PixelMeasuresSequence.SliceThickness",
        "PerFrameFunctionalGroupsSequence.PixelMeasuresSequence.SliceThickness",
    )
    assert INSTANCE.column("echo_time").paths[1] == ("SharedFunctionalGroupsSequence.MREchoSequence.EffectiveEchoTime")


def test_comments_are_sentences_that_name_their_module():
    for column in PROJECTED:
        assert re.search(r"[.…] \[[^,].*, PS3\.(3 C|10 )[.0-9a-zC, ]+\]$", column.comment), column.name


def test_addresses_and_runs_do_not_cross():
    kept = {column.name for column in INSTANCE.columns if column.rule != "drop"}
    assert kept.isdisjoint({"uri", "content_version", "run", "header_bytes", "pixel_offset"})


def test_shape_of_the_table():
    schema = INSTANCE.arrow_schema
    assert INSTANCE.key == ("uri",)
    assert not schema.field("uri").nullable
    assert schema.names[-2:] == ["header", "findings"]
    assert schema.field("header").type == VARIANT
    assert schema.field("findings").type == FINDINGS
    assert INSTANCE.statistics_columns[:2] == ("modality", "study_date")


def expand(page: str) -> set[str]:
    """Return the keywords, plain or ``A_B``, that the page of the service's columns names."""
    page = re.sub(r"\s+", " ", page)
    group = r"(\w+)_\{([^{}]+)\}"
    page = re.sub(group, lambda m: ", ".join(f"{m[1]}_{part.strip()}" for part in m[2].split(",")), page)
    found: set[str] = set()
    for first, rest in re.findall(r"(\w+)((?:/\w+)*)", page):
        known = _keyword(first)
        if not known:
            continue
        found.add(first)
        found.update(filter(None, (_completed(first, tail) for tail in rest.split("/")[1:])))
    return found


def _keyword(word: str) -> bool:
    return tag_of(word.rsplit("_", 1)[-1]) is not None


def _completed(first: str, tail: str) -> str | None:
    """``ClinicalTrialTimePointID`` and ``Description`` make ``ClinicalTrialTimePointDescription``."""
    for cut in range(len(first) - 1, 0, -1):
        if first[cut].isupper() and tag_of(first[:cut].rsplit("_", 1)[-1] + tail) is not None:
            return first[:cut] + tail
    return tail if _keyword(tail) else None


def test_every_column_of_the_public_schema_is_offered():
    page = SHARED / "reference" / "image_tables.md"
    if not page.exists():
        pytest.skip("the page of the service's public columns is not here (set CAIRN_SHARED)")
    named = expand(page.read_text(encoding="utf-8").split("Scale to design for")[0])
    assert {"SecondaryCaptureDeviceSoftwareVersions", "EnergyWindowRange_EnergyWindowUpperLimit"} <= named
    assert len(named) > 190
    whole_sequences = {"CurrentRequestedProcedureEvidenceSequence"}  # named as the parent of its UIDs
    assert {name for name in named - whole_sequences if column_name(name) not in NAMES} == set()
