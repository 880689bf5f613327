"""The verifier finds what is planted into what leaves, wherever and however, and nothing where nothing is."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from deid_files import minimal, rewriter, written
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cairn.deid.rewrite import Kept
from cairn.verify.known import Known, known_of
from cairn.verify.patterns import patterns_in
from cairn.verify.search import check_file, check_text, check_texts, search_folder

PERSON = {
    "PatientName": "Quillfeather^Ann Émilie",
    "PatientID": "0101011237",
    "PatientBirthDate": "19010103",
    "StudyDate": "20200517",
    "AccessionNumber": "RX7730045",
}
KNOWN = known_of(written(minimal(**PERSON)))


def clean(**attributes: object) -> Dataset:
    ds = minimal(**attributes)
    ds.PatientID, ds.SOPInstanceUID = "A" * 5 + "B7" * 5, "2.25.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "2.25.2", "2.25.3"
    return ds


def rules(made: bytes) -> set[str]:
    return {place.rule for place in check_file(KNOWN, made)}


@pytest.mark.parametrize(
    ("keyword", "value", "rule"),
    [
        ("SeriesDescription", "for Quillfeather", "own_value"),
        ("SeriesDescription", "QUILLFEATHER, ANN", "own_value"),
        ("SeriesDescription", "quillfeatherann", "own_value"),
        ("SeriesDescription", "Emilie", "own_value"),
        ("SeriesDescription", "no. rx7730045", "own_value"),
        ("SeriesDescription", "ID 0101011237", "own_value"),
        ("SeriesDescription", "ID 010101 1237", "own_value"),
        ("SeriesDescription", "born 03/01/1901", "birth_date"),
        ("SeriesDescription", "born 3 Jan 1901", "birth_date"),
        ("SeriesDescription", "born 1901-01-03", "birth_date"),
        ("StudyDate", "20200517", "original_date"),
        ("FrameOfReferenceUID", "1.2.3.4", "original_uid"),
        ("SeriesDescription", "of 1.2.3.4.5", "original_uid"),
        ("SeriesDescription", "a.b@nhs.example", "mail"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_what_is_planted_is_found(keyword: str, value: str, rule: str, nested: bool):
    ds = clean()
    if nested and keyword != "StudyDate":  # a date is the original's at its own path
        ds.ReferencedImageSequence = Sequence([Dataset()])
        setattr(ds.ReferencedImageSequence[0], keyword, value)
    else:
        setattr(ds, keyword, value)
    assert rule in rules(written(ds))


def test_nothing_is_found_where_nothing_is():
    ds = clean(SeriesDescription="T2 AX FSE 1.25mm Circle of Willis", StudyDate="20200611", SliceThickness="1.25")
    assert check_file(KNOWN, written(ds)) == []


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1", "utf-16-le", "utf-16-be"])
def test_bytes_behind_the_last_element_are_searched(encoding: str):
    assert "own_value" in rules(written(clean()) + "Quillfeather".encode(encoding))


def test_private_bytes_and_compressed_bytes_are_searched():
    for data in (b"\1\2Quillfeather\0", zlib.compress(b"Quillfeather " * 9)):
        ds = clean()
        ds.private_block(0x0019, "ACME", create=True).add_new(1, "OB", data + b"\0" * (len(data) % 2))
        assert "own_value" in rules(written(ds))


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 126", "Διονυσιος"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    ],
)
def test_names_in_any_script_are_found_in_their_own_and_in_unicode(charset: str | list[str], name: str):
    known = known_of(written(minimal(SpecificCharacterSet=charset, PatientName=name)))
    own = [] if charset == "ISO_IR 13" else [charset]  # pydicom writes half-width kana in names only
    for other in [*own, "ISO_IR 192"]:
        made = written(clean(SpecificCharacterSet=other, SeriesDescription=name.split("=")[-1].replace("^", " ")))
        assert "own_value" in {place.rule for place in check_file(known, made)}


def test_columns_are_searched_like_texts():
    cells = ["brain", None, "Quillfeather", "brain", "b. 03.01.1901", "1.2.3.4.5", 7]
    found = check_texts({"series_description": cells, "label": ["fine"]}, [KNOWN] * 7)
    assert [(place.where, place.rule) for place in found] == [
        ("series_description[2]", "own_value"),
        ("series_description[4]", "birth_date"),
        ("series_description[5]", "original_uid"),
    ]


def test_a_report_holds_no_value():
    said = repr(KNOWN) + repr(check_file(KNOWN, written(clean(SeriesDescription="Quillfeather 0101011237"))))
    assert "uill" not in said.lower() and "01010" not in said


def test_what_cannot_be_read_is_found_and_cannot_be_known():
    assert "unreadable" in rules(b"\0" * 40 + b"nothing")
    with pytest.raises(ValueError, match="pydicom cannot read it"):
        known_of(b"\0" * 40 + b"nothing")


def test_what_the_rewriter_makes_passes_and_the_original_does_not():
    original = written(minimal(**PERSON, SeriesDescription="Quillfeather head"))
    made = rewriter()(original)
    assert isinstance(made, Kept)
    assert check_file(KNOWN, made.tobytes()) == []
    assert {"own_value", "original_uid", "original_date"} <= rules(original)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("3112991230", {"chi"}),
        ("3112991239", set()),
        ("943 476 5919", {"nhs_number"}),  # the NHS Data Dictionary's example
        ("EH1 3EG", {"postcode"}),
        ("B30F 1.25", set()),
        ("07700 900123", {"phone"}),
        ("1.2.840.10008.5.1.4.1.1.2", set()),
    ],
)
def test_patterns(text: str, names: set[str]):
    assert set(patterns_in(text)) == names


def test_folders_are_searched_by_content_and_name(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "log.txt").write_text("INFO read quillfeather\n")
    (tmp_path / "a" / "clean.txt").write_text("INFO read 3 entries\n")
    (tmp_path / "b").write_bytes(b"\0" + "Quillfeather".encode("utf-16-le"))
    (tmp_path / "0101011237.dcm").write_bytes(b"")
    assert search_folder(tmp_path, ["Quillfeather", "0101011237"]) == ["0101011237.dcm", "a/log.txt", "b"]
    assert search_folder(tmp_path, []) == []


def test_nothing_known_finds_nothing():
    assert check_text(Known(frozenset(), frozenset(), {}), "Quillfeather") == []
