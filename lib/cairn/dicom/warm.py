"""Compile the header kernel ahead of time: once per machine and version, not once per task.

``python -m cairn.dicom.warm`` leaves the machine code in numba's cache (``NUMBA_CACHE_DIR``, else beside the package).
"""

from __future__ import annotations

import struct
import time
from typing import TextIO


class _Bytes:
    """An entry in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`."""
        return self._data[offset : offset + length]


def smallest_header() -> bytes:
    """Return a Part 10 header with one element."""
    return bytes(128) + b"DICM" + struct.pack("<HH2sH2s", 0x0008, 0x0060, b"CS", 2, b"CT")


def warm() -> float:
    """Run every compiled pass once; return the seconds it took (about half a minute when nothing is cached)."""
    from cairn.dicom.kernel import HeaderKernel
    from cairn.dicom.reading import HeaderReader
    from cairn.tables.instance import INSTANCE

    began = time.perf_counter()
    header = HeaderReader()(_Bytes(smallest_header()))
    HeaderKernel(INSTANCE.columns).parse([header.data], [header.holes])
    return time.perf_counter() - began


def is_compiled() -> bool:
    """Whether the machine code for the present source is there already."""
    from cairn.dicom.compiled import cache_folder

    return any(cache_folder().rglob("variant.encode_trees-*.nbi"))


def ensure_compiled(stream: TextIO) -> None:
    """Compile the kernel now when that has not been done: before many tasks would each do it at once.

    Parameters
    ----------
    stream : text stream
        Is told what takes so long.
    """
    if not is_compiled():
        print(
            "headers: compiling the header kernel, once per machine and version (about half a minute)",
            file=stream,
            flush=True,
        )
        warm()


if __name__ == "__main__":
    print(f"header kernel ready in {warm():.1f} s")
