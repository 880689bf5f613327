"""Decoding in a process of its own: a decoder that crashes or hangs costs one file.

The process is started with the first compressed frame, kept over many files, and replaced after a crash or a timeout.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cairn.errors import EntryError
from cairn.pixels.codecs import FrameForm
from cairn.pixels.decoder_process import LENGTHS

_PIECE = 1 << 20
_SET_PIPE_SIZE = 1031
"""Linux's F_SETPIPE_SZ: larger pipes, fewer changes between the processes."""


class IsolatedDecoder:
    """Decodes frames in another process.

    Parameters
    ----------
    timeout_seconds : float
        How long one frame may take before its process is killed.
    memory_bytes : int
        Most address space of the process (Linux).
    frame_limit_bytes : int
        Largest decoded frame: a codestream may be larger than its header says.
    command : sequence of str, optional
        Another program that takes and does what :mod:`cairn.pixels.decoder_process` does; for tests.
    """

    def __init__(
        self,
        timeout_seconds: float,
        memory_bytes: int,
        frame_limit_bytes: int = 1 << 30,
        command: list[str] | None = None,
    ) -> None:
        self.timeout_seconds = timeout_seconds
        self.frame_limit_bytes = frame_limit_bytes
        self._command = list(command or (sys.executable, "-m", "cairn.pixels.decoder_process"))
        self._command += [str(memory_bytes), str(timeout_seconds)]
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self.started = 0
        """Processes started so far."""

    def decode(self, data: bytes, form: FrameForm) -> np.ndarray:
        """Decode one frame; see :func:`cairn.pixels.codecs.decode_frame`.

        Raises
        ------
        EntryError
            FRAME_UNDECODABLE, TRANSFER_SYNTAX_UNSUPPORTED, FRAME_TOO_LARGE; DECODER_CRASHED, DECODER_TIMEOUT.
        """
        with self._lock:  # entries of object stores come in several threads
            return self._decode(data, form)

    def _decode(self, data: bytes, form: FrameForm) -> np.ndarray:
        process = self._running()
        deadline = time.monotonic() + self.timeout_seconds
        words = json.dumps(asdict(form)).encode()
        try:
            self._send(process, LENGTHS.pack(len(words), len(data)) + words, deadline)
            self._send(process, data, deadline)
            word_count, size = LENGTHS.unpack(self._receive(process, LENGTHS.size, deadline))
            status = json.loads(self._receive(process, word_count, deadline))
            if size > self.frame_limit_bytes:
                self.close()
                raise EntryError("FRAME_TOO_LARGE")
            body = self._receive(process, size, deadline)
        except (BrokenPipeError, EOFError):
            self.close()
            raise EntryError("DECODER_CRASHED") from None
        except TimeoutError:
            self.close()
            raise EntryError("DECODER_TIMEOUT") from None
        if "code" in status:
            raise EntryError(status["code"])
        return np.frombuffer(body, np.dtype(status["dtype"])).reshape(status["shape"])

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = self._start()
        return self._process

    def _start(self) -> subprocess.Popen[bytes]:
        # The package may have come by sys.path alone, as it does to Spark's workers.
        path = os.pathsep.join(dict.fromkeys([str(Path(__file__).parents[2]), *(p for p in sys.path if p)]))
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self.started += 1
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                _enlarge(pipe.fileno())
        return process

    def _send(self, process: subprocess.Popen[bytes], data: bytes, deadline: float) -> None:
        descriptor = process.stdin.fileno()  # type: ignore[union-attr]
        view = memoryview(data)
        while view:
            _, ready, _ = select.select([], [descriptor], [], _left(deadline))
            if ready:
                view = view[os.write(descriptor, view[:_PIECE]) :]

    def _receive(self, process: subprocess.Popen[bytes], size: int, deadline: float) -> bytes:
        descriptor = process.stdout.fileno()  # type: ignore[union-attr]
        body = bytearray(size)
        view = memoryview(body)
        while view:
            ready, _, _ = select.select([descriptor], [], [], _left(deadline))
            if not ready:
                continue
            count = os.readv(descriptor, [view[:_PIECE]])
            if count == 0:
                raise EOFError
            view = view[count:]
        return bytes(body) if size < 4096 else memoryview(body).toreadonly()  # type: ignore[return-value]

    @property
    def process_id(self) -> int | None:
        """The process at work, if any."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the process; decoding starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass

    def __enter__(self) -> IsolatedDecoder:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _enlarge(descriptor: int) -> None:
    import fcntl

    try:
        fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIECE)
    except OSError:
        pass  # not Linux, or the user's share of pipe memory is used up: slower, no more
