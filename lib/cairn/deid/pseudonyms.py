"""Pseudonyms: what stands for a person, a UID and a date once they cross into a de-identified zone.

All of them are HMAC-SHA256 under sub-keys, so they are the same in every process, on every machine, for images and for
records, and different under every key. A project's pseudonyms are made of the site's, under the project's key.
"""

from __future__ import annotations

import base64
import datetime
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cairn.deid.keys import MasterKey, Purpose, SubKey

_PERSON_BYTES = 20
_CODE_BYTES = 5
_CACHED = 65_536
_PADDING = " \0"


def _mac(key: SubKey, message: str) -> bytes:
    return hmac.digest(key.secret, message.encode("utf-8", "surrogateescape"), "sha256")


def pseudonymise_person(person: str, key: SubKey) -> str:
    """Return the ``person_id`` of one person.

    Parameters
    ----------
    person : str
        The person's identifier in the identifiable zone (a normalised CHI; else issuer and local number).
    key : SubKey
        Sub-key for the purpose ``person``.

    Returns
    -------
    str
        32 lower-case letters and digits 2-7 (base32 of 160 bits): nothing in it can be taken for a CHI or a date.
    """
    return base64.b32encode(_mac(key, person)[:_PERSON_BYTES]).decode("ascii").lower()


def pseudonymise_uid(uid: str, key: SubKey) -> str:
    """Return the UID that stands for `uid`: ``2.25.`` and 128 bits as a decimal number (PS3.5 B.2).

    Parameters
    ----------
    uid : str
        A UID; spaces and NULs around it do not count.
    key : SubKey
        Sub-key for the purpose ``uid``.
    """
    return f"2.25.{int.from_bytes(_mac(key, uid.strip(_PADDING))[:16], 'big')}"


def shift_days(person: str, key: SubKey, limit: int) -> int:
    """Return the shift of one person's dates.

    Parameters
    ----------
    person : str
        As for :func:`pseudonymise_person`.
    key : SubKey
        Sub-key for the purpose ``date``.
    limit : int
        Largest shift, in days, in either direction. Never returns 0.

    Returns
    -------
    int
        Days to add, in ``[-limit, limit]`` without 0. The same inputs give the same shift on every machine.

    Raises
    ------
    ValueError
        If `limit` is less than 1.
    """
    if limit < 1:
        raise ValueError("limit must be at least 1")
    # 128 bits over at most some thousand values: the bias is below 2**-100.
    place = int.from_bytes(_mac(key, person)[:16], "big") % (2 * limit)
    return place - limit if place < limit else place - limit + 1


def shift_date(date: datetime.date, days: int) -> datetime.date | None:
    """Return `date` moved by `days`; None where the calendar ends."""
    try:
        return date + datetime.timedelta(days=days)
    except OverflowError:
        return None


def pseudonymise_code(text: str, key: SubKey, purpose: str) -> str:
    """Return eight capitals and digits 2-7 that stand for a name of a thing, such as a device or an institution.

    Parameters
    ----------
    text : str
        The name; case and spaces around it do not count.
    key : SubKey
        Sub-key for the purpose ``text``.
    purpose : str
        What kind of thing it is, so that equal texts of different kinds differ.
    """
    message = f"{purpose}\0{text.strip(_PADDING).upper()}"
    return base64.b32encode(_mac(key, message)[:_CODE_BYTES]).decode("ascii")


@dataclass(frozen=True)
class _Keys:
    person: SubKey
    uid: SubKey
    date: SubKey
    text: SubKey


class Pseudonyms:
    """The pseudonyms under one key, or under the site's and then a project's.

    Parameters
    ----------
    keys : sequence of MasterKey
        The site's key; a project's key after it re-keys on top.
    limit : int
        Largest date shift of each key, in days.
    """

    def __init__(self, keys: Sequence[MasterKey], limit: int = 364) -> None:
        if not keys:
            raise ValueError("at least one key")
        self._keys = [_Keys(*(key.sub_key(Purpose(p)) for p in ("person", "uid", "date", "text"))) for key in keys]
        self._limit = limit
        self.fingerprints = tuple(key.fingerprint for key in keys)
        # Bound methods in a cache of their own: series and study UIDs and persons come again and again.
        self.uid = lru_cache(_CACHED)(self._uid)
        self.person = lru_cache(_CACHED)(self._person)
        self.days = lru_cache(_CACHED)(self._days)
        self.code = lru_cache(_CACHED)(self._code)

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be pickled: keys travel as files, never inside a task."""
        raise TypeError("keys are read where they are used; they are never sent along")

    def _uid(self, uid: str) -> str:
        for keys in self._keys:
            uid = pseudonymise_uid(uid, keys.uid)
        return uid

    def _person(self, person: str) -> str:
        for keys in self._keys:
            person = pseudonymise_person(person, keys.person)
        return person

    def _days(self, person: str) -> int:
        days = last = 0
        for keys in self._keys:
            last = shift_days(person, keys.date, self._limit)
            days += last
            person = pseudonymise_person(person, keys.person)
        return days or last  # two shifts may cancel out, and 0 would show the true dates

    def _code(self, text: str, purpose: str) -> str:
        for keys in self._keys:
            text = pseudonymise_code(text, keys.text, purpose)
        return text
