"""Pull: the rows that come of a catalogue are those that come of the files, and nothing gets lost on the way."""

from __future__ import annotations

import logging
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from bson import ObjectId
from catalogue_server import Server, started
from catalogue_world import CatalogueWorld, header, rows
from made_headers import element
from scottish_writer import collection, document

sys.path.append(str(Path(__file__).resolve().parents[1] / "catalogue"))

from test_scottish import FROM_FILE_META, lost_in_document

from cairn.errors import CairnError
from cairn.pipelines.catalogue_diff import diff
from cairn.pipelines.catalogue_pull import JOB, pull, pulled_lines
from cairn.pipelines.catalogue_push import JOB as PUSH
from cairn.pipelines.catalogue_push import push
from cairn.pipelines.headers import read_headers
from cairn.pipelines.inventory import take_inventory
from cairn.synthetic.archive import synthesise
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE, PROJECTED
from cairn.tables.quarantine import QUARANTINE

TOLD_BY_BYTES = {"HEADER_TRUNCATED", "CHARSET_UNDECLARED_UTF8", "CHARSET_BROKEN"}
"""Findings of files of which another reader may tell something else."""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = started(tmp_path_factory.mktemp("mongo"))
    yield server
    server.kill()


def pulled(world: CatalogueWorld) -> dict[str, int]:
    run = world.job.run(JOB)
    return pull(world.store, run, world.job.folder(run.id), world.job.stream).counts


def instances(world: CatalogueWorld) -> dict[str, dict[str, Any]]:
    """Return the rows of `instance` as Arrow gives them, by address."""
    frame = world.store.read(INSTANCE)
    return {row["uri"]: row for row in frame.toArrow().to_pylist()}


def inventoried(world: CatalogueWorld, archive: Path) -> None:
    take_inventory(
        world.store, world.job.run("inventory"), world.job.folder("inventory"), world.job.stream, [str(archive)]
    )


def bytes_of(archive: Path, uri: str) -> tuple[str, bytes] | None:
    """Return the path, as the service writes it, and bytes of an entry that it could have."""
    path = unquote(uri.removeprefix(archive.as_uri() + "/"))
    outer, *members = path.split("!/")
    if "\udcff" in path or "\ufffd" in path or len(members) > 1 or (members and not outer.endswith(".zip")):
        return None
    if not members:
        return path, (archive / outer).read_bytes()
    with zipfile.ZipFile(archive / outer) as opened:
        return f"{outer}!{members[0]}", opened.read(members[0])


def catalogued(world: CatalogueWorld, archive: Path, uris: list[str]) -> dict[str, bytes]:
    """Write the documents of some entries as the Scottish service does; return their bytes by address."""
    made: dict[str, bytes] = {}
    for uri in uris:
        try:
            found = bytes_of(archive, uri)
            if found is not None:
                one = document(found[1], found[0], len(found[1]))
                world.database()[collection(one)].insert_one(one)
                made[uri] = found[1]
        except (OSError, KeyError, ValueError, NotImplementedError, ArithmeticError, zipfile.BadZipFile):
            continue  # the service has no document of what pydicom cannot read
        except Exception as fault:  # noqa: BLE001 - pydicom's and zlib's own kinds
            logging.debug("no document: %s", type(fault).__name__)
    return made


def test_a_scottish_catalogue_gives_the_rows_that_the_files_give(spark, tmp_path: Path, mongo: Server) -> None:  # type: ignore[no-untyped-def]
    synthesise(tmp_path / "made", 0.02, 3)
    archive = tmp_path / "made" / "archive"
    files = CatalogueWorld(spark, tmp_path / "of files", mongo)
    inventoried(files, archive)
    read_headers(files.store, files.job.run("headers"), files.job.folder("headers"), files.job.stream)
    true = instances(files)

    world = CatalogueWorld(spark, tmp_path / "of documents", mongo, archive_root=archive.as_uri())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = catalogued(world, archive, sorted(true))
    assert len(made) > 200
    inventoried(world, archive)
    counts = pulled(world)
    assert counts["instance"] == counts["header_blob"] == counts["found"] == len(made)
    found = instances(world)
    assert set(found) == set(made)
    wrong = {}
    for uri, row in found.items():
        expected = true[uri]
        assert (row["content_version"], row["file_size"]) == (expected["content_version"], expected["file_size"])
        assert (row["parser"], row["pixel_offset"]) == ("catalogue", None)
        told = {finding["code"] for finding in expected["findings"]}
        if not told & TOLD_BY_BYTES and expected["sop_class_uid"] != "1.2.840.10008.1.3.10":
            exempt = FROM_FILE_META | lost_in_document(made[uri])
            names = [c.name for c in PROJECTED if c.name not in exempt and row[c.name] != expected[c.name]]
            if any(repr(row[name]) != repr(expected[name]) for name in names):
                wrong[uri.rpartition("/")[2]] = names
    assert wrong == {}

    # Pulled again nothing happens; headers finds them settled, and reads what had no document.
    again = pulled(world)
    assert (again["unchanged"], again["entries"]) == (len(made), 0)
    rest = read_headers(world.store, world.job.run("headers"), world.job.folder("headers"), world.job.stream).counts
    assert rest["unchanged"] == len(made) and rest["instance"] == len(true) - len(made)
    assert next(iter(pulled_lines(counts))).startswith(
        f"{len(made):,} documents found = 0 unchanged + {len(made):,} pulled"
    )


def test_documents_that_cannot_be_taken_are_quarantined(spark, tmp_path: Path, mongo: Server) -> None:  # type: ignore[no-untyped-def]
    archive = tmp_path / "archive"
    archive.mkdir()
    for name in ("good", "twice", "other size"):
        (archive / f"{name}.dcm").write_bytes(header(1))
    world = CatalogueWorld(spark, tmp_path, mongo, archive_root=archive.as_uri())
    size = len(header(1))
    stem = {"SOPInstanceUID": "1.2.3", "Modality": "CT"}

    def put(path: Any, size: int | None = size, **more: Any) -> ObjectId:
        entry = {"DicomFilePath": path, "DicomFileSize": size}
        return world.database()["image_CT"].insert_one({"header": entry, **stem, **more}).inserted_id

    put("good.dcm")
    put("twice.dcm", SeriesDescription="first")
    put("twice.dcm", SeriesDescription="second")
    put("other size.dcm", size + 1)
    put("not there.dcm")
    put(None)
    put(7)
    inventoried(world, archive)
    counts = pulled(world)
    assert (counts["found"], counts["instance"], counts["quarantine"]) == (7, 2, 5)
    codes = sorted(row["code"] for row in world.store.read(QUARANTINE).where(f"stage = '{JOB}'").collect())
    assert codes == ["CATALOGUE_DOCUMENT", "CATALOGUE_DOCUMENT", "CATALOGUE_DUPLICATE", "CATALOGUE_ENTRY_CHANGED",
                     "CATALOGUE_NOT_IN_ARCHIVE"]  # fmt: skip
    told = {uri.rpartition("/")[2]: row["series_description"] for uri, row in instances(world).items()}
    assert told == {"good.dcm": None, "twice.dcm": "second"}
    world.database()["image_CT"].delete_many({"header.DicomFilePath": {"$nin": ["good.dcm", "twice.dcm"]}})


def test_cairns_own_catalogue_gives_back_what_was_pushed_and_differs_in_nothing(
    spark, tmp_path: Path, mongo: Server
) -> None:  # type: ignore[no-untyped-def]
    long = element(0x00190010, "LO", b"MAKER ") + element(0x00191010, "OB", b"x" * 15_000)
    first = CatalogueWorld(spark, tmp_path / "first", mongo, document_limit_bytes=9000)
    first.add(rows([header(i, "CT" if i % 2 else "MR", extra=long if i == 3 else b"") for i in range(30)]))
    push(first.store, first.job.run(PUSH))
    found = diff(first.store)
    assert found.is_equal and found.total["same"] == 30 and found.lag["instance"]["rows"] == 0
    database = first.settings.catalogue.database

    second = CatalogueWorld(spark, tmp_path / "second", mongo, database=database)
    counts = pulled(second)
    assert (counts["instance"], counts["header_blob"], counts["found"]) == (30, 30, 30)
    before, after = instances(first), instances(second)
    assert {row.pop("run") for row in before.values()} == {"r"}
    assert len({row.pop("run") for row in after.values()}) == 1
    assert before == after
    assert second.store.read(HEADER_BLOB).count() == 30
    assert not second.store.exists(ARCHIVE_ENTRY)

    # Somebody edits, deletes and adds by hand; the tables go on; and a piece is lost.
    source = first.database()["image_CT"]
    source.update_one({"_id": "file:///a/00001.dcm"}, {"$set": {"dicom.SeriesDescription": "by hand"}})
    source.delete_one({"_id": "file:///a/00005.dcm"})
    first.database()["image_MR"].insert_one({"header": {"DicomFilePath": "/elsewhere.dcm"}, "Modality": "MR"})
    first.database()["cairn_parts"].delete_one({"_id.part": 0})
    for number, text in ((7, "a"), (9, "other")):  # the service's documents in the place of Cairn's
        source.delete_one({"_id": f"file:///a/0000{number}.dcm"})
        source.insert_one(document(header(number, "CT", text), f"/a/0000{number}.dcm", 1000))
    first.add(rows([header(40, "CT")], 40))
    found = diff(first.store)
    assert found.collections == {
        "image_CT": {"same": 11, "different": 3, "only_in_tables": 2},
        "image_MR": {"same": 15, "only_in_catalogue": 1},
    }
    assert not found.is_equal and found.lag["instance"]["rows"] == 1
    assert found.lines()[1].split() == ["image_CT", "11", "3", "2", "0", "0"]
    assert found.counts()["total"]["only_in_tables"] == 2  # type: ignore[index]


def test_relative_paths_without_a_root_end_the_job(spark, tmp_path: Path, mongo: Server) -> None:  # type: ignore[no-untyped-def]
    world = CatalogueWorld(spark, tmp_path, mongo)
    world.database()["image_CT"].insert_one({"header": {"DicomFilePath": "a.dcm", "DicomFileSize": 1}})
    with pytest.raises(CairnError) as told:
        pulled(world)
    assert told.value.code == "CATALOGUE_ROOT_UNSET" and told.value.exit_code == 2
