"""DICOM's data dictionaries as flat arrays that a compiled kernel can look up.

Source: pydicom's generated copy of PS3.6 (public elements, repeating groups) and its private dictionary.
Nothing is typed here; the arrays are derived once per process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._private_dict import private_dictionaries

from cairn.dicom.compiled import compiled

VR_NAMES: tuple[str, ...] = (
    "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OD", "OF", "OL", "OV", "OW",
    "PN", "SH", "SL", "SQ", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT", "UV",
    "US or SS", "US or OW",
)  # fmt: skip
"""VR by code. The last two are the dictionary's ambiguous ones, decided by the dataset (docs/header.md)."""

VR = {name: code for code, name in enumerate(VR_NAMES)}
_AS_BINARY = {"OB or OW": "OW", "OB_OW": "OW", "US or SS or OW": "US or OW"}
LONG_LENGTH = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""VRs whose explicit form has a 32-bit length (PS3.5 7.1.2)."""

EXTRA_KEYS = ("length", "sha256")
"""Keys of the object that stands for a value kept by length and hash."""

_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_FORM_EXACT, _FORM_BLOCK, _FORM_GROUPS = 0, 1, 2
UNKNOWN_VR = VR["UN"]


@dataclass(frozen=True)
class Dictionary:
    """The dictionaries' arrays.

    Attributes
    ----------
    keys, vrs, ranks : numpy.ndarray
        Open-addressing table over public tags: uint64 key, uint8 VR code, int64 rank of the keyword among all
        keywords in byte order (-1 when the element has none).
    mask_value, mask_bits, mask_vr : numpy.ndarray
        Repeating groups: a tag matches entry i when ``(tag ^ mask_value[i]) & mask_bits[i] == 0``.
    creator_keys, creator_ids : numpy.ndarray
        Table from the FNV-1a hash of a private creator to its number.
    private_keys, private_vrs : numpy.ndarray
        Table from (creator number, form, element) to VR code.
    vr_of_bytes : numpy.ndarray
        int8, 65,536 long: VR code of two bytes read as a big-endian number, -1 when they are no VR.
    vr_is_long : numpy.ndarray
        uint8 by VR code: 1 when the explicit form has a 32-bit length.
    key_text, key_start : numpy.ndarray
        The keywords (and :data:`EXTRA_KEYS`) in byte order, concatenated, and where each begins.
    key_names : tuple of str
        The same, as text.
    """

    keys: np.ndarray
    vrs: np.ndarray
    ranks: np.ndarray
    mask_value: np.ndarray
    mask_bits: np.ndarray
    mask_vr: np.ndarray
    creator_keys: np.ndarray
    creator_ids: np.ndarray
    private_keys: np.ndarray
    private_vrs: np.ndarray
    vr_of_bytes: np.ndarray
    vr_is_long: np.ndarray
    key_text: np.ndarray
    key_start: np.ndarray
    key_names: tuple[str, ...]

    def tables(self) -> tuple[np.ndarray, ...]:
        """Return the arrays that the tokeniser takes, in its order."""
        return (
            self.keys, self.vrs, self.mask_value, self.mask_bits, self.mask_vr, self.creator_keys, self.creator_ids,
            self.private_keys, self.private_vrs, self.vr_of_bytes, self.vr_is_long,
        )  # fmt: skip


def _vr_code(name: str) -> int:
    return VR.get(_AS_BINARY.get(name, name), UNKNOWN_VR)


def _slot_count(entries: int) -> int:
    return 1 << (2 * entries).bit_length()


def hash_table(keys: list[int], values: list[int], dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Return an open-addressing table for :func:`find`: uint64 keys and their values, in slots.

    Parameters
    ----------
    keys : list of int
        Distinct keys below 2**64 - 1.
    values : list of int
        One per key.
    dtype : type
        Element type of the values.
    """
    size = _slot_count(len(keys) + 1)
    slots = np.full(size, _EMPTY, np.uint64)
    out = np.zeros(size, dtype)
    for key, value in zip(keys, values, strict=True):
        place = int(_mix(np.uint64(key))) & (size - 1)
        while slots[place] != _EMPTY:
            place = (place + 1) & (size - 1)
        slots[place] = key
        out[place] = value
    return slots, out


@compiled
def _mix(key: np.uint64) -> np.uint64:
    """Spread a key's bits (the finaliser of splitmix64)."""
    key = np.uint64(key)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


@compiled
def find(slots: np.ndarray, key: np.uint64) -> int:
    """Return the slot of `key` in a table made by :func:`hash_table`, or -1."""
    mask = np.uint64(slots.size - 1)
    place = _mix(key) & mask
    while True:
        seen = slots[place]
        if seen == key:
            return np.int64(place)
        if seen == np.uint64(0xFFFFFFFFFFFFFFFF):
            return -1
        place = (place + np.uint64(1)) & mask


@compiled
def fnv1a(data: np.ndarray, start: int, end: int) -> np.uint64:
    """Return the 64-bit FNV-1a hash of ``data[start:end]``."""
    value = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        value = (value ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
    return value


def private_key(creator: int, form: int, element: int) -> int:
    """Return the table key of a private element: creator number, form of its dictionary entry, element bits."""
    return creator << 40 | form << 36 | element


def _private_element(text: str) -> tuple[int, int] | None:
    """Return (form, element bits) of a private dictionary key such as ``0019xx08``; None when it can match no tag."""
    lowered = text.lower()
    if "x" not in lowered:
        return _FORM_EXACT, int(lowered, 16)
    if lowered[4:6] == "xx" and "x" not in lowered[:4] + lowered[6:]:
        return _FORM_BLOCK, int(lowered[:4] + lowered[6:], 16)
    if lowered[2:6] == "xxxx" and "x" not in lowered[:2] + lowered[6:]:
        return _FORM_GROUPS, int(lowered[:2] + lowered[6:], 16)
    return None


def _public() -> dict[int, tuple[str, str]]:
    """Return tag → (VR, keyword), with the first group of each repeating group that has one."""
    entries = {int(tag): (entry[0], entry[4]) for tag, entry in DicomDictionary.items() if entry[0] != "NONE"}
    for mask, entry in RepeatersDictionary.items():
        if mask[:4] in ("50xx", "60xx"):
            entries.setdefault(int(mask[:2] + "00" + mask[4:], 16), (entry[0], entry[4]))
    return entries


@lru_cache(maxsize=1)
def keywords() -> dict[str, tuple[int, str]]:
    """Return keyword → (tag, VR); of a repeating group the first, as in ``docs/header.md``."""
    return {keyword: (tag, vr) for tag, (vr, keyword) in _public().items() if keyword}


def _private() -> tuple[list[int], list[int], list[int], list[int]]:
    """Return creator hashes, creator numbers, private keys and their VR codes."""
    hashes, numbers, keys, vrs = [], [], [], []
    for number, (creator, elements) in enumerate(sorted(private_dictionaries.items())):
        raw = np.frombuffer(bytearray(creator.encode()), np.uint8)
        hashes.append(int(fnv1a(raw, 0, raw.size)))
        numbers.append(number)
        for text, entry in elements.items():
            parsed = _private_element(text)
            if parsed is not None:
                keys.append(private_key(number, *parsed))
                vrs.append(_vr_code(entry[0]))
    return hashes, numbers, keys, vrs


def _masks() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    value, bits, vrs = [], [], []
    for mask, entry in RepeatersDictionary.items():
        value.append(int(mask.replace("x", "0"), 16))
        bits.append(int("".join("0" if c == "x" else "F" for c in mask), 16))
        vrs.append(_vr_code(entry[0]))
    return np.array(value, np.int64), np.array(bits, np.int64), np.array(vrs, np.uint8)


def _vr_bytes() -> tuple[np.ndarray, np.ndarray]:
    of_bytes = np.full(65536, -1, np.int8)
    is_long = np.zeros(len(VR_NAMES), np.uint8)
    for name, code in VR.items():
        if len(name) == 2:
            of_bytes[ord(name[0]) << 8 | ord(name[1])] = code
            is_long[code] = name in LONG_LENGTH
    return of_bytes, is_long


@lru_cache(maxsize=1)
def dictionary() -> Dictionary:
    """Return the dictionaries, built once per process (about 0.1 s)."""
    public = _public()
    names = tuple(sorted({keyword for _, keyword in public.values() if keyword} | set(EXTRA_KEYS)))
    rank = {name: i for i, name in enumerate(names)}
    tags = list(public)
    keys, places = hash_table(tags, list(range(len(tags))), np.int64)
    vrs = np.zeros(keys.size, np.uint8)
    ranks = np.full(keys.size, -1, np.int64)
    for slot in np.flatnonzero(keys != _EMPTY):
        vr, keyword = public[tags[places[slot]]]
        vrs[slot] = _vr_code(vr)
        ranks[slot] = rank.get(keyword, -1)
    hashes, numbers, private_keys, private_vrs = _private()
    text = [name.encode() for name in names]
    return Dictionary(
        keys, vrs, ranks, *_masks(), *hash_table(hashes, numbers, np.int64),
        *hash_table(private_keys, private_vrs, np.uint8), *_vr_bytes(),
        np.frombuffer(bytearray().join(text), np.uint8),
        np.cumsum([0, *map(len, text)]).astype(np.int64), names,
    )  # fmt: skip


@compiled
def public_vr(tag: int, keys: np.ndarray, vrs: np.ndarray, mask_value: np.ndarray, mask_bits: np.ndarray,
              mask_vr: np.ndarray) -> int:  # fmt: skip
    """Return the VR code that the public dictionary gives `tag`, or -1."""
    slot = find(keys, np.uint64(tag))
    if slot >= 0:
        return np.int64(vrs[slot])
    if (tag >> 16) & 1 == 0:
        for i in range(mask_value.size):
            if (tag ^ mask_value[i]) & mask_bits[i] == 0:
                return np.int64(mask_vr[i])
    return -1


@compiled
def private_vr(tag: int, creator: int, private_keys: np.ndarray, private_vrs: np.ndarray) -> int:
    """Return the VR code that the private dictionary of creator number `creator` gives `tag`, or -1."""
    group, low = tag >> 16, tag & 0xFF
    slot = find(private_keys, np.uint64(creator << 40 | tag))
    if slot < 0:
        slot = find(private_keys, np.uint64(creator << 40 | 1 << 36 | group << 8 | low))
    if slot < 0:
        slot = find(private_keys, np.uint64(creator << 40 | 2 << 36 | (group >> 8) << 8 | low))
    return np.int64(private_vrs[slot]) if slot >= 0 else -1
