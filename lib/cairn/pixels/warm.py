"""Compile the loops over pixels ahead of time: once per machine and version, not once per task.

``python -m cairn.pixels.warm`` leaves the machine code in numba's cache, beside the header kernel's.
"""

from __future__ import annotations

import struct
import time
from typing import TextIO

import numpy as np

from cairn.dicom.compiled import cache_folder
from cairn.pixels.reader import PixelReader
from cairn.pixels.source import BytesEntry
from cairn.pixels.text.triage import lines

_TYPES = (("u1", 0), ("i1", 1), ("u2", 0), ("i2", 1), ("u4", 0), ("i4", 1))


def smallest_image(bits: int, signed: int, samples: int = 1) -> bytes:
    """Return an image of 40 by 40 pixels in explicit VR little endian."""
    side = 40
    numbers = {
        0x0002: samples,
        0x0010: side,
        0x0011: side,
        0x0100: bits,
        0x0101: bits,
        0x0102: bits - 1,
        0x0103: signed,
    }
    header = b"".join(struct.pack("<HH2sHH", 0x0028, element, b"US", 2, value) for element, value in numbers.items())
    pixels = (np.arange(side * side * samples) % 100).astype(f"<u{bits // 8}").tobytes()
    return bytes(128) + b"DICM" + header + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, len(pixels)) + pixels


def warm() -> float:
    """Run every compiled loop once on every type of pixels; return the seconds it took."""
    began = time.perf_counter()
    with PixelReader() as reader:
        for dtype, signed in _TYPES:
            reader(BytesEntry(smallest_image(8 * int(dtype[1]), signed)))
        reader(BytesEntry(smallest_image(8, 0, 3)))
    stripes = np.tile(np.arange(80) % 10 < 2, (80, 1))
    for kind in (np.uint8, np.int16, np.uint16, np.float32):
        lines((stripes * (np.arange(80) % 20 < 12)[:, None]).astype(kind))
    return time.perf_counter() - began


def ensure_compiled(stream: TextIO) -> None:
    """Compile the loops now when that has not been done: before many tasks would each do it at once.

    Parameters
    ----------
    stream : text stream
        Is told what takes so long.
    """
    if not all(any(cache_folder().rglob(f"{name}.*.nbi")) for name in ("kernels", "glyphs")):
        print("pixels: compiling the loops over pixels, once per machine and version", file=stream, flush=True)
        warm()


if __name__ == "__main__":
    print(f"pixel kernels ready in {warm():.1f} s")
