"""The verifier finds what was planted, names place and rule, never the value, and lets clean files pass."""

from __future__ import annotations

import io
import zlib

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from cairn.verify.known import fold, known_of, words_of
from cairn.verify.patterns import CHI, MAIL, NHS_NUMBER, PHONE, POSTCODE, patterns_in
from cairn.verify.search import BIRTH_DATE, DATE, UID, UNREADABLE, WORD, check_file, check_text, search_folder

SURNAME, CHI_NUMBER = "Featherstone", "0101701234"


def original() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5.6.7"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.4.5.6.8", "1.2.3.4.5.6.9"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = f"{SURNAME}^Zebedee", CHI_NUMBER, "19700101"
    dataset.AccessionNumber, dataset.StudyDate, dataset.ReferringPhysicianName = (
        "ACC7712345",
        "20200317",
        "Quill^Peregrine",
    )
    dataset.Modality, dataset.BodyPartExamined, dataset.StudyDescription = "CT", "CHEST", "CT chest"
    return dataset


def clean() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "2.25.1111111111"
    dataset.StudyInstanceUID, dataset.StudyDate = "2.25.222222222", "20190101"
    dataset.PatientID, dataset.Modality, dataset.BodyPartExamined = "abcdefghijklmnop", "CT", "CHEST"
    dataset.StudyDescription = "CT chest"
    return dataset


def bytes_of(dataset: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    file = FileDataset("", dataset, file_meta=meta, preamble=bytes(128))
    out = io.BytesIO()
    pydicom.dcmwrite(out, file, enforce_file_format=True)
    return out.getvalue()


KNOWN = known_of(bytes_of(original()))


def planted(**values: object) -> bytes:
    dataset = clean()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return bytes_of(dataset)


def nested(keyword: str, value: object, depth: int) -> bytes:
    inner = Dataset()
    setattr(inner, keyword, value)
    for _ in range(depth):
        outer = Dataset()
        outer.RequestAttributesSequence = [inner]
        inner = outer
    dataset = clean()
    dataset.update(inner)
    return bytes_of(dataset)


def test_a_clean_file_passes() -> None:
    assert check_file(KNOWN, bytes_of(clean())) == []


def test_the_original_itself_does_not() -> None:
    rules = {place.rule for place in check_file(KNOWN, bytes_of(original()))}
    assert {WORD, UID, DATE} <= rules


PLANTED = [
    ({"SeriesDescription": f"seen {SURNAME}"}, WORD, "(0008,103E)"),
    ({"SeriesDescription": SURNAME.upper()}, WORD, "(0008,103E)"),
    ({"SeriesDescription": f"X{SURNAME.lower()}2"}, WORD, "(0008,103E)"),
    ({"PatientComments": "zebedee"}, WORD, "(0010,4000)"),
    ({"StudyID": CHI_NUMBER}, WORD, "(0020,0010)"),
    ({"SeriesDescription": "ACC7712345"}, WORD, "(0008,103E)"),
    ({"OperatorsName": "Peregrine"}, WORD, "(0008,1070)"),
    ({"FrameOfReferenceUID": "1.2.3.4.5.6.8"}, UID, "(0020,0052)"),
    ({"SeriesDescription": "of 1.2.3.4.5.6.7"}, UID, "(0008,103E)"),
    ({"StudyDate": "20200317"}, DATE, "(0008,0020)"),
    ({"SeriesDescription": "born 01/01/1970"}, BIRTH_DATE, "(0008,103E)"),
    ({"ImageComments": "dob 1970-01-01"}, BIRTH_DATE, "(0020,4000)"),
    ({"ImageComments": "mail to a.b@example.org"}, MAIL, "(0020,4000)"),
    ({"ImageComments": "of EH16 4SA"}, POSTCODE, "(0020,4000)"),
]


@pytest.mark.parametrize(("values", "rule", "place"), PLANTED)
def test_what_is_planted_is_found_at_its_place(values: dict[str, object], rule: str, place: str) -> None:
    found = check_file(KNOWN, planted(**values))
    assert (place, rule) in {(one.where, one.rule) for one in found}
    assert SURNAME.upper() not in repr(found).upper()


@pytest.mark.parametrize("depth", [1, 3])
def test_what_is_planted_within_sequences_is_found(depth: int) -> None:
    found = check_file(KNOWN, nested("ScheduledProcedureStepDescription", f"for {SURNAME}", depth))
    assert [place.rule for place in found] == [WORD]
    assert found[0].where.count("[1]") == depth


def test_private_elements_and_unknown_vrs_are_searched() -> None:
    dataset = clean()
    block = dataset.private_block(0x0019, "SOMEBODY", create=True)
    block.add_new(0x01, "UN", f"{SURNAME} ".encode())
    assert WORD in {place.rule for place in check_file(KNOWN, bytes_of(dataset))}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-16-le", "utf-16-be"])
def test_bytes_that_belong_to_no_element_are_searched(encoding: str) -> None:
    dirty = bytes_of(clean()) + bytes(7) + SURNAME.encode(encoding)
    assert WORD in {place.rule for place in check_file(KNOWN, dirty)}


def test_compressed_text_is_inflated() -> None:
    dataset = clean()
    dataset.private_block(0x0019, "SOMEBODY", create=True).add_new(
        0x01, "OB", zlib.compress(f"of {SURNAME}".encode() * 3)
    )
    assert WORD in {place.rule for place in check_file(KNOWN, bytes_of(dataset))}


def test_accents_and_order_do_not_hide_a_name() -> None:
    first = original()
    first.SpecificCharacterSet, first.PatientName = "ISO_IR 100", "Müllerström^Zoë"
    known = known_of(bytes_of(first))
    for text in ("Zoë Müllerström", "MULLERSTROM, ZOE", "mullerstrom"):
        assert WORD in check_text(known, text)


def test_words_of_codes_are_no_finding_where_codes_stand() -> None:
    first = original()
    first.PatientName = "Chest^Phantom"
    assert check_file(known_of(bytes_of(first)), bytes_of(clean())) != []  # the description says CT chest
    without = clean()
    del without.StudyDescription
    assert check_file(known_of(bytes_of(first)), bytes_of(without)) == []


def test_what_cannot_be_read_is_a_finding() -> None:
    broken = bytes_of(clean())[:140] + b"\xff" * 50
    assert {place.rule for place in check_file(KNOWN, broken)} <= {UNREADABLE}
    with pytest.raises(ValueError, match="cannot read"):
        known_of(b"")


PATTERNS = [
    ("2903600000", None),
    ("9990170123", None),
    ("943 476 5919", NHS_NUMBER),
    ("a@b.org", MAIL),
    ("0131 536 1000", PHONE),
    ("EH16 4SA", POSTCODE),
    ("Series 12 of 30", None),
    ("1.25mm B30f", None),
    ("100 600 1000", None),
    ("2.25.1012345678901", None),
]


@pytest.mark.parametrize(("text", "rule"), PATTERNS)
def test_patterns(text: str, rule: str | None) -> None:
    found = list(patterns_in(text))
    if rule is None:
        assert found == []
    elif rule:
        assert rule in found


def test_a_chi_needs_a_date_and_a_check_digit() -> None:
    stem = "120365432"
    valid = [digit for digit in "0123456789" if CHI in patterns_in(stem + digit)]
    assert len(valid) == 2  # modulus 11, modulus 10
    assert CHI not in patterns_in("990365432" + valid[0])


@given(st.text(max_size=30))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll"], max_codepoint=0x17F), min_size=7, max_size=20))
def test_any_name_is_found_in_any_case(name: str) -> None:
    words = words_of([name])
    if not words:
        return  # a letter again and again says nothing
    from cairn.verify.search import Matcher

    for text in (name, name.upper(), f"a {name.title()} b"):
        assert Matcher(words).found(fold(text))


def test_a_folder_is_searched_by_content_and_name(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "clean.log").write_text("nothing here")
    (tmp_path / "a" / "dirty.log").write_bytes(b"x" + SURNAME.encode("utf-16-le"))
    (tmp_path / f"{CHI_NUMBER}.txt").write_text("")
    assert search_folder(tmp_path, [SURNAME, CHI_NUMBER]) == [f"{CHI_NUMBER}.txt", "a/dirty.log"]


def test_original_uids_made_of_a_uuid_are_found_in_text() -> None:
    first = original()
    first.SeriesInstanceUID = "2.25.69435490824545428283433002508639652459"
    known = known_of(bytes_of(first))
    assert UID in check_text(known, "see 2.25.69435490824545428283433002508639652459")
    assert (UID, "(0008,103E)") in {
        (place.rule, place.where)
        for place in check_file(known, planted(SeriesDescription=f"of {first.SeriesInstanceUID}"))
    }


def test_somebody_who_is_called_like_a_maker_keeps_the_makers_images() -> None:
    maker = "Featherstone Imaging"
    assert check_file(KNOWN, planted(Manufacturer=maker, ManufacturerModelName=maker)) == []
    assert rules_of(planted(Manufacturer=maker, StudyDescription=SURNAME)) == {WORD}
    twice = planted(Manufacturer=maker) + b"\0" * 64 + maker.encode()
    assert rules_of(twice) == {WORD}, "only where a maker's name belongs"


def rules_of(made: bytes) -> set[str]:
    return {place.rule for place in check_file(KNOWN, made)}
