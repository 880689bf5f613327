"""What the header says of the pixels: the Image Pixel module (PS3.3 C.7.6.3) and the way to real-world values.

Read from the entry's own bytes by a compiled walk over the top level of the dataset; pydicom reads what that walk does
not trust, and the functional groups of enhanced multi-frame objects.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from cairn.dicom import tokenise as tk
from cairn.dicom.dictionary import dictionary, keywords
from cairn.dicom.fallback import canonical
from cairn.errors import EntryError
from cairn.pixels import kernels

WANTED = (
    "TransferSyntaxUID", "SOPClassUID", "SOPInstanceUID", "Modality", "SeriesInstanceUID", "SamplesPerPixel",
    "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleIntercept",
    "RescaleSlope", "RescaleType", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
)  # fmt: skip
PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS = 0x7FE00010, 0x7FE00008, 0x7FE00009
UNDEFINED = 0xFFFFFFFF
_DEPTH = 200
_NO_MORE_FRAMES = 1 << 24


@dataclass(frozen=True)
class Rescale:
    """The Modality LUT as a line (PS3.3 C.11.1): output = slope * stored + intercept.

    Attributes
    ----------
    slope, intercept : float
        The line.
    type : str or None
        Rescale Type: the unit, ``HU`` for Hounsfield units.
    """

    slope: float
    intercept: float
    type: str | None = None


@dataclass(frozen=True)
class PixelDescription:
    """The Image Pixel module of one instance, and where its pixel data lies.

    Attributes
    ----------
    transfer_syntax_uid, sop_class_uid, sop_instance_uid, series_instance_uid, modality : str or None
        As in the header.
    rows, columns, samples, frames : int
        Shape.
    bits_allocated, bits_stored, high_bit : int
        PS3.5 8.1.1.
    signed, big_endian, by_plane : bool
        Pixel Representation 1; numbers most significant byte first; Planar Configuration 1.
    photometric : str
        Photometric Interpretation.
    padding : tuple of int or None
        Smallest and largest stored value that stands for padding (PS3.3 C.7.5.1.1.2).
    rescales : tuple of Rescale
        None, one, or one a frame.
    words : bool
        8-bit pixels in 16-bit words whose bytes are swapped (OW in big endian).
    kind : str
        ``i`` integers, ``f`` Float Pixel Data, ``d`` Double Float Pixel Data.
    value_at, value_length : int
        Place of the pixel data's value in the bytes, and its length as stated (0xFFFFFFFF: encapsulated).
    extended_offsets, extended_lengths : numpy.ndarray of uint64 or None
        Extended Offset Table (PS3.3 C.7.6.3.1.8).
    findings : tuple of str
        Codes of what was odd.
    """

    transfer_syntax_uid: str | None
    sop_class_uid: str | None
    sop_instance_uid: str | None
    series_instance_uid: str | None
    modality: str | None
    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    big_endian: bool
    by_plane: bool
    photometric: str
    padding: tuple[int, int] | None
    rescales: tuple[Rescale, ...]
    words: bool
    kind: str
    value_at: int
    value_length: int
    extended_offsets: np.ndarray | None = None
    extended_lengths: np.ndarray | None = None
    findings: tuple[str, ...] = field(default=())

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame, 0 when frames do not end at a byte (1-bit pixels); see :mod:`.native`."""
        bits = self.rows * self.columns * self.samples * self.bits_allocated
        if self.photometric == "YBR_FULL_422" and self.samples == 3:
            bits = bits * 2 // 3
        return bits // 8 if bits % 8 == 0 else 0

    def rescale_of(self, frame: int) -> Rescale | None:
        """Return the line of frame `frame` (from 0)."""
        if not self.rescales:
            return None
        return self.rescales[frame] if frame < len(self.rescales) > 1 else self.rescales[0]


class DeflatedDataset(Exception):
    """The dataset behind the file meta group is deflated (PS3.5 A.5); `place` is where it begins."""

    def __init__(self, place: int) -> None:
        super().__init__("deflated")
        self.place = place


class _Values:
    """Values of the wanted elements, by keyword."""

    def __init__(self, buf: np.ndarray, at: np.ndarray, length: np.ndarray, big: bool) -> None:
        self._buf, self._at, self._length = buf, at, length
        self._order = ">" if big else "<"

    def raw(self, keyword: str) -> bytes:
        slot = _SLOT[keyword]
        at, length = int(self._at[slot]), int(self._length[slot])
        return b"" if at < 0 or length == UNDEFINED else self._buf[at : at + length].tobytes()

    def has(self, keyword: str) -> bool:
        return bool(self._at[_SLOT[keyword]] >= 0)

    def text(self, keyword: str) -> str | None:
        return self.raw(keyword).decode("latin-1").strip(" \0") or None

    def number(self, keyword: str, signed: bool = False) -> int | None:
        raw = self.raw(keyword)
        if len(raw) == 4:
            return int(struct.unpack(self._order + ("i" if signed else "I"), raw)[0])
        return int(struct.unpack_from(self._order + ("h" if signed else "H"), raw)[0]) if len(raw) >= 2 else None

    def decimal(self, keyword: str) -> float | None:
        text = self.text(keyword)
        try:
            value = float(text.partition("\\")[0]) if text else None
        except ValueError:
            return None
        return value if value is None or math.isfinite(value) else None

    def offsets(self, keyword: str) -> np.ndarray | None:
        raw = self.raw(keyword)
        return np.frombuffer(raw, self._order + "u8") if raw and len(raw) % 8 == 0 else None


_TAGS = sorted((keywords()[name][0], name) for name in WANTED)
_SLOT = {name: slot for slot, (_, name) in enumerate(_TAGS)}
_WANTED = np.array([tag for tag, _ in _TAGS], np.int64)


def describe(buf: np.ndarray, form: int = tk.AS_STORED) -> PixelDescription | None:
    """Describe the pixels of an entry.

    Parameters
    ----------
    buf : numpy.ndarray of uint8
        The entry's first bytes, the whole header among them.
    form : int
        :data:`~cairn.dicom.tokenise.AS_STORED`, or ``INFLATED`` for a deflated entry with its dataset inflated.

    Returns
    -------
    PixelDescription or None
        None when there are no pixels.

    Raises
    ------
    EntryError
        NOT_DICOM, EMPTY_FILE, HEADER_CORRUPT; PIXELS_EMPTY; PIXELS_UNDESCRIBED when Rows, Columns or Bits Allocated
        are missing or impossible.
    DeflatedDataset
        The dataset is to be inflated first.
    """
    status, place, implicit, big, at, length, refused = _walk(buf, form)
    if status == kernels.FOUND:
        return _described(_Values(buf, at, length, big), buf, place, implicit, big)
    if status == kernels.NO_PIXELS:
        return None
    if refused == tk.EMPTY:
        raise EntryError("EMPTY_FILE")
    if refused == tk.NOT_DICOM:
        raise EntryError("NOT_DICOM")
    if refused == tk.DEFLATED:
        raise DeflatedDataset(place)
    made = canonical(buf.tobytes(), _DEPTH)
    if made is None:
        raise EntryError("HEADER_CORRUPT")
    return _described_again(np.frombuffer(made.data, np.uint8), buf, made.pixel_offset)


def _walk(buf: np.ndarray, form: int) -> tuple[int, int, bool, bool, np.ndarray, np.ndarray, int]:
    tables = dictionary()
    at, length = np.empty(_WANTED.size, np.int64), np.empty(_WANTED.size, np.int64)
    status, place, implicit, big, _, refused = kernels.find_elements(
        buf, form, _WANTED, tk.UIDS, tables.vr_of_bytes, tables.vr_is_long, at, length
    )
    return status, int(place), bool(implicit), bool(big), at, length, int(refused)


def _described_again(plain: np.ndarray, buf: np.ndarray, place: int) -> PixelDescription | None:
    """Describe by pydicom's reading of the header; the pixel data element is looked at as it is stored."""
    _, _, _, _, at, length, _ = _walk(plain, tk.CANONICAL)
    values = _Values(plain, at, length, False)
    if place + 8 > buf.size:
        return None
    group = buf[place : place + 2].tobytes()
    if group not in (b"\xe0\x7f", b"\x7f\xe0"):
        return None
    implicit = not (65 <= buf[place + 4] <= 90 and 65 <= buf[place + 5] <= 90)
    made = _described(values, buf, place, implicit, group == b"\x7f\xe0")
    return replace(made, findings=(*made.findings, "PARSED_BY_PYDICOM"))


def _described(values: _Values, buf: np.ndarray, place: int, implicit: bool, big: bool) -> PixelDescription:
    order = ">" if big else "<"
    head = buf[place : place + 12].tobytes()
    if len(head) < 12:
        raise EntryError("PIXELS_EMPTY")
    group, element = struct.unpack_from(order + "HH", head)
    tag = group << 16 | element
    size = 8 if implicit else 12
    length = struct.unpack_from(order + "I", head, size - 4)[0]
    if not implicit and head[4:6] not in (b"OB", b"OW", b"OF", b"OD", b"UN", b"OL", b"OV"):
        size, length = 8, struct.unpack_from(order + "H", head, 6)[0]
    kind = {FLOAT_PIXELS: "f", DOUBLE_PIXELS: "d"}.get(tag, "i")
    signed = values.number("PixelRepresentation") == 1 and kind == "i"
    findings: list[str] = []
    rows, columns = values.number("Rows") or 0, values.number("Columns") or 0
    bits = {"f": 32, "d": 64}.get(kind) or values.number("BitsAllocated") or 0
    samples = values.number("SamplesPerPixel") or 1
    if not rows or not columns or bits not in (1, 8, 12, 16, 32, 64) or samples not in (1, 2, 3, 4):
        raise EntryError("PIXELS_UNDESCRIBED")
    stored = values.number("BitsStored") or bits
    if not 0 < stored <= bits:
        findings.append("BITS_STORED_WRONG")
        stored = bits
    high = values.number("HighBit")
    if high is None or not stored - 1 <= high < bits:
        high = stored - 1
    return PixelDescription(
        transfer_syntax_uid=values.text("TransferSyntaxUID"),
        sop_class_uid=values.text("SOPClassUID"),
        sop_instance_uid=values.text("SOPInstanceUID"),
        series_instance_uid=values.text("SeriesInstanceUID"),
        modality=values.text("Modality"),
        rows=rows,
        columns=columns,
        samples=samples,
        frames=_frames(values, findings),
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=high,
        signed=signed,
        big_endian=big,
        by_plane=values.number("PlanarConfiguration") == 1 and samples > 1,
        photometric=values.text("PhotometricInterpretation") or ("MONOCHROME2" if samples == 1 else "RGB"),
        padding=_padding(values, signed),
        rescales=_rescales(values, buf, place),
        words=big and bits == 8 and head[4:6] == b"OW",
        kind=kind,
        value_at=place + size,
        value_length=length,
        extended_offsets=values.offsets("ExtendedOffsetTable"),
        extended_lengths=values.offsets("ExtendedOffsetTableLengths"),
        findings=tuple(findings),
    )


def _frames(values: _Values, findings: list[str]) -> int:
    text = values.text("NumberOfFrames")
    if text is None:
        return 1
    try:
        frames = int(float(text.partition("\\")[0]))
    except (ValueError, OverflowError):
        frames = 0
    if not 0 < frames < _NO_MORE_FRAMES:
        findings.append("NUMBER_OF_FRAMES_WRONG")
        return 1
    return frames


def _padding(values: _Values, signed: bool) -> tuple[int, int] | None:
    value = values.number("PixelPaddingValue", signed)
    if value is None:
        return None
    limit = values.number("PixelPaddingRangeLimit", signed)
    return (value, value) if limit is None else (min(value, limit), max(value, limit))


def _rescales(values: _Values, buf: np.ndarray, place: int) -> tuple[Rescale, ...]:
    slope, intercept = values.decimal("RescaleSlope"), values.decimal("RescaleIntercept")
    if slope is not None or intercept is not None:
        line = Rescale(1.0 if slope is None else slope, intercept or 0.0, values.text("RescaleType"))
        return (line,) if line.slope != 0.0 else ()
    if values.has("SharedFunctionalGroupsSequence") or values.has("PerFrameFunctionalGroupsSequence"):
        return _functional_groups(buf, place)
    return ()


_DEFLATED, _INFLATED = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.1\0\0\0"


def header_dataset(buf: np.ndarray, place: int, wanted: list[str] | None = None) -> Dataset | None:
    """Return a header, read by pydicom: for what lies in sequences, which the compiled walk does not enter.

    Parameters
    ----------
    buf : numpy.ndarray of uint8
        The entry's first bytes; of a deflated entry with its dataset inflated.
    place : int
        Where the header ends.
    wanted : list of str, optional
        Keywords; without, all elements.

    Returns
    -------
    pydicom.dataset.Dataset or None
        None when pydicom cannot read it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Of a deflated entry the inflated bytes are here, and the file meta still says deflated.
            header = buf[:place].tobytes().replace(_DEFLATED, _INFLATED, 1)
            return dcmread(io.BytesIO(header), stop_before_pixels=True, force=True, specific_tags=wanted)
    except UNREADABLE:
        return None


UNREADABLE = (
    ValueError, TypeError, LookupError, AttributeError, EOFError, OverflowError, NotImplementedError, OSError,
    zlib.error,
)  # fmt: skip
"""What pydicom raises on headers that it cannot read, and on values when they are looked at."""


def _functional_groups(buf: np.ndarray, place: int) -> tuple[Rescale, ...]:
    """Return the lines of the Pixel Value Transformation functional group (PS3.3 C.7.6.16.2.9)."""
    groups = ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"]
    dataset = header_dataset(buf, place, groups)
    if dataset is None:
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shared = [_line(item) for item in dataset.get(groups[0]) or ()]
            own = [_line(item) for item in dataset.get(groups[1]) or ()]
    except UNREADABLE:
        return ()  # a broken sequence costs the real-world units, not the pixels
    if own and all(own):
        lines = [line for line in own if line is not None]
        return (lines[0],) if len(set(lines)) == 1 else tuple(lines)
    return (shared[0],) if shared and shared[0] is not None else ()


def _line(item: Dataset) -> Rescale | None:
    found = item.get("PixelValueTransformationSequence")
    if not found:
        return None
    to_float: Callable[[object], float] = float  # type: ignore[assignment]
    slope, intercept = to_float(found[0].get("RescaleSlope", 1)), to_float(found[0].get("RescaleIntercept", 0))
    kind = found[0].get("RescaleType")
    return (
        Rescale(slope, intercept, str(kind) if kind else None) if slope and math.isfinite(slope + intercept) else None
    )
