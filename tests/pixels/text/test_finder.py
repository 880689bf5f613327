"""The finder, from file to box: which images are searched and why, frames, overlays, unused bits, own values."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pixel_sample import InMemory, made_file

from cairn.errors import CairnError
from cairn.pixels.reader import PixelReader
from cairn.pixels.text import engines
from cairn.pixels.text.device_rules import Condition, DeviceRule, load_device_rules
from cairn.pixels.text.engines import PaddleEngine, Reading, TesseractEngine, engine_of, tesseract_installed
from cairn.pixels.text.finder import TextFinder, TextLimits
from cairn.synthetic import phantoms
from cairn.synthetic.text_ink import ink
from cairn.synthetic.text_set import GROUPS, UPRIGHT, made_text_image

RULES = load_device_rules(Path(__file__).resolve().parents[3] / "conf" / "device_rules.yaml")
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(scope="module")
def engine() -> PaddleEngine:
    return PaddleEngine()


def looked(data: bytes, engine, rules=(), limits=None):
    """Return what the finder says of a file."""
    finder = TextFinder(rules, limits, lambda: engine)
    with PixelReader(watcher=finder, statistics=False) as reader:
        reader(InMemory(data))
    return finder.finish()


def never():
    raise AssertionError("the models were loaded for an image without any sign of text")


def frame_with(text: str | None, rows=160, columns=320, value=200, at=(60, 20), height=14) -> np.ndarray:
    frame = np.full((rows, columns), 30, np.uint8)
    if text:
        drawn = ink(text, "outline", height)
        frame[at[0] : at[0] + drawn.shape[0], at[1] : at[1] + drawn.shape[1]][drawn >= 96] = value
    return frame


def slice_file(**more) -> bytes:
    return made_file(phantoms.ct_slice(512, 0), Modality="CT", SOPClassUID=CT, **more)


def hidden(image, boxes) -> list[bool]:
    """Return for each planted line whether the boxes of its frame and plane cover 95 % of its ink."""
    out = []
    for line in image.planted:
        mask = np.zeros((3000, 3000), bool)
        for box in boxes:
            in_plane = box.plane != "pixels" if line.frame == 0 else box.frame <= line.frame <= box.last_frame
            if in_plane:
                mask[box.y : box.y + box.height, box.x : box.x + box.width] = True
        under = mask[line.y : line.y + line.ink.shape[0], line.x : line.x + line.ink.shape[1]]
        out.append((under & line.ink).sum() >= 0.95 * line.ink.sum())
    return out


def test_a_slice_without_text_loads_no_model():
    finder = TextFinder(RULES, engine=never)
    with PixelReader(watcher=finder, statistics=False) as reader:
        reader(InMemory(slice_file(Manufacturer="SIEMENS", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])))
    result = finder.finish()
    assert (result.searched, result.boxes, result.evidence, result.frames_looked) == (False, [], (), 1)


EVIDENCE = [
    ({"BurnedInAnnotation": "YES"}, "burned_in_annotation"),
    ({"Modality": "US"}, "modality"),
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"}, "sop_class"),
    ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "image_type"),
    ({"Modality": "CR", "ConversionType": "DF"}, "conversion_type"),
]


@pytest.mark.parametrize(("header", "reason"), EVIDENCE)
def test_the_header_has_an_image_searched(header, reason, engine):
    values = {"Modality": "CT", "SOPClassUID": CT, **header}
    result = looked(made_file(np.zeros((64, 64), np.uint8), **values), engine)
    assert reason in result.evidence and result.searched and not result.boxes


def test_the_makers_word_that_there_is_no_text_is_not_enough(engine):
    pixels = frame_with("MACDONALD, CATRIONA").astype(np.uint16)
    result = looked(made_file(pixels, Modality="CT", SOPClassUID=CT, BurnedInAnnotation="NO"), engine, RULES)
    assert result.evidence == ("triage",) and ["MACDONALD" in box.text for box in result.boxes] == [True]


def test_a_device_rule(engine):
    rule = DeviceRule("Model X", "regions", (Condition("equals", "ManufacturerModelName", "X"),), ((0, 0, 60, 20),))
    result = looked(slice_file(ManufacturerModelName="X"), engine, [rule])
    assert result.evidence == ("device_rule",) and result.rule == "Model X" and result.regions == ((0, 0, 60, 20),)
    assert looked(slice_file(ManufacturerModelName="Y"), engine, [rule]).rule is None


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"])
def test_text_in_an_ultrasound_region_is_told_from_text_beside_it(syntax, engine):
    frame = frame_with("MACDONALD CATRIONA", at=(8, 20))
    frame[100:130] = frame_with("DIST 12.5 mm", rows=30, at=(5, 20))
    region = pydicom.Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 40
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 319, 159
    broken = pydicom.Dataset()
    broken.RegionLocationMinX0 = 5
    dataset = pydicom.dcmread(io.BytesIO(made_file(frame, Modality="US")))
    dataset.SequenceOfUltrasoundRegions = [region, broken]
    dataset.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    boxes = looked(out.getvalue(), engine).boxes
    assert [(box.text[:4], box.in_ultrasound_region) for box in boxes] == [("MACD", False), ("DIST", True)]
    assert {box.in_ultrasound_region for box in looked(made_file(frame, Modality="US"), engine).boxes} == {None}


def test_own_values_are_told_from_others(engine):
    frame = frame_with("MACDONALD CATRIONA")
    frame[100:130] = frame_with("THOMSON JEAN", rows=30, at=(5, 20))
    data = made_file(frame, PatientName="MacDonald^Catriona")
    result = looked(data, engine)
    assert [box.category for box in result.boxes] == ["own_value", "other"]
    assert result.own_values == 1


def test_text_in_one_frame_of_sixty(engine):
    noise = np.random.default_rng(1).integers(0, 12, (60, 160, 320)).astype(np.uint8)
    frames = noise + np.stack([frame_with(None)] * 60)
    frames[41] = frame_with("ID 4711 MACDONALD") + noise[41]
    result = looked(made_file(frames, frames=60, Modality="XA", SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1"), engine)
    assert [(box.frame, box.last_frame) for box in result.boxes] == [(42, 42)]
    assert result.frames_looked == 60 and result.frames_searched <= 3


def test_text_that_stays_is_one_box_and_is_searched_once(engine):
    rng = np.random.default_rng(1)
    frames = np.stack([frame_with("MACDONALD CATRIONA") + rng.integers(0, 30, (160, 320)) for _ in range(20)])
    result = looked(made_file(frames.astype(np.uint8), frames=20, Modality="XA", SOPClassUID=CT), engine)
    (box,) = result.boxes
    assert (box.frame, box.last_frame, result.frames_searched) == (1, 20, 1)


def test_text_that_changes_gives_a_box_for_each(engine):
    words = ["MACDONALD", "THOMSON", "SUTHERLAND"]
    frames = np.stack([frame_with(words[i // 4]) for i in range(12)])
    result = looked(made_file(frames, frames=12, Modality="XA", SOPClassUID=CT), engine)
    assert [(box.text, box.frame, box.last_frame) for box in result.boxes] == [
        ("MACDONALD", 1, 4), ("THOMSON", 5, 8), ("SUTHERLAND", 9, 12),
    ]  # fmt: skip


def test_beyond_the_limit_of_frames_new_lines_are_still_read(engine):
    words = ["MACDONALD", "THOMSON", "SUTHERLAND", "FRASER", "CAMERON"]
    frames = np.stack([frame_with(word) for word in words])
    result = looked(
        made_file(frames, frames=5, Modality="XA", SOPClassUID=CT), engine, limits=TextLimits(searched_frames=2)
    )
    assert result.frames_searched == 2 and [box.text for box in result.boxes] == words


@pytest.mark.parametrize(("group", "plane"), [("overlay", "overlay 6000"), ("high_bits", "bit 15")])
def test_planes_beside_the_pixels(group, plane, engine):
    image = made_text_image(3, group, 0)
    result = looked(image.data, engine)
    assert {box.plane for box in result.boxes} == {plane}
    assert all(hidden(image, result.boxes))


def test_an_overlay_that_lies_elsewhere_than_the_image(engine):
    dataset = pydicom.dcmread(io.BytesIO(slice_file()))
    plane = (frame_with("MACDONALD") > 100).astype(np.uint8)
    for element, vr, value in [
        (0x10, "US", 160), (0x11, "US", 320), (0x40, "CS", "G"), (0x50, "SS", [101, 151]), (0x100, "US", 1),
        (0x102, "US", 0), (0x3000, "OW", np.packbits(plane.ravel(), bitorder="little").tobytes()),
    ]:  # fmt: skip
        dataset.add_new((0x6002, element), vr, value)
    out = io.BytesIO()
    dataset.save_as(out)
    (box,) = looked(out.getvalue(), engine).boxes
    assert box.plane == "overlay 6002" and abs(box.x - 170) <= 8 and abs(box.y - 160) <= 8


@pytest.mark.slow
def test_the_made_text_set(engine):
    """A part of the set; benchmarks/burned_in_text.py has the figures of a larger one."""
    lines: Counter[str] = Counter()
    found: Counter[str] = Counter()
    searched = 0
    groups = [group for group in GROUPS if group not in ("large", "none")]
    for group in groups:
        for number in range(2):
            image = made_text_image(11, group, number)
            result = looked(image.data, engine, RULES)
            searched += result.searched
            lines[group] += len(image.planted)
            found[group] += sum(hidden(image, result.boxes))
    upright = [group for group in UPRIGHT if group in lines]
    assert sum(found[group] for group in upright) >= 0.97 * sum(lines[group] for group in upright)
    assert found["turned"] >= 0.9 * lines["turned"] and found["quarter"] >= 0.9 * lines["quarter"]
    assert searched >= 2 * len(groups) - 1


def test_images_without_text_have_no_boxes(engine):
    for number in range(4):
        assert not looked(made_text_image(11, "none", number).data, engine, RULES).boxes


@pytest.mark.parametrize("turn", [False, True])
def test_readers_read(engine, turn):
    crop = np.repeat(frame_with("MACDONALD 0101", rows=40, columns=220, at=(12, 8))[..., None], 3, 2)
    crop = np.ascontiguousarray(crop[::-1, ::-1]) if turn else crop
    (reading,) = engine.read([crop])
    assert reading.text.replace(" ", "") == "MACDONALD0101" and reading.confidence > 0.8


@pytest.fixture
def tesseract():
    if not tesseract_installed():
        pytest.skip("tesseract is not installed")
    return TesseractEngine()


def test_tesseract_as_an_engine_of_its_own(tesseract):
    frame = frame_with("MACDONALD", height=24)
    result = looked(made_file(frame, BurnedInAnnotation="YES", PatientName="MacDonald^A"), tesseract)
    assert [(box.engine, box.category) for box in result.boxes] == [("tesseract", "own_value")]


def test_tesseract_reads_what_the_first_reader_doubts(tesseract, monkeypatch):
    monkeypatch.setattr(engines, "SURE", 1.1)
    monkeypatch.setattr(PaddleEngine, "_read", lambda self, crops: [Reading("X", 0.2, "ppocr-v4") for _ in crops])
    crop = np.repeat(frame_with("MACDONALD", rows=60, columns=260, at=(16, 12), height=24)[..., None], 3, 2)
    (reading,) = engine_of(("ppocr-v4", "tesseract")).read([crop])
    assert reading.engine == "tesseract" and "MACDONALD" in reading.text


def test_an_engine_that_is_not_there(monkeypatch):
    monkeypatch.setattr(engines, "tesseract_installed", lambda: False)
    for names in (("tesseract",), ("ppocr-v4", "tesseract")):
        with pytest.raises(CairnError) as caught:
            engine_of(names)
        assert caught.value.code == "TESSERACT_MISSING" and caught.value.exit_code == 4


def test_tesseract_reads(tesseract):
    crop = np.repeat(frame_with("MACDONALD 0101", rows=40, columns=220, at=(12, 8))[..., None], 3, 2)
    (reading,) = tesseract.read([crop])
    assert "MACDONALD" in reading.text
    words = tesseract.words(np.repeat(frame_with("MACDONALD")[..., None], 3, 2))
    assert any("MACDONALD" in word.text for _, word in words)
