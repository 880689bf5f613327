"""Native pixel data as arrays: the bytes are viewed, and copied only where their order demands it.

Arrays that leave this module hold *stored values* (PS3.5 8.1.1) in the smallest container, little endian, shape
(rows, columns) or (rows, columns, samples), and are read-only.
"""

from __future__ import annotations

import numpy as np
from pydicom.pixels.processing import convert_color_space
from pydicom.pixels.utils import expand_ybr422

from cairn.pixels import kernels
from cairn.pixels.description import PixelDescription

_YBR = ("YBR_FULL", "YBR_FULL_422")


def container(bits_allocated: int, signed: bool) -> np.dtype[np.generic]:
    """Return the smallest integer type that holds `bits_allocated` bits."""
    size = 1 if bits_allocated <= 8 else 2 if bits_allocated <= 16 else 4 if bits_allocated <= 32 else 8
    return np.dtype(f"<{'i' if signed else 'u'}{size}")


def frame_extent(description: PixelDescription, frame: int) -> tuple[int, int, int]:
    """Return (first byte, number of bytes, first bit within it) of a native frame, from the value's start."""
    size = description.frame_bytes
    if size:
        return frame * size, size, 0
    bits = description.rows * description.columns * description.samples * description.bits_allocated
    first = frame * bits
    return first // 8, (first + bits + 7) // 8 - first // 8, first % 8


def whole_rows(description: PixelDescription, present: int) -> int:
    """Return how many complete rows `present` bytes of a cut frame hold; 0 where rows do not lie in turn."""
    size = description.frame_bytes
    if not size or description.by_plane or description.photometric == "YBR_FULL_422" or size % description.rows:
        return 0
    return present // (size // description.rows)


def native_array(raw: np.ndarray, description: PixelDescription, rows: int, first_bit: int = 0) -> np.ndarray:
    """View the bytes of a native frame as an array.

    Parameters
    ----------
    raw : numpy.ndarray of uint8
        The frame's bytes.
    description : PixelDescription
        What they are.
    rows : int
        How many rows they hold.
    first_bit : int
        Where the frame begins in its first byte (1-bit pixels of frames that end within a byte).

    Returns
    -------
    numpy.ndarray
        Values as they lie in their containers; see :func:`stored_values`.
    """
    d = description
    shape = (rows, d.columns) if d.samples == 1 else (rows, d.columns, d.samples)
    count = rows * d.columns * d.samples
    if d.kind != "i":
        return raw.view(np.dtype(f"{'>' if d.big_endian else '<'}f{d.bits_allocated // 8}")).reshape(shape)
    if d.bits_allocated == 1:
        bits = np.unpackbits(raw, count=first_bit + count, bitorder="little")  # PS3.5 8.1.1: lowest bit first
        return bits[first_bit:].reshape(shape)
    if d.photometric == "YBR_FULL_422" and d.samples == 3:
        raw = np.frombuffer(expand_ybr422(raw.tobytes(), d.bits_allocated), np.uint8)
    if d.bits_allocated == 12:
        return unpacked_twelve(raw, count).reshape(shape)
    dtype = container(d.bits_allocated, d.signed).newbyteorder(">" if d.big_endian else "<")
    values = raw.view(dtype)
    if d.by_plane and d.photometric != "YBR_FULL_422":
        return values.reshape(d.samples, rows, d.columns).transpose(1, 2, 0)
    return values.reshape(shape)


def unpacked_twelve(raw: np.ndarray, count: int) -> np.ndarray:
    """Unpack two 12-bit pixels of three bytes (Bits Allocated 12, ACR-NEMA and early PS3.5)."""
    triples = raw[: count * 3 // 2].reshape(-1, 3).astype(np.uint16)
    pairs = np.empty((triples.shape[0], 2), np.uint16)
    pairs[:, 0] = triples[:, 0] | (triples[:, 1] & 0x0F) << 8
    pairs[:, 1] = triples[:, 1] >> 4 | triples[:, 2] << 4
    return pairs.reshape(-1)


def stored_values(values: np.ndarray, bits_stored: int, shift: int, signed: bool) -> tuple[np.ndarray, bool]:
    """Take the stored value out of each container: `bits_stored` bits from bit `shift` on, sign extended when signed.

    Parameters
    ----------
    values : numpy.ndarray of integers
        Containers.
    bits_stored, shift : int
        Which bits; `shift` is High Bit + 1 - Bits Stored (PS3.5 8.1.1).
    signed : bool
        Pixel Representation 1.

    Returns
    -------
    tuple of numpy.ndarray and bool
        Read-only values, little endian, contiguous; and whether other bits were set. Untouched where none were.
    """
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    if values.dtype.kind != ("i" if signed else "u"):
        values = values.view(f"<{'i' if signed else 'u'}{values.itemsize}")
    odd = False
    if values.size and (shift or bits_stored < 8 * values.itemsize):
        values.flags.writeable = False
        low, high = kernels.extremes(values.reshape(-1))
        limit = 1 << (bits_stored - 1) if signed else 1 << bits_stored
        odd = bool(low < (-limit if signed else 0) or high >= limit)
        if shift or odd:
            values = _bits(values, bits_stored, shift, signed)
    values.flags.writeable = False
    return values, odd


def _bits(values: np.ndarray, bits_stored: int, shift: int, signed: bool) -> np.ndarray:
    plain = values.view(f"<u{values.itemsize}")
    one = plain.dtype.type
    plain = (plain >> one(shift)) & one((1 << bits_stored) - 1)
    if not signed:
        return plain
    sign = one(1 << (bits_stored - 1))
    return ((plain ^ sign) - sign).view(f"<i{values.itemsize}")


def as_rgb(values: np.ndarray, photometric: str) -> np.ndarray:
    """Return YBR_FULL and YBR_FULL_422 frames as RGB (PS3.3 C.7.6.3.1.2); others as they are."""
    if photometric not in _YBR or values.ndim != 3 or values.shape[-1] != 3 or values.dtype != np.uint8:
        return values
    made = np.ascontiguousarray(convert_color_space(values, photometric, "RGB", per_frame=False))
    made.flags.writeable = False
    return made
