"""Whole files, real ones: readable afterwards, kept byte for byte, references that hold, the same everywhere."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from deid_files import CONF, OTHER, kept, minimal, reread, rewriter, written
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cairn.deid.decisions import MARKERS, OFFSETS
from cairn.deid.profile import load_profile
from cairn.deid.rewrite import Kept, Refused
from cairn.deid.rules import Action, RuleSet
from cairn.dicom import tokenise as tk
from cairn.dicom.dictionary import dictionary
from cairn.dicom.kernel import Hole
from cairn.dicom.reading import HeaderReader, ReadLimits

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
SHARED = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "dicom"
RULES = RuleSet(load_profile(CONF / "research.yaml"))
LARGEST = 3_000_000


def sample_files() -> list[Path]:
    found = [*PACKAGED.rglob("*.dcm"), *PACKAGED.rglob("DICOMDIR*"), *SHARED.rglob("*.dcm")]
    return sorted(path for path in found if path.is_file() and path.stat().st_size < LARGEST)


def readable(path: Path) -> Dataset | None:
    """What pydicom reads to its last value, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = dcmread(path, force=True)
            list(ds.iterall())
            return ds if len(ds) else None
    except Exception:  # noqa: BLE001 - the oracle cannot read it: it proves nothing
        return None


class Echo:
    """Lets every text pass, so that what is lost was not lost by a scrubber."""

    def scrub(self, text: str, own: object, kind: str) -> Echo:
        made = Echo()
        made.text = text
        return made

    text = ""


@pytest.fixture(scope="module")
def everything() -> list[tuple[Path, Dataset, Kept | Refused]]:
    made = rewriter(scrubber=Echo())
    return [(path, ds, made(path.read_bytes())) for path in sample_files() if (ds := readable(path)) is not None]


def test_nearly_every_readable_file_comes_out(everything):
    refused = [(path.name, made.code) for path, _, made in everything if isinstance(made, Refused)]
    doubtful = [entry for entry in refused if entry[1] not in ("DEID_DOCUMENT", "NOT_DICOM")]
    assert len(everything) > 60
    assert len(doubtful) <= len(everything) / 100, doubtful


def test_pydicom_reads_every_result_to_its_last_value(everything):
    for path, _, made in everything:
        if isinstance(made, Kept):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ds = dcmread(io.BytesIO(made.tobytes()))
                for element in ds.iterall():
                    assert not element.tag.is_private or element.tag.element >= 0x10, path.name
            assert ds.PatientIdentityRemoved == "YES", path.name


def differing(before: Dataset, after: Dataset, place: str = "") -> Iterator[str]:
    """Kept elements that are missing or not byte for byte what they were."""
    for tag in list(before.keys()):
        if tag.is_private or tag.element == 0 or tag.group in (2, 4) or tag > 0x7FE00010:
            continue
        rule = RULES.rule(int(tag))
        if rule.action != Action.KEEP or tag.group == 0x12 or tag == 0x00280303:
            continue
        element = before[tag]
        if str(element.VR) == "SQ":
            if tag not in after or len(after[tag].value) != len(element.value):
                yield f"{place}{tag} items"
                continue
            for one, other in zip(element.value, after[tag].value, strict=True):
                yield from differing(one, other, f"{place}{tag}/")
        elif element.VR in ("DS", "IS") and isinstance(element.value, str):
            assert (
                tag not in after or element.value == ""
            )  # no number: pydicom leaves it as text, the rewriter drops it
        elif tag not in after:
            yield f"{place}{tag} missing"


def raw_values(data: bytes) -> dict[int, bytes | None]:
    ds = dcmread(io.BytesIO(data), force=True)
    raw = {int(tag): ds.get_item(tag) for tag in list(ds.keys())}
    return {tag: element.value for tag, element in raw.items() if isinstance(element, RawDataElement)}


def test_what_the_profile_keeps_is_byte_for_byte_what_it_was(everything):
    seen = 0
    for path, ds, made in everything:
        if isinstance(made, Refused) or made.findings:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            after = dcmread(io.BytesIO(made.tobytes()))
            assert list(differing(ds, after)) == [], path.name
            before_raw, after_raw = raw_values(path.read_bytes()), raw_values(made.tobytes())
        for tag, value in before_raw.items():
            if (value or b"").startswith((b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")) or tag in (*MARKERS, *OFFSETS):
                continue  # a sequence, above
            if RULES.rule(tag).action == Action.KEEP and tag in after_raw:
                assert after_raw[tag] == value, (path.name, hex(tag))
                seen += 1
    assert seen > 1000


def test_no_original_identifier_is_in_any_result(everything):
    """Names, ids and instance UIDs of the whole file, at every depth, searched in the bytes before the pixel data."""
    closed = rewriter()
    for path, ds, _ in everything:
        made = closed(path.read_bytes())
        if isinstance(made, Refused):
            continue
        head = made.tobytes()[: made.pixels_at].upper()
        for element in ds.iterall():
            wanted = element.VR in ("PN", "UI") or element.keyword in ("PatientID", "AccessionNumber", "PatientAddress")
            if not wanted or element.value in (None, "") or "Class" in element.keyword or element.tag.is_private:
                continue
            if element.VR == "UI" and RULES.rule(int(element.tag)).action != Action.UID:
                continue
            values = element.value if element.VM > 1 else [element.value]
            for value in values:
                text = str(value).upper().encode("ascii", "ignore")
                if len(text) > 5 and not text.startswith(b"1.2.840.10008.") and text != b"ANONYMIZED":
                    assert text not in head, (path.name, element.tag)


def test_the_places_in_a_directory_are_those_of_its_records(everything):
    seen = 0
    for path, ds, made in everything:
        if isinstance(made, Refused) or 0x00041220 not in ds:
            continue
        data = made.tobytes()
        after = dcmread(io.BytesIO(data))
        item = b"\xff\xfe\xe0\0" if after.original_encoding[1] is False else b"\xfe\xff\0\xe0"
        assert len(after.DirectoryRecordSequence) == len(ds.DirectoryRecordSequence)
        for element in after.iterall():
            if int(element.tag) in OFFSETS and element.value:
                assert data[element.value : element.value + 4] == item, path
                seen += 1
            assert element.keyword != "ReferencedFileID" or element.value == "ANONYMIZED"
    assert seen > 20


def test_references_hold_across_files_and_rewriters():
    image = minimal(FrameOfReferenceUID="1.2.3.9")
    report = minimal("1.2.840.10008.5.1.4.1.1.88.11", SOPInstanceUID="1.2.3.4.6", PatientID="another")
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = image.SeriesInstanceUID, Sequence([reference])
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = image.StudyInstanceUID, Sequence([series])
    report.CurrentRequestedProcedureEvidenceSequence = Sequence([study])
    one, other = reread(rewriter()(written(image))), reread(rewriter()(written(report, "implicit")))
    found = other.CurrentRequestedProcedureEvidenceSequence[0]
    assert found.StudyInstanceUID == one.StudyInstanceUID
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == one.SeriesInstanceUID
    assert found.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID
    assert reread(rewriter(keys=(OTHER,))(written(image))).SOPInstanceUID != one.SOPInstanceUID


_DIGEST = """
import hashlib, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from deid_files import rewriter
made, digest = rewriter(), hashlib.sha256()
for path in sorted(Path(sys.argv[2]).glob("*.dcm"))[:25]:
    if path.stat().st_size < 300_000:
        result = made(path.read_bytes())
        digest.update(result.tobytes() if hasattr(result, "tobytes") else result.code.encode())
print(made._rules.digest, digest.hexdigest())
"""


def test_every_process_makes_the_same_bytes():
    support = str(Path(__file__).resolve().parents[1] / "support")
    said = set()
    for seed in ("0", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", _DIGEST, support, str(PACKAGED)]
        said.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(said) == 1 and len(said.pop()) > 128


def test_what_came_before_changes_nothing():
    """The rewriter remembers decisions and texts: the same file gives the same bytes whatever came before it."""
    used = rewriter()
    for path in sorted(PACKAGED.glob("*.dcm"))[:20]:
        if path.stat().st_size < 300_000:
            data = path.read_bytes()
            one, other = used(data), rewriter()(data)
            assert isinstance(one, Refused) == isinstance(other, Refused)
            if isinstance(one, Kept):
                assert one.tobytes() == kept(other).tobytes()


BASE = written(minimal(PatientName="Quillfeather^Ann", Rows=2, ReferencedImageSequence=Sequence([minimal()])))
FUZZED = rewriter()


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(132, len(BASE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes_never_raise(changes: list[tuple[int, int]]):
    data = bytearray(BASE)
    for place, byte in changes:
        data[place] = byte
    made = FUZZED(bytes(data))
    if isinstance(made, Kept):
        assert made.tobytes()[128:132] == b"DICM"


@pytest.mark.parametrize("encoding", ["explicit", "implicit", "big"])
def test_what_only_pydicom_can_read_comes_out_in_explicit_little_endian(encoding: str):
    """A private sequence whose item has a delimiter although its length is defined."""
    ds = minimal("1.2.840.10008.5.1.4.1.1.7", PatientName="Quillfeather^Ann", Rows=2, Columns=2, BitsAllocated=16)
    ds.ReferencedImageSequence = Sequence([minimal()])
    ds.PixelData = bytes(range(8))
    data = bytearray(written(ds, encoding))
    order = "big" if encoding == "big" else "little"
    place = data.index(bytes.fromhex("fffee000" if encoding == "big" else "feff00e0"))
    size = int.from_bytes(data[place + 4 : place + 8], order)
    data[place + 4 : place + 8] = (size + 3).to_bytes(4, order)  # the item claims more than its sequence has
    made = rewriter()(bytes(data))
    if encoding == "big":
        assert made == Refused("DEID_UNREADABLE")
        return
    assert "PARSED_BY_PYDICOM" in kept(made).findings
    after = reread(made)
    assert after.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert after.PixelData == bytes(range(8)) and after.PatientName == ""


class Readable:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


def test_a_header_with_values_left_out_keeps_its_holes():
    ds = minimal(PatientName="Quillfeather^Ann", Rows=2, Columns=2, BitsAllocated=8)
    ds.EncapsulatedPixelDataValueTotalLength = 1
    ds.add_new(0x56000020, "OF", bytes(4000))  # spectroscopy data, kept
    ds.add_new(0x00104000, "LT", "x" * 3000)  # comments, removed
    ds.PixelData = bytes(16)
    data = written(ds)
    header = HeaderReader(ReadLimits(first_read_bytes=512, blob_value_limit_bytes=1000))(Readable(data + bytes(20_000)))
    assert len(header.holes) >= 1
    made = kept(rewriter()(header.data, holes=header.holes))
    whole = kept(rewriter()(data))
    assert b"QUILL" not in made.tobytes().upper()
    for hole in made.holes:
        filled = made.tobytes()[: hole.offset] + bytes(4000) + made.tobytes()[hole.offset :]
        assert filled == whole.tobytes()[: whole.pixels_at]
        assert hole == Hole(hole.offset, 4000, hashlib.sha256(bytes(4000)).digest())


def test_a_header_in_doubt_with_values_left_out_is_withheld():
    ds = minimal(Rows=2, ReferencedImageSequence=Sequence([minimal()]))
    data = bytearray(written(ds))
    place = data.index(bytes.fromhex("feff00e0"))
    data[place + 4] += 3
    assert "PARSED_BY_PYDICOM" in kept(rewriter()(bytes(data))).findings
    assert rewriter()(bytes(data), holes=[Hole(len(data), 5000, bytes(32))]) == Refused("DEID_UNREADABLE")


def test_the_header_kernel_finds_the_results_structure_whole(everything):
    """The kernel's own walk reaches the pixel data where the rewriter says that it is."""
    tables = dictionary()
    from cairn.dicom import scan as sc

    for path, _, made in everything:
        if isinstance(made, Kept):
            buf = np.frombuffer(made.tobytes(), np.uint8)
            status, place, _, _ = sc.scan(
                buf, tk.AS_STORED, np.zeros(0, np.int64), 1 << 30, tk.UIDS, tables.vr_of_bytes, tables.vr_is_long
            )
            assert status in (sc.FOUND, sc.ENDED) and place == made.pixels_at, path.name
