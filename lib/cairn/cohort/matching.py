"""Matched controls within one stratum: k to 1, without replacement, the same for the same definition and people.

The people of a stratum are equal in all `exact` columns, so strata are independent: a cluster runs one after the
other on every core. Order is by a hash, so that nobody is preferred, and nothing depends on the order of rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

Person = Mapping[str, Any]


def rank(seed: str, person: str) -> str:
    """Return what people are ordered by: SHA-256 of the definition's seed and the person."""
    return hashlib.sha256(f"{seed}/{person}".encode()).hexdigest()


def match_stratum(
    cases: Sequence[Person], pool: Sequence[Person], per_case: int, caliper: Mapping[str, int], seed: str
) -> list[tuple[str, str]]:
    """Return pairs of case and control.

    Rounds: each case in order takes the nearest free control, then each takes its second, so that no case gets two
    before every other had the chance of one. Nearest is the least sum of distances in the caliper's columns, then the
    hash. A control lies within the caliper of its case in every column; NULL is near nobody.

    Parameters
    ----------
    cases, pool : sequence of mapping
        People with ``person_id`` and the caliper's columns. The pool holds no case.
    per_case : int
        Controls wanted for each case; fewer where the pool is empty.
    caliper : mapping of str to int
        Greatest distance by column.
    seed : str
        Name and version of the cohort.

    Returns
    -------
    list of (str, str)
        ``person_id`` of case and control; no control twice.
    """
    free = {str(p["person_id"]): p for p in sorted(pool, key=lambda p: rank(seed, str(p["person_id"])))}
    order = sorted(cases, key=lambda p: rank(seed, str(p["person_id"])))
    pairs = []
    for _ in range(per_case):
        for case in order:
            if not caliper:  # all are equally near: no need to look at them
                if free:
                    name = next(iter(free))
                    pairs.append((str(case["person_id"]), name))
                    del free[name]
                continue
            near = [(d, name) for name, control in free.items() if (d := _distance(case, control, caliper)) is not None]
            if near:
                # min keeps the first of equals: the dictionary's order is that of the hash
                _, name = min(near, key=lambda found: found[0])
                pairs.append((str(case["person_id"]), name))
                del free[name]
    return pairs


def _distance(case: Person, control: Person, caliper: Mapping[str, int]) -> int | None:
    total = 0
    for column, limit in caliper.items():
        if case[column] is None or control[column] is None or abs(case[column] - control[column]) > limit:
            return None
        total += abs(case[column] - control[column])
    return total


def match(
    cases: Sequence[Person],
    pool: Sequence[Person],
    exact: Sequence[str],
    per_case: int,
    caliper: Mapping[str, int],
    seed: str,
) -> list[tuple[str, str]]:
    """Return pairs of case and control over all strata; people with NULL in an exact column are matched to nobody."""
    pairs = []
    strata: dict[tuple[Any, ...], tuple[list[Person], list[Person]]] = {}
    for place, people in enumerate((cases, pool)):
        for person in people:
            key = tuple(person[column] for column in exact)
            if None not in key:
                strata.setdefault(key, ([], []))[place].append(person)
    for key in sorted(strata, key=str):
        pairs.extend(match_stratum(*strata[key], per_case, caliper, seed))
    return pairs
