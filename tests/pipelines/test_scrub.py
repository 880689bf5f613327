"""`scrub`: every input accounted for, nothing half written, nothing real in what leaves."""

from __future__ import annotations

import csv
import io
import shutil
from collections import Counter
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pixel_sample import made_file
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

from cairn.deid.keys import make_key
from cairn.deid.profile import load_profile
from cairn.errors import CairnError
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.pixel_task import TEXT, EntryWorker, guarded
from cairn.pipelines.pixels import device_rules
from cairn.pipelines.scrub import REPORT, ScrubWork, scrub, text_in
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


def test_images_with_text_pass_only_when_told_and_are_marked(source: Path, tmp_path: Path, terms: Terms) -> None:
    for group in ("ultrasound", "overlay", "none"):
        (source / f"{group}.dcm").write_bytes(made_text_image(5, group, 1).data)
    cut = (source / "JPEG2000.dcm").read_bytes()
    (source / "undecodable.dcm").write_bytes(cut[: cut.rindex(b"\xff\x4f\xff\x51")] + bytes(40))
    _, rows = run(source, tmp_path / "out", terms)
    codes = {row["entry"].rsplit("/", 1)[-1]: row["code"] for row in rows if ".zip" not in row["entry"]}
    assert codes["ultrasound.dcm"] == codes["overlay.dcm"] == "DEID_PIXEL_TEXT_FOUND"
    assert codes["undecodable.dcm"] == "DEID_PIXELS_UNEXAMINED"
    assert codes["none.dcm"] == codes["CT_small.dcm"] == codes["rtplan.dcm"] == ""
    _, rows = run(source, tmp_path / "other", terms, pass_pixels=True)
    marked = {row["entry"].rsplit("/", 1)[-1]: row["findings"] for row in rows if ".zip" not in row["entry"]}
    for name in ("ultrasound.dcm", "overlay.dcm", "undecodable.dcm"):
        assert codes[name] in marked[name], name


def test_a_header_that_says_so_and_frames_that_nobody_saw_are_reason_enough(tmp_path: Path) -> None:
    pixels = Settings().pixels
    frame = np.zeros((64, 64), np.uint8)
    good = imagecodecs.jpegls_encode(frame)
    frames = encapsulate([good, b"\xff\xd8" + bytes(60), good])
    several = {"rows": 64, "columns": 64, "bits_allocated": 8}
    cases = {
        "": made_file(frame),
        "DEID_PIXEL_TEXT_SUSPECTED": made_file(frame, BurnedInAnnotation="YES"),
        "DEID_PIXELS_UNEXAMINED": made_file(frames, JPEG_LS, frames=3, **several),
    }
    with EntryWorker(pixels, ()) as worker:
        look = guarded(worker.reading(TEXT))
        assert {code: text_in(data, look) for code, data in cases.items()} == {code: code for code in cases}
        slide = made_file(np.zeros((70, 32, 32), np.uint8), frames=70, SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6")
        assert text_in(slide, look) == "DEID_PIXELS_UNEXAMINED"  # a part of its frames was looked at


def test_a_device_rule_that_holds_is_reason_enough(source: Path, tmp_path: Path, terms: Terms) -> None:
    rule = DeviceRule("any CT", "regions", (Condition("contains", "Modality", "CT"),), ((0, 0, 60, 20),))
    work = ScrubWork(terms, tmp_path / "out", Settings().pixels, (rule,), False, 1, 10)
    with EntryWorker(work.pixels, work.rules) as worker:
        look = guarded(worker.reading(TEXT))
        assert text_in((source / "CT_small.dcm").read_bytes(), look) == "DEID_PIXEL_TEXT_SUSPECTED"
        assert text_in((source / "MR_small.dcm").read_bytes(), look) == ""


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
