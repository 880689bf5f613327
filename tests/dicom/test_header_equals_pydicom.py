"""The kernel's reading of whole files held against pydicom's: both trees walked, private and nested elements included.

Files: those packaged with pydicom, and the shared collection of real ones when it lies beside the repository. The
VARIANT is decoded by Spark's own reader.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pyspark.sql.types import VariantVal

from cairn.dicom.dictionary import keywords
from cairn.dicom.kernel import HeaderKernel
from cairn.tables.instance import INSTANCE

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
SHARED = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "dicom"

# pydicom has no value for these; the text as written stays in the header (docs/header.md).
UNREADABLE_BY_PYDICOM = {("badVR.dcm", "NumberOfFrames"): "1A"}


@pytest.fixture(scope="module")
def kernel() -> HeaderKernel:
    return HeaderKernel(INSTANCE.columns)


def key_of(tag: int) -> str:
    """Return a tag's key by the rules of docs/header.md."""
    keyword = pydicom.datadict.keyword_for_tag(tag)
    return keyword if keyword and keywords().get(keyword, (None,))[0] == int(tag) else f"{int(tag):08X}"


def plain(vr: str, value: Any) -> Any:
    """Return one of pydicom's values as the VARIANT should show it; numbers in text as numbers."""
    if vr in ("DS", "IS"):
        try:
            return float(value) if value != "" else ""
        except ValueError:  # pydicom keeps text that is no number
            return str(value)
    if vr == "AT":
        return f"{int(value):08X}"
    if vr in ("FL", "FD"):
        return float(value)
    if isinstance(value, int | bytes):
        return value
    return str(value).strip("\0 ").rstrip("=") if vr == "PN" else str(value).strip("\0 ")


def expected_tree(dataset: Dataset, file: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for tag in dataset.keys():  # noqa: SIM118 - a dataset is no mapping of its keys to iterate
        key = key_of(tag)
        try:
            element = dataset[tag]
        except Exception:  # noqa: BLE001 - pydicom cannot convert the value
            out[key] = UNREADABLE_BY_PYDICOM[(file, key)]
            continue
        value = element.value
        if element.VR == "SQ":
            out[key] = [expected_tree(item, file) for item in value]
        elif value is None or (isinstance(value, str | bytes | list | MultiValue) and len(value) == 0):
            out[key] = None
        elif isinstance(value, list | MultiValue):
            out[key] = [plain(element.VR, part) for part in value]
        else:
            text = str(value) if element.VR == "PN" else value
            out[key] = None if text == "" else plain(element.VR, value)
    return out


def same(ours: Any, theirs: Any) -> bool:
    """Whether a value is equal; text that pydicom reads as a number is compared as one."""
    if isinstance(theirs, float) and isinstance(ours, str):
        try:
            ours = float(ours)
        except ValueError:
            return False
    if isinstance(ours, str) and isinstance(theirs, str):
        return ours.strip("\0 ").rstrip("=") == theirs.rstrip("=")
    if ours is None and theirs == "":
        return True
    return bool(ours == theirs or (ours != ours and theirs != theirs))


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Return the paths at which two trees differ, with the kind of difference."""
    if isinstance(ours, dict) and set(ours) == {"length", "sha256"} and not isinstance(theirs, dict):
        import hashlib

        if isinstance(theirs, bytes):
            right = ours == {"length": len(theirs), "sha256": hashlib.sha256(theirs).hexdigest()}
            return [] if right else [f"{path}: hash"]
        return [] if ours["length"] > 16_384 else [f"{path}: short value kept by hash"]
    if isinstance(ours, dict) and isinstance(theirs, dict):
        out = [f"{path}/{key}: only {'ours' if key in ours else 'pydicom'}" for key in set(ours) ^ set(theirs)]
        for key in set(ours) & set(theirs):
            out += differences(ours[key], theirs[key], f"{path}/{key}")
        return out
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [d for i, pair in enumerate(zip(ours, theirs, strict=True)) for d in differences(*pair, f"{path}[{i}]")]
    return [] if same(ours, theirs) else [f"{path}: value"]


def check(folder: Path, kernel: HeaderKernel) -> tuple[int, list[str], dict[str, str]]:
    """Compare every file of a folder; return how many were compared, differences, and codes of the quarantined."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".csv", ".json"))
    data = [path.read_bytes() for path in files]
    batch = kernel.parse(data)
    rows = {int(place): row for row, place in enumerate(batch.rows)}
    codes = {files[i].relative_to(folder).as_posix(): code for i, code in batch.failures}
    compared, wrong = 0, []
    for i, path in enumerate(files):
        if i not in rows:
            continue
        with warnings.catch_warnings(), pydicom.config.disable_value_validation():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(io.BytesIO(data[i]), force=True, stop_before_pixels=True)
            theirs = {**expected_tree(dataset.file_meta, path.name), **expected_tree(dataset, path.name)}
        header = batch.table["header"][rows[i]].as_py()
        ours = VariantVal(header["value"], header["metadata"]).toPython()
        wrong += [f"{path.name} {difference}" for difference in differences(ours, theirs)]
        compared += 1
    return compared, wrong, codes


def test_files_packaged_with_pydicom(kernel: HeaderKernel) -> None:
    compared, wrong, codes = check(PACKAGED, kernel)
    assert wrong == []
    assert compared > 100
    assert set(codes.values()) == {"NOT_DICOM"}
    # no_meta.dcm begins in the middle of a tag; pydicom makes nonsense of it only when forced.
    assert not [name for name in codes if name.endswith(".dcm") and name != "no_meta.dcm"]


def test_shared_collection_of_real_files(kernel: HeaderKernel) -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared collection of DICOM files does not lie beside the repository (CAIRN_SHARED)")
    compared, wrong, codes = check(SHARED, kernel)
    assert wrong == []
    assert compared >= 321
    assert {name: code for name, code in codes.items() if not name.endswith(".jpg")} == {}
    assert set(codes.values()) == {"NOT_DICOM"}


def test_a_wrong_tree_is_told(kernel: HeaderKernel) -> None:
    """The comparison itself can fail."""
    assert differences({"A": 1}, {"A": 2}) == ["/A: value"]
    assert differences({"A": [{"B": "x"}]}, {"A": [{"B": "y"}]}) == ["/A[0]/B: value"]
    assert differences({}, {"A": 1}) == ["/A: only pydicom"]
    assert differences({"A": {"length": 20_000, "sha256": "0"}}, {"A": b"x"}) == ["/A: hash"]
