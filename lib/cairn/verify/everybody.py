"""What is known of everybody whose originals there are: for files that leave without saying whose they are.

Everybody's UIDs, numbers and whole names are looked for in everything that leaves: one person's file must not tell of
another. Where a file's own original is not known, single names are looked for too, except those that are words of the
standard's vocabulary: among many patients there is one called Head.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pydicom

from cairn.verify.known import Known, fold, known_of, terms
from cairn.verify.search import UID, WORD, without_separators
from cairn.verify.word_index import Numbers64, WordIndex, number_of

_SHORTEST_NAME, _SHORTEST_NUMBER = 5, 6
_SHORTEST_AMONG_PIXELS = 8
_UID = re.compile(rb"(?<![\d.])\d+(?:\.\d+){2,}")
_LETTERS = re.compile(r"[^\W\d_]+")
_COMPACTED_AT = 1 << 20
_MAKERS = frozenset(
    ("AGFA", "CANON", "ELEKTA", "FUJI", "FUJIFILM", "HITACHI", "HOLOGIC", "KODAK", "PHILIPS", "SAMSUNG", "SIEMENS",
     "TOSHIBA", "UNITED", "VARIAN")
)  # fmt: skip
"""People are called like makers, whose names are in most files."""


@dataclass(frozen=True, repr=False)
class Original:
    """One original.

    Parameters
    ----------
    known : Known
        What it tells of its person.
    person : int
        Hash of what the person is called by: equal for the same person.
    pixels : int or None
        Hash of its pixel data as stored; None when there is none.
    """

    known: Known
    person: int
    pixels: int | None


def original_of(data: bytes) -> Original:
    """Return what there is to know of an original.

    Raises
    ------
    ValueError
        When pydicom cannot read it.
    """
    known = known_of(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tags = [(0x0010, 0x0020), (0x0010, 0x0010), (0x0020, 0x000D)]
            dataset = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True, specific_tags=tags)
            names = [fold(str(dataset[tag].value)) if tag in dataset else "" for tag in tags]
        except Exception as fault:  # noqa: BLE001 - pydicom raises nearly anything for bytes that are no DICOM
            raise ValueError(f"pydicom cannot read it: {type(fault).__name__}") from None
    person = "\0".join(names[:2]) if any(names[:2]) else names[2]
    return Original(known, number_of(person.encode()), pixels_of(data))


def pixels_of(data: bytes) -> int | None:
    """Return the hash of a file's pixel data as stored, by which a file is recognised that was only renamed inside.

    None without pixel data, and when all of it is the same byte: empty images are all alike.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(io.BytesIO(data), force=True)
            value = dataset.get_item(0x7FE00010).value if 0x7FE00010 in dataset else None
        except Exception:  # noqa: BLE001 - as above: what cannot be read is recognised by nothing
            return None
    if not isinstance(value, bytes):
        return None
    value = value.rstrip(b"\0")
    return number_of(value) if len(value) > 1 and value.strip(value[:1]) else None


def specific(words: Iterable[str]) -> frozenset[str]:
    """Return the words that nothing else is called: numbers, and names together, also joined and turned round."""
    found: set[str] = set()
    for word in words:
        parts = word.split()
        if any(letter.isdigit() for letter in word):
            if len(word) >= _SHORTEST_NUMBER and not _is_ramp(word):
                found.add(word)
        elif len(parts) > 1 and len(word) > _SHORTEST_AMONG_PIXELS:
            found |= {word, "".join(parts), f"{parts[1]} {parts[0]}"} if len(parts[1]) > 1 else {word}
    return frozenset(word for word in found if not all(part in terms() for part in word.split()))


def _is_ramp(word: str) -> bool:
    """Whether a number only counts up or down: 12345678 is nobody's alone, and stands among pixels that grow darker."""
    steps = {ord(after) - ord(before) for before, after in pairwise(word)}
    return steps in ({1}, {-1}, {0})


def single(words: Iterable[str]) -> frozenset[str]:
    """Return the names among words that are no terms of the standard."""
    return frozenset(
        word
        for word in words
        if len(word) >= _SHORTEST_NAME and _LETTERS.fullmatch(word) and word not in terms() and word not in _MAKERS
    )


@dataclass(frozen=True, repr=False, eq=False)
class Everybody:
    """What must not be found in anything that leaves.

    Parameters
    ----------
    specific : WordIndex
        Numbers and whole names.
    names : WordIndex
        Single names.
    uids : Numbers64
        Hashes of original UIDs.
    """

    specific: WordIndex
    names: WordIndex
    uids: Numbers64

    def in_text(self, text: str, with_names: bool) -> list[str]:
        """Return the rules by which a text tells of anybody."""
        text = html.unescape(text) if "&" in text else text
        rules = [UID] if self._uid_in(text.encode("ascii", "replace")) else []
        forms = [fold(form).encode("utf-8") for form in {text, without_separators(text)}]
        if any(self.specific.found(form) or (with_names and self.names.found(form)) for form in forms):
            rules.append(WORD)
        return rules

    def in_bytes(self, data: bytes, folded: bytes, with_names: bool, among_pixels: bool) -> list[str]:
        """Return the rules by which bytes tell of anybody; `folded` is the same in capitals."""
        rules = [UID] if self._uid_in(data) else []
        shortest = _SHORTEST_AMONG_PIXELS if among_pixels else _SHORTEST_NUMBER
        if self.specific.found(folded, shortest) or (with_names and self.names.found(folded, shortest)):
            rules.append(WORD)
        return rules

    def _uid_in(self, data: bytes) -> bool:
        return any(number_of(uid) in self.uids for uid in set(_UID.findall(data)))


@dataclass(repr=False)
class Gathering:
    """Takes in originals one by one; each word and UID is kept once.

    UIDs, of which there are as many as files, are kept as hashes only.
    """

    specific: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    _uids: list[int] = field(default_factory=list)
    _compacted: Numbers64 = field(default_factory=lambda: Numbers64.of(()))

    def add(self, known: Known) -> None:
        """Take in what an original tells."""
        self.specific |= specific(known.words)
        self.names |= single(known.words)
        self._uids += [number_of(uid.encode("ascii", "replace")) for uid in known.uids]
        if len(self._uids) > _COMPACTED_AT:
            self._compact()

    def merge(self, other: Gathering) -> None:
        """Take in what another process gathered."""
        self.specific |= other.specific
        self.names |= other.names
        other._compact()
        self._compacted = _joined(self._compacted, other._compacted)

    def everybody(self) -> Everybody:
        """Return what was gathered, ready for searching."""
        self._compact()
        return Everybody(WordIndex.of(self.specific), WordIndex.of(self.names), self._compacted)

    def _compact(self) -> None:
        self._compacted = _joined(self._compacted, Numbers64.of(self._uids))
        self._uids = []


def _joined(one: Numbers64, other: Numbers64) -> Numbers64:
    return Numbers64(np.union1d(one.sorted_numbers, other.sorted_numbers))
