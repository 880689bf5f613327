"""`verify IN OUT`: a leak planted in any kind of place is found and told without its value; a clean delivery passes."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from deid_files import kept, minimal, rewriter, written
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from cairn.archive.entry import Entry
from cairn.errors import CairnError
from cairn.pipelines import verify_folder as pipeline
from cairn.pipelines.folder import chunks
from cairn.pipelines.verify_folder import FolderRequest, read_matches, verify_folder
from cairn.settings import Settings
from cairn.verify.delivered import check_delivered
from cairn.verify.everybody import Everybody, Gathering, original_of
from cairn.verify.search import Place

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = [("Quillfeather^Ann", "0101011237", "19010103"), ("Featherstone^Zebedee", "0101701234", "19700101")]
NAME, NUMBER, UID = "Quillfeather", "0101011237", "1.2.3.4.17"


def image(number: int) -> Dataset:
    name, patient_id, birth = PEOPLE[number]
    ds = minimal(PatientName=name, PatientID=patient_id, PatientBirthDate=birth, StudyDate="20200317")
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = (
        f"1.2.3.4.{level}{number + 7}" for level in (1, 2, 3)
    )
    ds.AccessionNumber, ds.SeriesDescription = f"RX773004{number}", "CT chest"
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 8, 8, 7, 0, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = np.random.default_rng(number).integers(0, 255, 256, dtype=np.uint8).tobytes()
    return ds


@dataclass
class Delivery:
    """Two persons' originals, and what a maker made of them."""

    originals: Path
    out: Path
    report: Path

    def verify(self, **options: Path) -> tuple[dict[str, int], list[dict[str, str]]]:
        """Run with one process, in this one's memory as far as may be, and return counts and report."""
        request = FolderRequest(str(self.originals), str(self.out), report=self.report, **options)
        counts, rules = verify_folder(request, Settings(), 1, io.StringIO(), lambda: 0.0)
        with self.report.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert sum(rules.values()) == len(rows)
        return dict(counts), rows

    def change(self, number: int, how: Callable[[Dataset], object]) -> None:
        """Change a delivered file."""
        path = self.out / f"{number}.dcm"
        ds = pydicom.dcmread(path)
        how(ds)
        ds.save_as(path)


@pytest.fixture
def delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Delivery:
    # Processes of their own cost seconds each; the test of the job has them.
    def here(entries: list[Entry], work_of: Callable[..., Callable[..., list[object]]], processes: int) -> object:
        readable = [entry for entry in entries if entry.kind != "container" and not entry.code]
        return (one for some in chunks(readable) for one in work_of(some)(some))

    monkeypatch.setattr(pipeline, "in_processes_each", here)
    monkeypatch.setattr(pipeline, "in_processes", lambda entries, work, n: here(entries, lambda some: work, n))
    made = Delivery(tmp_path / "in", tmp_path / "out", tmp_path / "findings.csv")
    made.originals.mkdir()
    made.out.mkdir()
    for number in range(2):
        data = written(image(number))
        (made.originals / f"{number}.dcm").write_bytes(data)
        (made.out / f"{number}.dcm").write_bytes(kept(rewriter()(data)).tobytes())
    return made


@pytest.fixture(scope="module")
def everybody() -> Everybody:
    gathered = Gathering()
    for number in range(2):
        gathered.add(original_of(written(image(number))).known)
    return gathered.everybody()


def clean_file(number: int = 0) -> bytes:
    return kept(rewriter()(written(image(number)))).tobytes()


def changed(how: Callable[[Dataset], object]) -> bytes:
    ds = pydicom.dcmread(io.BytesIO(clean_file()))
    how(ds)
    out = io.BytesIO()
    ds.save_as(out)
    return out.getvalue()


def nested(text: str, depth: int) -> Callable[[Dataset], object]:
    def how(ds: Dataset) -> None:
        inner = Dataset()
        inner.ScheduledProcedureStepDescription = text
        for _ in range(depth):
            outer = Dataset()
            outer.RequestAttributesSequence = Sequence([inner])
            inner = outer
        ds.update(inner)

    return how


def private(data: bytes) -> Callable[[Dataset], object]:
    return lambda ds: ds.private_block(0x0019, "ACME", create=True).add_new(1, "OB", data + b"\0" * (len(data) % 2))


def commented(text: str, marker: bytes) -> Callable[[Dataset], object]:
    """A compressed frame with a comment segment in it."""
    frame = b"\xff\xd8" + marker + struct.pack(">H", len(text) + 2) + text.encode() + bytes(range(1, 60)) + b"\xff\xd9"

    def how(ds: Dataset) -> None:
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
        ds.PixelData = encapsulate([frame])
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True

    return how


def in_pixels(text: str) -> Callable[[Dataset], object]:
    return lambda ds: setattr(ds, "PixelData", ds.PixelData[:99] + text.encode() + ds.PixelData[99 + len(text) :])


def in_preamble(text: str) -> bytes:
    return text.encode().ljust(128, b"\0") + clean_file()[128:]


def parquet(**columns: list[object]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="zstd")
    return out.getvalue()


DICOM_PLACES = [
    ("element", changed(lambda ds: setattr(ds, "SeriesDescription", f"for {NAME}")), "(0008,103E)", "own_value"),
    ("in sequences", changed(nested(f"for {NAME}", 3)), "(0040,0275)", "own_value"),
    ("private", changed(private(f"\1\2{NAME}".encode())), "(0019,1001)", "own_value"),
    ("preamble", in_preamble(NAME), "preamble", "own_value"),
    ("trailing", clean_file() + bytes(8) + NAME.encode("utf-16-le"), "bytes of the pixels", "own_value"),
    ("padding of pixels", changed(in_pixels(f"{NAME} Ann")), "bytes of the pixels", "own_value"),
    ("number in pixels", changed(in_pixels(f" {NUMBER} ")), "bytes of the pixels", "own_value"),
    ("UID in pixels", changed(in_pixels(f" {UID} ")), "bytes of the pixels", "original_uid"),
    ("JPEG comment", changed(commented("of Ann", b"\xff\xfe")), "segment of a compressed frame", "own_value"),
    ("JPEG 2000 comment", changed(commented("of Ann", b"\xff\x64")), "segment of a compressed frame", "own_value"),
    ("UID", changed(lambda ds: setattr(ds, "FrameOfReferenceUID", UID)), "(0020,0052)", "original_uid"),
    ("study date", changed(lambda ds: setattr(ds, "StudyDate", "20200317")), "(0008,0020)", "original_date"),
    ("in text", changed(lambda ds: setattr(ds, "ImageComments", "of 17/03/20")), "(0020,4000)", "original_date"),
    ("initials", changed(lambda ds: setattr(ds, "ImageComments", "seen, A. Q.")), "(0020,4000)", "initials"),
    ("another's", changed(lambda ds: setattr(ds, "ImageComments", "Zebedee Featherstone")), "(0020,4000)", "own_value"),
]


@pytest.mark.parametrize(("data", "where", "rule"), [row[1:] for row in DICOM_PLACES], ids=[r[0] for r in DICOM_PLACES])
def test_leaks_in_dicom(everybody: Everybody, data: bytes, where: str, rule: str) -> None:
    known = original_of(written(image(0))).known
    found = check_delivered("0.dcm", data, known, everybody)
    assert any(place.where.startswith(where) or place.where.endswith(where) for place in found), found
    assert rule in {place.rule for place in found}


UNKNOWN_ORIGINAL = [row for row in DICOM_PLACES if row[3] in ("own_value", "original_uid") and "comment" not in row[0]]


@pytest.mark.parametrize("data", [row[1] for row in UNKNOWN_ORIGINAL], ids=[row[0] for row in UNKNOWN_ORIGINAL])
def test_leaks_in_dicom_of_which_the_original_is_not_known(everybody: Everybody, data: bytes) -> None:
    assert check_delivered("0.dcm", data, None, everybody)


OTHERS = [
    ("a.csv", f"a,b\nfine,x\nother,{NAME}\n".encode(), "row 3, column 2", "own_value"),
    ("a.csv", f'a,b\n"fine,{NAME.upper()}",x\n'.encode(), "row 2, column 1", "own_value"),
    ("a.tsv", f"a\tb\nfine\t{NUMBER[:6]} {NUMBER[6:]}\n".encode(), "row 2, column 2", "own_value"),
    ("a.json", json.dumps({"x": ["Zebedée Featherstône"]}).encode(), "string 2", "own_value"),
    ("a.jsonl", b'{"a": 1}\n' + json.dumps({NAME: 2}).encode(), "line 2", "own_value"),
    ("a.txt", f"fine\nalso {UID} here".encode(), "line 2", "original_uid"),
    ("a.txt", f"fine\n{NAME}".encode("utf-16"), "line 2", "own_value"),
    ("a.html", b"<b>&#81;uillfeather</b>", "line 1", "own_value"),
    ("a.log", b"mail a.b@nhs.example", "line 1", "mail"),
    ("a.bin", b"\0\1\2" + NAME.encode("utf-16-be") + b"\7", "bytes", "own_value"),
    ("a.parquet", parquet(x=["fine", f"of {NAME}"], y=[1, 2]), "row 2, column 1", "own_value"),
    ("a.parquet", parquet(**{NAME: [1]}), "names of columns", "own_value"),
    (f"{NAME}/a.txt", b"fine", "name", "own_value"),
    (f"x/{UID}.txt", b"fine", "name", "original_uid"),
    (f"{NUMBER}_3.dcm", clean_file(), "name", "own_value"),
]


@pytest.mark.parametrize(("name", "data", "where", "rule"), OTHERS)
def test_leaks_in_other_files_and_in_names(everybody: Everybody, name: str, data: bytes, where: str, rule: str) -> None:
    assert Place(where, rule) in check_delivered(name, data, None, everybody)


def test_what_is_clean_passes_by_pixels_by_matches_and_by_neither(delivery: Delivery, everybody: Everybody) -> None:
    (delivery.out / "series.csv").write_text("modality,description,images\nCT,chest with contrast,512\n")
    with zipfile.ZipFile(delivery.out / "more.zip", "w") as file:
        file.writestr("notes.txt", "slices of 1.25 mm, reformatted 2020")
    counts, rows = delivery.verify()
    assert rows == []
    assert (counts["clean"], counts["files"], counts["originals"]) == (5, 5, 2)
    assert counts["without_original"] == 0  # both were recognised by their pixels
    assert check_delivered("0.dcm", clean_file(), None, everybody) == []


def test_every_finding_is_told_withheld_and_never_spelled(delivery: Delivery, tmp_path: Path) -> None:
    delivery.change(0, lambda ds: setattr(ds, "SeriesDescription", f"for {NAME}"))
    (delivery.out / NAME).mkdir()
    (delivery.out / NAME / "a.txt").write_text("fine")
    with zipfile.ZipFile(delivery.out / "more.zip", "w") as file:
        file.writestr("notes.txt", f"on {NUMBER}")
    counts, rows = delivery.verify(withhold=tmp_path / "held")
    told = {(row["file"], row["rule"]) for row in rows}
    assert {("0.dcm", "own_value"), ("more.zip!/notes.txt", "own_value")} <= told
    assert {row["place"] for row in rows if row["file"].startswith("(file ")} == {"name"}
    said = delivery.report.read_text().lower()
    assert NAME.lower() not in said
    assert NUMBER not in said
    assert counts["found"] == counts["withheld"] == 3
    assert sorted(str(path.relative_to(delivery.out)) for path in delivery.out.rglob("*.*")) == ["1.dcm"]
    held = {str(path.relative_to(tmp_path / "held")) for path in (tmp_path / "held").rglob("*") if path.is_file()}
    assert held == {"0.dcm", "more.zip", f"{NAME}/a.txt"}
    counts, rows = delivery.verify()
    assert rows == []


def test_a_list_of_matches_tells_whose_a_file_is(delivery: Delivery, tmp_path: Path) -> None:
    for number in range(2):  # without pixels nothing else tells whose it is
        delivery.change(number, lambda ds: ds.__delattr__("PixelData"))
        delivery.change(number, lambda ds: setattr(ds, "StudyDate", "20200317"))
    counts, rows = delivery.verify()
    assert rows == []
    assert counts["without_original"] == 2
    matches = tmp_path / "scrub.csv"
    originals = [(delivery.originals / "0.dcm").as_uri(), str(delivery.originals / "1.dcm")]
    matches.write_text(
        "entry,outcome,output\n" + "".join(f"{uri},written,{n}.dcm\n" for n, uri in enumerate(originals))
    )
    assert read_matches(matches)["0.dcm"] == originals[0]
    counts, rows = delivery.verify(matches=matches)
    assert {(row["file"], row["place"], row["rule"]) for row in rows} == {
        (f"{number}.dcm", "(0008,0020)", "original_date") for number in range(2)
    }


def test_equal_images_of_two_persons_tell_nothing(delivery: Delivery) -> None:
    same = image(1)
    same.PixelData = image(0).PixelData
    (delivery.originals / "1.dcm").write_bytes(written(same))
    counts, _ = delivery.verify()
    assert counts["without_original"] == 2


def test_what_cannot_be_opened_is_a_finding_and_an_empty_file_is_none(delivery: Delivery) -> None:
    (delivery.out / "empty.txt").write_bytes(b"")
    (delivery.out / "broken.zip").write_bytes(b"PK\3\4" + bytes(60))
    (delivery.out / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)
    _, rows = delivery.verify()
    assert {row["file"] for row in rows} == {"broken.zip", "broken.dcm"}


def test_what_counts_up_or_down_and_makers_are_nobodys(tmp_path: Path) -> None:
    gathered = Gathering()
    ds = image(0)
    ds.PatientID, ds.PatientName = "987654321", "Philips^Quentina"
    gathered.add(original_of(written(ds)).known)
    everybody = gathered.everybody()
    ramp = changed(in_pixels("?>=<;:987654321/.-"))
    assert check_delivered("a.dcm", ramp, None, everybody) == []
    assert check_delivered("a.txt", b"a Philips scanner", None, everybody) == []
    assert check_delivered("a.txt", b"for Quentina", None, everybody) != []


@pytest.mark.parametrize("option", ["report", "withhold"])
def test_what_is_written_must_not_leave(delivery: Delivery, option: str) -> None:
    request = FolderRequest(str(delivery.originals), str(delivery.out), **{option: delivery.out / "x" / "y"})
    with pytest.raises(CairnError, match="OUTPUT_INSIDE"):
        verify_folder(request, Settings(), 1, io.StringIO(), lambda: 0.0)


def test_without_originals_nothing_is_said_to_be_clean(delivery: Delivery, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").write_text("no image")
    request = FolderRequest(str(tmp_path / "none"), str(delivery.out))
    with pytest.raises(CairnError, match="NO_ORIGINALS"):
        verify_folder(request, Settings(), 1, io.StringIO(), lambda: 0.0)
    with pytest.raises(CairnError, match="MATCHES_UNREADABLE"):
        read_matches(tmp_path / "none" / "notes.txt")
    with pytest.raises(CairnError, match="MATCHES_UNREADABLE"):
        read_matches(tmp_path / "nowhere")


def test_the_job_ends_with_the_gates_code(delivery: Delivery) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    words = [sys.executable, str(ROOT / "jobs" / "verify.py")]

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*words, *map(str, arguments)], capture_output=True, text=True, env=environment)

    folders = (delivery.originals, delivery.out, "--processes", 1)
    done = run(*folders, "--json")
    assert (done.returncode, json.loads(done.stdout.splitlines()[-1])["clean"]) == (0, 2), done.stderr
    delivery.change(1, lambda ds: setattr(ds, "PatientComments", "of Featherstone"))
    done = run(*folders)
    assert done.returncode == 3
    assert "(0010,4000): own_value in 1 files" in done.stdout
    assert "eatherst" not in done.stdout + done.stderr
    for wrong in ((delivery.originals,), (*folders, "--withhold"), ("--matches", "x"), ("--withhold", "x")):
        assert run(*wrong).returncode == 2
