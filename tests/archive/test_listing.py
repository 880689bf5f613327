"""Folders: every name becomes a row or more work, links neither loop nor list twice, nothing special is opened."""

import os
import socket

import pytest

from cairn.archive.address import local_path
from cairn.archive.entry import Entry
from cairn.archive.listing import Folder, FolderFault, list_folder, open_roots, real_roots
from cairn.errors import CairnError


def walk(*roots):
    """Everything under some roots, as tasks would find it; entries by their path below the first root's parent."""
    opened = open_roots([str(root) for root in roots], "/")
    real = real_roots(opened)
    found, work = [root for root in opened if isinstance(root, Entry)], [r for r in opened if isinstance(r, Folder)]
    faults = []
    while work:
        for item in list_folder(work.pop(), real):
            if isinstance(item, Folder):
                work.append(item)
            elif isinstance(item, FolderFault):
                faults.append(item.entry)
            else:
                found.append(item)
    assert len({entry.uri for entry in found}) == len(found)
    return found, faults


def codes_under(base, *roots):
    found, _ = walk(*roots)
    return {os.path.relpath(local_path(entry.uri), base): entry.code for entry in found}


@pytest.fixture
def tree(tmp_path):
    base = tmp_path / "ar chive"
    (base / "a" / "b").mkdir(parents=True)
    (base / "a" / "one.dcm").write_bytes(b"1")
    (base / "a" / "b" / "two").write_bytes(b"22")
    (base / "empty").write_bytes(b"")
    return base


def test_files_and_folders(tree):
    found, faults = walk(tree)
    assert codes_under(tree, tree) == {"a/one.dcm": None, "a/b/two": None, "empty": "EMPTY_FILE"}
    assert faults == []
    one = next(entry for entry in found if entry.size == 1)
    assert one.modified == os.stat(tree / "a" / "one.dcm").st_mtime_ns // 1000
    assert one.root == f"file://{str(tree).replace(' ', '%20')}"
    assert (one.kind, one.container) == ("file", None)


@pytest.mark.parametrize(
    "name", [b"caf\xe9", b"x!", b"a#b?c%41", b"tab\there", b"new\nline", b"back\\slash", b".hidden"]
)
def test_odd_names_lead_back_to_the_file(tmp_path, name):
    folder = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(folder)
    with open(folder + b"/" + name, "wb") as out:
        out.write(b"x")
    found, _ = walk(tmp_path)
    assert [os.fsencode(local_path(entry.uri)) for entry in found] == [folder + b"/" + name]


def test_links(tree):
    outside = tree.parent / "outside"
    outside.mkdir()
    (outside / "far.dcm").write_bytes(b"far")
    (outside / "back").symlink_to(tree)
    (outside / "self").symlink_to(outside)
    links = {"file": "a/one.dcm", "inside": "a", "up": "..", "away": "../outside", "broken": "nowhere", "loop": "loop"}
    for name, target in links.items():
        (tree / name).symlink_to(target)
    (tree / "a" / "b" / "top").symlink_to(tree)
    assert codes_under(tree, tree) == {
        "a/one.dcm": None,
        "a/b/two": None,
        "empty": "EMPTY_FILE",
        "file": None,
        "inside": "LINK_REPEATED",
        "up": "LINK_LOOP",
        "away/far.dcm": None,
        "away/back": "LINK_REPEATED",
        "away/self": "LINK_LOOP",
        "broken": "LINK_BROKEN",
        "loop": "LINK_LOOP",
        "a/b/top": "LINK_LOOP",
    }


def test_two_outside_folders_that_link_to_each_other(tree):
    for name, other in (("p", "q"), ("q", "p")):
        folder = tree.parent / name
        folder.mkdir()
        (folder / "file").write_bytes(b"x")
        (folder / "other").symlink_to(tree.parent / other)
    (tree / "link").symlink_to(tree.parent / "p")
    found = codes_under(tree, tree)
    assert {name for name in found if name.startswith("link")} == {"link/file", "link/other/file", "link/other/other"}
    assert found["link/other/other"] == "LINK_REPEATED"


def test_a_link_to_another_root_is_left_to_that_root(tree):
    second = tree.parent / "second"
    second.mkdir()
    (second / "x").write_bytes(b"x")
    (tree / "to second").symlink_to(second)
    assert codes_under(tree.parent, tree, second)["ar chive/to second"] == "LINK_REPEATED"
    assert codes_under(tree.parent, tree, second)["second/x"] is None


def test_pipes_and_sockets_are_not_opened(tree, monkeypatch):
    os.mkfifo(tree / "pipe")
    monkeypatch.chdir(tree)  # a socket's path is limited to 108 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        (tree / "to pipe").symlink_to("pipe")
        found = codes_under(tree, tree)
    assert [found[name] for name in ("pipe", "socket", "to pipe")] == ["NOT_A_FILE"] * 3


def test_a_folder_that_may_not_be_read(tree, monkeypatch):
    real = os.scandir

    def refused(path):
        if path.endswith("/b"):
            raise PermissionError(13, "refused")
        return real(path)

    monkeypatch.setattr(os, "scandir", refused)  # root may read everything, so the refusal is made
    found, faults = walk(tree)
    assert {os.path.basename(entry.uri) for entry in found} == {"one.dcm", "empty"}
    assert [(fault.uri.rsplit("/", 1)[1], fault.code) for fault in faults] == [("b", "READ_FORBIDDEN")]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every folder")
def test_a_folder_without_permission(tree):
    os.chmod(tree / "a" / "b", 0)
    try:
        assert [fault.code for fault in walk(tree)[1]] == ["READ_FORBIDDEN"]
    finally:
        os.chmod(tree / "a" / "b", 0o700)


def test_a_folder_that_vanishes(tree):
    gone = Folder(f"file://{tree.parent}/never", "root", f"{tree.parent}/never")
    items = list(list_folder(gone, ()))
    assert [item.entry.code for item in items if isinstance(item, FolderFault)] == ["ENTRY_GONE"]


def test_a_listing_that_falters_is_begun_again(tree, monkeypatch):
    real, faults, waits = os.scandir, [5, 5], []  # EIO

    def faltering(path):
        if faults:
            raise OSError(faults.pop(), "made to fail")
        return real(path)

    monkeypatch.setattr(os, "scandir", faltering)
    root = open_roots([str(tree)], "/")[0]
    items = list(list_folder(root, (), tries=3, sleep=waits.append))
    assert len(items) == 2 and len(waits) == 2 and waits[1] > waits[0]
    faults += [5, 5]
    faulty = list(list_folder(root, (), tries=2, sleep=waits.append))
    assert [item.entry.code for item in faulty if isinstance(item, FolderFault)] == ["READ_FAILED"]


def test_roots(tree):
    nested = [str(tree), f"{tree}/a", f"{tree}/", str(tree / "a" / "one.dcm")]
    assert [root.uri for root in open_roots(nested, "/")] == [f"file://{str(tree).replace(' ', '%20')}"]
    file_root = open_roots(["a/one.dcm"], str(tree))
    assert [(type(root), root.size) for root in file_root] == [(Entry, 1)]
    for missing in ([str(tree / "nothing")], [str(tree), str(tree / "nothing")]):
        with pytest.raises(CairnError) as fault:
            open_roots(missing, "/")
        assert fault.value.code == "SOURCE_MISSING"


def test_two_names_of_one_folder_are_one_root(tree):
    link = tree.parent / "another name"
    link.symlink_to(tree)
    roots = open_roots([str(tree), str(link), f"{link}/a"], "/")
    assert [root.real for root in roots] == [str(tree)]


def test_the_top_of_the_file_system_is_a_root():
    assert [root.uri for root in open_roots(["/"], "/home")] == ["file:///"]
    assert next(list_folder(open_roots(["/"], "/home")[0], ("/",))).uri.count("//") == 1


def test_names_that_only_begin_alike_are_two_roots(tree):
    (tree.parent / "ar chive2").mkdir()
    assert len(open_roots([str(tree), str(tree.parent / "ar chive2")], "/")) == 2


def test_a_flat_folder_is_never_held(tree, monkeypatch):
    """Rows come while the folder is still being listed."""
    items = list_folder(open_roots([str(tree)], "/")[0], ())
    assert next(items)
    items.close()
