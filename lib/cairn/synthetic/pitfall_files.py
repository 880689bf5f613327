"""Files that are cut, mislabelled, empty, no DICOM at all, or oddly named: what real archives hold as files."""

from __future__ import annotations

import struct

from pydicom.uid import MediaStorageDirectoryStorage

from cairn.synthetic.bench import Bench
from cairn.synthetic.documents import pdf_bytes
from cairn.synthetic.draws import uid
from cairn.synthetic.encoding import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    Attributes,
    Raw,
    Syntax,
    count_elements,
    encode,
    file_meta,
    part10,
)
from cairn.synthetic.series import Instance, write
from cairn.synthetic.truth import ANY, PARSED, instance_truth

FOLDER = "odd/files"
_SOP_INSTANCE_UID = b"\x08\x00\x18\x00UI"
_SERIES_INSTANCE_UID = b"\x20\x00\x0e\x00UI"
_PIXEL_DATA = b"\xe0\x7f\x10\x00OW"


def _one(bench: Bench, label: str, syntax: Syntax = EXPLICIT, changes: Attributes | None = None) -> Instance:
    (instance,) = write(bench.ct(label, changes), syntax)
    return instance


def _meta_end(data: bytes) -> int:
    """Return where the dataset begins."""
    return 144 + int.from_bytes(data[140:144], "little")


def write_files(bench: Bench) -> None:
    """Put every odd file on the shelf."""
    _no_dicom(bench)
    _cut(bench)
    _without_parts(bench)
    _mislabelled(bench)
    _lying(bench)
    _named(bench)
    _directory(bench)


def _no_dicom(bench: Bench) -> None:
    """Text, PDF and other strangers; nothing at all."""
    bench.reject(f"{FOLDER}/empty.dcm", b"", "zero_bytes", "EMPTY_FILE")
    strangers = {
        "one_byte": b"\0",
        "text_file": b"Dear colleague,\nthe images follow by post.\n",
        "csv_file": b"PatientID,StudyDate\n0101011237,20160504\n",
        "pdf_file": pdf_bytes(),
        "html_file": b"<html><body><p class=MsoNormal>Report&nbsp;of 4 May</p></body></html>",
        "jpeg_file": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bench.draws("jpeg_file").raw_bytes(400),
        "random_bytes": b"\xc7\x91" + bench.draws("random_bytes").raw_bytes(3000),
        "zeros": bytes(4096),
        "desktop_file": b"\0\0\0\1Bud1\0\0\x10\0\0\0\x08\0" + bytes(500),
    }
    for label, data in strangers.items():
        bench.reject(f"{FOLDER}/{label}.dcm", data, label, "NOT_DICOM")


def _cut(bench: Bench) -> None:
    """Files that end too early: no loss as long as the SOP Instance UID was reached."""
    label = "truncated_header_early"
    data = _one(bench, label).data
    cut = data[: data.index(_SOP_INSTANCE_UID, _meta_end(data)) + 10]
    bench.reject(f"{FOLDER}/{label}.dcm", cut, label, "HEADER_TRUNCATED")
    label = "truncated_in_meta"
    bench.reject(f"{FOLDER}/{label}.dcm", _one(bench, label).data[:180], label, "HEADER_TRUNCATED")
    label = "truncated_after_prefix"
    bench.reject(f"{FOLDER}/{label}.dcm", _one(bench, label).data[:132], label, "HEADER_TRUNCATED")
    for label, where, findings in (
        ("truncated_header_late", _SERIES_INSTANCE_UID, ["HEADER_TRUNCATED"]),
        ("truncated_pixels", _PIXEL_DATA, []),
    ):
        instance = _one(bench, label)
        cut = instance.data[: instance.data.index(where, _meta_end(instance.data)) + 21]
        truth = instance_truth(instance, bench.person(label)) | {"elements": None, "findings": findings}
        if label == "truncated_header_late":
            truth["series_instance_uid"] = None
        bench.oddity(f"{FOLDER}/{label}.dcm", cut, label, **truth)


def _stated(bench: Bench, label: str, instance: Instance, data: bytes, **truth: object) -> None:
    facts = instance_truth(instance, bench.person(label)) | truth
    bench.oddity(f"{FOLDER}/{label}.dcm", data, label, **facts)


def _without_parts(bench: Bench) -> None:
    """No preamble, no file meta, neither; something after the end."""
    instance = _one(bench, "no_preamble")
    _stated(bench, "no_preamble", instance, instance.data[132:])
    for label, syntax in (("no_meta_implicit", IMPLICIT), ("no_meta_explicit", EXPLICIT)):
        instance = _one(bench, label, syntax)
        dataset = instance.data[_meta_end(instance.data) :]
        _stated(bench, label, instance, dataset, transfer_syntax_uid=None)
        _stated(
            bench,
            f"{label}_with_prefix",
            instance,
            bytes(128) + b"DICM" + dataset,
            transfer_syntax_uid=None,
            duplicate="differing",
            is_primary=None,
        )
        bench.entries[-2].duplicate, bench.entries[-2].is_primary = "differing", None
    instance = _one(bench, "trailing_garbage")
    _stated(
        bench,
        "trailing_garbage",
        instance,
        instance.data + b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0" + bytes(8),
        elements=None,
    )
    instance = _one(bench, "preamble_in_use")
    _stated(bench, "preamble_in_use", instance, b"II*\0" + instance.data[4:])
    instance = _one(bench, "prefix_without_preamble")
    bench.oddity(f"{FOLDER}/prefix_without_preamble.dcm", instance.data[128:], "prefix_without_preamble", ANY)


def _relabelled(instance: Instance, uid_text: str) -> bytes:
    """Return the file with another transfer syntax in its meta."""
    dataset = instance.data[_meta_end(instance.data) :]
    return file_meta(instance.sop_class_uid, instance.sop_instance_uid, uid_text) + dataset


def _mislabelled(bench: Bench) -> None:
    """Big endian and deflated as they should be; meta that says one thing while the dataset is another."""
    for label, syntax in (("big_endian", BIG_ENDIAN), ("deflated", DEFLATED)):
        _stated(bench, label, instance := _one(bench, label, syntax), instance.data)
    instance = _one(bench, "meta_says_implicit")
    _stated(
        bench, "meta_says_implicit", instance, _relabelled(instance, IMPLICIT.uid), transfer_syntax_uid=IMPLICIT.uid
    )
    instance = _one(bench, "meta_says_explicit", IMPLICIT)
    _stated(
        bench, "meta_says_explicit", instance, _relabelled(instance, EXPLICIT.uid), transfer_syntax_uid=EXPLICIT.uid
    )
    instance = _one(bench, "private_transfer_syntax")
    private = "1.3.46.670589.33.1.4.1"
    _stated(bench, "private_transfer_syntax", instance, _relabelled(instance, private), transfer_syntax_uid=private)
    label = "deflate_corrupt"
    head = file_meta("1.2.840.10008.5.1.4.1.1.2", uid(bench.seed, label), DEFLATED.uid)
    bench.reject(f"{FOLDER}/{label}.dcm", head + b"\xff\xff" + bytes(range(200)), label, "DEFLATE_CORRUPT")
    label = "deflate_cut"
    data = _one(bench, label, DEFLATED).data
    bench.oddity(f"{FOLDER}/{label}.dcm", data[: _meta_end(data) + 900], label, ANY)


def _lying(bench: Bench) -> None:
    """Lengths that cannot be, tags twice, nesting without end."""
    label = "length_4_gib_late"
    instance = _one(bench, label, changes={0x00430010: None, 0x00431029: Raw("OB", bytes(80), 0xFFFFFFFE)})
    truth = instance_truth(instance, bench.person(label)) | {"elements": None, "findings": ["HEADER_TRUNCATED"]}
    bench.oddity(f"{FOLDER}/{label}.dcm", instance.data, label, **truth)
    label = "length_4_gib_early"
    data = _one(bench, label, changes={0x00080006: Raw("UN", bytes(8), 0xFFFFFFF0)}).data
    bench.reject(f"{FOLDER}/{label}.dcm", data, label, "HEADER_TRUNCATED")
    label = "length_too_short"
    data = _one(bench, label, changes={"SeriesDescription": Raw("LO", b"AXIAL CHEST WITH CONTRAST ", 4)}).data
    bench.oddity(f"{FOLDER}/{label}.dcm", data, label, ANY)
    label = "item_longer_than_sequence"
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 5000) + bytes(16)
    data = _one(bench, label, changes={"RequestAttributesSequence": Raw("SQ", item)}).data
    bench.oddity(f"{FOLDER}/{label}.dcm", data, label, ANY)
    label = "vr_garbage"
    data = _one(bench, label, changes={"SeriesDescription": Raw("??", b"AXIAL ")}).data
    bench.oddity(f"{FOLDER}/{label}.dcm", data, label, ANY)
    label = "duplicate_tag"
    instance = _one(bench, label)
    at = instance.data.index(_PIXEL_DATA, _meta_end(instance.data))
    twice = encode({"RescaleType": "US"}, EXPLICIT)
    _stated(bench, label, instance, instance.data[:at] + twice + instance.data[at:], findings=["DUPLICATE_TAG"])
    label = "nesting_10000"
    bench.reject(f"{FOLDER}/{label}.dcm", _bottomless(bench, label), label, "HEADER_TOO_DEEP")


def _bottomless(bench: Bench, label: str, depth: int = 10_000) -> bytes:
    """Return a file whose sequences of undefined length nest `depth` deep."""
    instance = _one(bench, label)
    head = instance.data[_meta_end(instance.data) : instance.data.index(_PIXEL_DATA, _meta_end(instance.data))]
    start = struct.pack("<HH2sHIHHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    at = head.index(b"\x43\x00\x10\x00LO")
    return part10(
        instance.sop_class_uid, instance.sop_instance_uid, head[:at] + start * depth + end * depth + head[at:], EXPLICIT
    )


def _named(bench: Bench) -> None:
    """Names without extension, with spaces and other bytes, in hidden folders, linked in circles."""
    names: dict[str, str | bytes] = {
        "name_no_extension": f"{FOLDER}/IM000017",
        "name_spaces": f"{FOLDER}/a folder  with spaces/image 1 (copy).dcm",
        "name_not_utf8": f"{FOLDER}/caf".encode() + b"\xe9 \xff.dcm",
        "name_utf8": f"{FOLDER}/ìomhaigh 画像.dcm",
        "name_percent": f"{FOLDER}/100%20 %zz.dcm",
        "name_url_marks": f"{FOLDER}/what?really#yes&no.dcm",
        "name_exclamation": f"{FOLDER}/urgent!.dcm",
        "name_quote": f'{FOLDER}/o\'neill "x" $(id) \\.dcm',
        "name_hidden_folder": f"{FOLDER}/.hidden/.1.2.3.dcm",
        "name_long": f"{FOLDER}/{'long' * 60}.dcm",
        "name_wrong_extension": f"{FOLDER}/report.pdf",
        "name_leading_underscore": f"{FOLDER}/_temporary/_1.dcm",
    }
    for label, name in names.items():
        bench.place(name, _one(bench, label), label)
    bench.entries.append(bench.shelf.link("odd/links/loop", "..", "LINK_LOOP", "link_loop"))
    bench.entries.append(bench.shelf.link("odd/links/broken.dcm", "nowhere/at/all.dcm", "LINK_BROKEN", "link_broken"))


def _directory(bench: Bench) -> None:
    """A DICOMDIR: a dataset without SOP Instance UID, which is DICOM all the same (PS3.3 F)."""
    records: list[Attributes] = []
    for kind in ("PATIENT", "STUDY", "SERIES", "IMAGE"):
        records.append(
            {
                "OffsetOfTheNextDirectoryRecord": 0,
                "RecordInUseFlag": 0xFFFF,
                "OffsetOfReferencedLowerLevelDirectoryEntity": 0,
                "DirectoryRecordType": kind,
                "ReferencedFileID": ["FILES", "IM000017"] if kind == "IMAGE" else "",
            }
        )
    dataset: Attributes = {
        "FileSetID": "CAIRN",
        "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity": 0,
        "OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity": 0,
        "FileSetConsistencyFlag": 0,
        "DirectoryRecordSequence": records,
    }
    data = part10(MediaStorageDirectoryStorage, uid(bench.seed, "dicomdir"), encode(dataset, EXPLICIT), EXPLICIT)
    facts = {
        "sop_class_uid": str(MediaStorageDirectoryStorage),
        "transfer_syntax_uid": EXPLICIT.uid,
        "elements": count_elements(dataset),
    }
    bench.oddity(f"{FOLDER}/DICOMDIR", data, "dicomdir", PARSED, **facts)
