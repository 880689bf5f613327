"""Push: the catalogue follows the tables, whatever was changed, killed or lost in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from catalogue_server import Server, started
from catalogue_world import CatalogueWorld, header, rows
from made_headers import element

from cairn.catalogue import layout
from cairn.catalogue.documents import Document
from cairn.errors import CairnError
from cairn.pipelines import catalogue_push
from cairn.pipelines.catalogue_push import JOB, Pushed, pending, push
from cairn.tables.instance import INSTANCE
from cairn.tables.run import RUN

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = started(tmp_path_factory.mktemp("mongo"))
    yield server
    server.kill()


@pytest.fixture
def world(spark, tmp_path: Path, mongo: Server) -> CatalogueWorld:  # type: ignore[no-untyped-def]
    return CatalogueWorld(spark, tmp_path, mongo)


def pushed(world: CatalogueWorld, take_over: bool = False) -> Pushed:
    (done,) = push(world.store, world.job.run(JOB), take_over)
    return done


def positive(done: Pushed) -> dict[str, int]:
    return {name: count for name, count in done.counts.items() if count}


def test_the_catalogue_follows_the_table(world: CatalogueWorld) -> None:
    world.add(rows([header(i, "CT" if i % 2 else "MR") for i in range(20)]))
    first = pushed(world)
    assert positive(first) == {"inserted": 20} and first.before is None
    assert {name: len(found) for name, found in world.held().items()} == {"image_CT": 10, "image_MR": 10}
    before = world.held()
    again = pushed(world)
    assert positive(again) == {} and world.held() == before

    # One more, one with other text, one of another modality, one gone: in one go.
    world.add(rows([header(20, "ZZ", "new")], 20))
    world.drop(*(f"file:///a/0000{number}.dcm" for number in (1, 2, 3)))
    world.add(rows([header(1, "CT", "changed"), header(2, "US", "moved")], 1))
    behind = pending(world.store, world.connection)["instance"]
    assert (behind["rows"], behind["pushed"]) == (4, first.version) and behind["version"] > first.version
    second = pushed(world)
    assert positive(second) == {"inserted": 2, "replaced": 1, "deleted": 2}
    told = world.descriptions()
    assert len(told) == 20
    assert {key: text for key, text in told.items() if text != "a"} == {
        "image_CT 00001": "changed", "image_US 00002": "moved", "image_OTHER 00020": "new"}  # fmt: skip
    assert "image_CT 00003" not in told
    assert pending(world.store, world.connection)["instance"]["rows"] == 0
    ledger = {row["run"]: row for row in world.store.read(RUN).where(f"job = '{JOB}'").collect()}
    assert [row["status"] for row in ledger.values()] == ["done"] * 3
    assert max(row["counts"].get("instance_replaced", 0) for row in ledger.values()) == 1


def test_another_warehouse_is_refused_until_it_takes_over(world: CatalogueWorld, spark, mongo: Server) -> None:  # type: ignore[no-untyped-def]
    world.add(rows([header(i) for i in range(5)]))
    world.change(rows([header(0, "CT", "newer")]))  # so that the other table's versions are lower
    pushed(world)
    other = CatalogueWorld(spark, world.folder / "other", mongo, database=world.settings.catalogue.database)
    other.add(rows([header(i, "CT", "b") for i in range(3)]))
    with pytest.raises(CairnError, match="CATALOGUE_OF_ANOTHER"):
        pushed(other)
    assert set(world.descriptions().values()) == {"a", "newer"}
    assert positive(pushed(other, take_over=True)) == {"replaced": 3, "deleted": 2}
    assert set(other.descriptions().values()) == {"b"}

    # A catalogue that lost its record and a document is made anew; what the table lost meanwhile goes.
    other.database()[layout.STATE].delete_many({})
    other.database()["image_CT"].delete_one({"_id": "file:///a/00000.dcm"})
    other.drop("file:///a/00001.dcm")
    other.database()["image_CT"].update_many({}, {"$set": {layout.ORDER: 0}})
    done = pushed(other)
    assert done.before is None
    assert positive(done) == {"inserted": 1, "touched": 1, "deleted": 1}
    assert sorted(other.descriptions()) == ["image_CT 00000", "image_CT 00002"]


def test_large_documents_arrive_whole(spark, tmp_path: Path, mongo: Server) -> None:  # type: ignore[no-untyped-def]
    world = CatalogueWorld(spark, tmp_path, mongo)
    # Numbers take half the room in a VARIANT (16 MiB at most) that they take in BSON.
    value = b"".join(element(0x00190000 | 0x1000 + i, "US", os.urandom(16_000)) for i in range(220))
    world.add(rows([header(0, "CT", "large", element(0x00190010, "LO", b"MAKER ") + value), header(1, "CT", "small")]))
    done = pushed(world)
    assert done.counts["inserted"] == 2 and done.counts["pieces"] == 2
    assert len(world.descriptions()) == 2


def test_a_push_that_fails_in_a_worker_is_resumed(world: CatalogueWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(rows([header(i) for i in range(90)]))
    made = catalogue_push.MIRRORS[0]
    broken = catalogue_push.Mirror(made.contract, fails_late, made.collections, made.decides)
    monkeypatch.setattr(catalogue_push, "MIRRORS", (broken,))
    with pytest.raises(CairnError, match="STAGE_FAILED") as told:
        pushed(world)
    assert "file:///" not in str(told.value) and "secret" not in str(told.value)
    assert 0 < len(world.descriptions()) < 90
    monkeypatch.undo()
    assert positive(pushed(world))["inserted"] + len(world.held()["image_CT"]) > 90
    assert len(world.descriptions()) == 90


def fails_late(batch, orders, limit) -> Iterator[Document]:  # type: ignore[no-untyped-def]
    """Make documents like the real one, and fail at the third bulk."""
    from cairn.catalogue.documents import instance_documents

    for number, made in enumerate(instance_documents(batch, orders, limit)):
        if made.id >= "file:///a/00045.dcm" and number == 10:
            raise ValueError(f"a secret of {made.id}")
        yield made


KILLED = """
import sys
from pathlib import Path
sys.path += [{support!r}, {tests!r}]
from spark_support import made_settings
from cairn.pipelines.catalogue_push import JOB, push
from cairn.pipelines.job import opened
settings = made_settings(Path({warehouse!r}), catalogue={catalogue!r})
with opened("catalogue", settings) as job:
    push(job.store, job.run(JOB))
"""


@pytest.mark.slow
def test_a_push_that_is_killed_in_the_middle_loses_nothing(world: CatalogueWorld) -> None:
    world.add(rows([header(i) for i in range(1500)]))
    support, tests = Path(__file__).parents[1] / "support", Path(__file__).parents[1] / "dicom"
    script = KILLED.format(support=str(support), tests=str(tests), warehouse=str(world.folder / "warehouse"),
                           catalogue=world.settings.catalogue.model_dump())  # fmt: skip
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True, stderr=subprocess.DEVNULL)
    collection = world.database()["image_CT"]
    while process.poll() is None and collection.estimated_document_count() < 100:
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    reached = collection.estimated_document_count()
    assert 100 <= reached < 1500
    done = pushed(world)
    assert done.counts["inserted"] + done.counts["unchanged"] == 1500 and done.counts["unchanged"] >= reached
    assert len(world.descriptions()) == 1500
    assert {row["status"] for row in world.store.read(RUN).where(f"job = '{JOB}'").collect()} == {"killed", "done"}


def test_without_tables_there_is_nothing_to_push(world: CatalogueWorld) -> None:
    with pytest.raises(CairnError, match="TABLE_MISSING"):
        push(world.store, world.job.run(JOB))
    assert world.store.version(INSTANCE) is None
