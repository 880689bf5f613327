"""Attributes that every kind of object shares: patient, study, equipment, series (PS3.3 C.7)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cairn.synthetic.draws import Draws, uid
from cairn.synthetic.encoding import Attributes
from cairn.synthetic.people import Person
from cairn.synthetic.reference import Model


@dataclass(frozen=True)
class Study:
    """One examination of one person.

    Parameters
    ----------
    seed : int
        The archive's seed.
    index : int
        Number within the archive.
    person : Person
        Whose it is.
    start : datetime.datetime
        When it began, local time.
    modality : str
        Of the main images.
    description : str
        StudyDescription.
    pixel_size : int
        Rows and columns of a slice, ``phantoms.SMALL`` or ``phantoms.FULL``.
    """

    seed: int
    index: int
    person: Person
    start: dt.datetime
    modality: str
    description: str
    pixel_size: int

    @property
    def uid(self) -> str:
        """StudyInstanceUID."""
        return uid(self.seed, "study", self.index)

    def draws(self, purpose: str, *index: int | str) -> Draws:
        """Return draws that belong to this study."""
        return Draws(self.seed, purpose, self.index, *index)


@dataclass(frozen=True)
class SeriesContext:
    """What a maker of series needs to know.

    Parameters
    ----------
    study : Study
        Where the series belongs.
    number : int
        SeriesNumber.
    model : Model
        The device.
    modality : str
        Modality of the series.
    description, body_part : str
        As real archives have them; either may be empty.
    count : int
        Instances wanted, frames for objects that are one multi-frame instance.
    """

    study: Study
    number: int
    model: Model
    modality: str
    description: str
    body_part: str
    count: int

    @property
    def uid(self) -> str:
        """SeriesInstanceUID."""
        return uid(self.study.seed, "series", self.study.index, self.number)

    def instance_uid(self, number: int) -> str:
        """SOPInstanceUID of the series' `number`-th instance."""
        return uid(self.study.seed, "instance", self.study.index, self.number, number)

    def draws(self, purpose: str) -> Draws:
        """Return draws that belong to this series."""
        return self.study.draws(purpose, self.number)

    def time(self, seconds: float = 0.0) -> dt.datetime:
        """Return the series' start, or so many seconds later; series follow each other by four minutes."""
        return self.study.start + dt.timedelta(minutes=4 * self.number, seconds=seconds)


def date_text(moment: dt.date) -> str:
    """Return a DA value."""
    return f"{moment.year:04d}{moment.month:02d}{moment.day:02d}"


def time_text(moment: dt.datetime) -> str:
    """Return a TM value with microseconds."""
    return f"{moment.hour:02d}{moment.minute:02d}{moment.second:02d}.{moment.microsecond:06d}"


def age_text(birth: dt.date, day: dt.date) -> str:
    """Return an AS value: whole years."""
    years = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
    return f"{years:03d}Y"


def code(value: str, scheme: str, meaning: str) -> Attributes:
    """Return a code sequence item (PS3.3 8.8)."""
    return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}


def patient(study: Study) -> Attributes:
    """Patient and patient study modules (C.7.1.1, C.7.2.2)."""
    who, draws = study.person, study.draws("patient")
    attributes: Attributes = {
        "PatientName": who.name,
        "PatientID": who.chi,
        "IssuerOfPatientID": "NHS Scotland",
        "PatientBirthDate": date_text(who.birth_date),
        "PatientSex": who.sex,
        "PatientAge": age_text(who.birth_date, study.start.date()),
        "PatientSize": draws.number(1.45, 1.98, 2),
        "PatientWeight": draws.number(42, 130, 1),
        "PatientAddress": f"{who.address}, {who.postcode}",
        "PregnancyStatus": 4,
        "OtherPatientIDsSequence": [
            {"PatientID": who.local_number, "IssuerOfPatientID": who.hospital, "TypeOfPatientID": "TEXT"}
        ],
    }
    if who.character_set:
        attributes["SpecificCharacterSet"] = who.character_set
    if who.previous_chi:
        attributes["OtherPatientIDs"] = who.previous_chi
    return attributes


def general_study(study: Study) -> Attributes:
    """General study module (C.7.2.1) with the request behind it."""
    draws, who = study.draws("request"), study.person
    procedure = code(f"X{study.modality}{draws.digits(2)}", "99NICIP", f"{study.modality} examination")
    return {
        "StudyDate": date_text(study.start),
        "StudyTime": time_text(study.start),
        "StudyInstanceUID": study.uid,
        "StudyID": draws.digits(5),
        "AccessionNumber": f"{who.hospital[:4]}{draws.digits(8)}",
        "ReferringPhysicianName": who.practitioner,
        "StudyDescription": study.description[:64],
        "RequestingPhysician": who.practitioner,
        "RequestingService": who.practice,
        "RequestedProcedureDescription": study.description[:64],
        "RequestedProcedureCodeSequence": [procedure],
        "ProcedureCodeSequence": [procedure],
        "AdmittingDiagnosesDescription": draws.choice(
            ["", "", "?PE", "Chest pain", "Headache", "Query stroke", "Fall"]
        ),
    }


def equipment(context: SeriesContext) -> Attributes:
    """General equipment module (C.7.5.1)."""
    who, model = context.study.person, context.model
    draws = Draws(context.study.seed, "device", model.manufacturer, model.name, who.board)
    return {
        "Manufacturer": model.manufacturer,
        "ManufacturerModelName": model.name[:64],
        "InstitutionName": who.hospital_name,
        "InstitutionAddress": f"{who.hospital_name}, {who.postcode.split(' ')[0]}",
        "InstitutionalDepartmentName": "Radiology",
        "StationName": f"{who.hospital}{context.model.modality}{draws.integer(1, 4)}",
        "DeviceSerialNumber": draws.digits(6),
        "SoftwareVersions": draws.choice(["05", "syngo CT 2012B", "VE11C", "3.2.1\\3.2.1.1", "07MW18.4", "20190628"]),
        "DateOfLastCalibration": date_text(context.study.start.date() - dt.timedelta(days=draws.integer(1, 300))),
        "TimeOfLastCalibration": "073000",
    }


def general_series(context: SeriesContext) -> Attributes:
    """General series module (C.7.3.1) with the performed procedure step."""
    draws, study = context.draws("series"), context.study
    staff = draws.choice(["SMITH^J", "KM", "MacLeod^Shona", "RAD12", "ab/cd"])
    attributes: Attributes = {
        "Modality": context.modality,
        "SeriesInstanceUID": context.uid,
        "SeriesNumber": context.number,
        "SeriesDate": date_text(context.time()),
        "SeriesTime": time_text(context.time()),
        "SeriesDescription": context.description[:64],
        "ProtocolName": draws.choice([context.description, "ROUTINE", "5.1 CHEST ROUTINE"])[:64],
        "BodyPartExamined": context.body_part[:16],
        "OperatorsName": staff,
        "PerformingPhysicianName": "",
        "PerformedProcedureStepID": draws.digits(6),
        "PerformedProcedureStepStartDate": date_text(study.start),
        "PerformedProcedureStepStartTime": time_text(study.start),
        "PerformedProcedureStepDescription": study.description[:64],
        "RequestAttributesSequence": [
            {
                "RequestedProcedureID": draws.digits(7),
                "ScheduledProcedureStepID": draws.digits(7),
                "ScheduledProcedureStepDescription": study.description[:64],
                "ScheduledProtocolCodeSequence": [code(f"P{draws.digits(3)}", "99LOCAL", "Local protocol")],
            }
        ],
        "PerformedProtocolCodeSequence": [code(f"P{draws.digits(3)}", "99LOCAL", "Local protocol")],
    }
    return attributes


def shared(context: SeriesContext, sop_class_uid: str) -> Attributes:
    """Everything that the instances of one series have in common, whatever they are."""
    return {
        **patient(context.study),
        **general_study(context.study),
        **equipment(context),
        **general_series(context),
        "SOPClassUID": sop_class_uid,
        "InstanceCreationDate": date_text(context.time()),
        "InstanceCreationTime": time_text(context.time()),
        "TimezoneOffsetFromUTC": "+0000",
    }
