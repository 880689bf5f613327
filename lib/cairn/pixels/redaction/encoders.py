"""Encoders without loss: one for each kind of codestream that has one under a permissive licence.

What an encoder made is never believed: :mod:`cairn.pixels.redaction.compressed` decodes it again and compares.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cairn.pixels.codecs import DEFLATED, J2K, JPEG, JPEG_LS, JXL, jpeg_header

RLE = "rle"
_APP14 = b"\xff\xee"
_SIZ, _COD, _SOT = 0x51, 0x52, 0x90
_LOSSLESS_JPEG = frozenset({0xC3, 0xC7, 0xCB, 0xCF})


class NoEncoder(Exception):
    """No encoder for such pixels."""


@dataclass(frozen=True)
class Stream:
    """What a codestream says of itself.

    Attributes
    ----------
    codec : str
        Of :mod:`cairn.pixels.codecs`, or :data:`RLE`.
    precision : int
        Bits of a sample; 0: as many as its container has.
    lossy : bool
        Whether it was made with loss.
    mixes : bool
        Whether a colour transform of its own lies in it (JPEG 2000's component transform).
    high_throughput : bool
        HTJ2K.
    """

    codec: str
    precision: int = 0
    lossy: bool = False
    mixes: bool = False
    high_throughput: bool = False


def stream_of(data: bytes, codec: str, transfer_syntax_uid: str) -> Stream:
    """Read what a codestream says of itself."""
    if codec in (JPEG, JPEG_LS):
        header = jpeg_header(data)
        if header is None:
            return Stream(codec)
        lossy = _near(data) > 0 if codec == JPEG_LS else header.process not in _LOSSLESS_JPEG
        return Stream(codec, header.precision, lossy)
    if codec == J2K:
        return _jpeg_2000(data)
    return Stream(codec, lossy=codec == JXL and transfer_syntax_uid != "1.2.840.10008.1.2.4.110")


def _near(data: bytes) -> int:
    """Return JPEG-LS's NEAR of the first scan (ITU-T T.87 C.2.3)."""
    at = data.find(b"\xff\xda")
    if at < 0 or at + 5 > len(data):
        return 0
    place = at + 5 + 2 * data[at + 4]
    return data[place] if place < len(data) else 0


def _jpeg_2000(data: bytes) -> Stream:
    """Read SIZ, COD and CAP (ITU-T T.800 A.5.1, A.6.1; T.814 for CAP)."""
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        return Stream(J2K)
    at += 2
    precision, mixes, reversible, high = 0, False, False, False
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SOT:
        mark, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if mark == _SIZ and at + 41 <= len(data):
            precision = (data[at + 40] & 0x7F) + 1
        elif mark == 0x50:
            high = True
        elif mark == _COD and at + 14 <= len(data):
            mixes, reversible = data[at + 8] == 1, data[at + 13] == 1
        at += 2 + length
    return Stream(J2K, precision, not reversible, mixes, high)


def encode_frame(values: np.ndarray, stream: Stream, precision: int, photometric: str) -> bytes:
    """Encode a frame without loss.

    Parameters
    ----------
    values : numpy.ndarray of integers
        (rows, columns) or (rows, columns, samples), little endian, contiguous.
    stream : Stream
        Which kind.
    precision : int
        Bits of a sample.
    photometric : str
        What the samples are.

    Raises
    ------
    NoEncoder
        There is none for such samples.
    """
    way = _WAYS.get(stream.codec)
    if way is None:
        raise NoEncoder
    try:
        return way(values, stream, precision, photometric)
    except (RuntimeError, ValueError, TypeError, NotImplementedError, OSError):
        raise NoEncoder from None  # each library has errors of its own kind for what it does not encode


def _jpeg(values: np.ndarray, stream: Stream, precision: int, photometric: str) -> bytes:
    """Encode by the lossless process 14 with predictor 1 (T.81 Annex H), which .57 and .70 both admit."""
    import imagecodecs

    space = None if values.ndim == 2 else "RGB"
    if values.ndim == 3 and values.shape[2] != 3:
        raise NoEncoder
    plain = unsigned(values, precision)
    made = bytes(
        imagecodecs.jpeg8_encode(
            plain, lossless=True, predictor=1, bitspersample=precision, colorspace=space, outcolorspace=space
        )
    )
    return made if photometric == "RGB" or values.ndim == 2 else _without_adobe(made)


def _without_adobe(data: bytes) -> bytes:
    """Take the marker away that says RGB, from samples that are not."""
    at = data.find(_APP14)
    if at < 0 or at > data.find(b"\xff\xda"):
        return data
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def _jpeg_ls(values: np.ndarray, stream: Stream, precision: int, photometric: str) -> bytes:
    """Encode by JPEG-LS without loss (ITU-T T.87, NEAR 0)."""
    import imagecodecs
    import jpeg_ls as charls

    if values.itemsize > 2 or (values.ndim == 3 and values.shape[2] != 3):
        raise NoEncoder
    plain = unsigned(values, precision)
    samples = 1 if plain.ndim == 2 else plain.shape[2]
    mode = 0 if samples == 1 else 2  # by pixel, as PS3.5 8.2.3 wants colours
    rows, columns = plain.shape[:2]
    try:
        return bytes(charls.encode_buffer(plain.tobytes(), rows, columns, samples, precision, 0, mode))
    except RuntimeError:  # its buffer has the size of the raw frame, which small and noisy ones exceed
        return bytes(imagecodecs.jpegls_encode(plain))


def _j2k(values: np.ndarray, stream: Stream, precision: int, photometric: str) -> bytes:
    import imagecodecs

    mixes = stream.mixes and values.ndim == 3 and values.shape[2] == 3
    if stream.high_throughput:
        # OpenJPH writes resolutions first, then positions (RPCL), with the lengths of tile-parts: what .202 asks for.
        return bytes(imagecodecs.htj2k_encode(values, reversible=True, rgb=mixes, tlm=True))
    plain = values if values.dtype.kind == "i" else unsigned(values, precision)
    return bytes(
        imagecodecs.jpeg2k_encode(
            plain, level=0, codecformat="J2K", reversible=True, mct=mixes, bitspersample=precision, numthreads=1,
            resolutions=min(6, min(values.shape[:2]).bit_length()),
        )
    )  # fmt: skip


def _jxl(values: np.ndarray, stream: Stream, precision: int, photometric: str) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode(values, lossless=True, numthreads=1, usecontainer=False))


def _rle(values: np.ndarray, stream: Stream, precision: int, photometric: str) -> bytes:
    """Encode by PS3.5 Annex G: a segment for each byte of each sample, most significant first, row by row."""
    import imagecodecs

    rows, columns = values.shape[:2]
    size = values.itemsize
    planes = values.reshape(rows, columns, -1).view(np.uint8).reshape(rows, columns, -1, size)[..., ::-1]
    if planes.shape[2] * size > 15:
        raise NoEncoder
    segments = []
    for sample in range(planes.shape[2]):
        for byte in range(size):
            made = bytes(imagecodecs.packbits_encode(np.ascontiguousarray(planes[:, :, sample, byte]), axis=-1))
            segments.append(made + bytes(len(made) % 2))
    starts = [64]
    for segment in segments[:-1]:
        starts.append(starts[-1] + len(segment))
    head = struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(segments)))
    return head + b"".join(segments)


def _deflated(values: np.ndarray, stream: Stream, precision: int, photometric: str) -> bytes:
    """Encode by Deflated Image Frame Compression (PS3.5 A.4.13)."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(np.ascontiguousarray(values).tobytes()) + packer.flush()


def unsigned(values: np.ndarray, precision: int) -> np.ndarray:
    """Return the lowest bits of words as unsigned numbers."""
    plain = np.ascontiguousarray(values).view(f"<u{values.itemsize}")
    return plain & plain.dtype.type((1 << precision) - 1) if precision < 8 * plain.itemsize else plain


_WAYS: dict[str, Callable[[np.ndarray, Stream, int, str], bytes]] = {
    JPEG: _jpeg,
    JPEG_LS: _jpeg_ls,
    J2K: _j2k,
    JXL: _jxl,
    RLE: _rle,
    DEFLATED: _deflated,
}
