"""No file is less valid for having been de-identified: dciodvfy (Debian's dicom3tools) before and after the rewriter.

An error counts as new by what is wrong where, not by the value that it shows: pseudonyms are other values than the
UIDs that they stand for. Files that dciodvfy cannot read to their end are left out: what it says of them is of their
beginning.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pydicom.data
import pytest
from dciodvfy import LARGEST, TOOL, UNREAD, errors
from deid_files import rewriter

from cairn.deid.free_text import own_values, packaged_scrubber
from cairn.deid.rewrite import Kept

from .conftest import shared_folder


def readable(folders: list[Path]) -> Iterator[tuple[Path, bytes]]:
    """Each file once, of those that are small enough to be looked at often."""
    seen: set[bytes] = set()
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes() if path.stat().st_size <= LARGEST else b""
        digest = hashlib.sha256(data).digest()
        if data and digest not in seen:
            seen.add(digest)
            yield path, data


def new_errors(folders: list[Path], scratch: Path) -> tuple[int, int, dict[str, list[str]]]:
    """Files looked at, files withheld, and new errors by what is wrong."""
    engine = rewriter(scrubber=packaged_scrubber(), own_values=own_values)
    looked, codes = 0, Counter[str]()
    new: dict[str, list[str]] = {}
    for path, data in readable(folders):
        made = engine(data)
        if not isinstance(made, Kept):
            codes[made.code] += 1
            continue
        scratch.write_bytes(made.tobytes())
        before = errors(path)
        if any(UNREAD in line for line in before):
            continue
        looked += 1
        for error in errors(scratch) - before:
            new.setdefault(error, []).append(path.name)
    return looked, sum(count for code, count in codes.items() if code != "NOT_DICOM"), new


@pytest.mark.skipif(TOOL is None, reason="dciodvfy is not installed (apt-get install dicom3tools)")
def test_packaged_files_stay_as_valid_as_they_were(tmp_path: Path) -> None:
    looked, withheld, new = new_errors([Path(pydicom.data.__file__).parent], tmp_path / "made.dcm")
    assert looked >= 60
    assert withheld <= looked // 100
    assert sum(map(len, new.values())) <= 4, new


@pytest.mark.slow
@pytest.mark.skipif(TOOL is None, reason="dciodvfy is not installed (apt-get install dicom3tools)")
def test_files_of_many_makers_stay_as_valid_as_they_were(tmp_path: Path) -> None:
    folder = shared_folder() / "dicom"
    if not folder.is_dir():
        pytest.skip("there is no shared folder with files of many makers")
    looked, withheld, new = new_errors([folder, Path(pydicom.data.__file__).parent], tmp_path / "made.dcm")
    assert looked >= 262
    assert withheld <= looked // 100
    assert sum(map(len, new.values())) <= 9, new
