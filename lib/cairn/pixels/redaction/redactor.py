"""Pixel redaction: a DICOM file and boxes in, the same file with the boxes blanked out.

    with Redactor() as redactor:
        redacted = redactor(data, [Box(10, 10, 200, 16)])
        redacted.data

It comes before the header rewriter (:mod:`cairn.deid.rewrite`), on the file as it is: the boxes, the device rules and
the look again need the header that the rewriter takes away, and the rewriter hands pixel data on without looking, so
that nothing is decoded twice for it. All that can fail fails before the first byte is written.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np

from cairn.dicom import tokenise as tk
from cairn.errors import EntryError, Finding
from cairn.pixels.codecs import J2K, JPEG, JPEG_LS
from cairn.pixels.description import UNDEFINED, DeflatedDataset, PixelDescription, describe
from cairn.pixels.frames import NATIVE, REFERENCED, VIDEO
from cairn.pixels.isolation import IsolatedDecoder
from cairn.pixels.native import container
from cairn.pixels.reader import PixelLimits
from cairn.pixels.redaction.boxes import Box, Targets, targets_of
from cairn.pixels.redaction.compressed import Compressed, Stored, make_spool, tables_of, write_items
from cairn.pixels.redaction.encoders import Stream
from cairn.pixels.redaction.fill import Fill
from cairn.pixels.redaction.header import Header, Value, text
from cairn.pixels.redaction.native_frames import NativeFrames, effective
from cairn.pixels.redaction.overlays import blanked_overlays
from cairn.pixels.redaction.pieces import BytesSource, FileSource, Range, Source

_PIXELS = "(7FE0,0010)"
_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002
_PHOTOMETRIC, _PLANAR, _BURNED_IN = 0x00280004, 0x00280006, 0x00280301
_LOSSY, _RATIO, _METHOD = 0x00282110, 0x00282112, 0x00282114
_STALE = (
    0x00280106, 0x00280107,  # Smallest and Largest Image Pixel Value
    0x00280108, 0x00280109,  # of the series
    0x00280110, 0x00280111,  # in the plane
    0x00603000,  # Histogram Sequence
    0x00880200,  # Icon Image Sequence, which shows the text in small
    0x4FFE0001, 0xFFFAFFFA,  # MAC Parameters and Digital Signatures, of other bytes
)  # fmt: skip
_SIGNATURES = 0xFFFAFFFA
_METHODS = {JPEG: "ISO_10918_1", JPEG_LS: "ISO_14495_1", J2K: "ISO_15444_1", "jpeg-xl": "ISO_18181_1"}
_MOST_BASIC_OFFSET = 0xFFFFFFFF


@dataclass(frozen=True)
class Redaction:
    """What was done to a file.

    Attributes
    ----------
    frames_changed : tuple of int
        Numbers of the frames that changed, from 1, ascending.
    boxes_applied : int
        Boxes that blanked something.
    lossless : bool
        Whether the pixels that were redacted had been stored without loss: they are in either case stored so now.
    transfer_syntax_uid : str or None
        Of the new file.
    fill : tuple of float
        Stored value of blanked pixels, for each sample; empty when no frame changed.
    findings : tuple of Finding
        What is to be known.
    """

    frames_changed: tuple[int, ...]
    boxes_applied: int
    lossless: bool
    transfer_syntax_uid: str | None
    fill: Fill = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Redacted(Redaction):
    """A redacted file; see :class:`Redaction`.

    Attributes
    ----------
    data : bytes
        The new file.
    """

    data: bytes = field(default=b"", repr=False)


class Redactor:
    """Redacts files, one after the other.

    Parameters
    ----------
    limits : PixelLimits, optional
        Bounds.
    decoder : IsolatedDecoder, optional
        One to share; it is then not closed here.
    """

    def __init__(self, limits: PixelLimits | None = None, decoder: IsolatedDecoder | None = None) -> None:
        self.limits = limits or PixelLimits()
        self._shared = decoder
        self._decoder = decoder or IsolatedDecoder(
            self.limits.decode_timeout_seconds, self.limits.decoder_memory_bytes, self.limits.frame_limit_bytes
        )

    def __call__(self, data: bytes, boxes: Sequence[Box], text_removed: bool = False) -> Redacted:
        """Redact a file in memory.

        Parameters
        ----------
        data : bytes
            The file.
        boxes : sequence of Box
            What to blank. Without any, the file comes back as it is.
        text_removed : bool
            Whether the caller knows that no text is left: Burned In Annotation becomes NO.

        Raises
        ------
        EntryError
            REDACTION_FRAME_MISSING, REDACTION_PLANE_UNKNOWN; REDACTION_HEADER, REDACTION_PIXELS_BROKEN,
            REDACTION_SHAPE, REDACTION_UNSUPPORTED, REDACTION_ENCODER; and what
            :class:`~cairn.pixels.reader.PixelReader` raises. There is then no new file.
        """
        out = io.BytesIO()
        made = self._redact(BytesSource(bytes(data)), out, boxes, text_removed)
        return Redacted(**vars(made), data=out.getvalue())

    def marked(self, made: Redacted) -> Redacted:
        """Return a redacted file whose header says that no text is left in the pixels."""
        return replace(made, data=self(made.data, (), text_removed=True).data)

    def stream(self, source: BinaryIO, target: BinaryIO, boxes: Sequence[Box], text_removed: bool = False) -> Redaction:
        """Redact a file that may be larger than memory, frame by frame.

        Parameters
        ----------
        source, target : binary file
            Open for reading with random access, and for writing; nothing is written when an EntryError is raised.
        boxes, text_removed
            As for a call.

        Raises
        ------
        EntryError
            As for a call.
        OSError
            A fault of storage: what was written is to be thrown away.
        """
        return self._redact(FileSource(source, self.limits.whole_limit_bytes), target, boxes, text_removed)

    def _redact(self, source: Source, target: BinaryIO, boxes: Sequence[Box], text_removed: bool) -> Redaction:
        plain, form, deflated = self._plain(source)
        d = describe(plain.head, form)
        if d is None or not (boxes or text_removed):
            if boxes:
                raise EntryError("PIXELS_EMPTY" if plain.head.size == plain.size else "HEADER_TOO_LARGE")
            Range(source, 0, source.size).copy_to(target)
            return Redaction((), 0, True, d.transfer_syntax_uid if d else None)
        work = _Work(plain, form, d, self._decoder, self.limits, boxes, text_removed)
        if not deflated:
            return work.write(target)
        whole = io.BytesIO()
        made = work.write(whole)
        start = work.header.start
        target.write(whole.getvalue()[:start] + _deflated(whole.getvalue()[start:]))
        return made

    def _plain(self, source: Source) -> tuple[Source, int, bool]:
        """Return the file with its data set inflated."""
        try:
            describe(source.head)
        except DeflatedDataset as dataset:
            limit = self.limits.inflated_limit_bytes
            raw = source.read(dataset.place, source.size - dataset.place).tobytes()
            head = source.read(0, dataset.place).tobytes()
            return BytesSource(head + _inflated(raw, limit)), tk.INFLATED, True
        return source, tk.AS_STORED, False

    def close(self) -> None:
        """End the decoder's process, unless it is shared."""
        if self._shared is None:
            self._decoder.close()

    def __enter__(self) -> Redactor:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()


def redact(data: bytes, boxes: Sequence[Box], text_removed: bool = False) -> Redacted:
    """Redact one file in memory; see :class:`Redactor`, which is faster for many."""
    with Redactor() as redactor:
        return redactor(data, boxes, text_removed)


def _inflated(raw: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(raw, limit)
    except zlib.error:
        raise EntryError("DEFLATE_CORRUPT") from None
    if inflater.unconsumed_tail:
        raise EntryError("FRAME_TOO_LARGE")
    if not inflater.eof:
        raise EntryError("DEFLATE_CORRUPT")
    return plain


def _deflated(plain: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    made = packer.compress(plain) + packer.flush()
    return made + bytes(len(made) % 2)  # PS3.5 A.5


class _Work:
    """The redaction of one file whose data set is not deflated."""

    def __init__(
        self, source: Source, form: int, d: PixelDescription, decoder: IsolatedDecoder, limits: PixelLimits,
        boxes: Sequence[Box], text_removed: bool,
    ) -> None:  # fmt: skip
        uid = d.transfer_syntax_uid
        if uid is not None and uid.startswith(VIDEO + REFERENCED):
            raise EntryError("REDACTION_UNSUPPORTED")
        if d.rows * d.columns * d.samples * container(d.bits_allocated, False).itemsize > limits.frame_limit_bytes:
            raise EntryError("FRAME_TOO_LARGE")
        self._encapsulated = d.value_length == UNDEFINED
        self._d = d if self._encapsulated else effective(d)
        self._source, self._decoder = source, decoder
        self.header = Header(source.head, form, d)
        overlays = self.header.overlays()
        in_pairs = not self._encapsulated and self._d.photometric == "YBR_FULL_422" and d.samples == 3
        self._targets: Targets = targets_of(boxes, self._d, overlays, in_pairs)
        self._changes: dict[int, Value | None] = {}
        if self._targets.applied:
            self._changes |= dict.fromkeys(_STALE)
            self._changes |= blanked_overlays(self.header, self._targets.overlays)
        if text_removed:
            self._changes[_BURNED_IN] = text("CS", "NO")
        self._limits = limits

    def write(self, target: BinaryIO) -> Redaction:
        """Write the new file."""
        frames = self._targets.frames()
        if not frames:
            end = self._end()
            target.write(self.header.edited(self._changes))
            self._old_head(target)
            Range(self._source, self._d.value_at, end - self._d.value_at).copy_to(target)
            self._tail(target, end)
            return self._done((), None, set(), True)
        return self._compressed(target, frames) if self._encapsulated else self._native(target, frames)

    def _native(self, target: BinaryIO, frames: list[int]) -> Redaction:
        work = NativeFrames(
            self._source, self._d, self.header.overlay_bits(), self._source.head[: self.header.place],
            self._limits.inflated_limit_bytes,
        )  # fmt: skip
        fill = work.prepare(self._targets)
        target.write(self.header.edited(self._changes))
        self._old_head(target)
        work.write(target, self._targets)
        self._tail(target, self._end())
        return self._done(tuple(frames), fill, work.findings, True)

    def _compressed(self, target: BinaryIO, frames: list[int]) -> Redaction:
        header, d = self.header, self._d
        end = self._end()
        with make_spool() as spool:
            work = Compressed(
                self._source, d, self._decoder, self._source.head[: header.place], header.overlay_bits(), spool
            )
            made = work.redacted(self._targets)
            self._note(made)
            syntax = made.syntax or (header.native_syntax if made.raw else None)
            syntax = None if syntax == d.transfer_syntax_uid or d.transfer_syntax_uid in NATIVE else syntax
            basic = self._tables(made)
            target.write(header.edited(self._changes, syntax))
            if made.raw:
                ((value,),) = made.frames
                target.write(header.pixel_head(value.length, "OB" if d.bits_allocated <= 8 else "OW"))
                value.copy_to(target)
            else:
                target.write(header.pixel_head(UNDEFINED, "OB"))
                write_items(made.frames, target, basic)
        self._tail(target, end)
        return self._done(tuple(frames), made.fill, made.findings, not made.stream.lossy, syntax)

    def _note(self, made: Stored) -> None:
        """Let the attributes say what is stored now."""
        if made.photometric is not None:
            self._changes[_PHOTOMETRIC] = text("CS", made.photometric)
        if (made.syntax is not None or made.raw) and self._d.samples > 1:
            self._changes[_PLANAR] = ("US", struct.pack(f"{self.header.order}H", 0))
        if made.stream.lossy:
            self._lossy(made.stream, made.source_bytes)

    def _lossy(self, stream: Stream, source_bytes: int) -> None:
        """State that the image once lost something (PS3.3 C.7.6.1.1.5), where the header does not yet."""
        d = self._d
        self._changes[_LOSSY] = text("CS", "01")
        if not self.header.raw(_RATIO).strip(b" \0"):
            whole = d.rows * d.columns * d.samples * d.frames * d.bits_allocated / 8
            self._changes[_RATIO] = text("DS", f"{whole / max(1, source_bytes):.4g}")
        if not self.header.raw(_METHOD).strip(b" \0") and stream.codec in _METHODS:
            self._changes[_METHOD] = text("CS", _METHODS[stream.codec])

    def _tables(self, made: Stored) -> bool:
        """Write the Extended Offset Table where there was one, or the basic one cannot; return whether that can."""
        header = self.header
        if made.raw:
            self._changes |= {tag: None for tag in (_OFFSETS, _LENGTHS) if header.has(tag)}
            return False
        offsets, lengths = tables_of(made.frames)
        fits = offsets[-1] <= _MOST_BASIC_OFFSET
        single = all(len(group) == 1 for group in made.frames)
        if single and (header.has(_OFFSETS) or not fits):
            self._changes[_OFFSETS] = ("OV", np.array(offsets, "<u8").tobytes())
            self._changes[_LENGTHS] = ("OV", np.array(lengths, "<u8").tobytes())
            return False
        self._changes |= {tag: None for tag in (_OFFSETS, _LENGTHS) if header.has(tag)}
        return fits

    def _old_head(self, target: BinaryIO) -> None:
        d, place = self._d, self.header.place
        if "PARSED_BY_PYDICOM" not in d.findings:
            target.write(self._source.head[place : d.value_at].tobytes())
            return
        vr = {"f": "OF", "d": "OD"}.get(d.kind, "OB" if d.bits_allocated <= 8 or self._encapsulated else "OW")
        target.write(self.header.pixel_head(d.value_length, vr))

    def _end(self) -> int:
        """Return where the pixel data's value ends.

        Raises
        ------
        EntryError
            REDACTION_PIXELS_BROKEN.
        """
        d = self._d
        if not self._encapsulated:
            if d.value_at + d.value_length > self._source.size:
                raise EntryError("REDACTION_PIXELS_BROKEN")
            return d.value_at + d.value_length
        at = d.value_at
        order = ">" if d.big_endian else "<"
        while (head := self._source.read(at, 8)).size == 8:
            group, number, length = struct.unpack(order + "HHI", head.tobytes())
            at += 8
            if (group, number) == (0xFFFE, 0xE0DD):
                return at
            if (group, number) != (0xFFFE, 0xE000) or length == UNDEFINED:
                raise EntryError("REDACTION_PIXELS_BROKEN")
            at += length
        if at != self._source.size:
            raise EntryError("REDACTION_PIXELS_BROKEN")
        return at

    def _tail(self, target: BinaryIO, end: int) -> None:
        """Copy what lies behind the pixel data, unless it signs what was there before."""
        head = self._source.read(end, 4).tobytes()
        order = ">" if self._d.big_endian else "<"
        if self._targets.applied and head == struct.pack(order + "HH", _SIGNATURES >> 16, _SIGNATURES & 0xFFFF):
            return
        Range(self._source, end, max(0, self._source.size - end)).copy_to(target)

    def _done(
        self, frames: tuple[int, ...], fill: Fill | None, findings: set[str], lossless: bool, syntax: str | None = None
    ) -> Redaction:
        codes = sorted(findings | self._targets.findings)
        return Redaction(
            frames, self._targets.applied, lossless, syntax or self._d.transfer_syntax_uid, fill or (),
            tuple(Finding(code, _PIXELS) for code in codes),
        )  # fmt: skip
