"""What a pass over a table counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Slice:
    """Rows of one modality and year.

    Parameters
    ----------
    modality : str
        One of the standard's, ``none`` or ``other``; empty where a table is not told apart.
    year : int or None
        The year; None without one.
    rows : int
        Rows.
    counts : tuple of int
        Rows for which each condition is true, in the order of :attr:`Measures.conditions`.
    """

    modality: str
    year: int | None
    rows: int
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Measures:
    """All that was counted of one table.

    Parameters
    ----------
    columns : tuple of str
        The table's columns, as they are.
    conditions : tuple of str
        What was counted (:mod:`cairn.quality.conditions`).
    slices : tuple of Slice
        The counts.
    repeated : int
        Rows whose key another row has too.
    related : mapping of object to int
        Rows at fault of each :class:`cairn.tables.quality.Related` that could be judged.
    """

    columns: tuple[str, ...]
    conditions: tuple[str, ...]
    slices: tuple[Slice, ...]
    repeated: int
    related: Mapping[object, int]

    @cached_property
    def rows(self) -> int:
        """Rows of the table."""
        return sum(one.rows for one in self.slices)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {text: place for place, text in enumerate(self.conditions)}

    def count(self, condition: str) -> int:
        """Return the rows for which a condition is true."""
        place = self._places[condition]
        return sum(one.counts[place] for one in self.slices)

    def by_modality(self) -> dict[str, int]:
        """Return the rows of each modality; empty where the table is not told apart."""
        rows: Counter[str] = Counter()
        for one in self.slices:
            if one.modality:
                rows[one.modality] += one.rows
        return dict(rows)

    def by_year(self, modality: str, condition: str) -> dict[int | None, tuple[int, int]]:
        """Return rows, and rows for which a condition is true, of each year of a modality."""
        place = self._places[condition]
        found: dict[int | None, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for one in self.slices:
            if one.modality == modality:
                rows, count = found[one.year]
                found[one.year] = rows + one.rows, count + one.counts[place]
        return dict(found)
