"""Whose file it is where PatientID holds several numbers, as some senders make it."""

from __future__ import annotations

import pytest
from deid_files import minimal, rewriter, written

from cairn.deid.decisions import ISSUER, PATIENT_ID
from cairn.deid.identity import person_key, person_of
from cairn.deid.rewrite import Kept, Refused
from cairn.ehr.chi import is_chi

ANNA, BOB = "1802506160", "0907890768"

WHOSE = [
    (f"{ANNA}\\VFK260866", ANNA),
    (f"VFK260866\\{ANNA}", ANNA),
    (f"{ANNA}\\{ANNA}", ANNA),
    (f"{ANNA}\\180250 6160", ANNA),
    (f"\\{ANNA} ", ANNA),
    (f"{ANNA}\\{BOB}", None),
    ("VFK260866\\XYZ1", None),
    (f"{ANNA}\\{BOB}\\VFK260866", None),
    ("VFK260866\\vfk260866", "NHS\0VFK260866"),
    ("VFK260866", "NHS\0VFK260866"),
    ("\\", "NHS\0\\"),
    ("\x1b$B\\C", "NHS\0\x1b$B\\C"),  # half of a character
    ("\x83\\1", "NHS\0\x83\\1"),
]


def test_the_numbers_are_chis():
    assert is_chi(ANNA) and is_chi(BOB)


@pytest.mark.parametrize(("patient_id", "whose"), WHOSE)
def test_a_number_of_several_is_the_one_chi_or_nobodys(patient_id: str, whose: str | None):
    values = {PATIENT_ID: patient_id.encode("latin-1"), ISSUER: b"NHS "}
    assert person_key(values, person_of) == whose


@pytest.mark.parametrize(
    ("patient_id", "told", "person"),
    [
        (f"{ANNA}\\VFK260866", None, ANNA),
        (f"{ANNA}\\VFK260866", "9", "9"),  # as a replaced number: the register knows better
        (f"{ANNA}\\{BOB}", BOB, BOB),  # the register says that one of them is the other
        (f"{ANNA}\\{BOB}", "9", None),
        (f"VFK260866\\{ANNA}", ANNA, ANNA),  # the register says that the local number is hers too
        (f"VFK260866\\{ANNA}", BOB, None),  # the register says that it is his
        (f"VFK260866\\XYZ1\\{ANNA}", BOB, None),
        (f"{ANNA}\\{BOB}\\VFK260866", BOB, BOB),
        (f"{ANNA}\\{BOB}", None, None),
    ],
)
def test_a_file_that_may_be_two_peoples_stays(patient_id: str, told: str | None, person: str | None):
    ds = minimal()
    ds.PatientID = patient_id.split("\\")
    made = rewriter()(written(ds), told)
    if person is None:
        assert made == Refused("DEID_PERSON_UNCLEAR")
    else:
        assert isinstance(made, Kept)
        assert made.person == person
        assert ANNA.encode() not in made.tobytes() and BOB.encode() not in made.tobytes()
