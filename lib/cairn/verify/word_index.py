"""Many words looked for at once: one pass over a text or over bytes, whoever's words they are.

A word is kept as a hash of eight bytes, and its first six bytes as a number. Every place of the searched bytes where a
word's first six bytes stand is looked at closely; all others are passed over by numpy. Memory is some twenty bytes a
word, and time hardly depends on how many words there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

HEAD = 6
"""Words of so many letters are found anywhere; shorter ones, and numbers, stand alone."""

_LONGEST = 63
_AT_A_TIME = 1 << 20
_TABLE_BITS = 22
_MIX = np.uint64(0x9E3779B97F4A7C15)
_TOKEN = re.compile(rb"[A-Z0-9]+")
_DIGITS = re.compile(rb"[0-9 ]+")
_BESIDE = re.compile(rb"[A-Z0-9.]")
Numbers = NDArray[np.uint64]


def number_of(data: bytes) -> int:
    """Return the hash of a word or UID: equal for equal ones, and in 64 bits for no others."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


@dataclass(frozen=True, repr=False, eq=False)
class Numbers64:
    """A set of hashes.

    Parameters
    ----------
    sorted_numbers : numpy.ndarray
        uint64, sorted, each once.
    """

    sorted_numbers: Numbers

    def __contains__(self, number: int) -> bool:
        at = int(np.searchsorted(self.sorted_numbers, np.uint64(number)))
        return at < len(self.sorted_numbers) and int(self.sorted_numbers[at]) == number

    def __len__(self) -> int:
        return len(self.sorted_numbers)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Numbers64:
        """Return the set of some hashes."""
        return cls(np.unique(np.fromiter(numbers, np.uint64)))


@dataclass(frozen=True, repr=False, eq=False)
class WordIndex:
    """Finds whether bytes hold one of many words; made by :meth:`of`.

    Parameters
    ----------
    words : Numbers64
        Hashes of the words.
    heads : numpy.ndarray
        uint64, sorted: the first six bytes of the longer ones.
    lengths : numpy.ndarray
        uint64, one for each head: bit n is set when a word with that head has n bytes.
    """

    words: Numbers64
    heads: Numbers
    lengths: Numbers
    _table: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        table = np.zeros(1 << _TABLE_BITS, np.bool_)
        table[_slots(self.heads)] = True
        object.__setattr__(self, "_table", table)

    def __getstate__(self) -> tuple[Numbers64, Numbers, Numbers]:
        return self.words, self.heads, self.lengths  # the table is made anew where it is used

    def __setstate__(self, state: tuple[Numbers64, Numbers, Numbers]) -> None:
        for name, value in zip(("words", "heads", "lengths"), state, strict=True):
            object.__setattr__(self, name, value)
        self.__post_init__()

    @classmethod
    def of(cls, words: Iterable[str]) -> WordIndex:
        """Return the index of some folded words (:func:`cairn.verify.known.fold`)."""
        coded = {word.encode("utf-8")[:_LONGEST] for word in words}
        lengths: dict[int, int] = {}
        for word in coded:
            if len(word) >= HEAD:
                head = int.from_bytes(word[:HEAD], "big")
                lengths[head] = lengths.get(head, 0) | 1 << len(word)
        heads = sorted(lengths)
        return cls(
            Numbers64.of(map(number_of, coded)),
            np.array(heads, np.uint64),
            np.array([lengths[head] for head in heads], np.uint64),
        )

    def found(self, folded: bytes, shortest: int = 1) -> bool:
        """Whether folded bytes hold one of the words of at least `shortest` bytes."""
        if not len(self.words):
            return False
        if shortest < HEAD and any(
            shortest <= len(token) < HEAD and number_of(token) in self.words for token in set(_TOKEN.findall(folded))
        ):
            return True
        return any(self._word_at(folded, at, shortest) for at in self._places(folded))

    def _places(self, folded: bytes) -> Iterator[int]:
        """Yield where the first six bytes of a word stand."""
        if not len(self.heads):
            return
        for start in range(0, max(len(folded) - HEAD + 1, 0), _AT_A_TIME):
            piece = np.frombuffer(folded, np.uint8, min(_AT_A_TIME + HEAD - 1, len(folded) - start), start)
            windows = piece[: len(piece) - HEAD + 1].astype(np.uint64)
            for step in range(1, HEAD):
                windows <<= np.uint64(8)
                windows |= piece[step : len(piece) - HEAD + 1 + step]
            near = np.flatnonzero(self._table[_slots(windows)])
            yield from (start + near[np.isin(windows[near], self.heads)]).tolist()

    def _word_at(self, folded: bytes, at: int, shortest: int) -> bool:
        head = int.from_bytes(folded[at : at + HEAD], "big")
        lengths = int(self.lengths[np.searchsorted(self.heads, np.uint64(head))])
        for length in range(max(HEAD, shortest), _LONGEST + 1):
            word = folded[at : at + length]
            is_word = lengths >> length & 1 and len(word) == length and number_of(word) in self.words
            if is_word and (not _DIGITS.fullmatch(word) or _stands_alone(folded, at, at + length)):
                return True
        return False


def _slots(windows: Numbers) -> Numbers:
    return (windows * _MIX) >> np.uint64(64 - _TABLE_BITS)


def _stands_alone(folded: bytes, start: int, end: int) -> bool:
    return not _BESIDE.search(folded[max(start - 1, 0) : start] + folded[end : end + 1])
