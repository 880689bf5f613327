"""The made-up people: valid numbers, nobody twice, the same wherever they are asked for."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pydicom
import pytest
from pydicom.charset import convert_encodings

from cairn.ehr.chi import modulus_11_digit
from cairn.synthetic.encoding import EXPLICIT, encode, part10
from cairn.synthetic.people import CHANGED_EVERY, TWIN_EVERY, person

SEED = 5


@pytest.mark.parametrize(
    ("stem", "check"),
    [("021116579", "4"), ("010133648", "9"), ("040207076", "3"), ("010101123", "7"), ("010101000", "1")],
)
def test_check_digit_of_published_numbers(stem: str, check: str) -> None:
    assert modulus_11_digit(stem) == check


def test_some_stems_are_never_issued() -> None:
    never = [tail for tail in range(1000) if modulus_11_digit(f"010150{tail:03d}") is None]
    assert 80 <= len(never) <= 95


def test_numbers_agree_with_date_sex_and_check_digit() -> None:
    for index in range(400):
        who = person(SEED, index)
        assert who.chi[:6] == who.birth_date.strftime("%d%m%y")
        assert (int(who.chi[8]) % 2 == 1) == (who.sex == "M")
        weighted = sum(int(digit) * weight for digit, weight in zip(who.chi, range(10, 0, -1), strict=True))
        assert weighted % 11 == 0


def test_nobody_shares_a_number() -> None:
    people = [person(SEED, index) for index in range(6000)]
    numbers = [who.chi for who in people] + [who.previous_chi for who in people if who.previous_chi]
    assert len(numbers) == len(set(numbers)) == 6000 + 6000 // CHANGED_EVERY


def test_twins_share_birth_date_and_surname_but_no_number() -> None:
    for index in range(0, 400, TWIN_EVERY):
        first, second = person(SEED, index), person(SEED, index + 1)
        assert (first.twin_of, second.twin_of) == (index + 1, index)
        assert first.birth_date == second.birth_date
        assert first.chi != second.chi
        assert second.family_name == first.family_name


def test_same_arguments_same_person_other_seed_other_people() -> None:
    assert person(SEED, 17) == person(SEED, 17)
    assert [person(SEED, i).chi for i in range(20)] != [person(SEED + 1, i).chi for i in range(20)]


def test_names_fit_the_character_set_that_they_state() -> None:
    seen = set()
    for index in range(600):
        who = person(SEED, index)
        dataset_bytes = encode({"SpecificCharacterSet": who.character_set, "PatientName": who.name}, EXPLICIT)
        dataset = pydicom.dcmread(io.BytesIO(part10("1.2", "1.2", dataset_bytes, EXPLICIT)))
        assert str(dataset.PatientName) == who.name
        seen.add(who.character_set)
        if who.character_set:
            assert convert_encodings(who.character_set.split("\\"))
    assert {"", "ISO_IR 100", "ISO_IR 192", "ISO_IR 144", "GB18030", "\\ISO 2022 IR 87", "\\ISO 2022 IR 149"} <= seen


def test_published_vectors_of_the_shared_folder() -> None:
    shared = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    vectors = shared / "ehr" / "chi_vectors.csv"
    if not vectors.exists():
        pytest.skip("no shared folder with chi_vectors.csv beside the repository")
    with vectors.open(encoding="utf-8") as source:
        verdicts = {row["chi"]: row["expected"] for row in csv.DictReader(source)}
    for chi, verdict in verdicts.items():
        if verdict == "Invalid checksum":
            assert modulus_11_digit(chi[:9]) != chi[9]
        if verdict == "Valid CHI":
            assert chi[9] in (modulus_11_digit(chi[:9]), _luhn(chi[:9]))
    assert "Valid CHI" in verdicts.values()


def _luhn(stem: str) -> str:
    """Return the modulus 10 digit that newer numbers may carry."""
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(stem))
    return str((10 - sum(n - 9 if n > 9 else n for n in doubled) % 10) % 10)
