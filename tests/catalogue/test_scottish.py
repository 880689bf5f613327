"""Documents in the Scottish service's layout: the rows that come of them are those that come of the files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import bson
import pydicom
import pytest
from scottish_writer import document

sys.path.append(str(Path(__file__).resolve().parents[1] / "dicom"))

from made_headers import element, small_file
from variant_decoder import decoded

from cairn.catalogue.scottish import entry_of, header_of, tag_of, uri_of
from cairn.dicom.kernel import HeaderKernel
from cairn.errors import CairnError, EntryError
from cairn.tables.instance import INSTANCE, PROJECTED

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
SHARED = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "dicom"
KERNEL = HeaderKernel(INSTANCE.columns)

FROM_FILE_META = {"transfer_syntax_uid", "implementation_version_name", "source_application_entity_title"}
"""Columns that no document can tell: the service keeps the dataset only."""
FRAGMENTS = {"UN_sequence.dcm", "priv_SQ.dcm", "no_meta_group_length.dcm"}
"""Files whose SOPInstanceUID stands in the file meta only."""


def parsed(data: bytes) -> dict[str, Any] | None:
    batch = KERNEL.parse([data])
    return batch.table.to_pylist()[0] if batch.table.num_rows else None


def pulled(made: dict[str, Any]) -> tuple[Any, list[str]]:
    written, findings = header_of(bson.decode(bson.encode(made)))
    return parsed(written.data), [finding.code for finding in findings]


def lost_in_document(data: bytes) -> set[str]:
    """Return the columns that come from an element whose bytes the service does not keep (OB, OW, OV, UN)."""
    dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data), force=True)
    tags = [tag for tag in sorted(dataset.keys()) if str(dataset.get_item(tag).VR) in ("OB", "OW", "OV", "UN")]
    lost = {pydicom.datadict.keyword_for_tag(tag) for tag in tags}
    return {column.name for column in PROJECTED if {path.split(".")[0] for path in column.paths} & lost}


def differences(data: bytes, made: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the columns that differ between what comes of a file and of its document."""
    true = parsed(data)
    assert true is not None
    row, _ = pulled(made)
    if row is None:
        return {"row": (true, None)}
    exempt = FROM_FILE_META | lost_in_document(data)
    return {c.name: (true[c.name], row[c.name]) for c in PROJECTED
            if c.name not in exempt and repr(true[c.name]) != repr(row[c.name])}  # fmt: skip


def real_files() -> list[Path]:
    files = [path for path in sorted(PACKAGED.glob("*.dcm")) if path.name not in FRAGMENTS]
    return [*files, *(sorted(SHARED.rglob("*.dcm"))[::7] if SHARED.exists() else [])]


def test_columns_of_real_files_come_out_of_their_documents() -> None:
    wrong, seen = {}, 0
    for path in real_files():
        if path.stat().st_size > 3_000_000:
            continue
        data = path.read_bytes()
        if parsed(data) is None:
            continue
        try:
            made = document(data, path.name, len(data))
        except Exception:  # noqa: BLE001 - what pydicom cannot read has no document
            continue
        seen += 1
        found = differences(data, made)
        if b"\x08\x00\x18\x00" not in data:  # only the file meta information names it, which no document has
            found = {name: both for name, both in found.items() if name not in ("sop_class_uid", "sop_instance_uid")}
        if found:
            wrong[path.name] = found
    assert seen > 60
    assert wrong == {}


ITEM = element(0x00080100, "SH", b"T-1 ") + element(0x00080104, "LO", b"Head")


def in_sequence(tag: int, body: bytes) -> bytes:
    return element(tag, "SQ", b"\xfe\xff\x00\xe0" + len(body).to_bytes(4, "little") + body)


@pytest.mark.parametrize(
    "body",
    [
        element(0x00080008, "CS", b"ORIGINAL\\PRIMARY ") + element(0x00180050, "DS", b" 1.250"),
        element(0x00280010, "US", b"\x00\x02") + element(0x00189322, "FD", b"\0" * 16),
        element(0x00280009, "AT", b"\x18\x00\x63\x10"),
        in_sequence(0x00082218, ITEM),
        in_sequence(0x00082218, b""),
        element(0x00080005, "CS", b"ISO_IR 100") + element(0x00100010, "PN", "Müller^Jörg ".encode("latin-1")),
        element(0x00080005, "CS", b"ISO_IR 144") + element(0x00100010, "PN", "Люк".encode("iso8859-5") + b" "),
        element(0x00080005, "CS", b"\\ISO 2022 IR 87 ")
        + element(0x00100010, "PN", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B "),
        element(0x00100010, "PN", "Müller".encode("latin-1") + b" "),  # nothing declared
        element(0x00190010, "LO", b"SIEMENS MR HEADER ") + element(0x0019100C, "IS", b"1000"),
        element(0x00280106, "SS", b"\xff\xff") + element(0x00280103, "US", b"\1\0"),
        element(0x60000010, "US", b"\x10\0") + element(0x60020010, "US", b"\x20\0"),
        element(0x00080020, "DA", b"2010.03.05") + element(0x0020000D, "UI", b"1.2.3\0"),
        element(0x00081140, "SQ", b"") + element(0x00104000, "LT", b"two \\ parts "),
    ],
)
def test_every_kind_of_value_comes_back(body: bytes) -> None:
    data = small_file(element(0x00080060, "CS", b"CT") + body)
    made = document(data, "a.dcm", len(data))
    assert differences(data, made) == {}
    true, row = parsed(data), pulled(made)[0]
    assert true is not None
    whole = {key: value for key, value in decoded(**true["header"]).items() if not key.startswith(META)}
    assert decoded(**row["header"]) == whole
    own = {finding["code"] for finding in row["findings"]} - {finding["code"] for finding in true["findings"]}
    assert own <= {"CHARSET_UNDECLARED_UTF8"}


META = ("FileMeta", "MediaStorage", "TransferSyntax", "Implementation", "SourceApplication", "00020")


def test_keys_name_tags() -> None:
    named = {"SliceThickness": 0x00180050, "(0019,100c:SIEMENS MR HEADER)-BValue": 0x0019100C,
             "(0009,0010)-PrivateCreator": 0x00090010, "(6002,0010)-OverlayRows": 0x60020010,
             "(0029,1010:A (b,c)-d)-X": 0x00291010, "NoSuchKeyword": None, "header": None}  # fmt: skip
    assert {key: tag_of(key) for key in named} == named


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"NoSuchKeyword": "x"}, ""),
        ({"Rows": {"a": 1}}, "(0028,0010)"),
        ({"Rows": [1 << 40]}, "(0028,0010)"),
        ({"PatientName": 7}, "(0010,0010)"),
        ({"(0019,1010:M)-Unknown": {"vr": "ZZ", "val": [1]}}, "(0019,1010)"),
        ({"ProcedureCodeSequence": ["x"]}, "(0008,1032)"),
        ({"ProcedureCodeSequence": [{"CodeValue": [1]}]}, "(0008,1032)(0008,0100)"),
    ],
)
def test_what_dicom_does_not_have_is_a_finding_and_the_rest_stays(changes: dict[str, Any], place: str) -> None:
    made = {"header": {"DicomFilePath": "a"}, "SOPInstanceUID": "1.2.3", "Modality": "CT", **changes}
    written, findings = header_of(made)
    assert [(finding.code, finding.place) for finding in findings] == [("CATALOGUE_ELEMENT", place)]
    row = parsed(written.data)
    assert row is not None and (row["modality"], row["sop_instance_uid"]) == ("CT", "1.2.3")


def test_text_that_its_declared_set_cannot_hold_is_kept_as_utf8() -> None:
    row, codes = pulled({"SOPInstanceUID": "1.2.3", "SpecificCharacterSet": "ISO_IR 100", "PatientName": "Люк"})
    assert row["patient_name"] == "Люк" and codes == ["CATALOGUE_CHARSET"]


def test_broken_text_and_text_in_a_numbers_place_stay() -> None:
    row, codes = pulled({"SOPInstanceUID": "1.2.3", "SpecificCharacterSet": "ISO_IR 100", "PatientName": "M\ufffdller"})
    assert row["patient_name"] == "M\ufffdller" and codes == ["CATALOGUE_CHARSET"]
    row, codes = pulled({"SOPInstanceUID": "1.2.3", "Rows": "64"})
    assert row["rows"] == 64 and codes == []


def test_bytes_that_a_service_kept_are_taken() -> None:
    made = {"SOPInstanceUID": "1.2.3", "(0019,1010:M)-Unknown": {"vr": "OB", "val": b"\1\2"},
            "(0019,0010)-PrivateCreator": {"vr": "LO", "val": "M"},
            "RedPaletteColorLookupTableData": [1, 258]}  # fmt: skip
    held = decoded(**pulled(made)[0]["header"])
    assert (held["00191010"], held["RedPaletteColorLookupTableData"]) == (b"\1\2", b"\1\0\2\1")


@pytest.mark.parametrize(
    ("path", "root", "uri"),
    [
        ("2010/a b.dcm", "file:///data/", "file:///data/2010/a%20b.dcm"),
        ("2010/x.zip!s/a.dcm", "s3a://archive/pacs", "s3a://archive/pacs/2010/x.zip!/s/a.dcm"),
        ("/data/a.dcm", "", "file:///data/a.dcm"),
        ("/data/a.dcm", "hdfs://name:8020/x", "hdfs://name:8020/data/a.dcm"),
    ],
)
def test_paths_become_addresses(path: str, root: str, uri: str) -> None:
    assert uri_of(path, root) == uri


def test_relative_paths_need_a_root() -> None:
    with pytest.raises(CairnError, match="CATALOGUE_ROOT_UNSET"):
        uri_of("a.dcm", "")


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"header": "x"},
        {"header": {"DicomFilePath": ""}},
        {"header": {"DicomFilePath": 3}},
        {"header": {"DicomFilePath": "a", "DicomFileSize": "b"}},
    ],
)
def test_documents_without_an_entry_are_told(broken: dict[str, Any]) -> None:
    with pytest.raises(EntryError, match="CATALOGUE_DOCUMENT"):
        entry_of(broken)
