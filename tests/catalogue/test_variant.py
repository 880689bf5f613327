"""A header's VARIANT through a BSON document and back: the same bytes, and the document says what the header says."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import bson
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).resolve().parents[1] / "dicom"))

from made_headers import Made, element, headers, small_file
from variant_decoder import decoded

from cairn.catalogue.variant import from_document, to_document
from cairn.dicom.kernel import HeaderKernel, KernelLimits
from cairn.tables.instance import INSTANCE

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
KERNEL = HeaderKernel(INSTANCE.columns, KernelLimits(value_limit_bytes=64))


def variants(data: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the VARIANTs of those headers that can be read."""
    rows = KERNEL.parse(data).table.column("header").to_pylist()
    return [(row["value"], row["metadata"]) for row in rows]


def unwrapped(value: object) -> object:
    """Return a document as plain values, as the tests' own decoder of VARIANT gives them."""
    if isinstance(value, list):
        return [unwrapped(part) for part in value]
    if isinstance(value, dict):
        told = [value[name] for name in ("single", "double") if name in value]
        return told[0] if told else {key: unwrapped(part) for key, part in value.items()}
    return int(value.to_decimal()) if isinstance(value, bson.Decimal128) else value


def stored(document: dict) -> dict:
    """Return a document as a server gives it back."""
    return bson.decode(bson.encode(document))


def check(value: bytes, metadata: bytes) -> None:
    document, _ = to_document(value, metadata)
    assert repr(unwrapped(document)) == repr(decoded(value, metadata))  # repr: NaN equals itself
    assert from_document(stored(document)) == (value, metadata)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(headers(), min_size=1, max_size=4))
def test_made_up_headers_come_back_byte_for_byte(made: list[Made]) -> None:
    for value, metadata in variants([one.data for one in made]):
        check(value, metadata)


def test_packaged_files_come_back_byte_for_byte() -> None:
    data = [path.read_bytes() for path in sorted(PACKAGED.glob("*.dcm")) if path.stat().st_size < 4_000_000]
    found = variants(data)
    assert len(found) > 60
    for value, metadata in found:
        check(value, metadata)


@pytest.mark.parametrize(
    ("tag", "vr", "key", "expected"),
    [
        (0x00089459, "FL", "RecommendedDisplayFrameRateInFloat", 1.5),  # FL by the dictionary
        (0x00191010, "FL", "00191010", {"single": 1.5}),  # private: the width is not known from the key
        (0x00191010, "FD", "00191010", 1.5),
        (0x00089459, "FD", "RecommendedDisplayFrameRateInFloat", {"double": 1.5}),  # the file says otherwise
    ],
)
def test_the_width_of_a_number_is_kept(tag: int, vr: str, key: str, expected: object) -> None:
    raw = struct.pack("<f" if vr == "FL" else "<d", 1.5)
    (variant,) = variants([small_file(element(tag, vr, raw))])
    document, _ = to_document(*variant)
    assert document.get(key) == expected
    check(*variant)


def test_depth_counts_objects_and_arrays() -> None:
    flat, nested = ({}, {"a": [{"b": [1, 2]}]})
    assert to_document(*from_document(flat))[1] == 1
    assert to_document(*from_document(nested))[1] == 4


@pytest.mark.parametrize("number", [0, 127, 128, -128, -129, 32767, 32768, 2**31, -(2**31), 2**63 - 1])
def test_integers_take_the_narrowest_form(number: int) -> None:
    value, metadata = from_document({"Rows": number})
    assert decoded(value, metadata) == {"Rows": number}
