"""Headers that lie, nest, are cut or are random: one row or one code each, and never a fault of their neighbours."""

from __future__ import annotations

import io
import random
import struct
import time
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from cairn.dicom.kernel import HeaderKernel, KernelLimits
from cairn.dicom.reading import HeaderReader, ReadLimits
from cairn.errors import ENTRY_CONDITIONS, EntryError
from cairn.tables.instance import INSTANCE

META = bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0"
UID = b"\x08\x00\x18\x00UI\x06\x001.2.3\0"
ITEM, ITEM_END, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
OPEN = b"\xff\xff\xff\xff"


@pytest.fixture(scope="module")
def kernel() -> HeaderKernel:
    return HeaderKernel(INSTANCE.columns, KernelLimits())


@pytest.fixture(scope="module")
def good() -> bytes:
    path = get_testdata_file("CT_small.dcm", download=False)
    return Path(str(path)).read_bytes()[:6288]


class Memory:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    long_form = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    return head + (struct.pack("<HI", 0, size) if long_form else struct.pack("<H", size)) + value


def nested(depth: int, closed: bool) -> bytes:
    """Return a sequence in a sequence in a sequence …"""
    opening = element(0x00400275, b"SQ", b"", 0xFFFFFFFF) + ITEM + OPEN
    return META + UID + opening * depth + ((ITEM_END + SEQUENCE_END) * depth if closed else b"")


LIES = {
    "claims 4 GB": META + UID + element(0x00081030, b"UT", b"abc", 0xFFFFFFFE),
    "claims 64 KB": META + UID + element(0x00081030, b"LO", b"abc", 0xFFFF),
    "a sequence claims 4 GB": META + UID + element(0x00400275, b"SQ", ITEM + OPEN, 0xFFFFFFFE),
    "an item claims more than its sequence": META
    + UID
    + element(0x00400275, b"SQ", ITEM + struct.pack("<I", 4000) + UID),
    "a sequence of text": META + UID + element(0x00400275, b"SQ", b"no items are here"),
    "an item's end at the top": META + UID + ITEM_END,
    "a sequence's end at the top": META + UID + SEQUENCE_END,
    "an unknown VR": META + UID + element(0x00081030, b"QQ", b"abcd"),
    "zeros": META + bytes(4000),
    "meta group claims everything": bytes(128) + b"DICM" + element(0x00020001, b"OB", b"", 0xFFFFFFFF),
    "nothing behind the prefix": bytes(128) + b"DICM",
    "a prefix alone, cut": bytes(128) + b"DIC",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_costs_one_row_and_no_neighbour(lie: str, kernel: HeaderKernel, good: bytes) -> None:
    alone = kernel.parse([good])
    batch = kernel.parse([good, LIES[lie], good])
    assert [int(row) for row in batch.rows if row != 1] == [0, 2]
    assert (1 in batch.rows) != (1 in dict(batch.failures))
    for row in (0, -1):
        assert batch.table.slice(row % batch.table.num_rows, 1).equals(alone.table)


@pytest.mark.parametrize("closed", [True, False])
def test_nesting_ten_thousand_deep_has_a_code(closed: bool, kernel: HeaderKernel, good: bytes) -> None:
    batch = kernel.parse([good, nested(10_000, closed)])
    assert batch.failures == [(1, "HEADER_TOO_DEEP")]
    assert list(batch.rows) == [0]


def test_nesting_within_the_limit_is_read(kernel: HeaderKernel) -> None:
    batch = kernel.parse([nested(100, True)])
    assert list(batch.rows) == [0]


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "MR_small.dcm"])
def test_a_header_cut_anywhere_has_a_row_or_a_code(name: str, kernel: HeaderKernel) -> None:
    data = Path(str(get_testdata_file(name, download=False))).read_bytes()
    end = len(HeaderReader()(Memory(data)).data)
    step = max(1, end // 700)
    cuts = [data[:n] for n in range(0, end, step)]
    batch = kernel.parse(cuts)
    assert sorted([*batch.rows.tolist(), *(i for i, _ in batch.failures)]) == list(range(len(cuts)))
    assert {code for _, code in batch.failures} <= {"EMPTY_FILE", "NOT_DICOM", "HEADER_TRUNCATED", "HEADER_CORRUPT"}
    uids = set(batch.table["sop_instance_uid"].to_pylist()) - {None}
    whole = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    assert uids <= {whole.SOPInstanceUID, whole.file_meta.MediaStorageSOPInstanceUID}  # never half a UID
    told = [{finding["code"] for finding in row} for row in batch.table["findings"].to_pylist()]
    assert sum("HEADER_TRUNCATED" in codes for codes in told) > len(cuts) // 3


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_headers_give_one_row_or_one_code(seed: int) -> None:
    draw = random.Random(seed)
    source = Path(str(get_testdata_file(draw.choice(["CT_small.dcm", "rtplan.dcm"]), download=False))).read_bytes()
    made = [damaged(source[:6288], draw) for _ in range(8)]
    began = time.process_time()
    batch = KERNEL[0].parse(made)
    batch.table.validate(full=True)
    assert sorted([*batch.rows.tolist(), *(i for i, _ in batch.failures)]) == list(range(len(made)))
    assert {code for _, code in batch.failures} <= set(ENTRY_CONDITIONS)
    for data in made:
        try:
            HeaderReader(ReadLimits(first_read_bytes=draw.randint(1, 8000)))(Memory(data))
        except EntryError as fault:
            assert fault.code in ENTRY_CONDITIONS
    assert time.process_time() - began < 60  # a hang, not a slow machine


KERNEL: list[HeaderKernel] = []


@pytest.fixture(autouse=True, scope="module")
def shared_kernel(kernel: HeaderKernel) -> None:
    KERNEL.append(kernel)


def damaged(data: bytes, draw: random.Random) -> bytes:
    out = bytearray(data)
    pieces = [OPEN, ITEM, SEQUENCE_END[:4], ITEM_END[:4], b"SQ\0\0", b"UN\0\0", bytes(4), b"\0\0\0\x80"]
    for _ in range(draw.randint(1, 8)):
        place = draw.randrange(len(out) or 1)
        what = draw.randint(0, 4)
        if what == 0 and out:
            out[place] = draw.randrange(256)
        elif what == 1:
            del out[place:]
        elif what == 2:
            out[place : place + 4] = draw.choice(pieces)
        elif what == 3:
            del out[place : place + draw.randint(1, 40)]
        else:
            out[place:place] = draw.randbytes(draw.randint(1, 20))
    return bytes(out)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=600))
def test_random_bytes_behind_a_prefix(data: bytes) -> None:
    batch = KERNEL[0].parse([META + data, META + UID + data])
    assert len(batch.rows) + len(batch.failures) == 2
    assert io.BytesIO(data).getbuffer().nbytes == len(data)
