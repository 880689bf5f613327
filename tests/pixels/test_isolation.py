"""Decoders that crash, hang or eat memory: one file's loss, and the next file is read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pixel_sample import END, InMemory, item, made_file
from pixel_trouble import MARK, TROUBLE

from cairn.errors import EntryError
from cairn.pixels.codecs import FrameForm
from cairn.pixels.isolation import IsolatedDecoder
from cairn.pixels.reader import PixelReader

JPEG_LS = "1.2.840.10008.1.2.4.80"
IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)
GOOD = imagecodecs.jpegls_encode(IMAGE)
FORM = FrameForm(8, 8, 1, 8, 8, False, "MONOCHROME2", JPEG_LS)


@pytest.fixture
def decoder():
    command = [sys.executable, "-c", TROUBLE]
    with IsolatedDecoder(1.0, 4 << 30, command=command) as made:
        yield made


@pytest.mark.parametrize(
    ("frame", "code", "processes"),
    [
        (b"KILL", "DECODER_CRASHED", 2),
        (b"EXIT", "DECODER_CRASHED", 2),
        (b"HANG", "DECODER_TIMEOUT", 2),
        (b"MANY", "FRAME_TOO_LARGE", 1),  # more than the process may have
        (b"WIDE", "FRAME_TOO_LARGE", 2),  # more than is taken of it
        (b"\xff\xd8 rubbish", "FRAME_UNDECODABLE", 1),
    ],
)
def test_the_next_frame_is_decoded(decoder, frame, code, processes):
    decoder.timeout_seconds, decoder.frame_limit_bytes = 30.0, 1 << 15
    assert np.array_equal(decoder.decode(GOOD, FORM), IMAGE)
    decoder.timeout_seconds = 1.0 if frame == b"HANG" else 30.0
    with pytest.raises(EntryError) as fault:
        decoder.decode(frame, FORM)
    assert fault.value.code == code
    decoder.timeout_seconds = 30.0
    assert np.array_equal(decoder.decode(GOOD, FORM), IMAGE)
    assert decoder.started == processes


def test_a_hanging_decoder_is_gone(decoder):
    decoder.timeout_seconds = 30.0
    decoder.decode(GOOD, FORM)
    process = decoder.process_id
    decoder.timeout_seconds = 0.5
    with pytest.raises(EntryError):
        decoder.decode(b"HANG", FORM)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_process_that_died_between_files_is_replaced(decoder):
    decoder.timeout_seconds = 30.0
    decoder.decode(GOOD, FORM)
    os.kill(decoder.process_id, signal.SIGKILL)
    time.sleep(0.2)
    assert np.array_equal(decoder.decode(GOOD, FORM), IMAGE)


def test_a_crash_and_a_hang_cost_their_files_of_a_batch():
    def file_of(frame: bytes) -> InMemory:
        value = item(b"") + item(frame + b"\0" * (len(frame) % 2)) + END
        return InMemory(made_file(value, JPEG_LS, rows=8, columns=8, bits_allocated=8))

    outcomes = []
    with PixelReader() as reader:
        reader.decoder = IsolatedDecoder(5.0, 4 << 30, command=[sys.executable, "-c", TROUBLE])
        for frame in (GOOD, MARK + b"KILL", GOOD, MARK + b"HANG", GOOD):
            try:
                outcomes.append(reader(file_of(frame)).rows[0]["maximum"])
            except EntryError as fault:
                outcomes.append(fault.code)
    assert outcomes == [63.0, "DECODER_CRASHED", 63.0, "DECODER_TIMEOUT", 63.0]


def test_the_decoder_ends_with_its_parent():
    code = (
        "import os, sys; from cairn.pixels.isolation import IsolatedDecoder; from cairn.pixels.codecs import FrameForm;"
        "d = IsolatedDecoder(3, 4 << 30, command=[sys.executable, '-c', sys.argv[1]]);"
        "import threading; f = FrameForm(8, 8, 1, 8, 8, False, 'MONOCHROME2', '1.2.840.10008.1.2.4.80');"
        "threading.Thread(target=d.decode, args=(b'HANG', f), daemon=True).start();"
        "import time\nwhile d.process_id is None: time.sleep(0.05)\ntime.sleep(1)\n"
        "print(d.process_id, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, TROUBLE], capture_output=True, text=True, timeout=60)
    process = int(done.stdout)
    for _ in range(100):
        if not Path(f"/proc/{process}").exists() or "Z" in Path(f"/proc/{process}/stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    pytest.fail("the decoder outlived its parent")
