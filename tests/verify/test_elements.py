"""The verifier's own walk says of a file what pydicom says, or leaves it to pydicom."""

from __future__ import annotations

import io
import os
from collections import Counter
from pathlib import Path

import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.synthetic.archive import synthesise
from cairn.verify.elements import Odd, plain_elements
from cairn.verify.known import elements_by_pydicom, elements_of

PACKAGED = Path(pydicom.data.get_testdata_file("CT_small.dcm")).parent
SHARED = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "dicom"
LARGEST = 4_000_000
CT = Path(pydicom.data.get_testdata_file("CT_small.dcm")).read_bytes()[:6288]


def said(read, data: bytes) -> object:  # type: ignore[no-untyped-def]
    """What a reader says of a file.

    Of a private element without a VR in the file pydicom knows some makers' own; the walk searches all of them as text.
    """
    try:
        rows = list(read(data))
    except ValueError:
        return "unreadable"
    return [(path, keyword, "", []) if is_private(path) and vr not in ("UI", "PN") else (path, keyword, vr, texts)
            for path, keyword, vr, texts in rows]  # fmt: skip


def is_private(path: str) -> bool:
    return int(path[-7], 16) % 2 == 1


def test_private_elements_are_read_as_text_in_either_encoding() -> None:
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
        dataset = pydicom.Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "2.25.1"
        dataset.private_block(0x0029, "MAKER", create=True).add_new(0x10, "LO", "Featherstone")
        meta, file = pydicom.dataset.FileMetaDataset(), io.BytesIO()
        meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(file, dataset_with(meta, dataset), enforce_file_format=True)
        plain_elements(file.getvalue())
        assert ("(0029,1010)", ["Featherstone"]) in [(row[0], row[3]) for row in elements_of(file.getvalue())]


def compared(files: list[Path]) -> Counter[str]:
    """Hold both against each other; return how many files the walk read by itself."""
    counts: Counter[str] = Counter()
    for path in files:
        if path.stat().st_size > LARGEST:
            continue
        data = path.read_bytes()
        try:
            plain_elements(data)
        except Odd:
            counts["odd"] += 1
            continue
        counts["plain"] += 1
        assert said(elements_of, data) == said(elements_by_pydicom, data), path.name
    return counts


def test_both_say_the_same_of_pydicoms_own_files() -> None:
    counts = compared(sorted(path for path in PACKAGED.rglob("*") if path.is_file()))
    assert counts["plain"] > 60


def test_both_say_the_same_of_a_made_archive(tmp_path: Path) -> None:
    synthesise(tmp_path, scale=0.05, seed=11)
    counts = compared(sorted(path for path in (tmp_path / "archive").rglob("*") if path.is_file()))
    assert counts["plain"] > 4 * counts["odd"] > 0


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real files are not here (CAIRN_SHARED)")
def test_both_say_the_same_of_real_files() -> None:
    counts = compared(sorted(path for path in SHARED.rglob("*") if path.is_file()))
    assert counts["plain"] > 200


@given(st.lists(st.tuples(st.integers(132, len(CT) - 1), st.integers(0, 255)), max_size=4), st.integers(200, len(CT)))
def test_both_say_the_same_of_damaged_files(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(CT)
    for at, value in changes:
        data[at] = value
    damaged = bytes(data[:length])
    try:
        plain_elements(damaged)
    except Odd:
        return
    assert said(elements_of, damaged) == said(elements_by_pydicom, damaged)


def test_a_sequence_within_a_sequence_is_read_whatever_its_lengths() -> None:
    for undefined in (False, True):
        inner, outer = pydicom.Dataset(), pydicom.Dataset()
        inner.PatientName = "Featherstone^Zoë"
        outer.SpecificCharacterSet, outer.ReferencedStudySequence = "ISO_IR 192", [inner]
        dataset = pydicom.Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "2.25.1"
        dataset.ReferencedSeriesSequence = [outer, outer]
        for item in (*dataset.ReferencedSeriesSequence, inner):
            item.is_undefined_length_sequence_item = undefined
        file, meta = io.BytesIO(), pydicom.dataset.FileMetaDataset()
        meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        pydicom.dcmwrite(file, dataset_with(meta, dataset), enforce_file_format=True)
        names = [row for row in elements_of(file.getvalue()) if row[1] == "PatientName"]
        assert names == [(f"(0008,1115)[{n}].(0008,1110)[1].(0010,0010)", "PatientName", "PN", ["Featherstone^Zoë"])
                         for n in (1, 2)]  # fmt: skip
        plain_elements(file.getvalue())


def dataset_with(meta: pydicom.dataset.FileMetaDataset, dataset: pydicom.Dataset) -> pydicom.dataset.FileDataset:
    return pydicom.dataset.FileDataset("", dataset, file_meta=meta, preamble=bytes(128))
