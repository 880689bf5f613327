"""Object stores: listing page by page, few requests, few bytes, faults as values. Against moto's S3 server."""

import errno
import gzip
import os
import threading
from collections import Counter

import pytest
from archive_sample import made_tar, made_zip, readable

from cairn.archive import stores
from cairn.archive.entry import Entry, address_of
from cairn.archive.listing import Folder, list_folder, open_roots
from cairn.archive.opening import Opener
from cairn.archive.reader import read_entries
from cairn.errors import CairnError, EntryError

moto_server = pytest.importorskip("moto.server", reason="moto's server is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")


@pytest.fixture(scope="module")
def endpoint():
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def options(endpoint):
    return {"s3": {"endpoint_url": endpoint, "key": "made", "secret": "up", "use_listings_cache": False}}


@pytest.fixture
def bucket(options, request):
    """A new bucket, as a function that puts an object."""
    import s3fs

    name = f"bucket{abs(hash(request.node.name)) % 10**9}"
    filesystem = s3fs.S3FileSystem(**options["s3"])
    filesystem.mkdir(name)

    def put(key, data):
        filesystem.pipe_file(f"{name}/{key}", data)

    put.name, put.filesystem = name, filesystem
    return put


@pytest.fixture
def requests(monkeypatch):
    """Counts requests by S3 method, and the bytes of the ranges."""
    import s3fs

    counted, lock, real = Counter(), threading.Lock(), s3fs.S3FileSystem._call_s3

    async def call(self, method, *arguments, **named):
        with lock:
            counted[method] += 1
        answer = await real(self, method, *arguments, **named)
        if method == "get_object":
            with lock:
                counted["bytes"] += answer["ContentLength"]
        return answer

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
    return counted


def walk(uri, options):
    found, work = [], list(open_roots([uri], "/", options))
    while work:
        for item in list_folder(work.pop(), (), options):
            (work if isinstance(item, Folder) else found).append(item)
    return found


def read(entries, options, process=lambda handle: handle.read(0, 16_384), **more):
    named = {"overlap": 8, "tries": 2, "timeout_seconds": 20, "sleep": lambda seconds: None} | more
    results = list(read_entries(entries, process, options=options, **named))
    assert [entry for entry, _ in results] == list(entries)
    return [out.code if isinstance(out, EntryError) else out for _, out in results]


def test_listing_and_range_reads(bucket, options, requests, monkeypatch):
    bodies = {f"a b/{i}%.dcm": os.urandom(200_000) for i in range(12)} | {"top#1.dcm": b"t", "empty": b""}
    for key, body in bodies.items():
        bucket(key, body)
    requests.clear()
    monkeypatch.setattr(stores, "_PAGE", 5)  # several pages of one folder
    entries = walk(f"s3a://{bucket.name}", options)
    assert requests.pop("list_objects_v2") <= 3 and not requests
    wanted = {f"a%20b/{i}%25.dcm" for i in range(12)} | {"top%231.dcm", "empty"}
    assert {entry.uri for entry in entries} == {f"s3a://{bucket.name}/{part}" for part in wanted}
    assert {entry.code for entry in entries if entry.size == 0} == {"EMPTY_FILE"}
    assert all(entry.checksum.startswith("etag:") for entry in entries)
    addresses = [address_of(entry) for entry in entries if entry.size]
    heads = read(addresses, options)
    assert sorted(heads) == sorted(body[:16_384] for body in bodies.values() if body)
    assert requests["get_object"] == len(addresses) and set(requests) == {"get_object", "bytes"}
    assert requests["bytes"] == 12 * 16_384 + 1


def test_members_of_a_zip_by_ranges(bucket, options, requests):
    members = [(f"{i}.dcm", os.urandom(300_000)) for i in range(20)]
    data = made_zip(members, 0)
    bucket("big.zip", data)
    entry = walk(f"s3://{bucket.name}/", options)[0]
    requests.clear()
    rows = list(Opener(depth=3, tries=2, timeout_seconds=20, options=options).look_into(entry))
    assert [row.kind for row in rows] == ["member"] * 20 + ["container"]
    assert requests["get_object"] <= 20 + 4
    assert requests["bytes"] < len(data) / 20
    requests.clear()
    assert read(readable(rows), options) == [body[:16_384] for _, body in members]
    assert requests["get_object"] == 20 and requests["bytes"] == 20 * 16_384
    whole = read(readable(rows), options, lambda h: h.read(0, h.size))
    assert whole == [body for _, body in members]


def test_small_members_share_requests(bucket, options, requests):
    members = [(f"{i}.dcm", os.urandom(2000)) for i in range(300)]
    bucket("small.zip", made_zip(members))
    entry = walk(f"s3://{bucket.name}", options)[0]
    requests.clear()
    rows = list(Opener(depth=3, tries=2, timeout_seconds=20, options=options).look_into(entry))
    assert len(rows) == 301 and requests["get_object"] <= 6
    assert read(readable(rows), options, lambda h: h.read(0, h.size)) == [body for _, body in members]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_members_of_a_tar(bucket, options, requests, pack):
    members = [(f"{i}.dcm", os.urandom(100_000)) for i in range(10)]
    data = pack(made_tar(members))
    bucket("series.tar", data)
    entry = walk(f"s3://{bucket.name}", options)[0]
    rows = list(Opener(depth=3, tries=2, timeout_seconds=20, options=options).look_into(entry))
    assert len(rows) == 11
    requests.clear()
    assert read(readable(rows), options, lambda h: h.read(0, h.size)) == [body for _, body in members]
    assert requests["bytes"] <= len(data) + (64 << 10)


def test_an_object_that_changed_or_went(bucket, options):
    for name in ("changed", "gone", "same"):
        bucket(name, b"before")
    bucket("changed.zip", made_zip([("x", b"data" * 100)]))
    entries = {entry.uri.rsplit("/", 1)[1]: entry for entry in walk(f"s3://{bucket.name}", options)}
    rows = list(Opener(depth=1, tries=1, timeout_seconds=20, options=options).look_into(entries.pop("changed.zip")))
    bucket("changed", b"after.")
    bucket("changed.zip", made_zip([("x", b"tada" * 100)]))
    bucket.filesystem.rm_file(f"{bucket.name}/gone")
    addresses = [address_of(entries[name]) for name in ("changed", "gone", "same")] + readable(rows)
    assert read(addresses, options) == ["ENTRY_CHANGED", "ENTRY_GONE", b"before", "ENTRY_CHANGED"]


def test_faults_of_a_store_are_tried_again(bucket, options, monkeypatch):
    bucket("a", b"data")
    addresses = [address_of(entry) for entry in walk(f"s3://{bucket.name}", options)]
    real, left = stores.Store.read, [TimeoutError(errno.ETIMEDOUT, "slow")]

    def failing(self, *arguments):
        if left:
            raise left.pop()
        return real(self, *arguments)

    monkeypatch.setattr(stores.Store, "read", failing)
    waits = []
    assert read(addresses, options, sleep=waits.append) == [b"data"]
    assert len(waits) == 1
    left += [TimeoutError(errno.ETIMEDOUT, "slow")] * 2
    assert read(addresses, options) == ["READ_FAILED"]
    left += [PermissionError(errno.EACCES, "no")]
    assert read(addresses, options) == ["READ_FORBIDDEN"]


def test_reads_overlap_and_stay_in_order(bucket, options, monkeypatch):
    for i in range(12):
        bucket(f"{i:02d}", bytes([i]) * 10)
    addresses = [address_of(entry) for entry in walk(f"s3://{bucket.name}", options)]
    together = threading.Barrier(4, timeout=20)

    def process(handle):
        together.wait()  # passes only when four reads are under way at once
        return handle.read(0, 1)

    assert read(addresses, options, process, overlap=4) == [bytes([i]) for i in range(12)]


def test_roots_in_a_store(bucket, options):
    bucket("x/one", b"1")
    root = open_roots([f"s3a://{bucket.name}/x/one"], "/", options)
    assert [(type(item), item.uri) for item in root] == [(Entry, f"s3a://{bucket.name}/x/one")]
    with pytest.raises(CairnError) as fault:
        open_roots([f"s3a://{bucket.name}/nothing"], "/", options)
    assert fault.value.code == "SOURCE_MISSING"


def test_a_store_that_is_no_s3():
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/mem/a b.dcm", b"data" * 100)
    memory.pipe_file("/mem/sub/b.zip", made_zip([("x", b"x" * 99)]))
    try:
        entries = walk("memory://mem", None)
        rows = [row for entry in entries for row in Opener(depth=2, tries=1, timeout_seconds=9).look_into(entry)]
        assert sorted(row.uri for row in rows) == [
            "memory://mem/a%20b.dcm",
            "memory://mem/sub/b.zip",
            "memory://mem/sub/b.zip!/x",
        ]
        assert sorted(read(readable(rows), None)) == [b"data" * 100, b"x" * 99]
    finally:
        memory.rm("/mem", recursive=True)


def test_keys_that_no_folder_would_have(bucket, options):
    keys = {"a//b": b"1", "a/b": b"2", "a/": b"3", "m/": b"", "m/c": b"4", "d/../e": b"5"}
    from fsspec.asyn import sync  # s3fs itself cannot put a key that ends with a slash

    async def put(key, body):
        await bucket.filesystem._call_s3("put_object", Bucket=bucket.name, Key=key, Body=body)

    for key, body in keys.items():
        sync(bucket.filesystem.loop, put, key, body)
    entries = walk(f"s3://{bucket.name}", options)
    found = {entry.uri.removeprefix(f"s3://{bucket.name}/"): address_of(entry) for entry in entries}
    assert found.keys() == keys.keys() - {"m/"}  # a marker of zero bytes is no entry
    assert dict(zip(found, read(list(found.values()), options), strict=True)) == {key: keys[key] for key in found}
