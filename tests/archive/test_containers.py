"""Archives listed in place equal what Python's zipfile and tarfile read."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections import defaultdict

import pytest
from archive_sample import codes, listed, made_tar, made_zip, put, read_all, readable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.archive.address import split_uri, unquote
from cairn.archive.containers import recognise

BODY = os.urandom(9000)
MEMBERS = [("a b.dcm", BODY), ("x/y.dcm", b"abc" * 20_000), ("a b.dcm", b"the second"), ("../up", b"u")]
ZIP_METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
TAR_FORMS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(
    lambda text: not text.endswith("/") and text.strip(" /") and "\\" not in text
)
bodies = st.binary(min_size=1, max_size=3000).filter(lambda body: recognise(body[:512]) is None)
member_lists = st.lists(st.tuples(names, bodies), max_size=8)
quick = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def contents(path, rows):
    """Member name to the list of contents, in the archive's order."""
    found = defaultdict(list)
    for uri, content in read_all(readable(rows)).items():
        found[unquote(split_uri(uri)[1][-1])].append(content)
    return dict(found)


def expected(members):
    found = defaultdict(list)
    for name, body in members:
        found[name.encode()].append(body)
    return dict(found)


@pytest.mark.parametrize("method", ZIP_METHODS)
def test_zip_methods(tmp_path, method):
    path = put(tmp_path, "odd name!.bin", made_zip(MEMBERS, method))
    rows = listed(path)
    assert contents(path, rows) == expected(MEMBERS)
    assert [row.uri.split("!/", 1)[1] for row in rows[:-1]] == ["a%20b.dcm", "x/y.dcm", "a%20b.dcm#2", "../up"]
    assert rows[-1].kind == "container" and rows[-1].code is None
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    assert [row.checksum for row in rows[:-1]] == [f"crc32:{info.CRC:08x}" for info in infos]
    assert [row.size for row in rows[:-1]] == [info.file_size for info in infos]
    assert {row.modified for row in rows[:-1]} == {1_583_065_810_000_000}


@quick
@given(member_lists, st.sampled_from(ZIP_METHODS))
def test_zip_equals_zipfile(tmp_path, members, method):
    path = put(tmp_path, "made.zip", made_zip(members, method))
    with zipfile.ZipFile(path) as archive:
        oracle = defaultdict(list)
        for info in archive.infolist():
            oracle[info.filename.encode()].append(archive.read(info))
    assert contents(path, listed(path)) == dict(oracle)


@quick
@given(member_lists, st.sampled_from([*TAR_FORMS]), st.sampled_from(["w", "w:gz", "w:bz2", "w:xz"]))
def test_tar_equals_tarfile(tmp_path, members, form, mode):
    if form == tarfile.USTAR_FORMAT:
        members = [(name[:8].strip("/ ") or "n", body) for name, body in members]
    path = put(tmp_path, "made.tar", made_tar(members, form, mode))
    with tarfile.open(path, encoding="utf-8", errors="surrogateescape") as archive:
        oracle = defaultdict(list)
        for info in archive:
            oracle[info.name.encode("utf-8", "surrogateescape")].append(archive.extractfile(info).read())
    if members:
        assert contents(path, listed(path)) == dict(oracle)


def test_zip64_data_descriptors_and_a_prefix(tmp_path):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def tell(self):
            raise OSError

    out = Pipe()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("big", "w", force_zip64=True) as member,
    ):
        member.write(BODY)
    rows = listed(put(tmp_path, "streamed.zip", out.getvalue()))
    assert read_all(readable(rows)) == {rows[0].uri: BODY}


def test_a_zip64_end_record(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    data = made_zip(MEMBERS, zipfile.ZIP_STORED)
    assert b"PK\6\6" in data
    path = put(tmp_path, "zip64.zip", data)
    assert contents(path, listed(path)) == expected(MEMBERS)


def test_names_that_are_no_utf8(tmp_path):
    name = b"Caf\xe9.dcm".decode("utf-8", "surrogateescape")
    data = made_zip([("Cafe.dcm", b"x")]).replace(b"Cafe.dcm", b"Caf\xe9.dcm")
    assert listed(put(tmp_path, "latin.zip", data))[0].uri.endswith("!/Caf%E9.dcm")
    assert listed(put(tmp_path, "latin.tar", made_tar([(name, b"x")])))[0].uri.endswith("!/Caf%E9.dcm")


def test_tar_long_names_and_folders(tmp_path):
    out = io.BytesIO()
    long = "d/" * 120 + "image.dcm"
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        folder = tarfile.TarInfo("d")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        info = tarfile.TarInfo(long)
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    rows = listed(put(tmp_path, "long.tar", out.getvalue()))
    assert [unquote(split_uri(row.uri)[1][0]).decode() for row in rows[:-1]] == [long]


def links_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, target, body in [
            ("d/one", tarfile.REGTYPE, "", b"first"),
            ("hard", tarfile.LNKTYPE, "d/one", b""),
            ("d/one", tarfile.REGTYPE, "", b"second"),
            ("d/soft", tarfile.SYMTYPE, "one", b""),
            ("d/soft2", tarfile.SYMTYPE, "../d/soft", b""),
            ("nowhere", tarfile.SYMTYPE, "/etc/passwd", b""),
            ("round", tarfile.SYMTYPE, "round", b""),
            ("pipe", tarfile.FIFOTYPE, "", b""),
        ]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, len(body)
            archive.addfile(info, io.BytesIO(body))
    return out.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_links_in_a_tar(tmp_path, pack):
    rows = listed(put(tmp_path, "links.tar", pack(links_tar())))
    found = {uri.split("!/")[1]: content for uri, content in read_all(readable(rows)).items()}
    assert found == {
        "d/one": b"first",
        "d/one#2": b"second",
        "hard": b"first",
        "d/soft": b"second",
        "d/soft2": b"second",
    }
    faults = {name: code for name, code in codes(rows).items() if code}
    assert faults == {"nowhere": "LINK_BROKEN", "round": "LINK_LOOP", "pipe": "NOT_A_FILE"}


def sparse_tar() -> bytes:
    """A GNU sparse 1.0 member (PAX): its map stands before its pieces."""
    pieces = [(0, b"A" * 600), (100_000, b"B" * 50)]
    numbers = [len(pieces), *(n for offset, data in pieces for n in (offset, len(data)))]
    head = "".join(f"{n}\n" for n in numbers).encode()
    stored = head + bytes(-len(head) % 512) + b"".join(data for _, data in pieces)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("GNUSparseFile.0/sparse")
        info.size = len(stored)
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "sparse",
            "GNU.sparse.realsize": "120000",
        }
        archive.addfile(info, io.BytesIO(stored))
        after = tarfile.TarInfo("after")
        after.size = 5
        archive.addfile(after, io.BytesIO(b"after"))
    return out.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_sparse_file_in_a_tar(tmp_path, pack):
    with tarfile.open(fileobj=io.BytesIO(sparse_tar())) as archive:
        oracle = archive.extractfile("sparse").read()
    assert len(oracle) == 120_000 and oracle[100_000:100_050] == b"B" * 50
    rows = listed(put(tmp_path, "sparse.tar", pack(sparse_tar())))
    assert list(read_all(readable(rows), 7001).values()) == [oracle, b"after"]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_nested_archives_up_to_a_depth(tmp_path, depth):
    innermost = made_zip([("c.dcm", b"C" * 5000)])
    middle = gzip.compress(made_tar([("in.zip", innermost), ("b.dcm", b"B" * 700)]))
    path = put(tmp_path, "outer", made_zip([("mid", middle), ("a.dcm", b"A" * 900)], zipfile.ZIP_STORED))
    rows = listed(path, depth)
    inside = {row.uri.split("outer!/")[1]: (row.kind, row.code) for row in rows[:-1]}
    deep = ("container", "ARCHIVE_TOO_DEEP")
    wanted = {"mid": ("container", None) if depth > 1 else deep, "a.dcm": ("member", None)}
    if depth > 1:
        wanted |= {"mid!/b.dcm": ("member", None), "mid!/in.zip": ("container", None) if depth > 2 else deep}
    if depth > 2:
        wanted["mid!/in.zip!/c.dcm"] = ("member", None)
    assert inside == wanted
    for uri, content in read_all(readable(rows)).items():
        name = uri.rsplit("/", 1)[-1]
        assert content == {"a.dcm": b"A" * 900, "b.dcm": b"B" * 700, "c.dcm": b"C" * 5000}[name]


def test_a_large_nested_zip_in_a_stream(tmp_path):
    body = os.urandom(1 << 20) * 17  # more than is held in memory
    inner = made_zip([("huge", body), ("last", b"l")], zipfile.ZIP_STORED)
    path = put(tmp_path, "t.tgz", gzip.compress(made_tar([("in.zip", inner), ("after", b"a")]), 1))
    found = read_all(readable(listed(path)), 1 << 20)
    assert [uri.split("tgz!/")[1] for uri in found] == ["in.zip!/huge", "in.zip!/last", "after"]
    assert list(found.values()) == [body, b"l", b"a"]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_one_compressed_file(tmp_path, suffix, pack):
    rows = listed(put(tmp_path, "a image.dcm" + suffix, pack(BODY) + pack(b"more")))
    assert [row.kind for row in rows] == ["member", "container"]
    assert rows[0].size is None
    assert read_all(readable(rows)) == {rows[0].uri: BODY + b"more"}
    assert rows[0].uri.endswith(f"{suffix}!/a%20image.dcm")


def test_archives_are_known_by_their_bytes_not_their_name(tmp_path):
    assert [row.kind for row in listed(put(tmp_path, "a.zip", BODY))] == ["file"]
    assert [row.kind for row in listed(put(tmp_path, "a.dcm", made_zip(MEMBERS[:1])))] == ["member", "container"]
    preamble = b"PK\3\4" + bytes(124) + b"DICM" + BODY
    assert [row.kind for row in listed(put(tmp_path, "dual.zip", preamble))] == ["file"]
    assert codes(listed(put(tmp_path, "a.7z", b"7z\xbc\xaf\x27\x1c" + BODY))) == {"a.7z": "ARCHIVE_UNSUPPORTED"}


def test_empty_archives(tmp_path):
    rows = listed(put(tmp_path, "none.zip", made_zip([])))
    assert [(row.kind, row.code) for row in rows] == [("container", None)]
    rows = listed(put(tmp_path, "hollow.zip", made_zip([("nothing", b"")])))
    assert codes(rows) == {"nothing": "EMPTY_FILE", "hollow.zip": None}


def test_content_version_follows_member_and_archive(tmp_path):
    path = put(tmp_path, "v.zip", made_zip(MEMBERS))
    os.utime(path, ns=(0, 10**18))
    first = {row.uri: row.content_version for row in listed(path)}
    assert {row.uri: row.content_version for row in listed(path)} == first
    os.utime(path, ns=(0, 10**18 + 5000))
    second = {row.uri: row.content_version for row in listed(path)}
    assert first.keys() == second.keys()
    assert all(first[uri] != second[uri] and len(second[uri]) == 16 for uri in first)
