"""Bulk writing against a server: idempotent, ordered, complete whatever breaks in between."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from catalogue_server import Server, started

from cairn.catalogue import layout
from cairn.catalogue.connection import Attempts, Connection
from cairn.catalogue.documents import Document, digest_of
from cairn.catalogue.reading import TYPES, Reader, ranges
from cairn.catalogue.writing import Removal, Writer
from cairn.errors import CairnError
from cairn.settings import Catalogue

NUMBERS = itertools.count()


def connection(server: Server, **changes: Any) -> Connection:
    """Return a connection to a new database."""
    given = {"uri_file": server.secret(), "database": f"test{next(NUMBERS)}", "timeout_seconds": 5}
    return Connection(Catalogue(**{**given, **changes}))


def document(name: str, order: int, text: str = "a", pieces: int = 0) -> Document:
    """Return a small document."""
    block = bson.encode({"text": text})
    digest = digest_of((block,))
    cairn = {"layout": 1, "order": order, "digest": digest, "parts": pieces}
    raw = bson.encode({"_id": name, "cairn": cairn, "dicom": RawBSONDocument(block)})
    cut = [{"_id": {"entry": name, "digest": digest, "part": i}, "entry": name, "order": order, "bytes": b"x"}
           for i in range(pieces)]  # fmt: skip
    made = tuple(RawBSONDocument(bson.encode(piece)) for piece in cut)
    return Document(name, order, "image_CT", digest, RawBSONDocument(raw), made)


def held(where: Connection, collection: str = "image_CT") -> dict[Any, dict]:
    return {one["_id"]: bson.decode(one.raw) for one in where.database()[collection].find()}


def texts(where: Connection) -> dict[str, tuple[str, int]]:
    return {name: (one["dicom"]["text"], one["cairn"]["order"]) for name, one in held(where).items()}


def positive(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("fresh", [True, False])
def test_writing_twice_changes_nothing(mongo: Server, fresh: bool) -> None:
    where = connection(mongo, documents_per_write=4)
    some = [document(f"d{i}", 5) for i in range(10)]
    assert positive(Writer(where).write(some, fresh)) == {"inserted": 10}
    before = held(where)
    assert positive(Writer(where).write(some, fresh)) == {"unchanged": 10}
    assert held(where) == before and len(before) == 10


@pytest.mark.parametrize("fresh", [True, False])
def test_the_later_content_stays_whatever_comes_first(mongo: Server, fresh: bool) -> None:
    versions = [document("d", 5, "old"), document("d", 8, "middle"), document("d", 12, "new")]
    for sequence in itertools.permutations(versions):
        where = connection(mongo)
        for one in sequence:
            Writer(where).write([one], fresh)
        assert texts(where) == {"d": ("new", 12)}


def test_equal_content_takes_the_later_order_so_that_an_older_one_cannot_come_between(mongo: Server) -> None:
    where = connection(mongo)
    writer = Writer(where)
    writer.write([document("d", 5, "a")], True)
    assert positive(writer.write([document("d", 12, "a")], False)) == {"touched": 1}
    assert positive(writer.write([document("d", 8, "b")], False)) == {"overtaken": 1}
    assert texts(where) == {"d": ("a", 12)}


@pytest.mark.parametrize("fresh", [True, False])
def test_what_was_deleted_is_not_brought_back_by_an_older_push(mongo: Server, fresh: bool) -> None:
    where = connection(mongo)
    writer = Writer(where)
    writer.write([document("d", 5), document("e", 5)], True)
    assert positive(writer.remove([Removal("d", "image_CT", 9)])) == {"deleted": 1}
    assert positive(writer.write([document("d", 7)], fresh)) == {"overtaken": 1}
    assert set(texts(where)) == {"e"}
    assert positive(writer.write([document("d", 11)], fresh)) == {"inserted": 1}
    assert positive(writer.remove([Removal("d", "image_CT", 10)])) == {"kept": 1}
    assert set(texts(where)) == {"d", "e"}
    writer.forget_deletions(11)
    assert not held(where, layout.DELETED)


def test_pieces_of_what_was_replaced_or_deleted_go(mongo: Server) -> None:
    where = connection(mongo)
    writer = Writer(where)
    assert writer.write([document("d", 5, "a", pieces=3), document("e", 5, "x", pieces=2)], True)["pieces"] == 5
    writer.write([document("d", 6, "b", pieces=2)], False)
    kept = [(one["entry"], one["order"], one["_id"]["part"]) for one in held_pieces(where)]
    assert sorted(kept) == [("d", 6, 0), ("d", 6, 1), ("e", 5, 0), ("e", 5, 1)]
    writer.remove([Removal("e", "image_CT", 7)])
    assert {one["entry"] for one in held_pieces(where)} == {"d"}
    (found,) = Reader(where).fetch("image_CT", ["d"]).values()
    assert Reader(where).pieces([found]) == {"d": [b"x", b"x"]}


def held_pieces(where: Connection) -> list[dict]:
    return [bson.decode(one.raw) for one in where.database()[layout.PARTS].find()]


def test_a_sweep_takes_what_is_earlier_and_ours(mongo: Server) -> None:
    where = connection(mongo)
    Writer(where).write([document("d", 5), document("e", 9)], True)
    where.database()["image_CT"].insert_one({"PatientID": "not ours"})
    assert Writer(where).sweep(["image_CT"], 9) == 1
    assert len(where.database()["image_CT"].distinct("_id")) == 2


def test_every_document_is_in_exactly_one_share(mongo: Server) -> None:
    where = connection(mongo, documents_per_task=20, documents_per_read=7)
    Writer(where).write([document(f"d{i:03d}", 1) for i in range(150)], True)
    source = where.database()["image_CT"]
    source.insert_many([{"number": i} for i in range(60)])  # ids that the driver makes
    source.insert_many([{"_id": 7}, {"_id": 8.5}, {"_id": {"a": 1}}])
    reader = Reader(where)
    shares = reader.shares("image_CT")
    seen = [repr(one["_id"]) for share in shares for one in reader.documents(share)]
    assert len(seen) == len(set(seen)) == 213
    assert len(shares) >= 8


def test_ranges_hold_every_type_even_without_a_sample() -> None:
    assert [condition["$type"] for condition in ranges([], 1)] == list(TYPES)
    cut = list(ranges([f"k{i}" for i in range(40)], 4))
    assert len(cut) == 5
    assert [condition.get("$lt") for condition in cut[:3]] == [condition["$gte"] for condition in cut[1:4]]


def test_a_server_that_is_killed_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    server = started(tmp_path / "mongo")
    try:
        where = connection(server, documents_per_write=20, tries=50, timeout_seconds=30)
        some = [document(f"d{i:03d}", 5, pieces=i % 50 == 0) for i in range(200)]

        def given():  # type: ignore[no-untyped-def]
            for i, one in enumerate(some):
                if i == 110:
                    server.kill()
                    server.start()
                yield one

        done = Writer(where).write(given(), True)
        assert done["inserted"] + done["unchanged"] == 200
        assert len(texts(where)) == 200
        read = []
        reader = Reader(where)
        for number, one in enumerate(reader.documents(reader.shares("image_CT")[0])):
            read.append(one["_id"])
            if number == 50:
                server.kill()
                server.start()
        assert sorted(read) == [one.id for one in some]
    finally:
        server.kill()


def test_a_server_that_is_not_there_is_told_without_its_address(tmp_path: Path) -> None:
    secret = tmp_path / "uri"
    secret.write_text("mongodb://reader:geheim@127.0.0.1:1/?directConnection=true")
    secret.chmod(0o600)
    where = Connection(Catalogue(uri_file=str(secret), timeout_seconds=0.3, tries=2))
    for attempt in (where.limit_bytes, lambda: Writer(where).write([document("d", 1)], True),
                    lambda: Reader(where).collections()):  # fmt: skip
        with pytest.raises(CairnError) as told:
            attempt()
        assert told.value.code == "CATALOGUE_UNREACHABLE" and told.value.exit_code == 4
        assert "geheim" not in str(told.value) and "127.0.0.1" not in str(told.value)
        assert told.value.__cause__ is None and told.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "mode", "code"),
    [("mongodb://h/", 0o644, "CATALOGUE_SECRET_UNSAFE"), ("", 0o600, "CATALOGUE_SECRET_UNSAFE"),
     ("http://u:geheim@h/", 0o600, "CATALOGUE_OPTIONS")],
)  # fmt: skip
def test_a_secret_that_is_unsafe_or_wrong_is_refused(tmp_path: Path, text: str, mode: int, code: str) -> None:
    secret = tmp_path / "uri"
    secret.write_text(text)
    secret.chmod(mode)
    with pytest.raises(CairnError) as told:
        Connection(Catalogue(uri_file=str(secret))).client()
    assert told.value.code == code and told.value.exit_code == 2
    assert "geheim" not in str(told.value)


def test_the_environment_has_the_uri_when_no_file_is_named() -> None:
    where = Connection(Catalogue())
    assert where.uri({"CAIRN_MONGODB_URI": " mongodb://h/ "}) == "mongodb://h/"
    with pytest.raises(CairnError, match="CATALOGUE_UNSET"):
        where.uri({})


def test_secrets_are_no_options() -> None:
    with pytest.raises(ValueError, match="secrets stand in the URI"):
        Catalogue(options={"tlsCertificateKeyFilePassword": "x"})


def test_attempts_wait_longer_and_end() -> None:
    from pymongo.errors import AutoReconnect

    waited: list[float] = []

    def fails() -> None:
        raise AutoReconnect

    with pytest.raises(AutoReconnect):
        Attempts(4, waited.append)(fails)
    assert waited == [0.2, 0.4, 0.8]
