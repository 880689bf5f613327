"""Archives that are cut, damaged, encrypted or hostile: rows with codes, bounded memory, never an exception."""

import gzip
import io
import os
import random
import struct
import subprocess
import sys
import tarfile
import zipfile

import pytest
from archive_sample import codes, listed, made_tar, made_zip, put, read_all, readable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.archive.zip_members import dos_time
from cairn.errors import ENTRY_CONDITIONS

random.seed(5)
BODIES = {f"m{i}.dcm": random.randbytes(3000) + b"tail" * 500 for i in range(6)}
MEMBERS = list(BODIES.items())


def name_of(uri):
    return uri.rsplit("!/", 1)[-1]


def encrypted_zip() -> bytes:
    """A zip whose first member has the flag of a password (APPNOTE 4.4.4, bit 0) in both its headers."""
    data = bytearray(made_zip(MEMBERS[:2]))
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + offset] |= 1
    return bytes(data)


def test_encrypted_members(tmp_path):
    rows = listed(put(tmp_path, "secret.zip", encrypted_zip()))
    assert codes(rows) == {"m0.dcm": "ARCHIVE_ENCRYPTED", "m1.dcm": None, "secret.zip": None}


def test_a_method_that_is_not_read(tmp_path):
    data = bytearray(made_zip(MEMBERS[:2]))
    for mark, offset in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        struct.pack_into("<H", data, data.index(mark) + offset, 9)
    rows = listed(put(tmp_path, "deflate64.zip", bytes(data)))
    assert codes(rows)["m0.dcm"] == "ARCHIVE_UNSUPPORTED"
    assert codes(rows)["m1.dcm"] is None


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_cut_zip_gives_the_whole_members(tmp_path, method, streamed):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        if streamed:
            archive._seekable = False  # sizes then follow the data, as a writer to a pipe puts them
        for name, body in MEMBERS:
            archive.writestr(name, body)
        ends = [info.header_offset for info in archive.infolist()]
    data = out.getvalue()
    rows = listed(put(tmp_path, "cut.zip", data[: ends[4] - 40]))
    whole = {name_of(uri): body for uri, body in read_all(readable(rows)).items()}
    assert whole == {name: BODIES[name] for name in ("m0.dcm", "m1.dcm", "m2.dcm")}
    assert codes(rows)["m3.dcm"] == "ARCHIVE_CORRUPT"
    assert codes(rows)["cut.zip"] == "ARCHIVE_CORRUPT"


def test_a_zip_whose_directory_is_lost(tmp_path):
    data = made_zip(MEMBERS)
    rows = listed(put(tmp_path, "headless.zip", data[: data.index(b"PK\1\2")]))
    assert {name_of(uri): body for uri, body in read_all(readable(rows)).items()} == BODIES
    assert rows[-1].code == "ARCHIVE_CORRUPT"


def test_a_wrong_crc_is_found_when_a_member_is_read_to_its_end(tmp_path):
    data = bytearray(made_zip(MEMBERS[:2], zipfile.ZIP_STORED))
    data[data.index(BODIES["m0.dcm"]) + 1500] ^= 1
    rows = listed(put(tmp_path, "bit.zip", bytes(data)))
    assert set(codes(rows).values()) == {None}
    assert list(read_all(readable(rows)).values()) == ["CHECKSUM_MISMATCH", BODIES["m1.dcm"]]


def test_a_member_that_does_not_inflate(tmp_path):
    data = bytearray(made_zip(MEMBERS[:2]))
    data[40] = 0x07  # a block type that does not exist (RFC 1951, 3.2.3)
    rows = listed(put(tmp_path, "deflate.zip", bytes(data)))
    assert codes(rows)["m0.dcm"] == "ARCHIVE_CORRUPT"
    assert codes(rows)["m1.dcm"] is None


def test_a_cut_tar_gives_the_whole_members(tmp_path):
    data = made_tar(MEMBERS)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        third = archive.getmembers()[3].offset_data
    for cut, pack in ((data[: third + 100], bytes), (data[: third + 100], gzip.compress)):
        rows = listed(put(tmp_path, "cut.tar", pack(cut)))
        whole = {name_of(uri): body for uri, body in read_all(readable(rows)).items()}
        assert whole == {name: BODIES[name] for name in ("m0.dcm", "m1.dcm", "m2.dcm")}
        assert codes(rows) == dict.fromkeys(whole) | {"m3.dcm": "ARCHIVE_CORRUPT", "cut.tar": "ARCHIVE_CORRUPT"}


def test_a_tar_cut_between_members_is_noticed(tmp_path):
    data = made_tar(MEMBERS)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        third = archive.getmembers()[3].offset
    rows = listed(put(tmp_path, "cut.tar", data[: third - 1024]))  # pax writes no header of its own here
    assert rows[-1].code == "ARCHIVE_CORRUPT"


def test_a_cut_tar_gz(tmp_path):
    data = gzip.compress(made_tar(MEMBERS))
    rows = listed(put(tmp_path, "cut.tgz", data[: len(data) // 2]))
    whole = {name_of(uri): body for uri, body in read_all(readable(rows)).items()}
    assert {"m0.dcm", "m1.dcm"} <= whole.keys() < BODIES.keys()
    assert all(BODIES[name] == body for name, body in whole.items())
    assert rows[-1].code == "ARCHIVE_CORRUPT"


def test_members_after_a_damaged_tar_header_are_found(tmp_path):
    data = bytearray(made_tar(MEMBERS))
    data[data.index(b"m2.dcm")] ^= 0xFF
    rows = listed(put(tmp_path, "damaged.tar", bytes(data)))
    whole = {name_of(uri): body for uri, body in read_all(readable(rows)).items()}
    assert whole == {name: body for name, body in BODIES.items() if name != "m2.dcm"}
    assert rows[-1].code == "ARCHIVE_CORRUPT"


SAMPLES = {
    "zip": made_zip(MEMBERS),
    "tar": made_tar(MEMBERS),
    "tgz": gzip.compress(made_tar(MEMBERS)),
    "nested": made_zip([("i.zip", made_zip(MEMBERS[:2])), ("t.tar", made_tar(MEMBERS[:2]))]),
}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=6),
    st.floats(0.01, 1),
)
def test_any_damage_costs_rows_with_codes_only(tmp_path, kind, flips, kept):
    data = bytearray(SAMPLES[kind])
    for place, value in flips:
        data[int(place * len(data))] ^= value
    rows = listed(put(tmp_path, "damaged", bytes(data[: max(int(kept * len(data)), 1)])))
    assert rows[-1].uri.endswith("/damaged")
    assert len({row.uri for row in rows}) == len(rows)
    assert all(row.code is None or row.code in ENTRY_CONDITIONS for row in rows)
    for content in read_all(readable(rows)).values():
        assert isinstance(content, bytes) or content in ENTRY_CONDITIONS


def test_a_zip_bomb_is_read_in_bounded_memory(tmp_path):
    inner = made_zip([("zeros", bytes(300_000_000))])
    bomb = made_zip([(f"{i}.zip", inner) for i in range(4)])
    path = put(tmp_path, "bomb.zip", bomb)
    script = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from archive_sample import listed, readable
from cairn.archive.reader import read_entries
rows = listed(Path(sys.argv[1]))
heads = [out for _, out in read_entries(readable(rows), lambda h: (h.size, h.read(0, 1000)),
         overlap=1, tries=1, timeout_seconds=9)]
step = 1 << 20
whole = [out for _, out in read_entries(readable(rows)[:1], lambda h: sum(len(h.read(at, step))
         for at in range(0, h.size, step)), overlap=1, tries=1, timeout_seconds=9)]
print(len(rows), whole == [300_000_000], all(head == (300_000_000, bytes(1000)) for head in heads), len(heads))
"""
    paths = [*[entry for entry in sys.path if entry]]
    done = subprocess.run([sys.executable, "-c", script, path, *paths], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["9", "True", "True", "4"], done.stderr[-500:]


def test_a_pax_header_that_claims_gigabytes(tmp_path):
    info = tarfile.TarInfo("claim")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    path = put(tmp_path, "claim.tar", info.tobuf(tarfile.USTAR_FORMAT))
    os.truncate(path, 100 << 20)  # there is more than the parser may take
    assert listed(path)[-1].code == "ARCHIVE_CORRUPT"


def test_a_day_that_does_not_exist_has_no_time():
    assert dos_time((40 << 9) | (2 << 5) | 30, 0) is None
    assert dos_time(0, 0) is None
    assert dos_time((40 << 9) | (2 << 5) | 29, (25 << 11)) is None
