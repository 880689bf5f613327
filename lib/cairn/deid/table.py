"""The standard's tables as data: PS3.15 E.1-1 (actions), the types of attributes per IOD, safe private elements."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

OPTIONS = {
    "safe_private": "rtnSafePrivOpt",
    "uids": "rtnUIDsOpt",
    "device_identity": "rtnDevIdOpt",
    "institution_identity": "rtnInstIdOpt",
    "patient_characteristics": "rtnPatCharsOpt",
    "full_dates": "rtnLongFullDatesOpt",
    "modified_dates": "rtnLongModifDatesOpt",
    "clean_descriptors": "cleanDescOpt",
    "clean_structured_content": "cleanStructContOpt",
    "clean_graphics": "cleanGraphOpt",
}
"""Options of PS3.15 E.3 by their name in a profile, and their column in the table's JSON."""

CODES = {
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "clean_pixel_data": ("113101", "Clean Pixel Data Option"),
    "clean_graphics": ("113103", "Clean Graphics Option"),
    "clean_structured_content": ("113104", "Clean Structured Content Option"),
    "clean_descriptors": ("113105", "Clean Descriptors Option"),
    "full_dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    "device_identity": ("113109", "Retain Device Identity Option"),
    "uids": ("113110", "Retain UIDs Option"),
    "safe_private": ("113111", "Retain Safe Private Option"),
    "institution_identity": ("113112", "Retain Institution Identity Option"),
}
"""Code value and meaning of each (PS3.16 CID 7050), for De-identification Method Code Sequence (0012,0064)."""

PROFILE_FILE = "ps315_e1_1_2026c.json"
TYPES_FILE = "attribute_types_highdicom_0.26.0.json.gz"
SAFE_PRIVATE_FILE = "safe_private_elements.json"


@dataclass(frozen=True)
class Row:
    """One row of Table E.1-1.

    Parameters
    ----------
    pattern : str
        Eight lower-case hexadecimal digits, ``x`` for any; or ``private``.
    name : str
        The attribute's name.
    basic : str
        Action of the Basic Profile, such as ``X/Z/D``.
    options : dict of str to str
        ``K`` or ``C`` by option (:data:`OPTIONS`).
    """

    pattern: str
    name: str
    basic: str
    options: dict[str, str]


def _bytes(name: str) -> bytes:
    return (resources.files("cairn.deid") / "data" / name).read_bytes()


@lru_cache(maxsize=1)
def data_digest() -> str:
    """SHA-256 (hex) of the three tables: part of every rule set's hash."""
    digest = hashlib.sha256()
    for name in (PROFILE_FILE, TYPES_FILE, SAFE_PRIVATE_FILE):
        digest.update(_bytes(name))
    return digest.hexdigest()


@lru_cache(maxsize=1)
def profile_rows() -> tuple[Row, ...]:
    """Return Table E.1-1."""
    return tuple(Row(*row) for row in json.loads(_bytes(PROFILE_FILE))["rows"])


@lru_cache(maxsize=1)
def profile_edition() -> str:
    """Return the edition of the standard that the table is from."""
    return str(json.loads(_bytes(PROFILE_FILE))["edition"])


@lru_cache(maxsize=1)
def _types() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    content = json.loads(gzip.decompress(_bytes(TYPES_FILE)))
    return content["sop_classes"], content["types"]


def attribute_type(sop_class: str, path: tuple[int, ...]) -> str | None:
    """Return the type of an attribute in the IOD of a SOP class (PS3.5 7.4).

    Parameters
    ----------
    sop_class : str
        SOP Class UID.
    path : tuple of int
        The tags that lead to it, its own last.

    Returns
    -------
    str or None
        ``1``, ``1C``, ``2``, ``2C`` or ``3``; an attribute that the IOD does not have counts as ``3``. None where
        that cannot be told: an unknown SOP class, or a place within a sequence of which the table says nothing.
    """
    classes, types = _types()
    known = types.get(classes.get(sop_class, ""))
    if known is None:
        return None
    return known.get("/".join(f"{tag:08x}" for tag in path), "3" if len(path) == 1 else None)


@lru_cache(maxsize=1)
def safe_private_elements() -> dict[tuple[str, int, int], tuple[str, str]]:
    """Return (creator, group, low byte of the element) → (VR, meaning) of private elements known to be safe.

    Rows of PS3.15 Table E.3.10-1; the file tells which.
    """
    content = json.loads(_bytes(SAFE_PRIVATE_FILE))
    found = {}
    for creator, elements in content["elements"].items():
        for element, (vr, meaning) in elements.items():
            found[creator, int(element[:4], 16), int(element[6:], 16)] = (vr, meaning)
    return found
