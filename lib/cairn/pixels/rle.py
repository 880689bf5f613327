"""RLE Lossless frames (PS3.5 Annex G), decoded in this process by a loop that cannot leave its buffers.

A frame that ends early gives what is there; missing bytes are 0.
"""

from __future__ import annotations

import numpy as np

from cairn.errors import EntryError
from cairn.pixels import kernels
from cairn.pixels.description import PixelDescription
from cairn.pixels.native import container

_HEADER = 64


def decode_rle(data: bytes, description: PixelDescription) -> tuple[np.ndarray, bool]:
    """Decode one frame.

    Parameters
    ----------
    data : bytes
        Header of 64 bytes and segments, one for each byte of each sample, most significant first (PS3.5 G.2).
    description : PixelDescription
        Shape and bits.

    Returns
    -------
    tuple of numpy.ndarray and bool
        Containers, (rows, columns) or (rows, columns, samples); whether every byte was there.

    Raises
    ------
    EntryError
        FRAME_UNDECODABLE when the header is no RLE header of such a frame.
    """
    d = description
    pixels = d.rows * d.columns
    size = 1 if d.bits_allocated <= 8 else d.bits_allocated // 8
    wanted = (pixels + 7) // 8 if d.bits_allocated == 1 else pixels
    if len(data) < _HEADER:
        raise EntryError("FRAME_UNDECODABLE")
    table = np.frombuffer(data, "<u4", 16).astype(np.int64)
    segments = int(table[0])
    if segments != d.samples * size or segments > 15 or table[1] < _HEADER:
        raise EntryError("FRAME_UNDECODABLE")
    raw = np.frombuffer(data, np.uint8)
    starts = [int(offset) for offset in table[1 : segments + 1]]
    ends = [*starts[1:], raw.size]
    out = np.zeros((wanted, d.samples, size), np.uint8)
    complete = True
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        sample, byte = number // size, size - 1 - number % size  # containers are little endian here
        plane = out[:, sample, byte]
        written = kernels.unpack_runs(raw, min(start, raw.size), min(max(end, start), raw.size), plane)
        complete = complete and written == wanted
    if d.bits_allocated == 1:
        return np.unpackbits(out[:, 0, 0], count=pixels, bitorder="little").reshape(d.rows, d.columns), complete
    values = out.reshape(-1).view(container(d.bits_allocated, d.signed))
    shape = (d.rows, d.columns) if d.samples == 1 else (d.rows, d.columns, d.samples)
    return values.reshape(shape), complete
