"""The oracle itself: a header worked out by hand, a comparison that can fail, a decoder that refuses."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql.types import VariantVal

sys.path.append(str(Path(__file__).parent))

from header_oracle import compare, expected_header
from made_headers import element, small_file
from variant_decoder import MalformedVariant, decoded


def test_the_oracle_on_a_header_worked_out_by_hand() -> None:
    data = small_file(
        element(0x00080060, "CS", b"CT")
        + element(0x00081030, "LO", b" a\\b ")
        + element(0x00081140, "SQ", b"\xfe\xff\x00\xe0\x0c\0\0\0" + element(0x00081155, "UI", b"1.2\0"))
        + element(0x00101030, "DS", b" 70.0 ")
        + element(0x00190010, "LO", b"ACME")
        + element(0x00191001, "UN", b"\1\2")
        + element(0x00280010, "US", struct.pack("<H", 512))
        + element(0x60000010, "US", struct.pack("<H", 1))
        + element(0x60020010, "US", struct.pack("<H", 2))
    )
    assert expected_header(data) == {
        "TransferSyntaxUID": "1.2.840.10008.1.2.1",
        "SOPInstanceUID": "1.2.3",
        "Modality": "CT",
        "StudyDescription": [" a", "b"],
        "ReferencedImageSequence": [{"ReferencedSOPInstanceUID": "1.2"}],
        "PatientWeight": "70.0",
        "00190010": "ACME",
        "00191001": b"\1\2",
        "Rows": 512,
        "OverlayRows": 1,
        "60020010": 2,
    }


@pytest.mark.parametrize(
    ("tree", "expected", "line"),
    [
        ({"A": 1}, {"A": 1, "B": 2}, "/B: missing"),
        ({"A": 1, "B": 2}, {"A": 1}, "/B: extra"),
        ({"A": 1}, {"A": 1.0}, "/A: type int, expected float"),
        ({"A": "1"}, {"A": "1 "}, "/A: value"),
        ({"A": 0.0}, {"A": -0.0}, "/A: value"),
        ({"A": None}, {"A": ""}, "/A: type NoneType, expected str"),
        ({"A": ["x"]}, {"A": ["x", "y"]}, "/A: 1 values, expected 2"),
        ({"A": [{"B": b"x"}]}, {"A": [{"B": b"y"}]}, "/A[0]/B: value"),
    ],
)
def test_the_comparison_tells_every_kind_of_difference(tree: Any, expected: Any, line: str) -> None:
    assert compare(tree, expected) == [line]
    assert compare(expected, expected) == []


JSON = st.recursive(
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)


def test_the_decoder_refuses_what_the_format_forbids() -> None:
    value, metadata = b"\x02\x01\x00\x00\x02\x0c\x07", b"\x11\x01\x00\x01A"
    assert decoded(value, metadata) == {"A": 7}
    for broken in (
        (value + b"\0", metadata),  # left over
        (value[:-1], metadata),  # cut
        (value, metadata[:-1]),
        (value, b"\x12" + metadata[1:]),  # another version
        (b"\x02\x01\x01\x00\x02\x0c\x07", metadata),  # a field without a key
        (b"\x02\x02\x00\x00\x00\x00\x02\x0c\x07", metadata),  # a field twice
        (b"\x02\x02\x01\x00\x00\x02\x04\x0c\x07\x0c\x08", b"\x11\x02\x00\x01\x02AB"),  # fields out of order
        (b"\x02\x01\x00\x01\x03\x0c\x07\x07", metadata),  # a gap
        (value, b"\x11\x02\x00\x01\x02BA"),  # keys out of order
    ):
        with pytest.raises(MalformedVariant):
            decoded(*broken)


@settings(max_examples=100)
@given(tree=JSON)
def test_the_decoder_reads_what_spark_writes(tree: Any) -> None:
    made = VariantVal.parseJson(json.dumps(tree))
    assert compare(decoded(bytes(made.value), bytes(made.metadata)), tree) == []
