"""Redacting encapsulated pixel data: frames with boxes are decoded, blanked and encoded again without loss.

Where the transfer syntax admits a codestream without loss, every other frame keeps its fragments byte for byte. Where
it does not (JPEG's DCT processes, JPEG 2000 with its irreversible colour transform), all frames are stored anew, as
JPEG-LS without loss: it is a fifth to a half of the raw size, encodes and decodes several times faster than JPEG 2000,
and pydicom, GDCM, DCMTK and ITK read it; samples that it does not take are stored raw. Every codestream made here is
decoded again by the isolated decoder and compared before it is believed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from cairn.errors import EntryError
from cairn.pixels import native
from cairn.pixels.codecs import DEFLATED, J2K, JPEG, JPEG_LS, JXL, UNKNOWN, FrameForm, codec_of
from cairn.pixels.description import PixelDescription
from cairn.pixels.fragments import Fragment, cut_frames, join
from cairn.pixels.frames import NATIVE, RLE, is_rle, widened
from cairn.pixels.isolation import IsolatedDecoder
from cairn.pixels.redaction import encoders
from cairn.pixels.redaction.boxes import Targets
from cairn.pixels.redaction.encoders import NoEncoder, Stream, encode_frame, stream_of, unsigned
from cairn.pixels.redaction.fill import Fill, fill_of
from cairn.pixels.redaction.pieces import FileSource, Range, Source
from cairn.pixels.redaction.words import Words, blank
from cairn.pixels.rle import decode_rle

JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
_J = "1.2.840.10008.1.2.4."
_ADMITS = {
    RLE: (encoders.RLE, False), _J + "57": (JPEG, False), _J + "70": (JPEG, False), _J + "80": (JPEG_LS, False),
    _J + "81": (JPEG_LS, False), _J + "90": (J2K, False), _J + "91": (J2K, False), _J + "110": (JXL, False),
    _J + "112": (JXL, False), _J + "201": (J2K, True), _J + "202": (J2K, True), _J + "203": (J2K, True),
    "1.2.840.10008.1.2.8.1": (DEFLATED, False),
}  # fmt: skip
"""Transfer syntaxes that admit codestreams without loss, such as are made here: which, and whether high-throughput."""

_BROKEN = frozenset({"FRAGMENTS_BROKEN", "PIXELS_TRUNCATED", "FRAMES_MISSING"})
_HELD = 64 << 20
_ITEM, _END = struct.pack("<HH", 0xFFFE, 0xE000), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


class Decoded(NamedTuple):
    """A frame as its codestream has it.

    Attributes
    ----------
    values : numpy.ndarray
        Words, writable.
    stream : Stream
        What the codestream says of itself.
    photometric : str
        What the samples are.
    shift : int
        Lowest bit of a stored value.
    """

    values: np.ndarray
    stream: Stream
    photometric: str
    shift: int


@dataclass
class Stored:
    """New pixel data.

    Attributes
    ----------
    frames : list of list of Range
        Fragments of each frame; of raw pixels one list with one range, which is the whole value.
    raw : bool
        Whether they are no longer encapsulated.
    syntax : str or None
        New transfer syntax; None: the old one, or (raw) the native one of the data set.
    photometric : str or None
        New photometric interpretation, with samples by pixel; None: as before.
    stream : Stream
        What the first frame that changed was.
    fill : Fill
        Stored values of blanked pixels.
    findings : set of str
        Codes.
    source_bytes : int
        Bytes of all codestreams before.
    """

    frames: list[list[Range]]
    raw: bool
    syntax: str | None
    photometric: str | None
    stream: Stream
    fill: Fill
    findings: set[str] = field(default_factory=set)
    source_bytes: int = 0


class Compressed:
    """The encapsulated pixel data of one image.

    Parameters
    ----------
    source : Source
        The file.
    d : PixelDescription
        What its header says.
    decoder : IsolatedDecoder
        Decodes frames.
    header : numpy.ndarray of uint8
        The bytes before the pixel data.
    overlay_bits : bool
        Whether an overlay is said to lie in the pixel words.
    spool : binary file
        Holds codestreams until the offset tables are known.
    """

    def __init__(
        self,
        source: Source,
        d: PixelDescription,
        decoder: IsolatedDecoder,
        header: np.ndarray,
        overlay_bits: bool,
        spool: BinaryIO,
    ) -> None:
        self._source, self._d, self._decoder, self._header = source, d, decoder, header
        self._overlay_bits = overlay_bits
        self._spool = spool
        self._fill: Fill | None = None

    def redacted(self, targets: Targets) -> Stored:
        """Return new pixel data with the targets blanked.

        Raises
        ------
        EntryError
            REDACTION_PIXELS_BROKEN, REDACTION_SHAPE, REDACTION_UNSUPPORTED, REDACTION_ENCODER, and the codes of
            decoders.
        """
        d = self._d
        if d.big_endian or d.kind != "i":
            raise EntryError("REDACTION_UNSUPPORTED")
        cut = cut_frames(self._source, d.value_at, d.frames, d.extended_offsets, d.extended_lengths)
        if _BROKEN & set(cut.findings) or len(cut.frames) < d.frames:
            raise EntryError("REDACTION_PIXELS_BROKEN")
        groups = cut.frames
        first = self._decoded(groups[targets.frames()[0] - 1])
        shift = first.shift
        stored, _ = native.stored_values(first.values.copy(), d.bits_stored, shift, d.signed)
        self._fill = fill_of(d, stored, first.photometric, self._header)
        made = self._kept(groups, targets, first) or self._anew(groups, targets, first)
        made.source_bytes = sum(fragment.length for group in groups for fragment in group)
        made.findings |= set(cut.findings)
        if "FRAMES_TOO_MANY" in cut.findings:
            made.findings.add("REDACTION_SURPLUS_BLANKED")
        return made

    def _kept(self, groups: list[list[Fragment]], targets: Targets, first: Decoded) -> Stored | None:
        """Encode the changed frames in the file's own transfer syntax; None when that cannot be."""
        uid = self._d.transfer_syntax_uid or ""
        changed = {}
        for number in targets.frames():
            frame = self._decoded(groups[number - 1])
            if not _admitted(uid, frame.stream) or frame.stream.mixes != first.stream.mixes:
                return None
            self._blank(frame, targets, number)
            try:
                made = self._encoded(frame.values, frame.stream, frame.stream.precision, frame.photometric)
            except NoEncoder:
                return None
            changed[number] = self._spooled(made)
        frames = [
            [changed[number]] if number in changed else [Range(self._source, f.at, f.length) for f in group]
            for number, group in enumerate(groups, start=1)
        ]
        assert self._fill is not None
        return Stored(frames, False, None, None, first.stream, self._fill)

    def _anew(self, groups: list[list[Fragment]], targets: Targets, first: Decoded) -> Stored:
        """Store all frames anew: as JPEG-LS, or raw."""
        d = self._d
        assert self._fill is not None
        photometric = None if first.photometric == d.photometric else first.photometric
        syntax: str | None = None
        frames = None
        if d.transfer_syntax_uid not in NATIVE:
            frames = self._all_jpeg_ls(groups, targets, first)
        if frames is not None:
            syntax = JPEG_LS_LOSSLESS
        else:
            frames = [[self._all_raw(groups, targets, first)]]
        made = Stored(frames, syntax is None, syntax, photometric, first.stream, self._fill)
        made.findings.add("REDACTION_SYNTAX_CHANGED")
        return made

    def _frames(self, groups: list[list[Fragment]], targets: Targets, first: Decoded) -> Iterator[Decoded]:
        for number, group in enumerate(groups, start=1):
            frame = self._decoded(group)
            if frame.photometric != first.photometric or frame.values.dtype != first.values.dtype:
                raise EntryError("REDACTION_SHAPE")
            self._blank(frame, targets, number)
            yield frame

    def _all_jpeg_ls(self, groups: list[list[Fragment]], targets: Targets, first: Decoded) -> list[list[Range]] | None:
        if first.stream.codec == encoders.RLE:
            return None  # an RLE image that RLE cannot hold is an odd one: raw pixels hold everything
        made = []
        for frame in self._frames(groups, targets, first):
            precision = max(self._d.bits_stored, frame.stream.precision)
            try:
                made.append([self._spooled(self._encoded(frame.values, Stream(JPEG_LS), precision, frame.photometric))])
            except NoEncoder:
                return None
        return made

    def _all_raw(self, groups: list[list[Fragment]], targets: Targets, first: Decoded) -> Range:
        d = self._d
        start = self._spool.seek(0, 2)
        bits: list[np.ndarray] = []
        for frame in self._frames(groups, targets, first):
            values = frame.values
            if frame.stream.codec != encoders.RLE:
                values, _ = native.stored_values(values, d.bits_stored, 0, d.signed)
            if d.bits_allocated == 1:
                bits.append(values.reshape(-1).astype(np.uint8))
                continue
            self._spool.write(np.ascontiguousarray(values).tobytes())
        if bits:
            self._spool.write(np.packbits(np.concatenate(bits), bitorder="little").tobytes())
        if (self._spool.tell() - start) % 2:
            self._spool.write(b"\0")
        length = self._spool.tell() - start
        return Range(FileSource(self._spool, 0), start, length)

    def _spooled(self, data: bytes) -> Range:
        start = self._spool.seek(0, 2)
        self._spool.write(data)
        return Range(FileSource(self._spool, 0), start, len(data))

    def _blank(self, frame: Decoded, targets: Targets, number: int) -> None:
        assert self._fill is not None
        words = Words.of(self._d, frame.shift, self._overlay_bits)
        blank(frame.values, targets.areas(number), self._fill, words)

    def _encoded(self, values: np.ndarray, stream: Stream, precision: int, photometric: str) -> bytes:
        """Encode a frame, and decode it again to see that nothing was lost.

        Raises
        ------
        NoEncoder
            None gives the frame back.
        """
        bits = precision or 8 * values.itemsize
        data = encode_frame(np.ascontiguousarray(values), stream, bits, photometric)
        try:
            again = self._decoded_data(data, stream.codec)
        except EntryError:
            raise NoEncoder from None
        if again.shape != values.shape or again.itemsize != values.itemsize:
            raise NoEncoder
        if not np.array_equal(unsigned(again, bits), unsigned(values, bits)):
            raise NoEncoder
        return data

    def _decoded(self, group: list[Fragment]) -> Decoded:
        d = self._d
        data = join(self._source, group)
        codec = codec_of(data, d.transfer_syntax_uid)
        if codec == UNKNOWN:
            if d.transfer_syntax_uid != RLE and not is_rle(data, d):
                raise EntryError("REDACTION_UNSUPPORTED")
            codec = encoders.RLE
        values = self._decoded_data(data, codec)
        expected = (d.rows, d.columns) if d.samples == 1 else (d.rows, d.columns, d.samples)
        if values.shape != expected or values.dtype.itemsize != native.container(d.bits_allocated, False).itemsize:
            raise EntryError("REDACTION_SHAPE")
        if codec == encoders.RLE:
            return Decoded(values.copy(), Stream(codec), d.photometric, d.high_bit + 1 - d.bits_stored)
        stream = stream_of(data, codec, d.transfer_syntax_uid or "")
        is_rgb = stream.mixes or codec == JXL or (codec == JPEG and stream.lossy)
        photometric = "RGB" if is_rgb and d.samples == 3 else d.photometric
        return Decoded(values.copy(), stream, photometric, 0)

    def _decoded_data(self, data: bytes, codec: str) -> np.ndarray:
        d = self._d
        if codec == encoders.RLE:
            values, complete = decode_rle(data, d)
            if not complete:
                raise EntryError("REDACTION_PIXELS_BROKEN")
            return values
        form = FrameForm(
            d.rows, d.columns, d.samples, d.bits_allocated, d.bits_stored, d.signed, d.photometric,
            d.transfer_syntax_uid or "",
        )  # fmt: skip
        return widened(self._decoder.decode(data, form), d.bits_allocated)


def _admitted(uid: str, stream: Stream) -> bool:
    """Whether a transfer syntax admits a codestream without loss in place of this one."""
    if _ADMITS.get(uid) != (stream.codec, stream.high_throughput):
        return False
    return not (stream.codec == JPEG and stream.lossy) and not (stream.lossy and stream.mixes)


def make_spool() -> BinaryIO:
    """Return a file without a name that lies in memory while it is small."""
    return cast(BinaryIO, SpooledTemporaryFile(max_size=_HELD))


def write_items(frames: list[list[Range]], target: BinaryIO, basic: bool) -> None:
    """Write the items of encapsulated pixel data, with a Basic Offset Table or an empty one (PS3.5 A.4).

    Parameters
    ----------
    frames : list of list of Range
        Fragments of each frame.
    target : binary file
        Where to.
    basic : bool
        Whether to write the table.
    """
    offsets, _ = tables_of(frames)
    table = struct.pack(f"<{len(offsets)}I", *offsets) if basic else b""
    target.write(_ITEM + struct.pack("<I", len(table)) + table)
    for group in frames:
        for fragment in group:
            target.write(_ITEM + struct.pack("<I", fragment.length + fragment.length % 2))
            fragment.copy_to(target)
            target.write(bytes(fragment.length % 2))
    target.write(_END)


def tables_of(frames: list[list[Range]]) -> tuple[list[int], list[int]]:
    """Return offsets and lengths of the frames, as offset tables count (PS3.3 C.7.6.3.1.8)."""
    offsets, lengths, at = [], [], 0
    for group in frames:
        offsets.append(at)
        lengths.append(sum(fragment.length for fragment in group))
        at += sum(8 + fragment.length + fragment.length % 2 for fragment in group)
    return offsets, lengths
