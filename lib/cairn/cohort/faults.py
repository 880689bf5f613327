"""Where a definition is wrong, so that the message names file, line, place and the nearest right name."""

from __future__ import annotations

from collections.abc import Iterable

from cairn.errors import CairnError, nearest


class Wrong(Exception):
    """A fault of a definition on its way to the place that knows file and line.

    Parameters
    ----------
    why : str
        What is wrong.
    name : str
        The name that is not known, if that is the fault.
    known : iterable of str
        What it could have been.
    """

    def __init__(self, why: str, name: str = "", known: Iterable[str] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.nearest = nearest(name, known) if name else ""


def located(wrong: Wrong, path: str, line: int, place: str) -> CairnError:
    """Return the error that the user sees."""
    return CairnError("COHORT_RULE", path=path, line=line, place=place, why=wrong.why, nearest=wrong.nearest)
