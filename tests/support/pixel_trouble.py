"""A decoder's process that does what a frame tells it, and the pixel stage's work with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from cairn.pipelines.pixel_task import Made, PixelWork
from cairn.pixels import reader
from cairn.pixels.isolation import IsolatedDecoder

MARK = b"\xff\xd8"
"""The reader sends only what begins as an image does."""

# The real decoder's process, with a decoder that does what a frame tells it.
TROUBLE = """
import os, signal, sys, time
from cairn.pixels import codecs, decoder_process
real = codecs.decode_frame
def decode(data, form):
    order = data.removeprefix(bytes([255, 216]))[:4]
    if order == b"KILL":
        os.kill(os.getpid(), signal.SIGSEGV)
    if order == b"HANG":
        time.sleep(1000)
    if order == b"EXIT":
        os._exit(3)
    if order == b"WIDE":
        return __import__("numpy").zeros(1 << 16, "u1")
    if order == b"MANY":
        return __import__("numpy").zeros(1 << 33, "u1")
    return real(data, form)
decoder_process.decode_frame = decode
decoder_process.main()
"""


@dataclass(frozen=True)
class TroubledWork(PixelWork):
    """The work of the stage, whose decoder obeys the frames."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[Made]:
        """Turn batches into rows with the decoder above."""
        reader.IsolatedDecoder = partial(IsolatedDecoder, command=[sys.executable, "-c", TROUBLE])  # type: ignore
        try:
            yield from super().__call__(batches)
        finally:
            reader.IsolatedDecoder = IsolatedDecoder  # type: ignore[misc]
