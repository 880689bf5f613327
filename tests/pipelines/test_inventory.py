"""The inventory: nothing lost, nothing twice, what changed and what went; one archive walked through its life."""

import io
import os
from collections import Counter
from pathlib import Path

import pytest
from archive_sample import made_tar, made_zip
from spark_support import made_settings

from cairn.archive.listing import Folder as ListedFolder
from cairn.errors import CairnError
from cairn.pipelines import inventory
from cairn.pipelines.inventory import take_inventory
from cairn.pipelines.inventory_task import COUNT, FAULT, FOLDER, ListFolders, batched, folder_row
from cairn.settings import Inventory
from cairn.spark.ledger import Run
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.quarantine import QUARANTINE


class Life:
    """An archive, its tables, and one inventory after the other."""

    def __init__(self, store: Store, base: Path) -> None:
        self.store = store
        self.archive = base / "ar chive"
        self.archive.mkdir()
        self._scratch = Folder(str(base / "scratch")).make()
        self._runs = 0

    def put(self, name: str, data: bytes) -> None:
        path = self.archive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def take(self, *roots: Path, store: Store | None = None) -> Counter:
        self._runs += 1
        run = Run(f"run{self._runs}", "inventory", iter(range(10**6, 10**9)).__next__)
        scratch = self._scratch.child(run.id).make()
        chosen = [str(root) for root in roots or (self.archive,)]
        return Counter(take_inventory(store or self.store, run, scratch, io.StringIO(), chosen).counts)

    def table(self) -> dict[str, tuple]:
        start = self.archive.as_uri() + "/"
        rows = self.store.read(ARCHIVE_ENTRY).collect()
        found = {
            row["uri"].removeprefix(start): (row["kind"], row["state"], row["code"], row["first_seen_run"])
            for row in rows
        }
        assert len(found) == len(rows)
        return found

    def quarantined(self) -> dict[str, str]:
        rows = self.store.read(QUARANTINE).where("stage = 'inventory'").collect()
        return {row["uri"].rsplit("/", 1)[-1]: row["code"] for row in rows}

    def versions(self) -> tuple:
        return self.store.version(ARCHIVE_ENTRY), self.store.version(QUARANTINE)


@pytest.fixture
def life(store, tmp_path):
    return Life(store, tmp_path)


@pytest.mark.slow
def test_an_archive_through_its_life(life, monkeypatch):
    life.put("a/one.dcm", b"one")
    life.put("a/b/two 2.dcm", b"two")
    life.put("a/empty", b"")
    life.put("a/study.zip", made_zip([("x.dcm", b"x" * 99), ("y.dcm", b"y" * 99)]))
    life.put("c/series.tgz", made_tar([("z.dcm", b"z" * 99)], mode="w:gz"))
    life.put("c/cut.zip", made_zip([("p.dcm", os.urandom(500)), ("q.dcm", os.urandom(500))], 0)[:700])
    (life.archive / "loop").symlink_to(life.archive)
    counts = life.take()
    first = life.table()
    assert first == {
        "a/one.dcm": ("file", "present", None, "run1"),
        "a/b/two%202.dcm": ("file", "present", None, "run1"),
        "a/empty": ("file", "present", "EMPTY_FILE", "run1"),
        "a/study.zip": ("container", "present", None, "run1"),
        "a/study.zip!/x.dcm": ("member", "present", None, "run1"),
        "a/study.zip!/y.dcm": ("member", "present", None, "run1"),
        "c/series.tgz": ("container", "present", None, "run1"),
        "c/series.tgz!/z.dcm": ("member", "present", None, "run1"),
        "c/cut.zip": ("container", "present", "ARCHIVE_CORRUPT", "run1"),
        "c/cut.zip!/p.dcm": ("member", "present", None, "run1"),
        "c/cut.zip!/q.dcm": ("member", "present", "ARCHIVE_CORRUPT", "run1"),
        "loop": ("file", "present", "LINK_LOOP", "run1"),
    }
    wanted = {"roots": 1, "folders": 4, "new": 12, "changed": 0, "gone": 0, "unchanged": 0, "files": 4, "containers": 3}
    wanted |= {"members": 5, "faulty": 4, "code_EMPTY_FILE": 1, "code_ARCHIVE_CORRUPT": 2, "code_LINK_LOOP": 1}
    assert {name: counts[name] for name in wanted} == wanted
    faulty = {name.rsplit("/", 1)[-1]: row[2] for name, row in first.items() if row[2]}
    assert life.quarantined() == faulty

    before = life.versions()
    counts = life.take()
    assert (counts["unchanged"], counts["new"], counts["changed"], counts["gone"]) == (12, 0, 0, 0)
    assert life.versions() == before  # a second run changes nothing
    assert life.table() == first

    life.put("a/one.dcm", b"one, and more")
    life.put("a/new.dcm", b"new")
    life.put("a/study.zip", made_zip([("y.dcm", b"Y" * 99), ("n.dcm", b"n" * 99)]))
    os.unlink(life.archive / "c" / "series.tgz")
    life.put("a/empty", b"no more")
    counts = life.take()
    second = life.table()
    assert second["a/one.dcm"] == ("file", "present", None, "run1")
    assert second["a/new.dcm"] == ("file", "present", None, "run3")
    assert [second[f"a/study.zip!/{name}.dcm"][1] for name in "xyn"] == ["gone", "present", "present"]
    assert [second[name][1] for name in ("c/series.tgz", "c/series.tgz!/z.dcm")] == ["gone", "gone"]
    assert (counts["new"], counts["changed"], counts["gone"]) == (2, 4, 3)
    assert "empty" not in life.quarantined()

    # What lies in a folder that cannot be listed is not taken for gone, nor what lies outside the roots.
    os.rename(life.archive / "a", life.archive.parent / "away")
    (life.archive / "a").mkdir()
    unlistable(life, "a", monkeypatch)
    counts = life.take()
    assert counts["folder_faults"] == 1 and counts["gone"] == 0
    assert life.table() == second | {"a": ("file", "present", "READ_FORBIDDEN", "run4")}
    monkeypatch.undo()
    os.rmdir(life.archive / "a")
    assert life.take(life.archive / "c")["gone"] == 0
    counts = life.take()
    third = life.table()
    assert {name for name, row in third.items() if name.startswith("a/") and row[1] == "present"} == set()
    assert third["a"][1] == "gone" and life.quarantined().keys() == {"cut.zip", "q.dcm", "loop"}
    os.rename(life.archive.parent / "away", life.archive / "a")
    life.take()
    alive = {name for name, row in life.table().items() if row[1] == "present"}
    assert alive == {name for name, row in second.items() if row[1] == "present"}
    assert life.table()["a/one.dcm"][3] == "run1"


def unlistable(life, name, monkeypatch):
    """Let tasks find one folder refused: whoever runs the tests may read every folder."""
    real = inventory.ListFolders

    class Refused(real):
        def __call__(self, batches):
            scandir = os.scandir

            def refused(path):
                if path.endswith(f"/{name}"):
                    raise PermissionError(13, "refused")
                return scandir(path)

            os.scandir = refused
            try:
                yield from super().__call__(batches)
            finally:
                os.scandir = scandir

    monkeypatch.setattr(inventory, "ListFolders", Refused)


@pytest.mark.slow
def test_depth_and_faults_of_the_moment_are_tried_again(life, tmp_path):
    inner = made_zip([("deep.dcm", b"deep" * 20)])
    life.put("nest.zip", made_zip([("inner.zip", inner), ("top.dcm", b"top" * 20)]))
    shallow = Store(life.store.spark, made_settings(tmp_path / "ware house", inventory={"archive_depth": 1}))
    counts = life.take(store=shallow)
    assert (counts["new"], counts["code_ARCHIVE_TOO_DEEP"]) == (3, 1)
    before = life.versions()
    assert life.take(store=shallow)["changed"] == 0
    assert life.versions() == before
    counts = life.take()
    assert (counts["new"], counts["changed"], counts["faulty"]) == (1, 1, 0)
    assert life.quarantined() == {}


@pytest.mark.slow
def test_small_tasks_share_a_deep_tree(life, tmp_path):
    for i in range(40):
        life.put(f"{i % 4}/{i % 8}/{i}/{i}.dcm", b"%d" % i)
    cut = Store(life.store.spark, made_settings(tmp_path / "ware house", inventory={"entries_per_task": 3}))
    counts = life.take(store=cut)
    assert (counts["new"], counts["folders"]) == (40, 1 + 4 + 8 + 40)


@pytest.mark.slow
def test_a_root_that_is_not_there_changes_nothing(life):
    life.put("a", b"a")
    life.take()
    before = life.versions()
    with pytest.raises(CairnError) as fault:
        life.take(life.archive, life.archive / "nothing")
    assert fault.value.code == "SOURCE_MISSING"
    assert life.versions() == before


@pytest.mark.slow
def test_a_kill_between_the_two_tables_is_made_good(life, monkeypatch):
    life.put("empty", b"")

    def killed(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(inventory._Inventory, "_quarantine", killed)
    with pytest.raises(KeyboardInterrupt):
        life.take()
    monkeypatch.undo()
    assert life.quarantined() == {}
    counts = life.take()
    assert (counts["new"], counts["unchanged"]) == (0, 1)
    assert life.quarantined() == {"empty": "EMPTY_FILE"}


def test_a_task_gives_back_the_folders_that_are_left(tmp_path):
    for i in range(6):
        (tmp_path / f"d{i}").mkdir()
        (tmp_path / f"d{i}" / "file").write_bytes(b"x")
    root = ListedFolder(tmp_path.as_uri(), "root", str(tmp_path))
    work = ListFolders(Inventory(entries_per_task=2), (str(tmp_path),))
    rows = [row for batch in work(batched([folder_row(root)])) for row in batch.to_pylist()]
    assert Counter(row["what"] for row in rows) == {"entry": 2, FOLDER: 4, COUNT: 1}
    again = [folder_row(ListedFolder(row["uri"], "root", row["real"])) for row in rows if row["what"] == FOLDER]
    more = [row for batch in ListFolders(Inventory(), ())(batched(again)) for row in batch.to_pylist()]
    assert Counter(row["what"] for row in more) == {"entry": 4, COUNT: 1}
    assert not [row for row in [*rows, *more] if row["what"] == FAULT]
