"""Small numbers: what of a count, an attrition or a table may be shown.

The rule that public helpers of Scotland's statistics default to: counts of :data:`LIMIT` or fewer are hidden, others
are rounded to :data:`BASE`. Zero is a small number.

Plain rounding gives small numbers away to who may ask with definitions of their own: let a set grow person by person,
and see where its count turns; ask again with the small group added, and the turn comes as many persons earlier. So a
count that comes with a `key` of its set of persons is rounded up or down by a draw of that key, up the more often the
nearer it lies, and the limit is blurred by the same draw: equal sets are always shown alike, however they are asked
for, and every other set is drawn for anew (in the manner of the cell key of Scotland's Census 2022). What an average
over hundreds of overlapping sets still tells, only a limit on questions can stop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

LIMIT = 10
BASE = 10
HIDDEN = None


def _draw(key: object, what: str, base: int) -> int:
    """Return a number from 0 to below `base`, the same for the same key."""
    return int(hashlib.sha256(f"{what}/{key}".encode()).hexdigest()[:15], 16) % base


def shown(count: int, limit: int = LIMIT, base: int = BASE, key: object = None) -> int | None:
    """Return a count as it may be shown: rounded, or None (hidden) when it is small.

    Parameters
    ----------
    count : int
        The true count.
    limit, base : int
        Greatest count to hide, and what is rounded to.
    key : object, optional
        Stands for the set that is counted. With it the count is rounded by a draw, and hidden where that gives `limit`
        or less; without it to the nearest, halves up.
    """
    if count <= limit:
        return HIDDEN
    if key is None:
        return (count + base // 2) // base * base
    over = count % base
    rounded = count - over + (base if _draw(key, "round", base) < over else 0)
    return rounded if rounded > limit else HIDDEN


def attrition(
    counts: Sequence[int], limit: int = LIMIT, base: int = BASE, keys: Sequence[object] | None = None
) -> list[int | None]:
    """Return the counts after each step as they may be shown.

    A step that loses 1 to `limit` persons against the last count that differs is shown as that count: else the
    difference of two rows told how few were lost. Once a count is small, all later ones are hidden.

    Parameters
    ----------
    counts : sequence of int
        Persons left after each step; never rising.
    limit, base : int
        Greatest count to hide, and what is rounded to.
    keys : sequence of object, optional
        One for each count, as in :func:`shown`; with them the smallest loss that is shown is drawn too.
    """
    made: list[int | None] = []
    standing: tuple[int, object] | None = None
    for place, count in enumerate(counts):
        if made and made[-1] is HIDDEN:
            made.append(HIDDEN)
            continue
        key = None if keys is None else keys[place]
        blur = 0 if key is None else _draw(key, "loss", base)
        if standing is None or standing[0] - count > limit + blur:
            standing = count, key
        made.append(HIDDEN if count <= limit else shown(standing[0], limit, base, standing[1]))
    return made


def table(
    cells: Sequence[Sequence[int]],
    limit: int = LIMIT,
    base: int = BASE,
    keys: Sequence[Sequence[object]] | None = None,
) -> list[list[int | None]]:
    """Return the cells of a table as they may be shown beside their rounded totals.

    A row or column with exactly one hidden cell loses its smallest other cell too, until none is left: else the
    total gave the hidden one away (secondary suppression). Totals are not part of the table: give those of
    :func:`shown`.

    Parameters
    ----------
    cells : sequence of sequence of int
        Rows of equal length.
    limit, base : int
        Greatest count to hide, and what is rounded to.
    keys : sequence of sequence of object, optional
        One for each cell, as in :func:`shown`.
    """
    rows = [list(row) for row in cells]
    seen = [
        [shown(count, limit, base, None if keys is None else keys[r][c]) for c, count in enumerate(row)]
        for r, row in enumerate(rows)
    ]
    hidden = {(r, c) for r, row in enumerate(seen) for c, count in enumerate(row) if count is HIDDEN}
    lines = [[(r, c) for c in range(len(row))] for r, row in enumerate(rows)]
    lines += [[(r, c) for r in range(len(rows))] for c in range(len(rows[0]) if rows else 0)]
    changed = True
    while changed:
        changed = False
        for line in lines:
            open_cells = [place for place in line if place not in hidden]
            if len(line) - len(open_cells) == 1 and open_cells:
                hidden.add(min(open_cells, key=lambda place: (rows[place[0]][place[1]], place)))
                changed = True
    return [[HIDDEN if (r, c) in hidden else count for c, count in enumerate(row)] for r, row in enumerate(seen)]
