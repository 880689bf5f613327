"""Child process of test_header_hostile.py: parse hostile headers under a limit of address space.

``python header_hostile_loop.py WHAT SEED``: prints one JSON object and ends with 0 when every batch gave one row or one
failure for each header, and left the rows of good neighbours as they are alone. An endless loop, a crash or a request
for memory beyond the limit ends it otherwise, for the parent to see.
"""

from __future__ import annotations

import json
import random
import resource
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

from made_headers import element, file_of, small_file
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian
from variant_decoder import decoded

from cairn.dicom.kernel import HeaderKernel, KernelLimits, ParsedBatch
from cairn.errors import ENTRY_CONDITIONS
from cairn.tables.instance import INSTANCE

ROOM = 768 << 20  # bytes beyond what the process has once its code is compiled: ten times the inflated limit
ITEM, OPEN = b"\xfe\xff\x00\xe0", b"\xff\xff\xff\xff"
ITEM_END, SEQUENCE_END = b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
PIECES = [
    OPEN,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    b"SQ\0\0",
    b"UN\0\0",
    b"OB\0\0",
    bytes(4),
    b"\0\0\0\x80",
    b"\xfe\xff\xff\xff",
]
SOURCES = ("CT_small.dcm", "rtplan.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "nested_priv_SQ.dcm",
           "image_dfl.dcm", "reportsi.dcm", "chrH32.dcm", "DICOMDIR-implicit")  # fmt: skip


def sources() -> list[bytes]:
    """Return real headers, all syntaxes, up to their pixels or 8 KB."""
    paths = [get_testdata_file(name, download=False) for name in SOURCES]
    return [Path(str(path)).read_bytes()[:8192] for path in paths if path]


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Return a header with one to eight faults: bits flipped, bytes cut out, put in, repeated, lengths overwritten."""
    out = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        place = draw.randrange(max(1, len(out)))
        what = draw.randrange(6)
        if what == 0 and out:
            out[min(place, len(out) - 1)] ^= 1 << draw.randrange(8)
        elif what == 1:
            piece = draw.choice(PIECES)
            out[place : place + len(piece)] = piece
        elif what == 2:
            del out[place : place + draw.randint(1, 200)]
        elif what == 3:
            out[place:place] = out[place : place + draw.randint(1, 400)]
        elif what == 4:
            out[place : place + 4] = struct.pack(
                "<I", draw.choice([0xFFFFFFFE, 0x7FFFFFFF, 0x80000000, draw.getrandbits(32)])
            )
        else:
            del out[place:]
    return bytes(out)


def nested(depth: int, closed: bool, explicit_length: bool) -> bytes:
    """Return sequences in sequences; with `explicit_length` each claims what is left of 4 GB."""
    body = b""
    if explicit_length:
        for level in range(depth):
            length = struct.pack("<I", min(0xFFFFFFF0, 0xFFFFFF00 - level))
            body += struct.pack("<HH2sH", 0x40, 0x275, b"SQ", 0) + length + ITEM + length
        return small_file(body)
    opening = element(0x00400275, "SQ", b"", 0xFFFFFFFF) + ITEM + OPEN
    return small_file(opening * depth + ((ITEM_END + SEQUENCE_END) * depth if closed else b""))


def bomb(megabytes: int) -> bytes:
    """Return a deflated dataset of one value of zeros, made without holding it."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = element(0x00080018, "UI", b"1.2.3\0") + element(0x00420011, "OB", b"", megabytes << 20)
    body = deflate.compress(head) + b"".join(deflate.compress(bytes(1 << 20)) for _ in range(megabytes))
    whole = file_of(b"", DeflatedExplicitVRLittleEndian)
    meta_end = len(whole) - 2  # an empty dataset deflates to two bytes
    return whole[:meta_end] + body + deflate.flush()


def lies() -> dict[str, bytes]:
    """Return what a hostile writer thinks of first."""
    many = element(0x00400275, "SQ", b"", 0xFFFFFFFF) + (ITEM + bytes(4)) * 200_000 + SEQUENCE_END
    return {
        "nested 10,000 deep, open": nested(10_000, False, False),
        "nested 10,000 deep, closed": nested(10_000, True, False),
        "nested 10,000 deep, each claims 4 GB": nested(10_000, False, True),
        "nested 300,000 deep": nested(300_000, False, False),
        "text claims 4 GB": small_file(element(0x00081030, "UT", b"abc", 0xFFFFFFFE)),
        "bytes claim 4 GB": small_file(element(0x00420011, "OB", b"abc", 0xFFFFFFF0)),
        "sequence claims 4 GB": small_file(element(0x00400275, "SQ", ITEM + b"\xf0\xff\xff\xff", 0xFFFFFFFE)),
        "meta claims 4 GB": bytes(128)
        + b"DICM"
        + element(0x00020000, "UL", b"\xff" * 4)
        + element(0x00080018, "UI", b"1.2\0"),
        "a deflated bomb of 1 GB": bomb(1024),
        "200,000 empty items": small_file(many),
        "100,000 elements of one tag": small_file(element(0x00081030, "LO", b"") * 100_000),
        "a value of 4 million parts": small_file(element(0x00420011, "UC", b"\\" * (4 << 20))),
        "16,384 parts": small_file(element(0x00081030, "UC", b"\\" * 16_383)),
        "4 MB of a sequence's tag as UN": small_file(element(0x0040A132, "UN", b"\1" * (4 << 20))),
    }


def account(batch: ParsedBatch, count: int) -> Counter[str]:
    """Return how the headers of a batch ended; AssertionError unless each ended in exactly one way."""
    assert sorted([*batch.rows.tolist(), *(place for place, _ in batch.failures)]) == list(range(count))
    assert {code for _, code in batch.failures} <= set(ENTRY_CONDITIONS)
    batch.table.validate(full=True)
    for cell in batch.table["header"].to_pylist():
        decoded(cell["value"], cell["metadata"])
    return Counter(code for _, code in batch.failures) + Counter({"row": len(batch.rows)})


def beside_good_ones(kernel: HeaderKernel, good: bytes, hostile: list[bytes]) -> Counter[str]:
    """Parse hostile headers with a good one before, between and behind; its rows must not change by a byte."""
    alone = kernel.parse([good]).table.combine_chunks()
    headers = [good]
    for data in hostile:
        headers += [data, good]
    batch = kernel.parse(headers)
    ended = account(batch, len(headers))
    rows = {int(place): row for row, place in enumerate(batch.rows)}
    for place in range(0, len(headers), 2):
        assert batch.table.slice(rows[place], 1).combine_chunks().equals(alone), "a neighbour changed"
    ended["row"] -= len(hostile) + 1
    return ended


def batches(what: str, seed: int) -> Iterator[list[bytes]]:
    draw = random.Random(seed)
    if what == "lies":
        yield from ([data] for data in lies().values())
        return
    real = sources()
    for _ in range(100):
        if what == "mutated":
            yield [mutated(draw.choice(real), draw) for _ in range(15)]
        else:
            prefixes = [b"", bytes(128) + b"DICM", small_file(b"")]
            yield [draw.choice(prefixes) + draw.randbytes(draw.randint(0, 3000)) for _ in range(15)]


def address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def main(what: str, seed: int) -> None:
    kernel = HeaderKernel(INSTANCE.columns, KernelLimits())
    good = sources()[0]
    made = list(batches(what, seed))
    kernel.parse([good, *sources()])
    limit = address_space() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    ended: Counter[str] = Counter()
    for batch in made:
        ended += beside_good_ones(kernel, good, batch)
    print(json.dumps({"headers": sum(map(len, made)), "ended": dict(ended)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
