"""Spans of time around an event: ``365 days before stroke``, ``0 to 3 days after stroke``, ``during stay``.

| words | days from the event's start, where negative is before |
|---|---|
| ``N days before X`` | -N to -1: the day itself does not count, since nothing tells what came first |
| ``N days after X`` | 0 to N: the day itself counts |
| ``N days of X`` | -N to N |
| ``N to M days before X``, ``N to M days after X`` | as stated, 0 is the day itself |
| ``before X``, ``after X`` | up to -1; from 1 |
| ``on X`` | 0 |
| ``during X`` | from the event's start to its end |

Weeks are seven days. There are no months or years: dates of the de-identified zone are shifted, so that calendar
units would not mean the same number of days for everybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cairn.cohort.faults import Wrong


@dataclass(frozen=True)
class Window:
    """Days around an anchor.

    Parameters
    ----------
    anchor : str
        Name of the event that it lies around.
    low, high : int or None
        Days from the anchor's start, both included; None is without limit.
    during : bool
        From the anchor's start to its end; the limits do not count.
    """

    anchor: str
    low: int | None = None
    high: int | None = None
    during: bool = False

    def words(self) -> str:
        """Return what it says."""
        if self.during:
            return f"during {self.anchor}"
        low, high, anchor = self.low, self.high, self.anchor
        if low is None or high is None:
            far, side = (-(high or 0), "before") if low is None else (low, "after")
            return f"{side} {anchor}" if far == 1 else f"at least {_days(far)} {side} {anchor}"
        if low == high:
            return f"on the day of {anchor}" if low == 0 else f"{_days(abs(low))} {_side(low)} {anchor}"
        if low > 0 or high < 0:
            near, far = sorted((abs(low), abs(high)))
            return f"{near} to {_days(far)} {_side(low)} {anchor}"
        if low == 0:
            return f"from the day of {anchor} to {_days(high)} after"
        if high == 0:
            return f"from {_days(-low)} before {anchor} to its day"
        return f"from {_days(-low)} before to {_days(high)} after {anchor}"


def _side(days: int) -> str:
    return "before" if days < 0 else "after"


def _days(count: int) -> str:
    return f"{count} day{'s' * (count != 1)}"


_SPAN = re.compile(
    r"^(?:(?P<from>\d+)\s+to\s+)?(?P<to>\d+)\s+(?P<unit>\w+)\s+(?P<side>before|after|of|around)\s+(?P<anchor>\w+)$"
)
_OPEN = re.compile(r"^(?P<side>before|after|on|during)\s+(?P<anchor>\w+)$")
_UNITS = {"day": 1, "days": 1, "week": 7, "weeks": 7}


def parse(text: str) -> Window:
    """Return the span that a text states.

    Raises
    ------
    Wrong
        If it is none of the forms of this module, or empty (its end before its start).
    """
    plain = " ".join(text.lower().split()) if text == text.lower() else " ".join(text.split())
    plain = plain.removeprefix("within ")
    if found := _OPEN.match(plain):
        limits = {"before": (None, -1), "after": (1, None), "on": (0, 0), "during": (None, None)}[found["side"]]
        return Window(found["anchor"], *limits, during=found["side"] == "during")
    found = _SPAN.match(plain)
    if found is None:
        raise Wrong(f"{text!r} is no span of time such as '365 days before stroke', '0 to 3 days after stroke'")
    if found["unit"] not in _UNITS:
        raise Wrong(f"{found['unit']!r} is no unit of time: there are days and weeks, since dates are shifted")
    unit = _UNITS[found["unit"]]
    return _spanned(found, int(found["to"]) * unit, None if found["from"] is None else int(found["from"]) * unit)


def _spanned(found: re.Match[str], far: int, near: int | None) -> Window:
    side, anchor = found["side"], found["anchor"]
    if near is not None and near > far:
        raise Wrong(f"the span ends before it starts: {near} to {far}")
    if side in ("of", "around"):
        if near is not None:
            raise Wrong("a span on both sides has one length: 'N days of X'")
        return Window(anchor, -far, far)
    if side == "after":
        return Window(anchor, near or 0, far)
    near = 1 if near is None else near
    if far < near:
        raise Wrong("no day lies within 0 days before an event; say 'on' for its day")
    return Window(anchor, -far, -near)
