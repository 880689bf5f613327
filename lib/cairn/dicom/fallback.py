"""The way for odd files: pydicom reads the header, and its reading is written down again in plain form.

The tokeniser gives up a header whose structure it does not trust. What pydicom makes of it goes back through the same
kernel in canonical form, so that there is one way from bytes to columns.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from cairn.dicom.dictionary import LONG_LENGTH, VR

_SWAP_WIDTH = {"US": 2, "SS": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8, "US or SS": 2}
_WRITTEN_AS = {"OB or OW": "OW", "US or SS": "UN", "US or OW": "UN", "US or SS or OW": "UN"}
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class CanonicalHeader:
    """A header in canonical form.

    Attributes
    ----------
    data : bytes
        Part 10 bytes: preamble, file meta as it was, dataset in explicit VR little endian.
    pixel_offset : int
        Where the pixel data element (or the end) lies in the original bytes.
    """

    data: bytes
    pixel_offset: int


def canonical(header: bytes, max_depth: int) -> CanonicalHeader | None:
    """Read a header by pydicom and write it in canonical form.

    Parameters
    ----------
    header : bytes
        The bytes as stored, up to the pixel data at least.
    max_depth : int
        Deepest nesting of sequences.

    Returns
    -------
    CanonicalHeader or None
        None when pydicom cannot read it either, or reads no element.
    """
    source = io.BytesIO(header)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(source, stop_before_pixels=True, force=True)
            end = min(source.tell(), len(header))
            out = [bytes(128), b"DICM"]
            _write_dataset(dataset.file_meta, out, 1)
            _write_dataset(dataset, out, max_depth)
    except Exception:  # noqa: BLE001 - whatever pydicom raises on hostile bytes, the entry becomes one coded row
        return None
    if len(out) == 2:
        return None
    return CanonicalHeader(b"".join(out), end)


def _write_dataset(dataset: Dataset, out: list[bytes], depth: int) -> None:
    if depth < 0:
        raise RecursionError("sequences nest too deep")
    for tag in sorted(dataset.keys()):
        raw: Any = dataset.get_item(tag)
        try:
            element = dataset[tag]
        except Exception:  # noqa: BLE001 - pydicom cannot convert the value: its bytes are kept as UN
            element = None
        if element is not None and str(element.VR) == "SQ":
            _write_sequence(int(tag), element, out, depth)
        elif isinstance(raw, DataElement):  # while reading pydicom needed it: character set, file meta
            value = raw.value if isinstance(raw.value, bytes) else _encoded(raw)
            _write_value(int(tag), str(raw.VR), value, out)
        else:
            vr = str(element.VR) if element is not None else "UN"
            _write_value(int(tag), vr, _little_endian(raw, vr), out)


def _encoded(element: DataElement) -> bytes:
    """Return the bytes of a value that pydicom has converted, without their header."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    write_data_element(buffer, element)
    return buffer.getvalue()[8:]


def _little_endian(raw: RawDataElement, vr: str) -> bytes:
    value = raw.value or b""
    width = _SWAP_WIDTH.get(vr)
    if raw.is_little_endian or width is None or len(value) % width:
        return value
    return np.frombuffer(value, f">u{width}").astype(f"<u{width}").tobytes()


def _write_value(tag: int, vr: str, value: bytes, out: list[bytes]) -> None:
    vr = _WRITTEN_AS.get(vr, vr)
    if vr not in VR or (vr not in LONG_LENGTH and len(value) > 0xFFFF):
        vr = "UN"
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    out.append(head + (struct.pack("<HI", 0, len(value)) if vr in LONG_LENGTH else struct.pack("<H", len(value))))
    out.append(value)


def _write_sequence(tag: int, element: DataElement, out: list[bytes], depth: int) -> None:
    out.append(struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, _UNDEFINED))
    for item in element.value:
        out.append(struct.pack("<HHI", 0xFFFE, 0xE000, _UNDEFINED))
        _write_dataset(item, out, depth - 1)
        out.append(struct.pack("<HHI", 0xFFFE, 0xE00D, 0))
    out.append(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
