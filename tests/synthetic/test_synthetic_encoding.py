"""What the encoder writes is what pydicom reads, in every transfer syntax."""

from __future__ import annotations

import io
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.synthetic.draws import Draws
from cairn.synthetic.encoding import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    Attributes,
    Raw,
    Syntax,
    Template,
    Typed,
    count_elements,
    decimal,
    encapsulate,
    encode,
    part10,
)
from cairn.synthetic.private_blocks import blocks

CT = "1.2.840.10008.5.1.4.1.1.2"
UNDEFINED = Syntax(EXPLICIT.uid, undefined_sequences=True)
SYNTAXES = [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED, UNDEFINED]

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), max_size=40)
ITEM = st.fixed_dictionaries(
    {"CodeValue": TEXT, "NumberOfFrames": st.integers(1, 9999), "ReferencedSegmentNumber": st.integers(0, 65535)}
)
DATASET = st.fixed_dictionaries(
    {
        "SOPInstanceUID": st.integers(1, 10**30).map(lambda n: f"2.25.{n}"),
        "SeriesDescription": TEXT,
        "Rows": st.integers(0, 65535),
        "PixelPaddingValue": st.integers(-32768, 32767).map(lambda n: Typed("SS", n)),
        "PixelRepresentation": st.just(1),
        "SpiralPitchFactor": st.floats(allow_nan=False, width=64),
        "ProcedureCodeSequence": st.lists(ITEM, max_size=3),
        0x00091001: st.binary(max_size=30).map(lambda data: Typed("OB", data)),
        0x00090010: st.just(Typed("LO", "TEST")),
    }
)


def read(attributes: Attributes, syntax: Syntax) -> pydicom.Dataset:
    data = part10(CT, attributes.get("SOPInstanceUID", "1.2"), encode(attributes, syntax), syntax)
    return pydicom.dcmread(io.BytesIO(data))


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.uid.rpartition(".")[2] + "u" * s.undefined_sequences)
@given(attributes=DATASET)
@settings(max_examples=40, deadline=None)
def test_reads_back(syntax: Syntax, attributes: dict[Any, Any]) -> None:
    dataset = read(attributes, syntax)
    for keyword in ("SOPInstanceUID", "SeriesDescription", "Rows", "SpiralPitchFactor"):
        assert dataset[keyword].value == attributes[keyword]
    assert dataset.PixelPaddingValue == attributes["PixelPaddingValue"].value
    items = [{e.keyword: e.value for e in item} for item in dataset.ProcedureCodeSequence]
    assert items == attributes["ProcedureCodeSequence"]
    private = dataset[0x00091001].value
    assert bytes(private or b"").rstrip(b"\0") == attributes[0x00091001].value.rstrip(b"\0")
    assert count_elements(attributes) == sum(1 for _ in dataset.iterall())


@given(st.floats(-1e7, 1e7, allow_nan=False))
def test_decimal_strings_are_short_and_near(number: float) -> None:
    text = decimal(number)
    assert len(text) <= 16
    assert abs(float(text) - number) <= 1e-6


@given(attributes=DATASET)
@settings(max_examples=40, deadline=None)
def test_splicing_equals_encoding_at_once(attributes: dict[Any, Any]) -> None:
    own: Attributes = {key: attributes[key] for key in ("SOPInstanceUID", "Rows")}
    common = {key: value for key, value in attributes.items() if key not in own}
    for syntax in SYNTAXES:
        assert b"".join(Template(common, own, syntax).fill(own)) == encode(attributes, syntax)


def test_raw_values_are_written_as_given_and_may_lie() -> None:
    assert encode({"SliceThickness": Raw("DS", b"5\0", 99)}, EXPLICIT) == b"\x18\x00\x50\x00DS\x63\x005\x00"


def test_text_follows_the_character_set_of_the_dataset_into_items() -> None:
    attributes: Attributes = {
        "SpecificCharacterSet": "ISO_IR 144",
        "PatientName": "Иванова^Анна",
        "RequestAttributesSequence": [{"ScheduledProcedureStepDescription": "голова"}],
    }
    dataset = read(attributes, EXPLICIT)
    assert dataset.PatientName == "Иванова^Анна"
    assert dataset.RequestAttributesSequence[0].ScheduledProcedureStepDescription == "голова"


def test_encapsulated_frames_come_back() -> None:
    frames = [b"abc", b"defg", b""]
    found = list(pydicom.encaps.generate_frames(encapsulate(frames), number_of_frames=3))
    assert found == [b"abc\0", b"defg", b""]


@pytest.mark.parametrize("maker", ["GE", "SIEMENS", "PHILIPS", "TOSHIBA"])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_private_elements_have_the_vr_that_is_known_of_them(maker: str, modality: str) -> None:
    known = 0
    for group, creator, elements in blocks(maker, modality, Draws(1, "test")):
        for number, vr, _ in elements:
            assert pydicom.datadict.private_dictionary_VR(group << 16 | 0x1000 | number, creator) == vr
            known += 1
    assert known
