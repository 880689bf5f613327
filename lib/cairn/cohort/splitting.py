"""Parts for machine learning, balanced within strata of equal people, and kept when the cohort grows.

Who had a part keeps it. New people of a stratum come in the order of a hash, and the n-th of them all takes the part in
which the n-th point of a sequence lies that fills the unit interval evenly from any place on (multiples of the golden
ratio; L. Kuipers and H. Niederreiter, Uniform Distribution of Sequences, 1974, chapter 2.3). So every stratum is split
as the definition says, but for a person or two, before and after it grew. Where a stratum begins is drawn by a hash:
else everybody who is alone in one would train.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from cairn.cohort.matching import rank

_GOLDEN = 0x9E3779B97F4A7C15
"""The golden ratio's fraction in 64 bits: whole numbers are the same on every machine."""
_UNIT = 1 << 64


def balanced_parts(
    people: Collection[str], split: Mapping[str, int], seed: str, stratum: str, earlier: Mapping[str, str]
) -> dict[str, str]:
    """Return the part of each person of one stratum.

    Parameters
    ----------
    people : collection of str
        ``person_id`` of those in the stratum now.
    split : mapping of str to int
        Parts and their per cent, 100 in all.
    seed : str
        Name of the cohort.
    stratum : str
        What the people have in common.
    earlier : mapping of str to str
        Parts that were given before.

    Returns
    -------
    dict of str to str
        The same for the same people, whatever their order.
    """
    parts = {person: earlier[person] for person in people if person in earlier}
    start = int(hashlib.sha256(f"{seed}/{stratum}".encode()).hexdigest()[:16], 16)
    new = sorted((p for p in people if p not in parts), key=lambda person: rank(seed, person))
    for place, person in enumerate(new, len(parts)):
        parts[person] = _part_at((start + place * _GOLDEN) % _UNIT, split)
    return parts


def _part_at(point: int, split: Mapping[str, int]) -> str:
    upto = 0
    for part, share in split.items():
        upto += share
        if point * 100 < upto * _UNIT:
            return part
    raise ValueError("parts of a split come to 100")
