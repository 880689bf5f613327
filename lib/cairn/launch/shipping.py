"""What travels to the executors of a cluster: the package as a zip, and where it is asked for the environment."""

from __future__ import annotations

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from cairn.launch.environment import READY, Home, writing
from cairn.launch.steps import say

UNPACKED = "environment"
"""Folder beside an executor's working files in which the shipped environment is unpacked."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Modification time of every member of the zip, the oldest possible: the same source gives the same bytes."""

LEFT_OUT = ("/pyspark/jars", "/pyspark/examples", "/pyspark/data", "/pip", "/.tmp")
"""Ends of folders that no executor needs: it has a Spark of its own."""


def package_zip(home: Home, lib: Path) -> Path:
    """Return the zip of the package, made when its source has changed.

    Parameters
    ----------
    home : Home
        Gets the zip, under a name that holds the hash of the source.
    lib : pathlib.Path
        The folder that holds ``cairn``.

    Raises
    ------
    CairnError
        NO_DISK, HOME_NOT_WRITABLE.
    """
    files = list(_package_files(lib))
    content = hashlib.sha256()
    for path in files:
        content.update(f"{path.relative_to(lib)}\0{path.stat().st_size}\0".encode())
        content.update(path.read_bytes())
    target = home.folder / "ship" / f"cairn-{content.hexdigest()[:12]}.zip"
    if not target.is_file():
        with writing(home.folder):
            _write_zip(target, lib, files)
    return target


def _package_files(lib: Path) -> Iterator[Path]:
    for path in sorted((lib / "cairn").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _write_zip(target: Path, lib: Path, files: list[Path]) -> None:
    draft = _draft(target)
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            member = zipfile.ZipInfo(str(path.relative_to(lib)), EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            archive.writestr(member, path.read_bytes())
    draft.replace(target)


def environment_tar(home: Home) -> Path:
    """Return the environment as a tar that Spark unpacks on every executor, made when it is missing.

    It links to the Python that it was made with, which must be at the same path on every machine of the cluster.

    Raises
    ------
    CairnError
        NO_DISK, HOME_NOT_WRITABLE.
    """
    stamps = sorted(path.name for path in home.environment.glob(f"{READY}*"))
    state = hashlib.sha256("\0".join(stamps).encode()).hexdigest()[:8]
    target = home.folder / "ship" / f"{home.environment.name}-{state}.tar.gz"
    if not target.is_file():
        say(f"packing the environment for the executors into {target} (once, some minutes)")
        with writing(home.folder):
            draft = _draft(target)
            with tarfile.open(draft, "w:gz", compresslevel=4) as archive:
                archive.add(home.environment, arcname=".", filter=_wanted)
            draft.replace(target)
    return target


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if member.name.endswith(("/__pycache__", *LEFT_OUT)):
        return None
    folder, _, name = member.name.rpartition("/")
    # Scripts name the path that the environment was made at; only the interpreter works elsewhere.
    if folder == "./bin" and not name.startswith("python"):
        return None
    return member


def _draft(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f"{target.name}.{os.getpid()}.draft")
