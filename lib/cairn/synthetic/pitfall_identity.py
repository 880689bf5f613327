"""Images that say wrongly, twice or too often whose they are (the part on identity of the list of pitfalls)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cairn.synthetic import documents
from cairn.synthetic.bench import PEOPLE, Bench, changed
from cairn.synthetic.encoding import EXPLICIT, Attributes, Raw, Typed
from cairn.synthetic.modules import SeriesContext
from cairn.synthetic.people import CHANGED_OFFSET, TWIN_EVERY, Person, person
from cairn.synthetic.series import Built, Instance, write

FOLDER = "odd/identity"


def _patient_ids(who: Person) -> dict[str, Attributes]:
    """Return PatientID as it comes, for a person whose number is known."""
    return {
        "patient_id_absent": {"PatientID": None},
        "patient_id_blank": {"PatientID": "    "},
        "patient_id_empty": {"PatientID": ""},
        "patient_id_twice_same": {"PatientID": [who.chi, who.chi]},
        "patient_id_twice_different": {"PatientID": [who.chi, who.local_number]},
        "patient_id_nul_prefix": {"PatientID": Raw("LO", b"\0\0" + who.chi.encode())},
        "patient_id_too_long": {"PatientID": f"{who.chi}-{who.hospital}-01"},
        "patient_id_local_number": {"PatientID": who.local_number, "IssuerOfPatientID": who.hospital},
        "patient_id_nine_digits": {"PatientID": who.chi.lstrip("0")[:9]},
        "patient_id_spaced": {"PatientID": f"{who.chi[:6]} {who.chi[6:]}"},
        "patient_id_placeholder": {"PatientID": f"46{who.chi[:8]}"},
        "patient_id_bad_check_digit": {"PatientID": who.chi[:9] + str((int(who.chi[9]) + 1) % 10)},
        "chi_in_accession_number": {"AccessionNumber": f"A{who.chi}"},
        "chi_in_study_id": {"StudyID": who.chi},
        "chi_in_description": {"StudyDescription": f"CT CHEST {who.chi} URGENT", "SeriesDescription": who.chi},
        "chi_in_private_tag": {0x00990010: Typed("LO", "LOCAL PACS"), 0x00991001: Typed("LO", f"chi={who.chi}")},
        "chi_in_sequence": {
            "RequestAttributesSequence": [
                {"RequestedProcedureID": who.chi, "ReasonForTheRequestedProcedure": f"see {who.name.split('=')[0]}"}
            ]
        },
        "chi_in_binary_private_tag": {
            0x00990010: Typed("LO", "LOCAL PACS"),
            0x00991002: Typed("OB", b"\1\0" + who.chi.encode()),
        },
        "name_in_comments": {
            "ImageComments": f"Ptnt {who.given_name} {who.family_name}, DOB {who.birth_date:%d.%m.%y}"
        },
    }


def write_identities(bench: Bench) -> None:
    """Put every doubtful identity on the shelf."""
    for label in _patient_ids(bench.person("")):
        who = bench.person(label)
        changes = _patient_ids(who)[label]
        bench.image(label, {"SpecificCharacterSet": "ISO_IR 192", **changes}, name=f"{FOLDER}/{label}.dcm")
    who = bench.person("chi_in_file_name")
    bench.image("chi_in_file_name", name=f"{FOLDER}/{who.chi}_CT_20160504.dcm")
    _replaced_number(bench)
    _several_patients(bench)
    _disagreement(bench)
    _shared_series(bench)
    _two_contents(bench)
    _twins(bench)


def _put(bench: Bench, label: str, name: str, instance: Instance, who: Person, **truth: Any) -> None:
    bench.place(f"{FOLDER}/{label}/{name}", instance, label, who=who, **truth)


def _replaced_number(bench: Bench) -> None:
    """Two studies of a person whose CHI changed: one under the old number, one under the new."""
    who = person(bench.seed, CHANGED_OFFSET)
    for number, chi in (("old", who.previous_chi), ("new", who.chi)):
        label = f"chi_changed_{number}"
        (instance,) = write(bench.ct(label, {"PatientID": chi, "OtherPatientIDs": None}, who=who))
        _put(bench, label, f"{number}.dcm", instance, who)


def _several_patients(bench: Bench) -> None:
    """One study UID with images of two people, each instance saying whose it is."""
    label = "several_patients_in_study"
    built = bench.ct(label, count=4)
    others = [bench.person(label), person(bench.seed, (bench.person(label).index + 3) % PEOPLE)]
    for number, instance in enumerate(_one_by_one(built, others)):
        _put(bench, label, f"{number}.dcm", instance, others[number % 2])


def _one_by_one(built: Built, people: list[Person]) -> list[Instance]:
    """Return the instances of a series, the people taking turns as patients."""
    instances: list[Instance] = []
    for number, own in enumerate(built.own):
        who = people[number % len(people)]
        identity: Attributes = {
            "PatientName": who.name,
            "PatientID": who.chi,
            "PatientSex": who.sex,
            "SpecificCharacterSet": who.character_set or None,
        }
        instances += write(changed(replace(built, own=[own]), identity))
    return instances


def _disagreement(bench: Bench) -> None:
    """A study whose images disagree about its date, description and the patient's sex."""
    label = "study_tags_disagree"
    built, who = bench.ct(label, count=3), bench.person(label)
    changes: list[Attributes] = [
        {},
        {"StudyDate": "20160505", "StudyDescription": "CT CHEST ABDO"},
        {"PatientSex": "O"},
    ]
    for number, (own, change) in enumerate(zip(built.own, changes, strict=True)):
        (instance,) = write(changed(replace(built, own=[own]), change))
        _put(bench, label, f"{number}.dcm", instance, who)


def _shared_series(bench: Bench) -> None:
    """A report that carries the SeriesInstanceUID of the images that it is about."""
    label = "sr_shares_series"
    built, who = bench.ct(label, count=2), bench.person(label)
    context = SeriesContext(built.context.study, 2, built.context.model, "SR", "Report", "", 1)
    report = changed(documents.report(context, built), {"SeriesInstanceUID": built.common["SeriesInstanceUID"]})
    for number, instance in enumerate([*write(built), *write(report)]):
        _put(bench, label, f"{number}.dcm", instance, who)


def _two_contents(bench: Bench) -> None:
    """One SOPInstanceUID, two contents: the same image sent again with a corrected description."""
    label = "sop_instance_uid_two_contents"
    built, who = bench.ct(label), bench.person(label)
    changes: list[Attributes] = [{}, {"SeriesDescription": "AXIAL corrected"}]
    for number, change in enumerate(changes):
        (instance,) = write(changed(built, change), EXPLICIT)
        _put(bench, label, f"{number}.dcm", instance, who, duplicate="differing", is_primary=None)


def _twins(bench: Bench) -> None:
    """Twins: same surname, birth date, address board or not, two numbers."""
    label = "twins"
    for index in (TWIN_EVERY, TWIN_EVERY + 1):
        who = person(bench.seed, index)
        (instance,) = write(bench.ct(f"{label}{index}", who=who))
        _put(bench, label, f"{index}.dcm", instance, who)
