"""The decoder's process: reads requests on standard input, answers on standard output, decodes in between.

``python -m cairn.pixels.decoder_process``. A native library that crashes takes this process along and nothing else; see
:mod:`cairn.pixels.isolation` for the other side. An answer is a status line in JSON, then the frame's bytes.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
from typing import BinaryIO

import numpy as np

from cairn.pixels.codecs import DecodeError, FrameForm, decode_frame

_GRACE_SECONDS = 2.0
LENGTHS = struct.Struct("<QQ")
"""Before each message: length of its JSON, length of its bytes."""


def receive(stream: BinaryIO) -> tuple[dict[str, object], bytes] | None:
    """Return the next request, or None when the other side is gone."""
    head = stream.read(LENGTHS.size)
    if len(head) < LENGTHS.size:
        return None
    words, size = LENGTHS.unpack(head)
    text = stream.read(words)
    data = stream.read(size)
    return (json.loads(text), data) if len(data) == size else None


def answer(stream: BinaryIO, status: dict[str, object], data: np.ndarray | None) -> None:
    """Send an answer."""
    text = json.dumps(status).encode()
    body = memoryview(b"") if data is None else memoryview(data)  # type: ignore[arg-type]
    stream.write(LENGTHS.pack(len(text), body.nbytes) + text)
    stream.write(body)
    stream.flush()


def serve(requests: BinaryIO, answers: BinaryIO, timeout_seconds: float) -> None:
    """Decode until the other side is gone.

    The other side ends a decoder that hangs; when that side itself is gone, the alarm does (its default is to end the
    process, and unlike Linux's death signal it does not depend on which thread started us).
    """
    while (request := receive(requests)) is not None:
        words, data = request
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds + _GRACE_SECONDS)
        try:
            frame = np.ascontiguousarray(decode_frame(data, FrameForm(**words)))  # type: ignore[arg-type]
        except DecodeError as fault:
            answer(answers, {"code": str(fault)}, None)
        except MemoryError:
            answer(answers, {"code": "FRAME_TOO_LARGE"}, None)
        else:
            if frame.dtype.byteorder == ">":
                frame = frame.astype(frame.dtype.newbyteorder("<"))
            answer(answers, {"dtype": frame.dtype.str, "shape": frame.shape}, frame.reshape(-1).view(np.uint8))
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """Set the limits that the arguments name (bytes of memory, seconds for a frame), then serve."""
    memory, timeout_seconds = int(sys.argv[1]), float(sys.argv[2])
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # libraries print on both; neither must reach the answers or a log
    os.dup2(quiet, 2)
    serve(sys.stdin.buffer, answers, timeout_seconds)


if __name__ == "__main__":
    main()
