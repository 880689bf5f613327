"""`scrub`: every input accounted for, nothing half written, nothing real in what leaves."""

from __future__ import annotations

import csv
import io
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pixel_sample import made_file
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from redaction_sample import decoded, read

from cairn.deid.keys import make_key
from cairn.deid.profile import load_profile
from cairn.errors import CairnError
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.pixel_task import TEXT, Found, entry_worker, guarded
from cairn.pipelines.pixels import device_rules
from cairn.pipelines.scrub import REPORT, ScrubWork, scrub
from cairn.pipelines.scrub_pixels import CleanPixels, ScrubPixels
from cairn.pixels.reader import PixelEntry
from cairn.pixels.redaction.redactor import Redactor
from cairn.pixels.source import BytesEntry
from cairn.pixels.text.device_rules import Condition, DeviceRule
from cairn.settings import Settings
from cairn.synthetic.text_set import made_text_image
from cairn.verify.search import search_folder

PROFILE = Path(__file__).resolve().parents[2] / "conf" / "deid" / "research.yaml"
JPEG_LS = "1.2.840.10008.1.2.4.80"
FILES = ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_gdcm.dcm", "rtdose.dcm")


@pytest.fixture
def terms(tmp_path: Path) -> Terms:
    folder = tmp_path / "keys"
    make_key(folder)
    return Terms(load_profile(PROFILE), str(folder))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in coming"
    folder.mkdir()
    for name in FILES:
        found = get_testdata_file(name, download=False)
        assert found is not None
        shutil.copy(found, folder / name)
    shutil.copy(folder / "CT_small.dcm", folder / "copy.dcm")
    (folder / "notes.txt").write_text("no image")
    (folder / "empty.dcm").write_bytes(b"")
    shutil.make_archive(str(tmp_path / "zipped"), "zip", folder, ".")
    shutil.move(tmp_path / "zipped.zip", folder / "zipped.zip")
    return folder


def run(
    source: Path, output: Path, terms: Terms, pass_pixels: bool = False
) -> tuple[Counter[str], list[dict[str, str]]]:
    pixels = Settings().pixels
    work = ScrubWork(terms, output, pixels, device_rules(pixels), pass_pixels, 1, 10)
    report = output.parent / "report.csv"
    counts = scrub(str(source), work, report, Settings(), 2, io.StringIO(), lambda: 0.0)
    with report.open(encoding="utf-8", newline="") as stream:
        return counts, list(csv.DictReader(stream))


def test_every_input_is_accounted_for_and_what_leaves_is_whole(source: Path, tmp_path: Path, terms: Terms) -> None:
    output = tmp_path / "out going"
    counts, rows = run(source, output, terms)
    inputs = len(list(source.iterdir()))
    assert len(rows) == counts["entries"] == 2 * inputs - 1  # each file, each member of the archive, the archive
    assert list(rows[0]) == list(REPORT)
    assert counts["written"] + counts["same"] + counts["withheld"] + counts["container"] == counts["entries"]
    written = {row["output"] for row in rows if row["outcome"] == "written"}
    assert {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()} == written
    assert counts["written"] >= 4
    assert counts["same"] >= counts["written"]  # the copy, and all that the archive holds once more
    for name in written:
        file = pydicom.dcmread(output / name)
        assert name == f"{file.PatientID}/{file.StudyInstanceUID}/{file.SeriesInstanceUID}/{file.SOPInstanceUID}.dcm"
        assert file.PatientIdentityRemoved == "YES"
    codes = {row["entry"].rsplit("/", 1)[-1]: row["code"] for row in rows if row["outcome"] == "withheld"}
    assert codes["notes.txt"] == "NOT_DICOM"
    assert codes["empty.dcm"] == "EMPTY_FILE"


def test_nothing_real_leaves(source: Path, tmp_path: Path, terms: Terms) -> None:
    output = tmp_path / "out"
    run(source, output, terms, pass_pixels=True)
    real = set()
    for name in FILES:
        file = pydicom.dcmread(source / name)
        real |= {str(file.SOPInstanceUID), str(file.StudyInstanceUID), str(file.SeriesInstanceUID)}
        real |= {part for part in str(file.PatientName).split("^") if len(part) >= 5} | {name}
    assert search_folder(output, real) == []


def test_text_is_removed_and_what_cannot_be_cleaned_stays(source: Path, tmp_path: Path, terms: Terms) -> None:
    planted = {group: made_text_image(5, group, 1) for group in ("ultrasound", "overlay", "none")}
    for group, image in planted.items():
        (source / f"{group}.dcm").write_bytes(image.data)
    cut = (source / "JPEG2000.dcm").read_bytes()
    (source / "undecodable.dcm").write_bytes(cut[: cut.rindex(b"\xff\x4f\xff\x51")] + bytes(40))
    output = tmp_path / "out"
    _, rows = run(source, output, terms)
    by_name = {row["entry"].rsplit("/", 1)[-1]: row for row in rows if ".zip" not in row["entry"]}
    assert {name for name, row in by_name.items() if row["code"].startswith("DEID")} == {"undecodable.dcm"}
    assert by_name["undecodable.dcm"]["code"] == "DEID_PIXELS_UNEXAMINED"
    row, image = by_name["ultrasound.dcm"], planted["ultrasound"]
    assert row["outcome"] == "written" and int(row["boxes"]) >= 1 and row["frames"] == "1"
    written = (output / row["output"]).read_bytes()
    made = read(written)
    assert made.BurnedInAnnotation == "NO"
    assert "113101" in [item.CodeValue for item in made.DeidentificationMethodCodeSequence]
    changed = (decoded(written) != decoded(image.data)).any(-1)[0]
    for text in image.planted:
        place = changed[text.y : text.y + text.ink.shape[0], text.x : text.x + text.ink.shape[1]]
        assert not text.identifying or place[text.ink].mean() > 0.9
    for name in ("none.dcm", "CT_small.dcm", "rtplan.dcm"):
        assert by_name[name]["outcome"] in ("written", "same") and by_name[name]["boxes"] == "0"
        codes = pydicom.dcmread(output / by_name[name]["output"]).DeidentificationMethodCodeSequence
        assert "113101" not in [item.CodeValue for item in codes]
    assert int(by_name["overlay.dcm"]["boxes"]) >= 1 and by_name["overlay.dcm"]["frames"] == "0"


def test_images_pass_as_they_are_when_told_and_are_marked(source: Path, tmp_path: Path, terms: Terms) -> None:
    cut = (source / "JPEG2000.dcm").read_bytes()
    (source / "undecodable.dcm").write_bytes(cut[: cut.rindex(b"\xff\x4f\xff\x51")] + bytes(40))
    _, rows = run(source, tmp_path / "other", terms, pass_pixels=True)
    marked = {row["entry"].rsplit("/", 1)[-1]: row["findings"] for row in rows if ".zip" not in row["entry"]}
    assert "DEID_PIXELS_UNEXAMINED" in marked["undecodable.dcm"]
    assert "DEID" not in marked["CT_small.dcm"]


@pytest.fixture(scope="module")
def redactor() -> Iterator[Redactor]:
    with Redactor() as made:
        yield made


def cleaner(redactor: Redactor, rules: tuple[DeviceRule, ...] = ()) -> ScrubPixels:
    return ScrubPixels(guarded(entry_worker(Settings().pixels, rules).reading(TEXT)), redactor)


def test_a_header_that_says_so_and_frames_that_nobody_saw_are_reason_enough(redactor: Redactor) -> None:
    frame = np.zeros((64, 64), np.uint8)
    good = imagecodecs.jpegls_encode(frame)
    frames = encapsulate([good, b"\xff\xd8" + bytes(60), good])
    several = {"rows": 64, "columns": 64, "bits_allocated": 8}
    cases = {
        "": made_file(frame),
        "DEID_PIXEL_TEXT_SUSPECTED": made_file(frame, BurnedInAnnotation="YES"),
        "DEID_PIXELS_UNEXAMINED": made_file(frames, JPEG_LS, frames=3, **several),
    }
    clean = cleaner(redactor)
    for code, data in cases.items():
        assert clean(BytesEntry(data)) == CleanPixels(code)
    slide = made_file(np.zeros((70, 32, 32), np.uint8), frames=70, SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6")
    assert clean(BytesEntry(slide)).code == "DEID_PIXELS_UNEXAMINED"  # a part of its frames was looked at


def test_regions_of_a_device_rule_are_blanked(redactor: Redactor, source: Path) -> None:
    def rule(*regions: tuple[int, int, int, int]) -> DeviceRule:
        return DeviceRule("any CT", "regions", (Condition("contains", "Modality", "CT"),), regions)

    data = (source / "CT_small.dcm").read_bytes()
    made = cleaner(redactor, (rule((0, 0, 60, 20)),))(BytesEntry(data))
    assert (made.code, made.boxes, made.frames) == ("", 1, 1) and made.data is not None
    before, after = decoded(data)[0, ..., 0], decoded(made.data)[0, ..., 0]
    assert len(np.unique(after[:20, :60])) == 1
    assert np.array_equal(after[20:], before[20:]) and np.array_equal(after[:, 60:], before[:, 60:])
    elsewhere = cleaner(redactor, (rule((500, 500, 60, 20)),))
    assert elsewhere(BytesEntry(data)).code == "DEID_PIXEL_TEXT_SUSPECTED"  # no box covers what is suspected
    assert elsewhere(BytesEntry((source / "MR_small.dcm").read_bytes())).code == ""


class Stubborn:
    """A look that finds text wherever it likes, a number of times."""

    def __init__(self, *finds: list[tuple[int, int, int, int]]) -> None:
        self.finds = list(finds)

    def __call__(self, entry: PixelEntry) -> Found:
        place = self.finds.pop(0) if len(self.finds) > 1 else self.finds[0]
        searched = {"pixels": True, "frames": 1, "frames_looked": 1, "device_regions": [], "evidence": []}
        boxes = [
            {
                **dict(zip(("x", "y", "width", "height"), box, strict=True)),
                "frame": 1,
                "last_frame": 1,
                "plane": "pixels",
            }
            for box in place
        ]
        return Found({"text_search": [searched], "burned_in_text": boxes})


def test_a_survivor_keeps_the_file_back(redactor: Redactor) -> None:
    data = made_file(np.full((64, 64), 9, np.uint8))
    a, b, c, d = (0, 0, 9, 9), (20, 20, 9, 9), (40, 40, 9, 9), (50, 0, 9, 9)
    assert ScrubPixels(Stubborn([a], [b], [c], [d]), redactor)(BytesEntry(data)).code == "REDACTION_SURVIVOR"
    came_to_light = ScrubPixels(Stubborn([a], [b], []), redactor)(BytesEntry(data))
    assert (came_to_light.code, came_to_light.boxes) == ("", 2)
    assert ScrubPixels(Stubborn([a], [(2, 2, 5, 5)]), redactor)(BytesEntry(data)).code == ""  # within what is black
    assert ScrubPixels(Stubborn([a], [(2, 2, 9, 5)]), redactor)(BytesEntry(data)).boxes == 2


def test_a_file_that_cannot_be_redacted_stays(redactor: Redactor) -> None:
    data = made_file(np.full((64, 64), 9, np.uint8))
    assert ScrubPixels(Stubborn([(0, 0, 9, 9)]), redactor)(BytesEntry(data[:-9])).code == "REDACTION_PIXELS_BROKEN"


def test_again_writes_nothing_and_other_machines_write_the_same(source: Path, tmp_path: Path, terms: Terms) -> None:
    first, _ = run(source, tmp_path / "out", terms)
    again, _ = run(source, tmp_path / "out", terms)
    assert again["written"] == 0
    assert again["same"] == first["written"] + first["same"]
    run(source, tmp_path / "other", terms)
    one, other = (
        {p.relative_to(tmp_path / d): p.read_bytes() for p in (tmp_path / d).rglob("*.dcm")} for d in ("out", "other")
    )
    assert one == other


def test_the_report_must_not_leave(source: Path, tmp_path: Path, terms: Terms) -> None:
    work = ScrubWork(terms, tmp_path / "out", Settings().pixels, (), False, 1, 10)
    with pytest.raises(CairnError, match="REPORT_INSIDE"):
        scrub(str(source), work, tmp_path / "out" / "a" / "report.csv", Settings(), 1, io.StringIO(), lambda: 0.0)
    assert not (tmp_path / "out").exists()
