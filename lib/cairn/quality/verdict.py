"""What is said of one expectation: the verdict, what it is measured against, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cairn.tables.quality import ERROR

Baseline = Mapping[tuple[str, str, str], float]
"""What the last run without an error observed, by expectation, column and scope."""


@dataclass(frozen=True)
class Limits:
    """How much may change, and from how many rows on that is judged.

    Parameters
    ----------
    rows_fall : float
        Share of its rows that a table, or one of its modalities, may lose.
    share_moves : float
        By how much a modality's share of the rows may move.
    nulls_move : float
        By how much a column's share of NULL may rise.
    slice_rows : int
        Rows of a modality (and year) from which on it is judged by itself.
    """

    rows_fall: float
    share_moves: float
    nulls_move: float
    slice_rows: int


@dataclass(frozen=True)
class Verdict:
    """What became of one expectation.

    Parameters
    ----------
    table : str
        Full name.
    expectation : str
        ``columns``, ``unique``, ``not_null``, ``between``, ``one_of``, ``holds``, ``no_address``, ``complete``,
        ``refers``, ``covered``, ``accounted``, ``apart``, ``steady_rows``, ``steady_share``, ``steady_nulls``.
    column : str
        Column, or columns joined by commas; empty for the table.
    scope : str
        Modality, other table; empty: all rows.
    severity : str
        ``error`` or ``warning``.
    rows : int
        Rows of the table, or of the scope.
    observed : float
        Rows at fault; of ``complete`` and the drift of shares, a share.
    lowest, highest : float or None
        Between which `observed` passes, where that is what was judged.
    success : bool
        Whether it passed.
    statement : str
        It and its outcome in words.
    result : str
        great-expectations' own result, JSON.
    """

    table: str
    expectation: str
    column: str
    scope: str
    severity: str
    rows: int
    observed: float
    lowest: float | None
    highest: float | None
    success: bool
    statement: str
    result: str

    @property
    def told(self) -> str:
        """The expectation and what was observed, in words."""
        return f"{self.statement}: {observed_words(self.expectation, self.observed)}"

    @property
    def closes(self) -> bool:
        """Whether it keeps data from crossing."""
        return not self.success and self.severity == ERROR


SHARES = ("complete", "steady_share", "steady_nulls")
"""Expectations whose observed value is a share."""


def observed_words(expectation: str, value: float) -> str:
    """Return an observed value as it is told: a share, a number of rows, or of columns and tables."""
    if expectation in SHARES:
        return f"{value:.1%}"
    return f"{value:,.0f}" + ("" if expectation in ("columns", "tables") else " rows")
