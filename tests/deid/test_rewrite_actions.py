"""One file in, one file out: each action, each encoding, each depth, read again by pydicom."""

from __future__ import annotations

import datetime
import io
import warnings

import pytest
from deid_files import CT, ENCODINGS, KEY, OTHER, kept, minimal, reread, rewriter, written
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from cairn.deid.keys import MasterKey
from cairn.deid.profile import Profile
from cairn.deid.pseudonyms import Pseudonyms
from cairn.deid.rewrite import Refused
from cairn.deid.table import profile_rows

SECONDARY = "1.2.840.10008.5.1.4.1.1.7"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("PatientName", "Smith^John", ""),
        ("PatientBirthDate", "19500102", ""),
        ("AccessionNumber", "A123456", ""),
        ("PatientSex", "F", "F"),
        ("PatientAge", "045Y", "045Y"),
        ("PatientAge", "093Y", "090Y"),
        ("PatientAge", "SMITH", None),
        ("PatientWeight", "72.50", 72.5),
        ("OperatorsName", "Jones^A", None),
        ("StudyTime", "101112.5", "101112.5"),
        ("StudyTime", "SMITH", ""),
        ("StudyDate", "", ""),
        ("StudyDate", "notadate", ""),
        ("PatientAddress", "1 High Street", None),
        ("InstitutionAddress", "1 Hospital Road", None),
        ("SliceThickness", "1.250000", 1.25),
        ("ConvolutionKernel", ["B30f", "C"], ["B30f", "C"]),
        ("WindowCenter", ["40", "-600"], [40, -600]),
        ("ReferencedSOPClassUID", CT, CT),
        ("OtherPatientIDs", ["A1", "B2"], None),
        ("TimezoneOffsetFromUTC", "+0100", None),
        ("StudyComments", "anything", None),
        ("Rows", 512, 512),
        ("NameOfPhysiciansReadingStudy", "Jones^B", None),
    ],
)
def test_an_element_at_the_top(encoding: str, keyword: str, value: object, expected: object):
    ds = reread(rewriter()(written(minimal(**{keyword: value}), encoding)))
    assert ds.get(keyword) == expected
    assert ds.file_meta.TransferSyntaxUID == ENCODINGS[encoding][0]


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_depth_is_treated_alike(encoding: str, undefined: bool):
    inner = Dataset()
    inner.PatientName = "Smith^John"
    inner.StudyDate = "20200302"
    inner.ReferencedSOPInstanceUID = "1.2.3.4.5"
    inner.ScheduledProcedureStepDescription = "for Mrs Smith"
    inner.SliceThickness = "2.5"
    inner.add_new(0x00091010, "LO", "SMITH")
    inner.add_new(0x60003000, "OW", b"SMITHSMITH")
    carrier = inner
    for keyword in ("ReferencedImageSequence", "DerivationImageSequence", "PerFrameFunctionalGroupsSequence"):
        outer = Dataset()
        setattr(outer, keyword, Sequence([carrier, carrier]))
        carrier = outer
    ds = minimal(PatientName="Smith^John")
    ds.update(carrier)
    made = rewriter()(written(ds, encoding, undefined))
    found = reread(made)
    item = found.PerFrameFunctionalGroupsSequence[1].DerivationImageSequence[0].ReferencedImageSequence[1]
    assert item.ReferencedSOPInstanceUID == found.SOPInstanceUID == kept(made).sop_instance_uid
    assert item.SliceThickness == 2.5
    assert datetime.datetime.strptime(item.StudyDate, "%Y%m%d").date() - datetime.date(
        2020, 3, 2
    ) == datetime.timedelta(Pseudonyms([KEY]).days("0101011237"))
    assert not {Tag(0x00091010), Tag(0x60003000)} & set(item.keys())
    assert b"SMITH" not in kept(made).tobytes().upper()


def test_the_result_says_how_it_was_made():
    ds = reread(rewriter()(written(minimal(ContentDate="20200101", Rows=4))))
    assert ds.PatientIdentityRemoved == "YES"
    assert ds.DeidentificationMethod.startswith("Cairn research ")
    assert {item.CodeValue for item in ds.DeidentificationMethodCodeSequence} == {
        "113100", "113103", "113104", "113105", "113107", "113108", "113111"
    }  # fmt: skip
    assert all(item.CodingSchemeDesignator == "DCM" for item in ds.DeidentificationMethodCodeSequence)
    assert ds.LongitudinalTemporalInformationModified == "MODIFIED"
    assert list(ds.keys()) == sorted(ds.keys())
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert "SourceApplicationEntityTitle" not in ds.file_meta


def test_what_an_earlier_de_identification_said_is_replaced():
    ds = minimal(PatientIdentityRemoved="NO", DeidentificationMethod="by J Smith", Rows=4)
    ds.LongitudinalTemporalInformationModified = "REMOVED"
    ds.DeidentificationMethodCodeSequence = Sequence([Dataset()])
    ds.DeidentificationMethodCodeSequence[0].CodeMeaning = "by J Smith"
    made = reread(rewriter()(written(ds)))
    assert made.PatientIdentityRemoved == "YES"
    assert "Smith" not in str(made)
    assert kept(rewriter()(written(ds))).tobytes().count(b"\x12\0\x64\0SQ") == 1
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    basic = reread(rewriter("basic")(written(ds)))
    assert basic.LongitudinalTemporalInformationModified == "REMOVED"
    assert [item.CodeValue for item in basic.DeidentificationMethodCodeSequence] == ["113100"]


@pytest.mark.parametrize(
    ("vr", "value", "moved"),
    [
        ("DA", "20200229", "%Y%m%d"),
        ("DA", "2020.02.29", "%Y.%m.%d"),
        ("DT", "20200229101112.123456+0100", "%Y%m%d101112.123456+0100"),
        ("DT", "20200229", "%Y%m%d"),
    ],
)
def test_dates_move_by_the_persons_days(vr: str, value: str, moved: str):
    ds = minimal()
    tag = 0x00080022 if vr == "DA" else 0x0008002A
    ds.add_new(tag, vr, value)
    days = Pseudonyms([KEY]).days("0101011237")
    expected = (datetime.date(2020, 2, 29) + datetime.timedelta(days)).strftime(moved)
    assert str(reread(rewriter()(written(ds)))[tag].value) == expected


def test_private_elements_stay_only_where_they_are_safe():
    ds = minimal()
    block = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x08, "CS", "SMITH")
    ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", b"SMITH")
    ds.add_new(0x00310001, "LO", "SMITH")
    ds.add_new(0x00331010, "LO", "SMITH")  # a block without a creator
    made = reread(rewriter()(written(ds)))
    assert {int(element.tag) for element in made if element.tag.is_private} == {0x00190010, 0x0019100C}
    assert not any(element.tag.is_private for element in reread(rewriter("basic")(written(ds))))


def test_a_safe_private_element_with_another_vr_goes():
    ds = minimal()
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "LO", "SMITH")
    assert not any(element.tag.is_private for element in reread(rewriter()(written(ds))))


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00280010, "LO", "SMITH"),  # Rows as text
        (0x00181210, "PN", "Smith^J"),  # a kernel as a person's name
        (0x00181210, "OB", b"SMITH "),
        (0x00180050, "UT", "SMITH"),
        (0x00189999, "LO", "SMITH"),  # unknown to the dictionary
        (0x00080005 + 0x00010000, "LO", "SMITH"),
        (0x00180022, "SQ", "sequence"),
        (0x00081150, "UI", "SMITH"),
        (0x00080016, "UI", "SMITH"),
    ],
)
def test_a_wrong_vr_carries_nothing_through(tag: int, vr: str, value: object):
    ds = minimal()
    if vr == "SQ":
        inner = Dataset()
        inner.SoftwareVersions = "SMITH"
        value = Sequence([inner])
    ds.add_new(tag, vr, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = rewriter()(written(ds))
    assert b"SMITH" not in kept(made).tobytes().upper()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_numbers_that_are_none_do_not_pass(encoding: str):
    ds = minimal(SliceThickness="123456", InstanceNumber="654321", SliceLocation="-1.5e+02 ")
    block = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "100000")
    data = (
        written(ds, encoding).replace(b"123456", b"SMITHS").replace(b"654321", b"SMITHS").replace(b"100000", b"SMITHS")
    )
    assert data[132:].count(b"SMITHS") == 3
    out = kept(rewriter()(data)).tobytes()
    assert b"SMITH" not in out
    assert b"-1.5e+02" in out


def test_un_with_a_known_tag_is_read_by_the_dictionary():
    ds = minimal()
    ds.add_new(0x00100010, "UN", b"Smith^John")
    ds.add_new(0x00080020, "UN", b"20200302")
    ds.add_new(0x0020000E, "UN", b"1.2.3.4.1\0")
    ds.add_new(0x00180050, "UN", b"1.5 ")
    made = rewriter()(written(ds))
    out = kept(made).tobytes()
    assert b"Smith" not in out and b"20200302" not in out and b"1.2.3.4.1\0" not in out
    assert reread(made)[0x00180050].value in (1.5, b"1.5 ")


def test_an_own_value_in_what_no_rule_acts_on_is_cleaned():
    ds = minimal(PatientName="Quillfeather^Ann", SoftwareVersions="V1 quillfeather", Manufacturer="ACME")
    made = rewriter()(written(ds))
    assert b"QUILLFEATHER" not in kept(made).tobytes().upper()
    assert "DEID_OWN_VALUE" in kept(made).findings
    assert reread(made).Manufacturer == "ACME"
    ds = minimal(PatientName="Quillfeather^Ann", SoftwareVersions="V1", Manufacturer="ACME")
    assert kept(rewriter()(written(ds))).findings == ()


def test_a_dummy_sequence_keeps_its_shape_and_says_nothing():
    item = Dataset()
    item.VerifyingObserverName = "Jones^B"
    item.VerifyingOrganization = "Royal Infirmary"
    item.VerificationDateTime = "20200302101112"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "JONESB", "99LOCAL", "Doctor Jones"
    item.PersonIdentificationCodeSequence = Sequence([code])
    ds = minimal("1.2.840.10008.5.1.4.1.1.88.11", VerifyingObserverSequence=Sequence([item]))
    made = reread(rewriter()(written(ds)))
    assert made.VerifyingObserverSequence[0].VerifyingObserverName == "ANONYMIZED"
    assert not any(word in str(made).upper() for word in ("JONES", "ROYAL"))


def test_an_encapsulated_document_is_withheld():
    ds = minimal("1.2.840.10008.5.1.4.1.1.104.1", EncapsulatedDocument=b"%PDF-1.4 Smith")
    assert rewriter()(written(ds)) == Refused("DEID_DOCUMENT")


def test_an_overlay_within_the_pixels_is_told():
    ds = minimal(SECONDARY)
    ds.add_new(0x60000102, "US", 12)
    assert "DEID_OVERLAY_IN_PIXELS" in kept(rewriter()(written(ds))).findings
    ds.add_new(0x60000102, "US", 0)
    assert kept(rewriter()(written(ds))).findings == ()


def test_a_patient_within_a_sequence_is_who_they_are():
    other = Dataset()
    other.PatientID = "1904851231"
    ds = minimal(ReferencedImageSequence=Sequence([other, minimal()]))
    made = reread(rewriter()(written(ds)))
    theirs = reread(rewriter()(written(minimal(PatientID="1904851231"))))
    assert made.ReferencedImageSequence[0].PatientID == theirs.PatientID != made.PatientID
    assert made.ReferencedImageSequence[1].PatientID == made.PatientID


def test_a_rule_may_admit_documents():
    ds = minimal(
        "1.2.840.10008.5.1.4.1.1.104.3", EncapsulatedDocument=b"solid", MIMETypeOfEncapsulatedDocument="model/stl"
    )
    own = {"media_type": "model/stl", "reason": "surfaces hold no text here"}
    admits = Profile.model_validate({"name": "own", "admit_documents": [own]})
    assert reread(rewriter(admits)(written(ds))).EncapsulatedDocument.startswith(b"solid")
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    assert rewriter(admits)(written(ds)) == Refused("DEID_DOCUMENT")


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "EMPTY_FILE"), (b"hello world, this is a text file" * 20, "NOT_DICOM"), (bytes(4000), "NOT_DICOM")],
)
def test_what_is_no_dicom(data: bytes, code: str):
    assert rewriter()(data) == Refused(code)


def test_a_file_cut_anywhere_never_raises_and_never_leaks():
    ds = minimal(PatientName="Quillfeather^Ann", Rows=2, Columns=2, PatientComments="Quillfeather")
    ds.ReferencedImageSequence = Sequence([minimal(PatientName="Quillfeather^Ann")])
    whole = written(ds)
    for undefined in (False, True):
        whole = written(ds, undefined=undefined)
        for end in range(132, len(whole), 3):
            made = rewriter_cache(whole[:end])
            if not isinstance(made, Refused):
                assert b"QUILL" not in made.tobytes().upper()


rewriter_cache = rewriter()


def test_pixels_are_passed_on_and_not_copied():
    ds = minimal(SECONDARY, Rows=64, Columns=64, BitsAllocated=8, SamplesPerPixel=1)
    ds.PixelData = bytes(range(256)) * 16
    data = written(ds)
    made = kept(rewriter()(data))
    assert any(isinstance(part, memoryview) and len(part) >= 4096 for part in made.parts)
    assert reread(made).PixelData == ds.PixelData
    assert made.tobytes()[made.pixels_at : made.pixels_at + 4] == b"\xe0\x7f\x10\x00"


def test_truncated_pixels_get_a_true_length():
    ds = minimal(SECONDARY, Rows=64, Columns=64, BitsAllocated=8)
    ds.PixelData = bytes(4096)
    made = kept(rewriter()(written(ds)[:-1001]))
    assert "DEID_PIXELS_TRUNCATED" in made.findings
    again = dcmread(io.BytesIO(made.tobytes()))
    assert len(again.PixelData) == 3096


def test_bytes_behind_the_pixels_do_not_leave():
    ds = minimal(SECONDARY, BitsAllocated=8)
    ds.PixelData = bytes(16)
    made = kept(rewriter()(written(ds) + b"SMITH JOHN"))
    assert b"SMITH" not in made.tobytes()
    assert "DEID_TRAILING_BYTES" in made.findings


def test_two_keys_share_nothing():
    ds = minimal(StudyDate="20200302", FrameOfReferenceUID="1.2.9", StationName="CT1", PatientName="A^B")
    both = [
        reread(rewriter(keys=keys)(written(ds))) for keys in ((KEY,), (OTHER,), (KEY, MasterKey("p", OTHER.secret)))
    ]
    for keyword in (
        "SOPInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "StudyDate", "StationName"
    ):  # fmt: skip
        assert len({str(made[keyword].value) for made in both}) == 3, keyword


def test_every_row_at_every_depth_leaves_no_mark():
    """A simple conformance test; the thorough one is made by others."""
    binary = {"SQ", "OB", "OW", "UN", "FD", "FL", "US", "UL", "SS", "SL", "UV"}
    for row in profile_rows():
        tag = 0 if not row.pattern.isalnum() or row.pattern == "private" else int(row.pattern.replace("x", "0"), 16)
        if tag >> 16 in (0, 2, 4):
            continue
        try:
            vr = dictionary_VR(tag)
        except KeyError:
            continue
        if vr in binary or "or" in vr:
            continue
        mark = {"UI": "1.9.87654321.123", "DA": "19870605", "DT": "19870605101112", "TM": "MARK"}.get(
            vr, "MARKMARKMARK"
        )
        mark = {"AS": "MARK", "DS": "876.54321", "IS": "87654321"}.get(vr, mark)
        inner = Dataset()
        inner.add_new(tag, vr, mark)
        middle = Dataset()
        middle.DerivationImageSequence = Sequence([inner])
        ds = minimal(CT, SharedFunctionalGroupsSequence=Sequence([middle]))
        ds.add_new(tag, vr, mark)
        block = ds.private_block(0x0099, "CARRIER", create=True)
        block.add_new(1, "SQ", Sequence([inner]))
        for undefined in (False, True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = rewriter_basic(written(ds, undefined=undefined))
            assert mark.encode() not in kept(made).tobytes(), row


rewriter_basic = rewriter("basic")


def test_a_file_without_an_instance_uid_gets_one():
    for nothing in ("absent", ""):
        ds = minimal()
        if nothing == "absent":
            del ds.SOPInstanceUID
        else:
            ds.SOPInstanceUID = ""
        made = rewriter()(written(ds))
        after = reread(made)
        assert after.SOPInstanceUID == after.file_meta.MediaStorageSOPInstanceUID == kept(made).sop_instance_uid
        assert after.SOPInstanceUID.startswith("2.25.")
        assert kept(made).tobytes().count(b"\x08\0\x18\0UI") == 1


def test_types_decide_compound_actions():
    assert "InstanceCreationDate" not in reread(rewriter("basic")(written(minimal(InstanceCreationDate="20200101"))))
    structures = minimal("1.2.840.10008.5.1.4.1.1.481.3", StructureSetLabel="SMITH", StructureSetDate="20200101")
    made = reread(rewriter("basic")(written(structures)))
    assert (made.StructureSetLabel, made.StructureSetDate) == ("ANONYMIZED", "")
    assert tag_for_keyword("StructureSetLabel") in made
