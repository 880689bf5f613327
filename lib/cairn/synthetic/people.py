"""Made-up Scottish patients.

:func:`person` gives the same person for the same seed and index wherever it is called, so that images and
health records made at different times are about the same people. No CHI is given to two of them.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.ehr.chi import modulus_11_digit
from cairn.synthetic.draws import Draws

FIRST_BIRTH = dt.date(1921, 1, 1)
LAST_BIRTH = dt.date(2010, 12, 31)
_DAYS = (LAST_BIRTH - FIRST_BIRTH).days + 1
_SLOTS = 440  # people per birth date, two number stems each: their own and the one of a possible twin
_SPARE = 9  # stems per birth date left over for numbers that were replaced
_STEP = 8_939_131  # prime and no factor of _DAYS * _SLOTS: successive people have scattered birth dates
TWIN_EVERY = 40
CHANGED_EVERY = 50
CHANGED_OFFSET = 7


@dataclass(frozen=True)
class Person:
    """One patient.

    Parameters
    ----------
    index : int
        Number within the archive.
    chi : str
        Current CHI.
    previous_chi : str or None
        The number that was replaced by `chi`, when there was one.
    sex : str
        ``M`` or ``F``.
    birth_date, death_date : datetime.date
        Death is None for the living.
    family_name, given_name, middle_name : str
        In Latin script, with accents where the name has them.
    other_script : str
        The remaining component groups of a person name, ``""`` for most.
    character_set : str
        Specific Character Set that can hold the name (PS3.3 C.12.1.1.2); ``""`` for ASCII.
    postcode, address : str
        Where they live.
    board : str
        One-letter cipher of the health board.
    hospital, hospital_name : str
        Location code and name of the board's made-up hospital.
    practice, practitioner : str
        GP practice code and the GP's name as a DICOM person name.
    local_number : str
        The hospital's own patient number.
    twin_of : int or None
        Index of the twin.
    """

    index: int
    chi: str
    previous_chi: str | None
    sex: str
    birth_date: dt.date
    death_date: dt.date | None
    family_name: str
    given_name: str
    middle_name: str
    other_script: str
    character_set: str
    postcode: str
    address: str
    board: str
    hospital: str
    hospital_name: str
    practice: str
    practitioner: str
    local_number: str
    twin_of: int | None

    @property
    def name(self) -> str:
        """The name as DICOM writes it (PN, PS3.5 6.2.1)."""
        latin = "^".join([self.family_name, self.given_name, self.middle_name]).rstrip("^")
        return f"{latin}={self.other_script}" if self.other_script else latin


@cache
def _tails() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the thousand three-digit tails in scattered order, and their share of the weighted sum."""
    tails = np.arange(1000) * 389 % 1000
    return tails, tails // 100 * 4 + tails // 10 % 10 * 3 + tails % 10 * 2


def issuable_chi(date: dt.date, order: int) -> str:
    """Return the `order`-th number that a birth date can have; each date has at least 909."""
    stem = date.strftime("%d%m%y")
    base = sum(int(digit) * weight for digit, weight in zip(stem, range(10, 4, -1), strict=True))
    tails, sums = _tails()
    tail = tails[np.flatnonzero((base + sums) % 11 != 1)[order]]
    nine = f"{stem}{tail:03d}"
    return f"{nine}{modulus_11_digit(nine)}"


def _birth(seed: int, index: int) -> tuple[dt.date, int]:
    """Return birth date and slot: a permutation, so that no two people share both."""
    place = (index * _STEP + Draws(seed, "people").integer(0, _DAYS * _SLOTS - 1)) % (_DAYS * _SLOTS)
    return FIRST_BIRTH + dt.timedelta(days=place // _SLOTS), place % _SLOTS


def _previous_chi(seed: int, index: int) -> str | None:
    if index % CHANGED_EVERY != CHANGED_OFFSET:
        return None
    place = (index // CHANGED_EVERY * _STEP + Draws(seed, "replaced").integer(0, _DAYS)) % (_DAYS * _SPARE)
    date = FIRST_BIRTH + dt.timedelta(days=place // _SPARE)
    return issuable_chi(date, 2 * _SLOTS + place % _SPARE)


@cache
def _lists() -> dict[str, Any]:
    text = resources.files("cairn.synthetic").joinpath("data", "people.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _names(draws: Draws, sex: str, family: str | None) -> dict[str, str]:
    """Return name parts and the character set that they need."""
    lists = _lists()
    kind = draws.unit()
    given_key = "male" if sex == "M" else "female"
    names = {
        "family_name": draws.choice(lists["surnames"]),
        "given_name": draws.choice(lists[given_key]),
        "middle_name": draws.choice(lists["middle"]),
        "other_script": "",
        "character_set": draws.choice(["", "ISO_IR 100", "ISO_IR 100", "ISO_IR 192"]),
    }
    if kind < 0.06:
        names["family_name"] = draws.choice(lists["accented_surnames"])
        names["given_name"] = draws.choice(lists[f"accented_{given_key}"])
        names["character_set"] = draws.choice(["ISO_IR 100", "ISO_IR 192"])
    elif kind < 0.09:
        other = draws.choice(lists["other_scripts"])
        family_name, _, given = (other["latin"] or other["plain"]).partition("^")
        names.update(family_name=family_name, given_name=given, middle_name="")
        names.update(other_script=other["other"], character_set=other["charset"])
    if family is not None:
        names.update(family_name=family, character_set="ISO_IR 192")
    return names


def person(seed: int, index: int) -> Person:
    """Return one made-up person.

    Parameters
    ----------
    seed : int
        The archive's seed.
    index : int
        Which person; every :data:`TWIN_EVERY`-th has a twin at the next index.

    Returns
    -------
    Person
        The same for the same arguments on every machine.
    """
    twin = index % TWIN_EVERY == 1
    date, slot = _birth(seed, index - twin)
    chi = issuable_chi(date, 2 * slot + twin)
    sex = "M" if int(chi[8]) % 2 else "F"
    draws = Draws(seed, "person", index)
    sibling = person(seed, index - 1) if twin else None
    board = draws.choice(_lists()["boards"])
    return Person(
        index=index,
        chi=chi,
        previous_chi=_previous_chi(seed, index),
        sex=sex,
        birth_date=date,
        death_date=_death(draws, date),
        **_names(draws, sex, sibling.family_name if sibling else None),
        postcode=f"{draws.choice(board['areas'])}{draws.integer(1, 29)} {draws.integer(1, 9)}"
        f"{draws.choice('ABDEFGHJLNPQRSTUWXYZ')}{draws.choice('ABDEFGHJLNPQRSTUWXYZ')}",
        address=f"{draws.integer(1, 240)} {draws.choice(_lists()['streets'])}",
        board=board["cipher"],
        hospital=board["hospital"],
        hospital_name=board["hospital_name"],
        practice=f"{board['cipher']}{draws.digits(5)}",
        practitioner=f"{draws.choice(_lists()['surnames'])}^{draws.choice(_lists()['female'])}^^Dr",
        local_number=f"{board['cipher']}{board['areas'][0]}{draws.digits(6)}",
        twin_of=index - 1 if twin else index + 1 if index % TWIN_EVERY == 0 else None,
    )


def _death(draws: Draws, birth: dt.date) -> dt.date | None:
    """Return a date of death from 2010 on, likelier for the old; studies before it stay possible."""
    died = draws.chance(max(0.01, (2010 - birth.year - 40) / 100))
    day = dt.date(2012, 1, 1) + dt.timedelta(days=draws.integer(0, 13 * 365))
    return day if died else None
