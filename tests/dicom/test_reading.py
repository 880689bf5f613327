"""Reading a header: no more bytes than it needs, and the same header whatever the sizes of the reads."""

import hashlib
import io
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cairn.dicom.kernel import HeaderKernel
from cairn.dicom.reading import HeaderReader, ReadLimits
from cairn.errors import EntryError
from cairn.tables.instance import INSTANCE


class CountingEntry:
    """An entry in memory that counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes_read = 0

    def read(self, offset: int, length: int) -> bytes:
        chunk = self.data[offset : offset + length]
        self.bytes_read += len(chunk)
        return chunk


@pytest.fixture(scope="module")
def kernel() -> HeaderKernel:
    return HeaderKernel(INSTANCE.columns)


def made(syntax: str = ExplicitVRLittleEndian, pixels: int = 500_000, **elements: object) -> bytes:
    """Return a small image's file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPInstanceUID = "1.2.3"
    dataset.Modality = "CT"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.BitsAllocated = 8
    if pixels:
        dataset.add_new(0x7FE00010, "OB", bytes(pixels))
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=False)
    return out.getvalue()


def header_of(data: bytes, kernel: HeaderKernel, limits: ReadLimits | None = None):
    """Return what was read of a file, how many bytes that took, and the row that the kernel makes of it."""
    entry = CountingEntry(data)
    header = HeaderReader(limits)(entry)
    batch = kernel.parse([header.data], [header.holes])
    return header, entry.bytes_read, batch


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "JPEG2000.dcm", "emri_small.dcm"])
@pytest.mark.parametrize("first_read", [1, 100, 1000, 16_384, 1 << 20])
def test_the_size_of_the_first_read_changes_nothing(name: str, first_read: int, kernel: HeaderKernel) -> None:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} is not packaged with this pydicom")
    data = Path(path).read_bytes()
    whole = kernel.parse([data])
    header, _, batch = header_of(data, kernel, ReadLimits(first_read_bytes=first_read))
    assert batch.table.equals(whole.table)
    source = io.BytesIO(data)
    pydicom.dcmread(source, stop_before_pixels=True)
    expected = source.tell()
    assert len(header.data) == expected
    assert header.pixel_offset == (expected if expected < len(data) else None)


def test_pixels_are_not_read(kernel: HeaderKernel) -> None:
    header, bytes_read, _ = header_of(made(pixels=5_000_000), kernel)
    assert header.pixel_offset == len(header.data) < 1000
    assert bytes_read <= 16_384


def test_a_header_longer_than_the_first_read_costs_about_its_length(kernel: HeaderKernel) -> None:
    item = Dataset()
    item.TextValue = "x" * 900
    data = made(ContentSequence=Sequence([item] * 300))
    header, bytes_read, batch = header_of(data, kernel)
    assert len(header.data) > 270_000
    assert bytes_read < 2.2 * len(header.data)
    assert batch.table.num_rows == 1


def test_a_long_value_is_hashed_and_left_out(kernel: HeaderKernel) -> None:
    value = np.random.Generator(np.random.PCG64(7)).bytes(3_000_000)
    data = made(pixels=100, EncapsulatedDocument=value, ManufacturerModelName="after")
    header, _, batch = header_of(data, kernel, ReadLimits(blob_value_limit_bytes=100_000))
    assert len(header.data) < 2_000
    assert [(hole.length, hole.sha256) for hole in header.holes] == [(3_000_000, hashlib.sha256(value).digest())]
    whole = kernel.parse([data])
    assert batch.table.equals(whole.table)
    assert header.pixel_offset == whole.pixel_offsets[0]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_long_sequence_is_no_long_value(syntax: str, kernel: HeaderKernel) -> None:
    items = []
    for i in range(500):
        item = Dataset()
        item.ContourData = [float(i)] * 300
        items.append(item)
    data = made(syntax, pixels=0, ROIContourSequence=Sequence(items))
    header, _, batch = header_of(data, kernel, ReadLimits(blob_value_limit_bytes=10_000))
    assert header.holes == ()
    assert batch.table.equals(kernel.parse([data]).table)


def test_a_deflated_header_is_kept_deflated_and_without_pixels(kernel: HeaderKernel) -> None:
    data = made(DeflatedExplicitVRLittleEndian, pixels=2_000_000, PatientID="0101011237")
    header, _, batch = header_of(data, kernel)
    assert batch.table.equals(kernel.parse([data]).table)
    again = pydicom.dcmread(io.BytesIO(header.data))
    assert "PixelData" not in again
    assert again.PatientID == "0101011237"


def test_a_deflated_dataset_that_does_not_inflate_has_a_code(kernel: HeaderKernel) -> None:
    data = made(DeflatedExplicitVRLittleEndian, pixels=10)
    start = data.index(b"1.2.840.10008.1.2.1.99") + 22
    with pytest.raises(EntryError) as caught:
        HeaderReader()(CountingEntry(data[:start] + b"\xff" * 400))
    assert caught.value.code == "DEFLATE_CORRUPT"
    assert kernel.parse([data[:start] + b"\xff" * 400]).failures == [(0, "DEFLATE_CORRUPT")]


def test_a_deflate_bomb_is_bounded() -> None:
    data = made(DeflatedExplicitVRLittleEndian, pixels=0)
    start = data.index(b"1.2.840.10008.1.2.1.99") + 22
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = b"\x08\x00\x05\x00UN\x00\x00" + (0xF0000000).to_bytes(4, "little")
    body = deflater.compress(head + bytes(200 << 20)) + deflater.flush()
    with pytest.raises(EntryError) as caught:
        HeaderReader(ReadLimits(header_limit_bytes=4 << 20))(CountingEntry(data[:start] + body))
    assert caught.value.code == "HEADER_TOO_LARGE"


def test_a_header_over_the_limit_has_a_code() -> None:
    item = Dataset()
    item.TextValue = "x" * 10_000
    data = made(ContentSequence=Sequence([item] * 300))
    with pytest.raises(EntryError) as caught:
        HeaderReader(ReadLimits(header_limit_bytes=100_000))(CountingEntry(data))
    assert caught.value.code == "HEADER_TOO_LARGE"


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 6000), first_read=st.integers(1, 9000))
def test_a_cut_file_reads_the_same_in_any_steps(cut: int, first_read: int) -> None:
    data = Path(str(get_testdata_file("CT_small.dcm", download=False))).read_bytes()[:cut]
    header = HeaderReader(ReadLimits(first_read_bytes=first_read))(CountingEntry(data))
    assert header.data == data[: len(header.data)]
    assert len(header.data) == cut or header.pixel_offset == len(header.data)
