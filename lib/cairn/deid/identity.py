"""Whose file it is: the person behind a PatientID, and the values by which the file's own person is recognised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

from cairn.deid.decisions import ISSUER, MEDIA_TYPE, PATIENT_ID, SERIES, SOP_CLASS, SOP_INSTANCE, STUDY
from cairn.ehr.chi import is_chi

_FACTS = frozenset({SOP_CLASS, MEDIA_TYPE})
_UIDS = frozenset({SOP_INSTANCE, STUDY, SERIES})
_PLACES = frozenset({ISSUER, 0x00080080, 0x00081010})
"""Own values for free text, but makers are called like sites: in kept values they are no sign of the person."""

_DATES = frozenset({0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x00100030})
_DATE = re.compile(rb"(?:1[89]|20)[0-9]{6}")
_SPLIT = re.compile(rb"[\^=\\ ,;/()\[\]\0]+")
_CHI = re.compile(r"\d{6}[ -]?\d{4}")
_ASCII = re.compile(r"[ -~\0]*")


class PersonOf(Protocol):
    """Tells which person a PatientID belongs to."""

    def __call__(self, patient_id: str, issuer: str) -> str:
        """Return the person's identifier; equal for equal persons, for images and records alike."""


def person_of(patient_id: str, issuer: str) -> str:
    """Return the CHI that a PatientID is, else issuer and local number.

    Parameters
    ----------
    patient_id : str
        Patient ID (0010,0020).
    issuer : str
        Issuer of Patient ID (0010,0021).
    """
    chi = chi_of(patient_id)
    return chi or f"{issuer.strip().upper()}\0{patient_id.strip().upper()}"


def chi_of(text: str) -> str | None:
    """Return the ten digits of a CHI, or None: a date, and a check digit by modulus 11 or 10."""
    stripped = text.strip(" \0")
    if not _CHI.fullmatch(stripped):
        return None
    digits = re.sub(r"\D", "", stripped)
    return digits if is_chi(digits) else None


class OwnTokens:
    """The byte strings by which the file's person is recognised in values that no rule acts on.

    Parameters
    ----------
    values : iterable of (int, bytes)
        Tag and value of what identifies them.
    """

    _names = frozenset({0x00100010, 0x00101001, 0x00101005, 0x00101060, 0x00102297})

    def __init__(self, values: Iterable[tuple[int, bytes]]) -> None:
        words: set[bytes] = set()
        for tag, raw in values:
            if tag in _FACTS or tag in _PLACES:
                continue
            if tag in _UIDS:
                words.add(raw.strip(b" \0"))
                continue
            if tag in _DATES:
                words.update(date for date in raw.replace(b".", b"").split(b"\\") if _DATE.fullmatch(date))
                continue
            upper = raw.upper()
            words.add(upper.strip(b" \0^="))
            if tag in self._names:
                words.update(_SPLIT.split(upper))
        words = {word for word in words if len(word) >= (3 if word.isalpha() or word[:1] > b"\x7f" else 4)}
        self._words = tuple(sorted(word for word in words if not _says_nothing(word)))
        alternatives = b"|".join(_pattern(word) for word in self._words)
        self._regex = re.compile(alternatives) if self._words else None

    def within(self, upper: bytes) -> bool:
        """Whether upper-cased bytes might hold one of them; cheap, for whole headers."""
        return any(word in upper for word in self._words)

    def found(self, raw: bytes) -> bool:
        """Whether one value holds one of them: long ones anywhere, short ones as a word."""
        if self._regex is None:
            return False
        upper = raw.upper()
        if self._regex.search(upper):
            return True
        return b"\0" in upper and self._regex.search(upper.replace(b"\0", b"")) is not None  # UTF-16


def _says_nothing(word: bytes) -> bool:
    return len(set(word)) == 1 or word in _COMMON


_COMMON = frozenset(
    {b"NONE", b"UNKNOWN", b"ANON", b"ANONYMIZED", b"ANONYMOUS", b"TEST", b"PATIENT", b"NAME", b"THE", b"AND", b"FOR"}
)


def _pattern(word: bytes) -> bytes:
    escaped = re.escape(word)
    if _DATE.fullmatch(word):  # a time of day may follow
        return rb"(?<![0-9.])" + word + rb"(?=(?:[0-9]{4}|[0-9]{6})?(?![0-9]))"
    if word.isdigit():
        return rb"(?<![0-9.])" + escaped + rb"(?![0-9.])"
    return escaped if len(word) >= 5 else rb"(?<![A-Z0-9])" + escaped + rb"(?![A-Z0-9])"


def numbers_in(patient_id: str) -> list[str]:
    """Return the different numbers in a PatientID: one, but where senders put several values into it.

    A CHI is ten digits here. Text that is not ASCII is one number: a backslash may be half of a character there.
    """
    if not _ASCII.fullmatch(patient_id):
        return [patient_id]
    parts = (part.strip(" \0") for part in patient_id.split("\\"))
    return list(dict.fromkeys(chi_of(part) or part.upper() for part in parts if part)) or [patient_id]


def person_key(values: Mapping[int, bytes], resolve: PersonOf) -> str | None:
    """Return whom a file belongs to; a file without a PatientID belongs to its study, then to itself.

    Parameters
    ----------
    values : mapping of int to bytes
        Top-level values by tag.
    resolve : PersonOf
        What a PatientID means.

    Returns
    -------
    str or None
        None when PatientID holds several numbers, and not exactly one CHI among them: nobody can say whose file it is.
    """
    patient_id = values.get(PATIENT_ID, b"").decode("latin-1").strip(" \0")
    if patient_id:
        if "\\" in patient_id:
            numbers = numbers_in(patient_id)
            if len(numbers) > 1:
                numbers = [number for number in numbers if chi_of(number)]
            if len(numbers) != 1:
                return None
            patient_id = numbers[0]
        return resolve(patient_id, values.get(ISSUER, b"").decode("latin-1").strip(" \0"))
    study = values.get(STUDY, b"") or values.get(SOP_INSTANCE, b"")
    return f"without\0{study.decode('latin-1').strip(chr(0) + ' ')}"
