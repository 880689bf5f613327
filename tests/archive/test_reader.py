"""Reading entries: order, one opening per archive, faults as values, tries, changes seen."""

import errno
import gzip
import os
from dataclasses import replace

import pytest
from archive_sample import listed, made_tar, made_zip, put, read_all, readable

from cairn.archive import reader, sources
from cairn.archive.address import local_uri
from cairn.archive.entry import EntryAddress, address_of, content_version, file_entry
from cairn.archive.reader import read_entries
from cairn.archive.sources import stamp_of
from cairn.errors import EntryError


def plain(path) -> EntryAddress:
    return address_of(file_entry(local_uri(os.fspath(path)), "root", stamp_of(os.stat(path))))


def read(entries, process=lambda handle: handle.read(0, 100), tries=3, waits=None):
    sleep = (waits if waits is not None else []).append
    results = list(read_entries(entries, process, overlap=2, tries=tries, timeout_seconds=5, sleep=sleep))
    assert [entry for entry, _ in results] == list(entries)
    return [out.code if isinstance(out, EntryError) else out for _, out in results]


def test_plain_files_in_order(tmp_path):
    entries = [plain(put(tmp_path, f"{i} ü.dcm", bytes([i]) * (200 + i))) for i in range(5)]
    assert read(entries) == [bytes([i]) * 100 for i in range(5)]
    assert read(entries, lambda h: (h.size, h.read(150, 100), h.read(0, 2), h.read(10**9, 5))) == [
        (200 + i, bytes([i]) * (50 + i), bytes([i]) * 2, b"") for i in range(5)
    ]


def test_faults_stand_in_the_place_of_results(tmp_path):
    good, gone, grown, touched = (plain(put(tmp_path, name, b"data")) for name in ("good", "gone", "grown", "touched"))
    os.unlink(tmp_path / "gone")
    put(tmp_path, "grown", b"data and more")
    os.utime(tmp_path / "touched", ns=(0, 10**18))
    assert read([gone, good, grown, touched]) == ["ENTRY_GONE", b"data", "ENTRY_CHANGED", "ENTRY_CHANGED"]


def test_a_file_that_changes_while_it_is_read(tmp_path):
    path = put(tmp_path, "a", b"data")

    def process(handle):
        got = handle.read(0, 2)
        path.write_bytes(b"other")
        return got

    assert read([plain(path)], process) == ["ENTRY_CHANGED"]


def test_an_archive_that_changes_while_it_is_read(tmp_path):
    path = put(tmp_path, "a.zip", made_zip([("x", b"x" * 50), ("y", b"y" * 50)]))
    entries = readable(listed(path))

    def process(handle):
        got = handle.read(0, 1)
        if got == b"y":
            os.utime(path, ns=(0, 10**18))
        return got

    assert read(entries, process) == [b"x", "ENTRY_CHANGED"]
    assert read(entries) == ["ENTRY_CHANGED", "ENTRY_CHANGED"]
    os.unlink(path)
    assert read(entries) == ["ENTRY_GONE", "ENTRY_GONE"]


def test_an_error_of_the_process_is_the_result(tmp_path):
    def process(handle):
        raise EntryError("HEADER_TOO_LARGE")

    assert read([plain(put(tmp_path, "a", b"data"))], process) == ["HEADER_TOO_LARGE"]
    with pytest.raises(ZeroDivisionError):
        read([plain(tmp_path / "a")], lambda handle: 1 / 0)


def failing_pread(monkeypatch, faults):
    """Let the next reads fail with these errors, then work."""
    real, left = os.pread, list(faults)

    def pread(descriptor, length, offset):
        if left:
            raise OSError(left.pop(0), "made to fail")
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    return left


@pytest.mark.parametrize("packed", [False, True])
def test_transient_faults_are_tried_again_with_longer_waits(tmp_path, monkeypatch, packed):
    path = put(tmp_path, "a", made_zip([("x", b"data")], 0) if packed else b"data")
    entries = readable(listed(path)) if packed else [plain(path)]
    waits = []
    failing_pread(monkeypatch, [errno.EIO, errno.ESTALE])
    assert read(entries, waits=waits) == [b"data"]
    assert len(waits) == 2
    failing_pread(monkeypatch, [errno.EIO] * 9)
    assert read(entries, tries=3) == ["READ_FAILED"]


def test_permission_is_not_tried_again(tmp_path, monkeypatch):
    entry = plain(put(tmp_path, "a", b"data"))
    waits = []
    failing_pread(monkeypatch, [errno.EACCES])
    assert read([entry], waits=waits) == ["READ_FORBIDDEN"]
    assert waits == []


def test_short_reads_of_a_network_file_system_are_completed(tmp_path, monkeypatch):
    body = os.urandom(5000)
    entry = plain(put(tmp_path, "a", body))
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda d, n, o: real(d, min(n, 700), o))
    assert read([entry], lambda h: h.read(100, 4000)) == [body[100:4100]]


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
def test_an_archive_is_opened_once(tmp_path, monkeypatch, name):
    members = [(f"{i}", os.urandom(4000)) for i in range(20)]
    data = {"a.zip": made_zip(members), "a.tar": made_tar(members), "a.tgz": gzip.compress(made_tar(members))}[name]
    entries = readable(listed(put(tmp_path, name, data)))
    opened, fetched = [], []
    real_open, real_read = reader.LocalSource.__init__, sources.read_fully
    monkeypatch.setattr(
        reader.LocalSource, "__init__", lambda self, path: (opened.append(path), real_open(self, path))[1]
    )
    monkeypatch.setattr(sources, "read_fully", lambda d, o, n: (fetched.append(n), real_read(d, o, n))[1])
    assert list(read_all(entries).values()) == [body for _, body in members]
    assert len(opened) == 1
    if name == "a.tgz":  # inflated once for all its members
        assert sum(fetched) <= len(data) + (128 << 10)


def test_entries_out_of_order_are_read_all_the_same(tmp_path):
    members = [(f"{i}", os.urandom(3000)) for i in range(6)]
    entries = readable(listed(put(tmp_path, "a.tgz", gzip.compress(made_tar(members)))))
    shuffled = [entries[i] for i in (3, 0, 5, 1, 4, 2)]
    assert list(read_all(shuffled).values()) == [members[i][1] for i in (3, 0, 5, 1, 4, 2)]


def test_a_stream_may_be_read_backwards(tmp_path):
    body = os.urandom(9000)
    for data in (made_zip([("x", body)]), gzip.compress(made_tar([("x", body)]))):
        entries = readable(listed(put(tmp_path, "a", data)))
        assert read(entries, lambda h: h.read(5000, 100) + h.read(10, 20)) == [body[5000:5100] + body[10:30]]


def test_the_crc_is_checked_only_when_all_was_read(tmp_path):
    path = put(tmp_path, "a.zip", made_zip([("x", b"data" * 100)], 0))
    entry = readable(listed(path))[0]
    checksum = "crc32:00000000"
    version = content_version(entry.size, entry.modified, checksum, stamp_of(os.stat(path)))
    wrong = replace(entry, checksum=checksum, content_version=version)
    assert read([wrong], lambda h: h.read(0, 10)) == [b"data" * 2 + b"da"]
    assert read([wrong], lambda h: h.read(0, 400)) == ["CHECKSUM_MISMATCH"]
    assert read([wrong], lambda h: h.read(0, 10) + h.read(5, 395)) == ["CHECKSUM_MISMATCH"]
    assert read([wrong], lambda h: len(h.read(100, 300))) == [300]


@pytest.mark.parametrize("compression", [None, "nested:what>stored", "encrypted", "unsupported", "rot13"])
def test_a_member_that_cannot_be_reached(tmp_path, compression):
    path = put(tmp_path, "a.zip", made_zip([("x", b"data")], 0))
    entry = replace(readable(listed(path))[0], compression=compression)
    wanted = {"encrypted": "ARCHIVE_ENCRYPTED", "unsupported": "ARCHIVE_UNSUPPORTED", "rot13": "ARCHIVE_UNSUPPORTED"}
    assert read([entry]) == [wanted.get(compression, "ARCHIVE_CORRUPT")]
