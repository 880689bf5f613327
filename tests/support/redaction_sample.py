"""Made images for the tests of redaction, and pydicom's view of what came out."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np
import pydicom
from pixel_sample import END, HTJ2K, item
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels import pixel_array
from pydicom.uid import UID

IMPLICIT, EXPLICIT, BIG, DEFLATED = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99"))


def dataset_of(frames: int, rows: int, columns: int, photometric: str, bits: int, **attributes: object) -> Dataset:
    """Return the header of an image; `attributes` override."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.77"
    made.Modality, made.PatientName = "OT", "Nobody^Real"
    made.SamplesPerPixel = 1 if photometric.startswith(("MONO", "PALETTE")) else 3
    made.PhotometricInterpretation = photometric
    if made.SamplesPerPixel == 3:
        made.PlanarConfiguration = 0
    if frames > 1:
        made.NumberOfFrames = frames
    made.Rows, made.Columns = rows, columns
    made.BitsAllocated = 1 if bits == 1 else 8 if bits <= 8 else 16 if bits <= 16 else 32
    made.BitsStored, made.HighBit, made.PixelRepresentation = bits, bits - 1, 0
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def native_file(header: Dataset, pixels: bytes, syntax: str = EXPLICIT, keyword: str = "PixelData") -> bytes:
    """Return a file with native pixels, given in the byte order of its syntax."""
    value = pixels + bytes(len(pixels) % 2)
    setattr(header, keyword, value)
    if keyword == "PixelData":
        header[keyword].VR = "OB" if header.BitsAllocated <= 8 and syntax != IMPLICIT else "OW"
    return _saved(header, syntax)


def coded_file(header: Dataset, frames: Sequence[bytes | list[bytes]], syntax: str, table: str = "basic") -> bytes:
    """Return a file with encapsulated frames; `table`: basic, extended or none."""
    if table == "extended":
        header.PixelData, header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths = encapsulate_extended(
            [frame for frame in frames if isinstance(frame, bytes)]
        )
    elif table == "basic" and all(isinstance(frame, bytes) for frame in frames):
        header.PixelData = encapsulate([frame for frame in frames if isinstance(frame, bytes)])
    else:
        pieces = [piece for frame in frames for piece in ([frame] if isinstance(frame, bytes) else frame)]
        header.PixelData = item(b"") + b"".join(item(piece + bytes(len(piece) % 2)) for piece in pieces) + END
    header["PixelData"].VR = "OB"
    header["PixelData"].is_undefined_length = True
    return _saved(header, syntax)


def _saved(header: Dataset, syntax: str) -> bytes:
    header.file_meta = FileMetaDataset()
    known = UID(syntax).is_transfer_syntax and not UID(syntax).is_private
    # pydicom writes no transfer syntax that it does not know: written as another, then renamed, NULs behind.
    header.file_meta.TransferSyntaxUID = UID(syntax if known else HTJ2K)
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    out = io.BytesIO()
    header.save_as(out, enforce_file_format=True)
    if known:
        return out.getvalue()
    return out.getvalue().replace(HTJ2K.encode(), syntax.encode().ljust(len(HTJ2K), b"\0"), 1)


def read(data: bytes) -> Dataset:
    """Return pydicom's reading of a file."""
    return pydicom.dcmread(io.BytesIO(data))


def decoded(data: bytes) -> np.ndarray:
    """Return pydicom's pixels as they are stored, (frames, rows, columns, samples)."""
    header = read(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = pixel_array(header, raw=True)
    return values.reshape(int(header.get("NumberOfFrames", 1)), header.Rows, header.Columns, -1)


def inside(shape: tuple[int, ...], boxes: Sequence[tuple[int, int, int, int, int, int]]) -> np.ndarray:
    """Return which pixels boxes hold: each first frame, last frame, x, y, width, height."""
    mask = np.zeros(shape[:3], bool)
    for first, last, x, y, width, height in boxes:
        for frame in range(first - 1, last):
            for row in range(max(0, y), min(shape[1], y + height)):
                for column in range(max(0, x), min(shape[2], x + width)):
                    mask[frame, row, column] = True
    return mask
