"""All contracts: every :class:`Contract` that a module of :mod:`cairn.tables` defines.

Adding a table is adding a module.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType

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
        for value in _defined(importlib.import_module(f"cairn.tables.{module.name}")):
            if found.setdefault(value.full_name, value) is not value:
                raise ValueError(f"{value.full_name} is defined twice")
    return dict(sorted(found.items()))


def _defined(module: ModuleType) -> Iterator[Contract]:
    """Yield the contracts of a module, those in its mappings too."""
    for value in vars(module).values():
        for one in value.values() if isinstance(value, dict) else [value]:
            if isinstance(one, Contract):
                yield one


def contract(full_name: str) -> Contract:
    """Return the contract called ``zone.table``; KeyError when there is none."""
    return contracts()[full_name]
