"""The kernel's reading of whole files held against pydicom's: both trees walked, private and nested elements included.

Files: those packaged with pydicom, and the shared collection of real ones when it lies beside the repository. The
VARIANT is decoded by Spark's own reader.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pyspark.sql.types import VariantVal

sys.path.append(str(Path(__file__).parent))

from header_checks import all_differences, the_kernel
from header_checks import differences as from_the_oracle
from header_oracle import expected_header
from made_headers import SYNTAXES, Made, datasets, element, file_of, headers, small_file, written

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


# Beside the walk above, the oracle of header_oracle.py: exact text, types and typed columns, by two VARIANT readers.

ITEM, OPEN, ITEM_END, SEQUENCE_END = (
    b"\xfe\xff\x00\xe0",
    b"\xff\xff\xff\xff",
    b"\xfe\xff\x0d\xe0\0\0\0\0",
    b"\xfe\xff\xdd\xe0\0\0\0\0",
)
# The packaged files that are no DICOM, or of which pydicom makes sense only when it is forced and told how.
CODES_OF_PACKAGED = {
    "README": "NOT_DICOM",
    "README.txt": "NOT_DICOM",
    "crayons.icc": "NOT_DICOM",
    "no_meta.dcm": "NOT_DICOM",
    "rtplan.dump": "NOT_DICOM",
    "rtstruct.dump": "NOT_DICOM",
    "zipMR.gz": "NOT_DICOM",
}


def against_the_oracle(folder: Path, kernel: HeaderKernel) -> tuple[int, list[str], dict[str, str]]:
    """Return how many files of a folder have a row, their differences, and the codes of the others."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".csv", ".json"))
    data = [path.read_bytes() for path in files]
    batch = kernel.parse(data)
    wrong = [
        f"{files[place].name} {line}"
        for row, place in enumerate(batch.rows.tolist())
        for line in from_the_oracle(batch, row, data[place])
    ]
    return len(batch.rows), wrong, {files[place].name: code for place, code in batch.failures}


def test_packaged_files_equal_the_oracle(kernel: HeaderKernel) -> None:
    compared, wrong, codes = against_the_oracle(PACKAGED, kernel)
    assert wrong == []
    assert compared > 100
    assert codes == CODES_OF_PACKAGED


def test_shared_files_equal_the_oracle(kernel: HeaderKernel) -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared collection of DICOM files does not lie beside the repository (CAIRN_SHARED)")
    compared, wrong, codes = against_the_oracle(SHARED, kernel)
    assert wrong == []
    assert compared >= 321
    assert {code for name, code in codes.items() if name.endswith(".jpg")} == {"NOT_DICOM"}


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(made=headers())
def test_made_headers_equal_the_oracle(made: Made) -> None:
    assert all_differences(the_kernel(), [made.data]) == []


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(made=st.lists(headers(), min_size=2, max_size=4))
def test_a_batch_is_its_headers_one_by_one(made: list[Made]) -> None:
    kernel = the_kernel()
    together = kernel.parse([one.data for one in made])
    assert together.rows.tolist() == list(range(len(made)))
    for row, one in enumerate(made):
        alone = kernel.parse([one.data])
        assert together.table.slice(row, 1).combine_chunks().equals(alone.table.combine_chunks())
        assert together.pixel_offsets[row] == alone.pixel_offsets[0]
        assert together.transfer_syntax_uids[row] == alone.transfer_syntax_uids[0]


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_pixels_and_what_follows_them_are_not_read(data: st.DataObject) -> None:
    syntax = data.draw(st.sampled_from(SYNTAXES[1:2]))
    head = file_of(written(data.draw(datasets(syntax)), syntax), syntax)
    tag = data.draw(st.sampled_from([0x7FE00008, 0x7FE00009, 0x7FE00010]))
    tail = element(tag, "OW", bytes(64)) + element(0xFFFCFFFC, "OB", bytes(8))
    batch = the_kernel().parse([head + tail])
    assert from_the_oracle(batch, 0, head) == []
    assert int(batch.pixel_offsets[0]) == len(head)


def item(*elements: bytes, closed: bool = True) -> bytes:
    body = b"".join(elements)
    return ITEM + (struct.pack("<I", len(body)) + body if closed else OPEN + body + ITEM_END)


LATIN, CYRILLIC = b"\xe4b", b"ISO_IR 144"
ODD = {
    "UN of defined length with a sequence's tag": element(
        0x00081140, "UN", item(struct.pack("<HHI", 8, 0x1150, 4) + b"1.2\0")
    ),
    "UN of undefined length, implicit within": element(
        0x00091010, "UN", item(struct.pack("<HHI", 8, 0x1150, 4) + b"1.2\0", closed=False) + SEQUENCE_END, 0xFFFFFFFF
    ),
    "implicit items in an explicit sequence": element(
        0x00081140, "SQ", item(struct.pack("<HHI", 8, 0x1150, 4) + b"1.2\0")
    ),
    "OB of undefined length that is no pixel data": element(0x00420011, "OB", item(b"abcd") + SEQUENCE_END, 0xFFFFFFFF)
    + element(0x00420012, "LO", b"ab"),
    "encapsulated pixels within an icon": element(
        0x00880200,
        "SQ",
        item(element(0x7FE00010, "OB", item() + item(b"abcd") + SEQUENCE_END, 0xFFFFFFFF), closed=False) + SEQUENCE_END,
        0xFFFFFFFF,
    )
    + element(0x01000410, "CS", b"YES"),
    "an item with a set of its own": element(
        0x00081140, "SQ", item(element(0x00080005, "CS", CYRILLIC), element(0x00081030, "LO", LATIN))
    )
    + element(0x00101010, "AS", b"045Y"),
    "an item that inherits the set": element(0x00080005, "CS", CYRILLIC)
    + element(0x00081140, "SQ", item(element(0x00081030, "LO", LATIN))),
    "file meta behind the dataset": element(0x00081030, "LO", b"ab") + element(0x00020016, "AE", b"ABCD"),
    "a creator with padding": element(0x00090010, "LO", b"GEMS_IDEN_01 \0") + element(0x00091001, "UN", b"ABCD"),
    "a creator without a block": element(0x00091101, "UN", b"AB") + element(0x00090012, "LO", b"ABCD"),
    "private below the creators' range": element(0x00090002, "LO", b"ABCD"),
    "repeating groups that are not 50xx or 60xx": element(0x00203101, "CS", b"AB") + element(0x7F000010, "OW", b"ABCD"),
    "element without VR": struct.pack("<HHI", 8, 0x1030, 4) + b"abcd",
    "tags out of order": element(0x00101010, "AS", b"045Y") + element(0x00081030, "LO", b"b"),
    "a tag twice": element(0x00081030, "LO", b"a ") + element(0x00081030, "LO", b"b "),
    "a long value": element(0x00420011, "UN", b"x" * 70_000),
    "a long value within a long sequence": element(0x00081140, "SQ", item(element(0x00420011, "UT", b"x" * 20_000))),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_structures_equal_the_oracle(name: str) -> None:
    assert all_differences(the_kernel(), [small_file(ODD[name])]) == []


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("inside", [0, 1, None])
def test_us_or_ss_follows_the_nearest_pixel_representation(signed: int, inside: int | None) -> None:
    """Implicit VR only: explicit files say which (PS3.5 A.1)."""

    def implicit(tag: int, value: bytes) -> bytes:
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value

    own = implicit(0x00280103, struct.pack("<H", inside)) if inside is not None else b""
    data = file_of(
        implicit(0x00080018, b"1.2\0")
        + implicit(0x00081140, item(own + implicit(0x00280106, b"\xff\xff")))
        + implicit(0x00280103, struct.pack("<H", signed))
        + implicit(0x00280106, b"\xff\xff"),
        SYNTAXES[0],
    )
    expected = expected_header(data)
    nested = signed if inside is None else inside
    assert expected["SmallestImagePixelValue"] == (-1 if signed else 65_535)
    assert expected["ReferencedImageSequence"][0]["SmallestImagePixelValue"] == (-1 if nested else 65_535)
    assert all_differences(the_kernel(), [data]) == []


OUT_OF_ORDER = {
    "a private creator behind its block": element(0x00091001, "UN", b"ABCD")
    + element(0x00090010, "LO", b"GEMS_IDEN_01"),
    "text before the set that it is in": element(0x00081030, "LO", LATIN) + element(0x00080005, "CS", CYRILLIC),
    "an item that empties the set": element(0x00080005, "CS", CYRILLIC)
    + element(0x00081140, "SQ", item(element(0x00080005, "CS", b""), element(0x00081030, "LO", LATIN))),
}


@pytest.mark.parametrize("name", OUT_OF_ORDER)
def test_what_governs_a_value_may_stand_behind_it(name: str) -> None:
    assert all_differences(the_kernel(), [small_file(OUT_OF_ORDER[name])]) == []
