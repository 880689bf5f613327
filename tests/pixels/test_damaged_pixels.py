"""Damaged files: rows or a code, never another exception, and never a process more than the damage explains."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pixel_sample import InMemory

from cairn.errors import ENTRY_CONDITIONS, EntryError
from cairn.pixels.reader import PixelLimits, PixelReader
from cairn.pixels.rows import table_of

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
NAMES = (
    "CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_rle_2frame.dcm", "SC_ybr_full_422_uncompressed.dcm", "image_dfl.dcm",
    "liver_1frame.dcm", "parametric_map_float.dcm", "examples_palette.dcm", "emri_small_RLE.dcm", "JPGExtended.dcm",
)  # fmt: skip
FILES = [(PACKAGED / name).read_bytes() for name in NAMES if (PACKAGED / name).is_file()]
LIMITS = PixelLimits(frame_limit_bytes=64 << 20, inflated_limit_bytes=64 << 20, decode_timeout_seconds=20.0)


@pytest.fixture(scope="module")
def reader():
    with PixelReader(LIMITS) as made:
        yield made


def outcome_of(reader: PixelReader, data: bytes) -> str:
    """Return ``rows`` or a code."""
    try:
        result = reader(InMemory(data))
    except EntryError as fault:
        assert fault.code in ENTRY_CONDITIONS
        return fault.code
    for row in result.rows:
        row.update(uri="x", content_version="x", run="x")
    table_of(result.rows).validate(full=True)
    assert all(finding.code in ENTRY_CONDITIONS for finding in result.findings)
    return "rows"


def test_the_files_are_there():
    assert len(FILES) >= 12


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, len(FILES) - 1), share=st.floats(0.0, 1.0))
def test_cut_files(reader, number, share):
    data = FILES[number]
    outcome_of(reader, data[: int(len(data) * share)])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.integers(0, len(FILES) - 1),
    changes=st.lists(st.tuples(st.floats(0.0, 1.0, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    early=st.booleans(),
)
@example(number=0, changes=[(0.5, 0)], early=False)
def test_changed_bytes(reader, number, changes, early):
    data = bytearray(FILES[number])
    span = min(len(data), 3000) if early else len(data)
    for place, value in changes:
        data[int(place * span)] = value
    outcome_of(reader, bytes(data))


def test_an_impossible_size_costs_no_memory(reader):
    data = bytearray(FILES[0])
    at = bytes(data).index(b"\x28\x00\x10\x00US")
    data[at + 8 : at + 10] = b"\xff\xff"
    assert outcome_of(reader, bytes(data)) == "rows", "rows that are there"
