"""Entries in memory and small DICOM files with pixels, for the tests of cairn.pixels."""

from __future__ import annotations

import io
import struct

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

NATIVE_LE = "1.2.840.10008.1.2.1"
NATIVE_BE = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
HTJ2K = "1.2.840.10008.1.2.4.201"


class InMemory:
    """An entry whose bytes are at hand; counts what is read of it."""

    def __init__(self, data: bytes, size: int | None = -1) -> None:
        self.data = data
        self.size = len(data) if size == -1 else size
        self.largest_read = 0

    def read(self, offset: int, length: int) -> bytes:
        part = self.data[offset : offset + length]
        self.largest_read = max(self.largest_read, len(part))
        return part


def made_file(
    pixels: np.ndarray | bytes,
    syntax: str = NATIVE_LE,
    *,
    rows: int = 0,
    columns: int = 0,
    frames: int = 1,
    bits_stored: int | None = None,
    bits_allocated: int = 16,
    **attributes: object,
) -> bytes:
    """Return a Part 10 file with these pixels; `attributes` are keywords and values that override the made ones."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "2.25.1"
    dataset.Modality, dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "OT", "MONOCHROME2", 1
    dataset.PixelRepresentation = 0
    if isinstance(pixels, np.ndarray):
        shape = pixels.shape[1:] if frames > 1 else pixels.shape
        rows, columns = shape[:2]
        bits_allocated = 8 * pixels.itemsize
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        if len(shape) == 3:
            dataset.SamplesPerPixel, dataset.PhotometricInterpretation = shape[2], "RGB"
            dataset.PlanarConfiguration = 0
        order = ">" if syntax == NATIVE_BE else "<"
        pixels = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = bits_allocated
    dataset.BitsStored = bits_stored or bits_allocated
    dataset.HighBit = dataset.BitsStored - 1
    if frames > 1:
        dataset.NumberOfFrames = frames
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = "OB" if bits_allocated <= 8 or syntax not in (NATIVE_LE, NATIVE_BE) else "OW"
    if syntax not in (NATIVE_LE, NATIVE_BE):
        dataset["PixelData"].is_undefined_length = True
    out = io.BytesIO()
    if UID(syntax).is_transfer_syntax and not UID(syntax).is_private:
        dataset.save_as(out, enforce_file_format=True)
        return out.getvalue()
    # pydicom writes no transfer syntax that it does not know: written as another, then renamed, NULs behind.
    dataset.file_meta.TransferSyntaxUID = HTJ2K
    dataset.save_as(out, enforce_file_format=True)
    stated = HTJ2K.encode()
    return out.getvalue().replace(stated, syntax.encode().ljust(len(stated), b"\0"), 1)


def item(value: bytes) -> bytes:
    """Return one item of encapsulated pixel data."""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
