"""Who a number is: replaced CHIs followed to the current one, and local numbers to their CHI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

PERSONS_RELEASE = 1
"""Raised by hand when the same rows give other persons: they are then made anew."""


def resolve_aliases(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    """Return where each replaced number leads, and the numbers that lead in a circle.

    Parameters
    ----------
    pairs : iterable of (str, str)
        A number and the one that replaced it; a number that points to itself is current. Where a number has several
        successors the smallest counts, so that the order of rows does not matter.

    Returns
    -------
    dict of str to str
        Current number by replaced one, along chains of any length; current ones are not in it.
    list of str
        Numbers in or before a circle, sorted (``EHR_ALIAS_LOOP``): nobody knows whose they are.
    """
    successor: dict[str, str] = {}
    for old, new in pairs:
        if old != new:
            successor[old] = min(new, successor.get(old, new))
    ends: dict[str, str | None] = {}
    for start in successor:
        path: list[str] = []
        number: str | None = start
        while number is not None and number in successor and number not in ends and number not in path:
            path.append(number)
            number = successor[number]
        if number is not None and number in ends:
            number = ends[number]
        elif number in path:
            number = None
        ends.update(dict.fromkeys(path, number))
    resolved = {old: new for old, new in ends.items() if new is not None}
    return resolved, sorted(old for old, new in ends.items() if new is None)


def local_key(issuer: str | None, number: str | None) -> tuple[str, str]:
    """Return issuer and local number as they are compared: without blanks around them, upper case."""
    return (issuer or "").strip().upper(), (number or "").strip().upper()


class PersonResolver:
    """Tells which person a number belongs to; fits :class:`cairn.deid.identity.PersonOf`.

    Parameters
    ----------
    aliases : mapping of str to str
        Current CHI by replaced one (:func:`resolve_aliases`).
    local_numbers : mapping of (str, str) to str
        CHI by issuer and local number as :func:`local_key` makes them.
    """

    def __init__(self, aliases: Mapping[str, str], local_numbers: Mapping[tuple[str, str], str]) -> None:
        self._aliases = aliases
        self._local = local_numbers

    def chi(self, chi: str) -> str:
        """Return the current number of a cleaned one."""
        return self._aliases.get(chi, chi)

    def local(self, issuer: str | None, number: str | None) -> str | None:
        """Return the current CHI of a local number.

        Without an issuer the number counts if all issuers that know it mean one person; else nobody is linked.
        """
        who, what = local_key(issuer, number)
        found = {self._local[who, what]} if (who, what) in self._local else set()
        if not who:
            found = {chi for (_, known), chi in self._local.items() if known == what}
        return self.chi(found.pop()) if len(found) == 1 else None


def person_rows(
    register: Iterable[Mapping[str, Any]], deaths: Iterable[Mapping[str, Any]], aliases: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return a row of ``person`` for each current CHI of the register, slowly and obviously: the pipeline's oracle.

    A number that was replaced is no person of its own, but an opt-out or a death under it counts. Of several boards'
    records the one in force goes first, then the one whose address changed last, then by board. The date of death
    is that of NRS, else that of the register. Registered is from the earliest start to the latest end, open where any
    is open.

    Parameters
    ----------
    register, deaths : iterable of mapping
        Rows in force of ``ehr_chi_register`` and ``ehr_deaths``.
    aliases : mapping of str to str
        Current CHI by replaced one (:func:`resolve_aliases`).
    """
    own: dict[str, list[Mapping[str, Any]]] = {}
    for row in register:
        own.setdefault(aliases.get(row["patient_id"], row["patient_id"]), []).append(row)
    died: dict[str, list[Mapping[str, Any]]] = {}
    for row in deaths:
        died.setdefault(aliases.get(row["patient_id"], row["patient_id"]), []).append(row)
    return [_person(chi, rows, died.get(chi, [])) for chi, rows in sorted(own.items())]


def _person(chi: str, rows: list[Mapping[str, Any]], deaths: list[Mapping[str, Any]]) -> dict[str, Any]:
    best = sorted(rows, key=lambda row: _precedence(chi, row))
    nrs = min(deaths, key=lambda row: row["death_date"], default=None)
    dates = [row["death_date"] for row in best if row["death_date"] is not None]
    ends = [row["registered_to"] for row in rows]
    starts = [row["registered_from"] for row in rows if row["registered_from"] is not None]
    return {
        "patient_id": chi,
        **{name: _first(best, name) for name in ("sex", "birth_date", "board", "simd_quintile")},
        "death_date": nrs["death_date"] if nrs else next(iter(dates), None),
        "death_basis": "nrs" if nrs else "chi_register" if dates else None,
        "underlying_cause": nrs["underlying_cause"] if nrs else None,
        "registered_from": min(starts, default=None),
        "registered_to": None if None in ends else max(ends),
        "linked": True,
        "opted_out": any(row["opted_out"] for row in rows),
    }


def _precedence(chi: str, row: Mapping[str, Any]) -> tuple[bool, bool, int, str]:
    changed = row["address_changed"]
    return (
        row["patient_id"] != chi,
        not row["current_record"],
        -changed.toordinal() if changed else 0,
        row["board"] or "",
    )


def _first(rows: list[Mapping[str, Any]], name: str) -> Any:
    return next((row[name] for row in rows if row[name] is not None), None)
