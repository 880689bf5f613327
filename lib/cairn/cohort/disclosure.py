"""Small numbers: what of a count, an attrition or a table may be shown.

The rule that public helpers of Scotland's statistics default to: counts of :data:`LIMIT` or fewer are hidden, others
are rounded to :data:`BASE`. Zero is a small number. Rounding alone does not stop who may ask again and again with
definitions of their own: a service counts queries and keeps a record; this module only sees to it that nothing
*within one answer* gives a small number away.
"""

from __future__ import annotations

from collections.abc import Sequence

LIMIT = 10
BASE = 10
HIDDEN = None


def shown(count: int, limit: int = LIMIT, base: int = BASE) -> int | None:
    """Return a count as it may be shown: rounded, or None (hidden) when it is small.

    Halves go up, so that equal counts are shown equal everywhere.
    """
    if count <= limit:
        return HIDDEN
    return (count + base // 2) // base * base


def attrition(counts: Sequence[int], limit: int = LIMIT, base: int = BASE) -> list[int | None]:
    """Return the counts after each step as they may be shown.

    A step that loses 1 to `limit` persons against the last count that differs is shown as that count: else the
    difference of two rows told how few were lost. Once a count is small, all later ones are hidden.

    Parameters
    ----------
    counts : sequence of int
        Persons left after each step; never rising.
    limit, base : int
        Greatest count to hide, and what is rounded to.
    """
    made: list[int | None] = []
    standing: int | None = None
    for count in counts:
        if made and made[-1] is HIDDEN:
            made.append(HIDDEN)
            continue
        if standing is None or standing - count > limit:
            standing = count
        made.append(HIDDEN if count <= limit else shown(standing, limit, base))
    return made


def table(cells: Sequence[Sequence[int]], limit: int = LIMIT, base: int = BASE) -> list[list[int | None]]:
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
    """
    rows = [list(row) for row in cells]
    hidden = {(r, c) for r, row in enumerate(rows) for c, count in enumerate(row) if count <= limit}
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
    return [
        [HIDDEN if (r, c) in hidden else shown(count, limit, base) for c, count in enumerate(row)]
        for r, row in enumerate(rows)
    ]
