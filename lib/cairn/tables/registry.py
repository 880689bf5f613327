"""All contracts: every :class:`Contract` that a module of :mod:`cairn.tables` defines.

Adding a table is adding a module.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import cairn.tables
from cairn.tables.contract import Contract


@cache
def contracts() -> dict[str, Contract]:
    """Return every contract by its full name (``zone.table``), sorted.

    Raises
    ------
    ValueError
        If two modules define a table of one name.
    """
    found: dict[str, Contract] = {}
    for module in pkgutil.iter_modules(cairn.tables.__path__):
        for value in vars(importlib.import_module(f"cairn.tables.{module.name}")).values():
            if isinstance(value, Contract) and found.setdefault(value.full_name, value) is not value:
                raise ValueError(f"{value.full_name} is defined twice")
    return dict(sorted(found.items()))


def contract(full_name: str) -> Contract:
    """Return the contract called ``zone.table``; KeyError when there is none."""
    return contracts()[full_name]
