"""Where pitfalls are made: an ordinary image to start from, and one change to it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

from cairn.synthetic import cross_sectional
from cairn.synthetic.cross_sectional import Plan
from cairn.synthetic.draws import Draws, digest
from cairn.synthetic.encoding import EXPLICIT, Attributes, Syntax
from cairn.synthetic.modules import SeriesContext, Study
from cairn.synthetic.people import Person, person
from cairn.synthetic.reference import Model
from cairn.synthetic.series import PIXEL_DATA, Built, Instance, write
from cairn.synthetic.shelf import Shelf
from cairn.synthetic.truth import PARSED, QUARANTINED, Entry, instance_truth

PEOPLE = 60
"""Pitfalls happen to the first so many people."""

MOMENT = dt.datetime(2016, 5, 4, 9, 30)
_MODEL = Model("CT", "GE MEDICAL SYSTEMS", "LightSpeed VCT", 1, 1.0)


class Bench:
    """Makes the starting images of pitfalls and puts the results on the shelf.

    Parameters
    ----------
    root : pathlib.Path
        The archive's root.
    seed : int
        The archive's seed.
    pixel_size : int
        Rows and columns.
    """

    def __init__(self, root: Path, seed: int, pixel_size: int) -> None:
        self.seed, self.pixel_size = seed, pixel_size
        self.shelf = Shelf(root, MOMENT)
        self.entries: list[Entry] = []

    def draws(self, label: str) -> Draws:
        """Return the draws of one pitfall."""
        return Draws(self.seed, "pitfall", label)

    def person(self, label: str) -> Person:
        """Return to whom the pitfall happens; the name is plain ASCII, so that only the pitfall is odd."""
        number = int.from_bytes(digest(self.seed, "pitfall person", label)[:4], "big") % PEOPLE
        return person(self.seed, number)

    def study(self, label: str, who: Person | None = None) -> Study:
        """Return the study of a pitfall."""
        index = int.from_bytes(digest(self.seed, "pitfall study", label)[:6], "big")
        return Study(self.seed, index, who or self.person(label), MOMENT, "CT", "CT CHEST", self.pixel_size)

    def ct(self, label: str, changes: Attributes | None = None, count: int = 1, who: Person | None = None) -> Built:
        """Return a CT series with changed elements; a value of None takes the element away.

        Changed elements stand in every instance; those that instances have for themselves are replaced there.
        """
        context = SeriesContext(self.study(label, who), 1, _MODEL, "CT", "AXIAL", "CHEST", count)
        built = cross_sectional.ct(context, Plan())
        return changed(built, changes or {})

    def place(self, name: str | bytes, instance: Instance, label: str, **truth: Any) -> None:
        """Put an instance on the shelf as it is."""
        who = truth.pop("who", None) or self.person(label)
        facts = {**instance_truth(instance, who), "label": label, **truth}
        self.entries.append(self.shelf.file(name, instance.data, **facts))

    def image(self, label: str, changes: Attributes | None = None, syntax: Syntax = EXPLICIT, **truth: Any) -> None:
        """Put one changed CT image on the shelf, to be parsed."""
        who = truth.get("who")
        (instance,) = write(self.ct(label, changes, who=who), syntax)
        self.place(truth.pop("name", f"odd/values/{label}.dcm"), instance, label, **truth)

    def reject(self, name: str | bytes, data: bytes, label: str, code: str) -> None:
        """Put a file on the shelf that must end in quarantine."""
        self.entries.append(self.shelf.file(name, data, outcome=QUARANTINED, code=code, label=label))

    def oddity(self, name: str | bytes, data: bytes, label: str, outcome: str = PARSED, **truth: Any) -> None:
        """Put a file on the shelf whose truth is stated by the caller."""
        self.entries.append(self.shelf.file(name, data, **{"outcome": outcome, "label": label, **truth}))


def changed(built: Built, changes: Attributes) -> Built:
    """Return a series with elements replaced, added, or (None) taken away."""
    common = {**built.common, **changes}
    gone = {key for key, value in changes.items() if value is None}
    own = [{key: changes.get(key, value) for key, value in one.items() if key not in gone} for one in built.own]
    kept = {key: value for key, value in common.items() if key not in gone and key not in own[0]}
    pixels = None if PIXEL_DATA in changes else built.pixels
    return replace(built, common=kept, own=own, pixels=pixels)
