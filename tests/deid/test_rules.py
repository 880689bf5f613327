"""The profile: Table E.1-1 as the standard's JSON has it, options, own rules, and what is not listed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom._private_dict import private_dictionaries
from pydicom.datadict import tag_for_keyword

from cairn.deid.profile import Profile, load_profile, parse_tag
from cairn.deid.rules import Action, RuleSet, decide_compound, explain
from cairn.deid.table import OPTIONS, attribute_type, profile_rows, safe_private_elements
from cairn.deid.unlisted import describing, identifying
from cairn.errors import CairnError

CONF = Path(__file__).resolve().parents[2] / "conf" / "deid"
CT = "1.2.840.10008.5.1.4.1.1.2"


def rules(*options: str, **others: object) -> RuleSet:
    return RuleSet(Profile.model_validate({"name": "test", "options": list(options), **others}))


def action(made: RuleSet, keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return made.rule(tag).action.name


@pytest.mark.parametrize(
    ("keyword", "basic", "options", "with_options"),
    [
        ("PatientName", "EMPTY", "patient_characteristics", "EMPTY"),
        ("PatientID", "COMPOUND", "", "COMPOUND"),
        ("PatientSex", "EMPTY", "patient_characteristics", "KEEP"),
        ("PatientAge", "REMOVE", "patient_characteristics", "KEEP"),
        ("Allergies", "REMOVE", "patient_characteristics", "CLEAN"),
        ("StudyDate", "EMPTY", "modified_dates", "SHIFT"),
        ("StudyDate", "EMPTY", "full_dates", "KEEP"),
        ("StudyInstanceUID", "UID", "modified_dates", "UID"),
        ("StudyInstanceUID", "UID", "uids", "KEEP"),
        ("StudyDescription", "REMOVE", "clean_descriptors", "CLEAN"),
        ("ContentSequence", "DUMMY", "clean_structured_content", "KEEP"),
        ("GraphicAnnotationSequence", "DUMMY", "clean_graphics", "KEEP"),
        ("DeviceSerialNumber", "COMPOUND", "device_identity", "KEEP"),
        ("InstitutionName", "COMPOUND", "institution_identity", "KEEP"),
        ("EncapsulatedDocument", "DOCUMENT", "clean_descriptors", "DOCUMENT"),
        ("SourceImageSequence", "KEEP", "", "KEEP"),
        ("TimezoneOffsetFromUTC", "REMOVE", "modified_dates", "SHIFT"),
        ("SliceThickness", "KEEP", "", "KEEP"),
        ("SOPClassUID", "KEEP", "", "KEEP"),
    ],
)
def test_an_action_follows_the_table_and_the_options(keyword: str, basic: str, options: str, with_options: str):
    assert action(rules(), keyword) == basic
    assert action(rules(*options.split()), keyword) == with_options


def test_every_row_of_the_table_is_acted_on_without_options():
    made = rules()
    for row in profile_rows():
        if row.pattern == "private":
            continue
        tag = int(row.pattern.replace("x", "0"), 16)
        rule = made.rule(tag)
        if row.basic != "X/Z/U*":
            assert rule.action != Action.KEEP, row
        if tag >> 16 not in (0, 2, 4, 0x5000, 0x6000):
            assert row.name in rule.source, row


def test_the_shipped_table_is_the_standards(reference):
    """Against the table's JSON as published, read here by other code."""
    published = {
        row["id"]: (row["basicProfile"], {name: row[key] for name, key in OPTIONS.items() if key in row})
        for row in reference("ps315_table_e1_1_2026c.json")
    }
    shipped = {row.pattern: (row.basic, row.options) for row in profile_rows()}
    assert len(shipped) == len(published) == 656
    assert shipped.pop("private") == published.pop("ggggeeee-where-gggg-is-odd")
    assert shipped == published


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (0x00090010, "REMOVE"),
        (0x00191008, "REMOVE"),
        (0x00181FFF, "REMOVE"),  # unknown
        (0x60003000, "REMOVE"),
        (0x60223000, "REMOVE"),
        (0x60000010, "REMOVE"),
        (0x50043000, "REMOVE"),
        (0x00100000, "REMOVE"),  # group length
        (0x00020010, "REMOVE"),
        (0x7FE00010, "KEEP"),
    ],
)
def test_unknown_private_and_repeating_groups_fail_closed(tag: int, expected: str):
    assert rules("clean_graphics", "safe_private").rule(tag).action.name == expected


def test_attributes_that_the_table_does_not_list_go_by_what_they_can_hold():
    made = rules("modified_dates")
    listed = {row.pattern for row in profile_rows()}
    from pydicom._dicom_dict import DicomDictionary

    for tag, (vr, _, _, _retired, keyword) in DicomDictionary.items():
        if f"{tag:08x}" in listed or tag >> 16 in (0, 2, 4, 0xFFFE) or tag & 0xFFFF == 0:
            continue
        if tag in identifying() | describing():
            continue
        name = made.rule(tag).action.name
        if vr in ("PN", "AE", "UR"):
            assert name == "DUMMY", keyword
        elif vr in ("DA", "DT", "TM"):
            assert name == "SHIFT", keyword
        elif vr in ("LT", "ST", "UT"):
            assert name == "CLEAN", keyword
        elif vr == "UI":
            kind = any(word in keyword for word in ("Class", "TransferSyntax", "CodingScheme", "Context", "Mapping"))
            assert name == "UID" or kind, keyword


@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        ("X/Z/D", "1", "DUMMY"), ("X/Z/D", "1C", "DUMMY"), ("X/Z/D", "2", "EMPTY"), ("X/Z/D", "2C", "EMPTY"),
        ("X/Z/D", "3", "REMOVE"), ("X/Z/D", None, "DUMMY"), ("X/Z", "1", "EMPTY"), ("X/Z", "3", "REMOVE"),
        ("X/D", "2", "DUMMY"), ("X/D", "3", "REMOVE"), ("Z/D", "2", "EMPTY"), ("Z/D", "1", "DUMMY"),
        ("Z/D", "3", "EMPTY"),
        ("X", "1", "REMOVE"), ("Z", None, "EMPTY"), ("D", "3", "DUMMY"), ("U", None, "UID"),
    ],
)  # fmt: skip
def test_compound_actions_decide_by_type(code: str, kind: str | None, expected: str):
    assert decide_compound(code, kind).name == expected


@pytest.mark.parametrize(
    ("sop_class", "keyword", "kind"),
    [
        (CT, "StudyDate", "2"), (CT, "AccessionNumber", "2"), (CT, "StudyDescription", "3"), (CT, "ContentDate", "2C"),
        (CT, "ContentSequence", "3"), ("1.2.840.10008.5.1.4.1.1.481.3", "StructureSetLabel", "1"),
        ("1.2.840.10008.5.1.4.1.1.88.11", "ContentDate", "1"), ("1.2.3", "StudyDate", None),
    ],
)  # fmt: skip
def test_types_are_those_of_ps3_3(sop_class: str, keyword: str, kind: str | None):
    assert attribute_type(sop_class, (parse_tag(keyword),)) == kind


def test_safe_private_elements_are_in_pydicoms_dictionary_with_that_vr():
    for (creator, group, low), (vr, _) in safe_private_elements().items():
        entry = private_dictionaries[creator][f"{group:04X}xx{low:02X}"]
        assert entry[0] == vr
        assert vr not in ("PN", "UN", "OB", "SQ")


def test_safe_private_elements_stay_only_with_their_creator_and_option():
    assert rules("safe_private").rule(0x0019100C, "SIEMENS MR HEADER").action == Action.KEEP
    assert rules("safe_private").rule(0x0019100C, "SMITH^JOHN").action == Action.REMOVE
    assert rules("safe_private").rule(0x0019100C).action == Action.REMOVE
    assert rules().rule(0x0019100C, "SIEMENS MR HEADER").action == Action.REMOVE


def test_a_sites_rule_is_stronger_and_changes_the_digest():
    own = {"tag": "SliceThickness", "action": "remove", "reason": "a test of the rule"}
    made = rules(overrides=[own])
    assert action(made, "SliceThickness") == "REMOVE"
    assert "a test of the rule" in explain(made, parse_tag("(0018,0050)"))
    assert made.digest != rules().digest
    assert rules("uids", "full_dates").digest == rules("full_dates", "uids").digest


@pytest.mark.parametrize(
    "content",
    [
        "options: [everything]\nname: a",
        "name: a\noverrides: [{tag: SliceThickness, action: shred, reason: long enough a reason}]",
        "name: a\noverrides: [{tag: NoSuchTag, action: keep, reason: long enough a reason}]",
        "name: a\noverrides: [{tag: SliceThickness, action: keep}]",
        "name: a\noverrides: [{tag: SliceThickness, action: keep, reason: short}]",
        "name: a\nprivate: [{creator: X, element: '(0018,xx10)', vr: LO, reason: an even group}]",
        "name: a\noption: []",
        "- a",
        "",
    ],
)
def test_a_wrong_profile_cannot_be_loaded(tmp_path: Path, content: str):
    path = tmp_path / "profile.yaml"
    path.write_text(content)
    with pytest.raises(CairnError) as caught:
        load_profile(path)
    assert caught.value.code == "PROFILE_RULE"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["research.yaml", "basic.yaml"])
def test_the_shipped_profiles_load(name: str):
    made = RuleSet(load_profile(CONF / name))
    assert action(made, "PatientID") == "PERSON"
    assert len(made.digest) == 64


@pytest.mark.parametrize("text", ["(0010,0010)", "00100010", "0010,0010", "PatientName"])
def test_tags_in_every_spelling(text: str):
    assert parse_tag(text) == 0x00100010


def test_an_unknown_tag_names_the_nearest():
    with pytest.raises(CairnError, match="PatientName"):
        parse_tag("PatientNam")


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [
        ("PatientBirthDateInAlternativeCalendar", "COMPOUND"),
        ("PlacerOrderNumberProcedure", "COMPOUND"),
        ("HumanPerformerCodeSequence", "COMPOUND"),
        ("EncryptedAttributesSequence", "COMPOUND"),
        ("AuthorIdentificationSequence", "COMPOUND"),
        ("LUTExplanation", "CLEAN"),
        ("SegmentLabel", "CLEAN"),
        ("ICCProfile", "ICC"),
        ("DimensionDescriptionLabel", "KEEP"),
        ("CodeMeaning", "KEEP"),
        ("Manufacturer", "KEEP"),
        ("ManufacturerModelName", "KEEP"),
        ("SequenceName", "KEEP"),
        ("SoftwareVersions", "KEEP"),
    ],
)
def test_what_keywords_tell_of_attributes_that_the_table_lacks(keyword: str, expected: str):
    tag = tag_for_keyword(keyword)
    assert f"{tag:08x}" not in {row.pattern for row in profile_rows()}
    assert action(rules("clean_descriptors"), keyword) == expected
