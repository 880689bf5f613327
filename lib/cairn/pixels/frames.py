"""The frames of one instance, one after the other, whatever their encoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from cairn.errors import EntryError
from cairn.pixels import native
from cairn.pixels.codecs import J2K, JPEG, JPEG_LS, JXL, UNKNOWN, FrameForm, codec_of
from cairn.pixels.description import UNDEFINED, PixelDescription
from cairn.pixels.fragments import Bytes, Fragment, cut_frames, join
from cairn.pixels.isolation import IsolatedDecoder
from cairn.pixels.rle import decode_rle

RLE = "1.2.840.10008.1.2.5"
NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", None})
VIDEO = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (100, 101, 102, 103, 104, 105, 106, 107, 108))
REFERENCED = ("1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204", "1.2.840.10008.1.2.4.205")
"""JPIP: the pixels lie on a server."""
COMPRESSED = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5")
_MOST_MISSING_FRAMES = 3
_TAIL = 64
_ENDS_THE_FILE = frozenset({"DECODER_CRASHED", "DECODER_TIMEOUT", "TRANSFER_SYNTAX_UNSUPPORTED"})
Decode = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Frame:
    """One decoded frame.

    Attributes
    ----------
    number : int
        DICOM's frame number, from 1.
    values : numpy.ndarray
        Stored values, (rows, columns) or (rows, columns, samples), little endian, read-only. Colours are RGB where
        the file has YBR; PALETTE COLOR stays indices.
    containers : numpy.ndarray or None
        The pixels' whole containers, where bits are set in them that belong to no stored value.
    """

    number: int
    values: np.ndarray
    containers: np.ndarray | None = None


class FrameReader:
    """Decodes the frames of one instance.

    Parameters
    ----------
    source : Bytes
        The entry's bytes.
    description : PixelDescription
        What the header says.
    decoder : IsolatedDecoder
        For compressed frames.
    frame_limit_bytes : int
        Largest decoded frame.

    Attributes
    ----------
    findings : set of str
        Codes of what was odd, complete when all frames were asked for.
    encapsulated : bool
        Whether the pixel data is.

    Raises
    ------
    EntryError
        TRANSFER_SYNTAX_UNSUPPORTED, FRAME_TOO_LARGE.
    """

    def __init__(
        self, source: Bytes, description: PixelDescription, decoder: IsolatedDecoder, frame_limit_bytes: int
    ) -> None:
        self._source = source
        self._decoder = decoder
        self._containers: np.ndarray | None = None
        self.description = description
        self.findings = set(description.findings)
        uid = description.transfer_syntax_uid
        self.encapsulated = description.value_length == UNDEFINED
        if uid is not None and uid.startswith(VIDEO + REFERENCED):
            raise EntryError("TRANSFER_SYNTAX_UNSUPPORTED")
        if self.encapsulated and uid in NATIVE:
            self.findings.add("PIXELS_ENCAPSULATED")
        if not self.encapsulated and uid not in NATIVE:
            self.findings.add("PIXELS_NOT_ENCAPSULATED")
        d = description
        if d.rows * d.columns * d.samples * native.container(d.bits_allocated, False).itemsize > frame_limit_bytes:
            raise EntryError("FRAME_TOO_LARGE")

    def frames(self, step: int = 1) -> Iterator[Frame]:
        """Decode every `step`-th frame.

        Yields
        ------
        Frame
            Ascending. A frame that cannot be decoded is left out, with its code in :attr:`findings`.

        Raises
        ------
        EntryError
            DECODER_CRASHED, DECODER_TIMEOUT: at once. PIXELS_EMPTY or the first frame's code: when no frame decodes.
        """
        found = False
        first_fault: EntryError | None = None
        faults = 0
        for number, decode in self._encapsulated(step) if self.encapsulated else self._native(step):
            values = _tried(decode)
            if isinstance(values, EntryError):
                if values.code in _ENDS_THE_FILE:
                    raise values
                first_fault = first_fault or values
                self.findings.add(values.code)
                faults += 1
                if not found and faults >= _MOST_MISSING_FRAMES:
                    break
                continue
            found = True
            yield Frame(number, values, self._containers)
        if not found:
            raise first_fault or EntryError("PIXELS_EMPTY")

    def _native(self, step: int) -> Iterator[tuple[int, Decode]]:
        d = self.description
        if d.photometric == "YBR_FULL_422" and d.value_length >= d.frames * d.rows * d.columns * 3 > 0:
            d = self.description = replace(
                d, photometric="YBR_FULL"
            )  # labelled as subsampled, and long enough not to be
        at, size, _ = native.frame_extent(d, d.frames - 1)
        if d.value_length > at + size + 1:
            self.findings.add("PIXELS_TOO_LONG")
        if d.value_length < at + size:
            self.findings.add("PIXELS_TRUNCATED")
        for frame in range(0, d.frames, step):
            at, size, first_bit = native.frame_extent(d, frame)
            raw = self._raw(d, at, size)
            rows = d.rows
            if raw.size < size:
                self.findings.add("PIXELS_TRUNCATED")
                rows = native.whole_rows(d, raw.size)
                if not rows:
                    return
                raw = raw[: rows * (size // d.rows)]
            yield frame + 1, partial(self._viewed, raw, rows, first_bit)

    def _raw(self, d: PixelDescription, at: int, size: int) -> np.ndarray:
        """Return the bytes of a native frame, as many as are there."""
        present = max(0, min(size, d.value_length - at))
        if not d.words:
            return self._source.read(d.value_at + at, present)
        even = at & ~1  # words begin at even places; a frame of odd length does not
        words = self._source.read(d.value_at + even, (at + present - even + 1) & ~1)
        swapped = words[: words.size & ~1].view("<u2").byteswap().view(np.uint8)
        return swapped[at - even : at - even + present]

    def _viewed(self, raw: np.ndarray, rows: int, first_bit: int) -> np.ndarray:
        d = self.description
        values = native.native_array(raw, d, rows, first_bit)
        return self._finished(values, d.high_bit + 1 - d.bits_stored, d.photometric)

    def _finished(self, values: np.ndarray, shift: int, photometric: str) -> np.ndarray:
        d = self.description
        self._containers = None
        if d.kind != "i":
            values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            values.flags.writeable = False
            return values
        stored, odd = native.stored_values(values, min(d.bits_stored, 8 * values.itemsize), shift, d.signed)
        self._containers = values if odd else None
        if odd:
            self.findings.add("PIXELS_UNUSED_BITS")
        return native.as_rgb(stored, photometric)

    def _encapsulated(self, step: int) -> Iterator[tuple[int, Decode]]:
        d = self.description
        cut = cut_frames(self._source, d.value_at, d.frames, d.extended_offsets, d.extended_lengths, d.big_endian)
        self.findings.update(cut.findings)
        for frame in range(0, len(cut.frames), step):
            yield frame + 1, partial(self._decoded, cut.frames[frame])

    def _decoded(self, group: list[Fragment]) -> np.ndarray:
        d = self.description
        data = join(self._source, group)
        codec = codec_of(data, d.transfer_syntax_uid)
        if codec == UNKNOWN and (d.transfer_syntax_uid == RLE or is_rle(data, d)):
            values, complete = decode_rle(data, d)
            if not complete:
                self.findings.add("PIXELS_TRUNCATED")
            return self._finished(values, d.high_bit + 1 - d.bits_stored, d.photometric)
        if codec == UNKNOWN:
            known = (d.transfer_syntax_uid or "").startswith(COMPRESSED)
            raise EntryError("FRAME_UNDECODABLE" if known else "TRANSFER_SYNTAX_UNSUPPORTED")
        if codec in (JPEG, JPEG_LS) and b"\xff\xd9" not in data[-_TAIL:]:
            self.findings.add("PIXELS_TRUNCATED")  # no end of image (T.81 B.1.1.3): decoders fill in what is missing
        form = FrameForm(
            d.rows,
            d.columns,
            d.samples,
            d.bits_allocated,
            d.bits_stored,
            d.signed,
            d.photometric,
            d.transfer_syntax_uid or "",
        )
        values = self._decoder.decode(data, form)
        expected = (d.rows, d.columns) if d.samples == 1 else (d.rows, d.columns, d.samples)
        if values.shape != expected:
            self.findings.add("FRAME_SHAPE_DIFFERS")
            if values.ndim not in (2, 3):
                raise EntryError("FRAME_UNDECODABLE")
        is_rgb = codec in (JPEG, JXL) or (codec == J2K and d.photometric in ("YBR_ICT", "YBR_RCT", "RGB"))
        return self._finished(widened(values, d.bits_allocated), 0, "RGB" if is_rgb else d.photometric)


def _tried(decode: Callable[[], np.ndarray]) -> np.ndarray | EntryError:
    """Return a frame, or the code of why there is none: bytes that do not fit a shape raise errors of many kinds."""
    try:
        return decode()
    except EntryError as fault:
        return fault
    except MemoryError:
        return EntryError("FRAME_TOO_LARGE")
    except (ValueError, OverflowError):
        return EntryError("FRAME_UNDECODABLE")


def widened(values: np.ndarray, bits_allocated: int) -> np.ndarray:
    """Give a decoder's output the container that the header names, when that is wider; signs are kept."""
    if values.dtype == np.bool_:
        values = values.view(np.uint8)
    size = native.container(bits_allocated, False).itemsize
    return values if values.itemsize >= size else values.astype(f"<{values.dtype.kind}{size}")


def is_rle(data: bytes, description: PixelDescription) -> bool:
    """Whether the bytes begin with a header as PS3.5 G.5 has it, of this image's number of segments."""
    segments = description.samples * max(1, description.bits_allocated // 8)
    return len(data) > 64 and int.from_bytes(data[:4], "little") == segments and data[4:8] == b"\x40\0\0\0"
