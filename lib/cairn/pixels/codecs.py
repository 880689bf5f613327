"""Decoders of compressed frames: which library reads which bytes. Runs in the decoder's own process.

The bytes decide, not the transfer syntax: files that say JPEG and hold JPEG-LS are read all the same. All libraries
have permissive licences: libjpeg-turbo, CharLS, OpenJPEG, libjxl (through imagecodecs and pylibjpeg), GDCM.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

JPEG, JPEG_LS, J2K, JXL, DEFLATED, UNKNOWN = "jpeg", "jpeg-ls", "jpeg-2000", "jpeg-xl", "deflated", "unknown"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_WITHOUT_LENGTH = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})


class DecodeError(Exception):
    """A frame that no decoder reads; the message is a code of :data:`cairn.errors.ENTRY_CONDITIONS`."""


_FAULTS = (
    DecodeError,
    RuntimeError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OSError,
    AttributeError,
    zlib.error,
)


@dataclass(frozen=True)
class FrameForm:
    """What the header says that a frame is.

    Attributes
    ----------
    rows, columns, samples, bits_allocated, bits_stored : int
        As in the header.
    signed : bool
        Pixel Representation 1.
    photometric, transfer_syntax_uid : str
        As in the header.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    transfer_syntax_uid: str


@dataclass(frozen=True)
class JpegHeader:
    """What a JPEG's markers say (ITU-T T.81 B.2).

    Attributes
    ----------
    process : int
        Second byte of the start of frame: 0xC0 baseline … 0xC3 lossless, 0xF7 JPEG-LS.
    precision, rows, columns, components : int
        Of the frame header.
    transform : int or None
        Adobe's APP14: 0 RGB, 1 YCbCr.
    jfif : bool
        Whether an APP0 says JFIF, whose colours are YCbCr.
    named_rgb : bool
        Whether the components are called R, G and B.
    """

    process: int
    precision: int
    rows: int
    columns: int
    components: int
    transform: int | None
    jfif: bool
    named_rgb: bool

    def is_rgb(self, photometric: str) -> bool:
        """Whether three components are RGB: the stream's word, else Photometric Interpretation's (PS3.5 8.2.1)."""
        if self.transform is not None:
            return self.transform == 0
        return self.named_rgb or (not self.jfif and photometric == "RGB")


def jpeg_header(data: bytes) -> JpegHeader | None:
    """Read a JPEG's markers up to its start of frame; None when there is none."""
    at, transform, jfif = 2, None, False
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at += 1
            continue
        mark = data[at + 1]
        if mark == 0xFF or mark == 0:
            at += 1
            continue
        if mark in _WITHOUT_LENGTH:
            at += 2
            continue
        if mark in _START_OF_FRAME and at + 10 <= len(data):
            rows, columns = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            named = data[at + 10 : at + 19 : 3] in (b"RGB", b"rgb")
            return JpegHeader(mark, data[at + 4], rows, columns, data[at + 9], transform, jfif, named)
        if mark == 0xDA:
            return None
        if mark == 0xE0 and data[at + 4 : at + 8] == b"JFIF":
            jfif = True
        if mark == 0xEE and data[at + 4 : at + 9] == b"Adobe" and data[at + 2 : at + 4] >= b"\0\x0e":
            transform = data[at + 15] if at + 15 < len(data) else None
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def codec_of(data: bytes, transfer_syntax_uid: str | None) -> str:
    """Return which kind of compressed image the bytes are."""
    if data[:2] == b"\xff\xd8":
        header = jpeg_header(data)
        return JPEG_LS if header is not None and header.process == 0xF7 else JPEG
    if data[:4] == b"\xff\x4f\xff\x51" or data[4:8] == b"jP  ":
        return J2K
    if data[:2] == b"\xff\x0a" or data[4:8] == b"JXL ":
        return JXL
    return DEFLATED if transfer_syntax_uid == DEFLATED_FRAMES else UNKNOWN


def decode_frame(data: bytes, form: FrameForm) -> np.ndarray:
    """Decode one frame.

    Parameters
    ----------
    data : bytes
        The frame's bytes.
    form : FrameForm
        What the header says.

    Returns
    -------
    numpy.ndarray
        (rows, columns) or (rows, columns, samples), integers as the codestream has them; colours as RGB, unless the
        codestream gives the YBR that the header names.

    Raises
    ------
    DecodeError
        FRAME_UNDECODABLE; TRANSFER_SYNTAX_UNSUPPORTED when the bytes are of no known kind.
    """
    codec = codec_of(data, form.transfer_syntax_uid)
    ways = _WAYS.get(codec)
    if ways is None:
        raise DecodeError("TRANSFER_SYNTAX_UNSUPPORTED")
    for way in ways:
        try:
            return way(data, form)
        except _FAULTS:
            continue  # each library has errors of its own kind; the next one may read it
    raise DecodeError("FRAME_UNDECODABLE")


def _jpeg_turbo(data: bytes, form: FrameForm) -> np.ndarray:
    import imagecodecs

    header = jpeg_header(data)
    if header is None or header.components == 1 or header.process in _LOSSLESS:
        return np.asarray(imagecodecs.jpeg8_decode(data))
    space = "RGB" if header.is_rgb(form.photometric) else "YCbCr"
    return np.asarray(imagecodecs.jpeg8_decode(data, colorspace=space, outcolorspace="RGB"))


def _jpeg_lossless(data: bytes, form: FrameForm) -> np.ndarray:
    import imagecodecs

    header = jpeg_header(data)
    if header is None or header.process not in _LOSSLESS:
        raise DecodeError("FRAME_UNDECODABLE")
    return np.asarray(imagecodecs.jpegsof3_decode(data))


def _char_ls(data: bytes, form: FrameForm) -> np.ndarray:
    import imagecodecs

    return np.asarray(imagecodecs.jpegls_decode(data))


def _openjpeg(data: bytes, form: FrameForm) -> np.ndarray:
    import imagecodecs

    return np.asarray(imagecodecs.jpeg2k_decode(data, numthreads=1))


def _pylibjpeg_openjpeg(data: bytes, form: FrameForm) -> np.ndarray:
    from openjpeg.utils import decode

    return np.asarray(decode(data))


def _jxl(data: bytes, form: FrameForm) -> np.ndarray:
    import imagecodecs

    return np.asarray(imagecodecs.jpegxl_decode(data, numthreads=1))


def _inflate(data: bytes, form: FrameForm) -> np.ndarray:
    """Inflate a frame of Deflated Image Frame Compression (PS3.5 A.4.13)."""
    bits = form.rows * form.columns * form.samples * form.bits_allocated
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = inflater.decompress(data, (bits + 7) // 8)
    if form.bits_allocated == 1:
        return np.unpackbits(np.frombuffer(plain, np.uint8), bitorder="little")[:bits].reshape(form.rows, form.columns)
    values = np.frombuffer(plain, f"<u{form.bits_allocated // 8}")
    shape = (form.rows, form.columns) + ((form.samples,) if form.samples > 1 else ())
    return values.reshape(shape)


def _gdcm(data: bytes, form: FrameForm) -> np.ndarray:
    """Decode by GDCM, whose JPEG library reads 12-bit progressive and odd lossless streams."""
    import gdcm

    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((form.columns, form.rows, 1))
    photometric = gdcm.PhotometricInterpretation.GetPIType(form.photometric)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(photometric))
    syntax = gdcm.TransferSyntax.GetTSType(form.transfer_syntax_uid)
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    bits = form.bits_allocated
    image.SetPixelFormat(gdcm.PixelFormat(form.samples, bits, form.bits_stored, form.bits_stored - 1, int(form.signed)))
    sequence = gdcm.SequenceOfFragments.New()
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(data)
    sequence.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(sequence.__ref__())
    image.SetDataElement(element)
    plain = image.GetBuffer()
    if plain is None:
        raise DecodeError("FRAME_UNDECODABLE")
    values = np.frombuffer(plain.encode("utf-8", errors="surrogateescape"), f"<u{bits // 8}")
    shape = (form.rows, form.columns) + ((form.samples,) if form.samples > 1 else ())
    return values.reshape(shape)


_WAYS: dict[str, tuple[Callable[[bytes, FrameForm], np.ndarray], ...]] = {
    JPEG: (_jpeg_turbo, _jpeg_lossless, _gdcm),
    JPEG_LS: (_char_ls, _gdcm),
    J2K: (_openjpeg, _pylibjpeg_openjpeg),
    JXL: (_jxl,),
    DEFLATED: (_inflate,),
}
