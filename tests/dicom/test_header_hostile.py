"""Headers that lie, nest, are cut or are random: one row or one code each, and never a fault of their neighbours."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

sys.path.append(str(Path(__file__).parent))

import header_hostile_loop
from header_checks import cell, findings, header_tree
from header_oracle import boundaries, compare, expected_header

from cairn.dicom.kernel import HeaderKernel, KernelLimits, ParsedBatch
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


LOOP = Path(header_hostile_loop.__file__)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit of address space is set from /proc")
@pytest.mark.parametrize(("what", "least"), [("lies", 10), ("mutated", 1500), ("random", 1500)])
def test_hostile_headers_cannot_take_time_memory_or_the_process(what: str, least: int) -> None:
    """In a process of its own: a hang, a crash or gigabytes asked for end it there, and fail here."""
    library = os.pathsep.join([str(LOOP.parents[2] / "lib"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(LOOP), what, "20260101"],
        env={**os.environ, "PYTHONPATH": library},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    account = json.loads(done.stdout)
    assert account["headers"] >= least
    assert sum(account["ended"].values()) == account["headers"]
    assert account["ended"]["row"] < account["headers"]


@pytest.mark.parametrize(("name", "step"), [("CT_small.dcm", 1), ("MR_small_implicit.dcm", 1), ("rtplan.dcm", 3)])
def test_every_cut_is_told_for_what_it_is(name: str, step: int, kernel: HeaderKernel) -> None:
    """At an element's end: a shorter header. Elsewhere: a code, or behind SOPInstanceUID a row that says so."""
    data = Path(str(get_testdata_file(name, download=False))).read_bytes()
    end = int(kernel.parse([data]).pixel_offsets[0])
    ends = {n for n in boundaries(data) | {end} if n <= end}
    identified = min(n for n in ends if "SOPInstanceUID" in expected_header(data[:n]))
    places = sorted({*range(0, end + 1, step), *ends})
    batch = kernel.parse([data[:n] for n in places])
    rows = {places[place]: row for row, place in enumerate(batch.rows.tolist())}
    codes = {places[place]: code for place, code in batch.failures}
    for n in places:
        if n in ends:
            assert compare(header_tree(batch, rows[n]), expected_header(data[:n])) == [], n
        if n < 132:
            assert codes[n] == ("NOT_DICOM" if n else "EMPTY_FILE")
        elif n not in ends and n < identified:
            assert codes[n] == "HEADER_TRUNCATED", n
        else:
            told = [code for code, _ in findings(batch, rows[n])]
            assert ("HEADER_TRUNCATED" in told) == (n not in ends), n
            assert no_half_values(batch, rows[n], rows[end]), n


def no_half_values(batch: ParsedBatch, row: int, whole: int) -> bool:
    """Whether every typed value of a cut header is missing or that of the whole one; for columns with one path."""
    return all(
        cell(batch, column.name, row) in (None, cell(batch, column.name, whole))
        for column in INSTANCE.columns
        if len(column.paths) == 1
    )


def test_a_value_that_is_not_all_there_gets_no_length_and_hash_as_if_it_were() -> None:
    small = HeaderKernel(INSTANCE.columns, KernelLimits(inflated_limit_bytes=1 << 20))
    batch = small.parse([header_hostile_loop.bomb(2)])
    trees = [header_tree(batch, row) for row in range(len(batch.rows))]
    values = [tree["EncapsulatedDocument"] for tree in trees if "EncapsulatedDocument" in tree]
    assert [value["length"] for value in values] in ([], [2 << 20])
