"""What a comparison of catalogue and tables found, in numbers and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OUTCOMES = ("same", "different", "only_in_tables", "only_in_catalogue", "not_compared")
"""Of a row or document. Not compared: the document is of another layout and cannot be read."""


@dataclass(frozen=True)
class Difference:
    """What differs.

    Parameters
    ----------
    collections : dict
        Counts by outcome, by collection.
    lag : dict
        For each table its ``version``, the one that was ``pushed`` (None: none), and how many ``rows`` changed since.
    """

    collections: Mapping[str, Mapping[str, int]]
    lag: Mapping[str, Mapping[str, int | None]]

    @property
    def total(self) -> dict[str, int]:
        """Counts over all collections."""
        return {name: sum(found.get(name, 0) for found in self.collections.values()) for name in OUTCOMES}

    @property
    def is_equal(self) -> bool:
        """Whether nothing is missing or different on either side."""
        total = self.total
        return not (total["different"] or total["only_in_tables"] or total["only_in_catalogue"])

    def lines(self) -> list[str]:
        """Return it as a table in text."""
        head = f"{'collection':<14}" + "".join(f"{name.replace('_', ' '):>19}" for name in OUTCOMES)
        rows = [*sorted(self.collections.items()), ("all", self.total)]
        body = [f"{name:<14}" + "".join(f"{found.get(one, 0):>19,}" for one in OUTCOMES) for name, found in rows]
        return [head, *body, *(self._lag(name, told) for name, told in self.lag.items())]

    @staticmethod
    def _lag(name: str, told: Mapping[str, int | None]) -> str:
        if told["pushed"] is None:
            return f"{name}: version {told['version']}, never pushed to the end"
        rows = "an unknown number of" if told["rows"] is None else f"{told['rows']:,}"
        return f"{name}: version {told['version']}, pushed {told['pushed']}; {rows} rows changed since"

    def counts(self) -> dict[str, object]:
        """Return it for a line of JSON."""
        by_name = {name: dict(found) for name, found in sorted(self.collections.items())}
        return {"equal": self.is_equal, "total": self.total, "collections": by_name, "lag": dict(self.lag)}
