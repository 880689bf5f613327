"""The scrubber: free text without what identifies. What no rule knows is removed.

In this order: the file's own identifying values in all spellings; patterns
(:mod:`cairn.deid.free_text_patterns`); and an allow-list: a word stays only when the clinical vocabulary has it, when
it is a number or measure, or when it is put together of such. Names, places and everything unknown go, because nothing
admits them.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from importlib import resources
from itertools import pairwise

from cairn.deid.free_text_patterns import CHECKS, PATTERNS

RULES = 3
"""Raised when the same words and patterns would leave another text: part of the digest."""

DESCRIPTOR, PROSE = "descriptor", "prose"
OWN, UNKNOWN = "own_value", "unknown_word"
_WORD = re.compile(r"[^\W_]+")
_MARKUP = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]+);")
_RUNS = re.compile(r"[A-Z]+|\d+|[^A-Z\d]+")
_LONGEST_NUMBER = 5
_CACHED = 200_000
_REMOVED = "\ufffc"

GLUE = frozenset(
    ("A", "AP", "AX", "B", "C", "CC", "CM", "CT", "D", "DE", "E", "F", "FR", "FS", "G", "H", "HR", "I", "IN", "IV", "K",
     "KEV", "KG", "KV", "KVP", "L", "LA", "LR", "M", "MA", "MAS", "MD", "MGY", "MIN", "ML", "MM", "MR", "MS", "N", "NC",
     "NO", "O", "OF", "P", "PA", "PE", "PER", "PET", "PO", "PT", "Q", "R", "RL", "S", "SE", "SEC", "SI", "SL", "SS",
     "ST", "T", "TE", "TI", "TR", "U", "US", "V", "W", "WO", "X", "XR", "Y", "Z")
)  # fmt: skip
"""Letters that numbers and words are joined with: 5MM, T2W, CHESTWO."""


@dataclass(frozen=True)
class ScrubbedText:
    """A text without what identifies.

    Attributes
    ----------
    text : str
        What is left.
    removed : tuple of str
        Names of the rules that removed something, in order.
    """

    text: str
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class OwnValues:
    """A person's own values, folded. Never printed.

    Attributes
    ----------
    words : frozenset of str
        Parts of names, numbers and addresses.
    joined : tuple of str
        Longer ones, which are found within a word too.
    initials : frozenset of str
        Initials of the person.
    """

    words: frozenset[str] = frozenset()
    joined: tuple[str, ...] = ()
    initials: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"OwnValues({len(self.words)})"


NAMES = frozenset({0x00100010, 0x00101001, 0x00101005, 0x00101060, 0x00102297})
"""Tags with names of the person and the family: their initials count."""


def fold(text: str) -> str:
    """Return a text in capitals without accents, ligatures resolved."""
    if text.isascii():
        return text.upper()
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).upper()
    for letter, instead in (("Ø", "O"), ("Æ", "AE"), ("Œ", "OE"), ("Ł", "L"), ("Đ", "D"), ("ẞ", "SS"), ("Þ", "TH")):
        plain = plain.replace(letter, instead)
    return plain


def own_values(values: Mapping[int, Sequence[str]]) -> OwnValues:
    """Return a file's identifying values in the spellings in which texts have them.

    Parameters
    ----------
    values : mapping of int to sequence of str
        Tag to values, as the file has them.
    """
    words: set[str] = set()
    joined: set[str] = set()
    initials: set[str] = set()
    for tag, texts in values.items():
        for text in texts:
            parts = _WORD.findall(fold(html.unescape(text)))
            words |= {part for part in parts if len(part) > 1}
            whole = "".join(parts)
            joined |= {form for form in (whole, "".join(reversed(parts))) if len(form) >= 5}
            joined |= {part for part in parts if len(part) >= 4}
            words |= {a + b for a, b in pairwise(parts)}  # O'Brien, Mac Donald
            if tag in NAMES and len(parts) > 1:
                letters = "".join(part[0] for part in parts if part[0].isalpha())
                initials |= {letters, letters[::-1], letters[1:] + letters[:1]}
    return OwnValues(frozenset(words), tuple(sorted(joined)), frozenset(i for i in initials if len(i) > 1))


class TextScrubber:
    """Scrubs texts.

    Parameters
    ----------
    vocabulary : frozenset of str, optional
        Words that may stay, in capitals; the packaged ones unless given.
    names : frozenset of str, optional
        What people are called: never a compound of words (CAMP, BELL); the packaged ones unless given.
    """

    def __init__(self, vocabulary: frozenset[str] | None = None, names: frozenset[str] | None = None) -> None:
        self.vocabulary = vocabulary if vocabulary is not None else packaged_words("vocabulary.txt")
        self.names = (names if names is not None else packaged_words("names.txt")) - self.vocabulary
        self._impersonal = lru_cache(_CACHED)(self._scrub_impersonal)
        self._known = lru_cache(_CACHED)(self._is_known)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of vocabulary and patterns: the same rules, the same digest."""
        rules = [
            *sorted(self.vocabulary),
            *sorted(self.names),
            *(f"{name} {pattern.pattern}" for name, pattern in PATTERNS),
        ]
        return sha256("\n".join(rules).encode()).hexdigest()

    def scrub(self, text: str, own: OwnValues | None, kind: str) -> ScrubbedText:
        """Return a text without what identifies.

        Parameters
        ----------
        text : str
            Free text.
        own : OwnValues or None
            From :func:`own_values`.
        kind : str
            ``descriptor`` (a series description) or ``prose`` (a report): prose shows where something was removed.

        Returns
        -------
        ScrubbedText
            The same text when nothing was found.
        """
        if own is None or not (own.words or own.joined):
            return self._impersonal(text, kind)
        found = self._own_spans(text, own)
        if not found:
            return self._impersonal(text, kind)
        cut = "".join(_REMOVED if inside else c for c, inside in zip(text, found, strict=True))
        rest = self._impersonal(cut, kind)
        return ScrubbedText(rest.text, (OWN, *rest.removed))

    def _own_spans(self, text: str, own: OwnValues) -> list[bool]:
        """Return for each character whether it belongs to an own value; empty when none does."""
        inside = [False] * len(text)
        words = [(m.start(), m.end(), fold(m.group())) for m in _WORD.finditer(text)]
        for start, end, word in words:
            own_run = any(run in own.words for run in _RUNS.findall(word))
            initials = word in own.initials and not self._known(word)
            if own_run or initials or word in own.words or any(part in word for part in own.joined):
                inside[start:end] = [True] * (end - start)
        self._mark_split(words, own, inside)
        return inside if any(inside) else []

    def _mark_split(self, words: list[tuple[int, int, str]], own: OwnValues, inside: list[bool]) -> None:
        """Mark own values that are written apart: S M I T H, 010170 1234, MAC DONALD."""
        for at in range(len(words)):
            whole = ""
            for other in range(at, min(len(words), at + 12)):
                whole += words[other][2]
                if len(whole) > 24:
                    break
                if other > at and (whole in own.words or whole in own.joined):
                    start, end = words[at][0], words[other][1]
                    inside[start:end] = [True] * (end - start)

    def _scrub_impersonal(self, text: str, kind: str) -> ScrubbedText:
        removed: list[str] = []
        plain = html.unescape(text) if _MARKUP.search(text) else text
        for name, pattern in PATTERNS:
            made = _without(pattern, CHECKS.get(name), plain)
            if made != plain:
                removed.append(name)
                plain = made
        words = _WORD.sub(lambda m: m.group() if self._known(m.group()) else _REMOVED, plain)
        if words != plain:
            removed.append(UNKNOWN)
        if _REMOVED not in words:
            return ScrubbedText(text)
        return ScrubbedText(_tidied(words, kind), tuple(dict.fromkeys(removed)))

    def _is_known(self, word: str) -> bool:
        """Whether a word may stay: by the vocabulary, as a number, or as a compound of these."""
        upper = fold(word)
        if upper in self.vocabulary or upper in GLUE or (len(upper) == 1 and upper.isascii()):
            return True
        if upper.isdigit():
            return len(upper) <= _LONGEST_NUMBER
        runs = _RUNS.findall(upper)
        if any(run in self.names for run in runs):
            return False
        if any(not (run.isascii() and run.isalnum()) for run in runs):
            return False
        letters = [run for run in runs if not run.isdigit()]
        digits = sum(len(run) for run in runs if run.isdigit())
        if digits > (_LONGEST_NUMBER - 1 if letters else _LONGEST_NUMBER):
            return False
        if len(letters) == len(runs):
            return self._is_compound(upper, 0)
        # With digits in it, up to three letters are a kernel, a coil, a view: B30f, FC13, L5.
        return all(run in GLUE or run in self.vocabulary or self._is_compound(run, 1) for run in letters) or (
            len(letters) <= 2 and sum(map(len, letters)) <= 3
        )

    def _is_compound(self, letters: str, glue: int) -> bool:
        """Whether letters are words of the vocabulary joined, each of four letters or more but for one joint."""
        if len(letters) < 6 + glue * -2:
            return letters in self.vocabulary
        best = {0: 0}  # place -> pieces of glue so far
        for end in range(1, len(letters) + 1):
            for start in range(max(0, end - 24), end):
                if start in best:
                    piece = letters[start:end]
                    cost = best[start]
                    if len(piece) >= 4 and piece in self.vocabulary:
                        best[end] = min(best.get(end, 9), cost)
                    elif piece in GLUE or (len(piece) == 3 and piece in self.vocabulary):
                        best[end] = min(best.get(end, 9), cost + 1)
        return best.get(len(letters), 9) <= 1


def _without(pattern: re.Pattern[str], check: Callable[[str], bool] | None, text: str) -> str:
    """Return a text with what a pattern finds in it marked as removed; an underscore separates as a blank does."""
    shadow, parts, at = text.replace("_", " "), [], 0
    for found in pattern.finditer(shadow):
        if check is None or check(found.group()):
            parts += [text[at : found.start()], _REMOVED]
            at = found.end()
    return "".join([*parts, text[at:]]) if parts else text


def _tidied(text: str, kind: str) -> str:
    """Return a text without its marks of removal, and without the separators that belonged to what went."""
    # A single letter beside what went may be an initial.
    text = re.sub(
        rf"(?<!\w)[^\W\d_][ .,]{{1,2}}(?={_REMOVED})|(?<={_REMOVED})[ .,]{{1,2}}[^\W\d_](?!\w)", _REMOVED, text
    )
    instead = "[...] " if kind == PROSE else " "
    text = re.sub(rf"(?:[\s,;:'’^_/()\[\]-]*{_REMOVED})+", lambda m: " " + instead, text)
    return re.sub(r"[ \t]{2,}", " ", text).strip(" ,;:-_/^")


@lru_cache(maxsize=4)
def packaged_words(file: str) -> frozenset[str]:
    """Return the words of a packaged list, made by :mod:`cairn.deid.make_vocabulary`."""
    lines = (resources.files("cairn.deid") / "data" / file).read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@lru_cache(maxsize=1)
def packaged_scrubber() -> TextScrubber:
    """Return the scrubber with the packaged vocabulary, one a process: it remembers texts."""
    return TextScrubber()


def kept_tokens(scrubber: TextScrubber, texts: Iterable[str]) -> tuple[int, int]:
    """Return how many words of some texts stay, and how many there are."""
    kept = total = 0
    for text in texts:
        words = _WORD.findall(text)
        left = _WORD.findall(scrubber.scrub(text, None, DESCRIPTOR).text)
        kept, total = kept + len(left), total + len(words)
    return kept, total
