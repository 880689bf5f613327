"""Searching what leaves for what is known: files by bytes and elements, tables by cells, logs by lines."""

from __future__ import annotations

import html
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from cairn.verify.dates import dates_in
from cairn.verify.known import Known, elements_of, fold, terms
from cairn.verify.patterns import patterns_in

WORD, UID, DATE, BIRTH_DATE, UNREADABLE = "own_value", "original_uid", "original_date", "birth_date", "unreadable"
INITIALS = "initials"
_UID = re.compile(rb"(?<![\d.])\d+(?:\.\d+){2,}")
_WITHIN_NUMBER = re.compile(r"(?<=\d)[ ./-]{1,3}(?=\d)")
_TEXT_VRS = frozenset({"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR", "UN", "OB"})
_PIXELS = (b"\xe0\x7f\x10\x00", b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00")
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
_SHORTEST_AMONG_BYTES = 6
_STREAMS, _INFLATED = 64, 1 << 22
_SEGMENT = re.compile(rb"\xff[\xfe\x64\xe0-\xef](?=(..))", re.DOTALL)
_SEGMENTS = 256
_DOTTED = re.compile(r"(?<![A-Z.])(?:[A-Z]\.[ ]?){2,4}(?![A-Z])")
_CAPITALS = re.compile(r"(?<![A-Za-z0-9])[A-Z]{3,4}(?![A-Za-z0-9])")


@dataclass(frozen=True)
class Place:
    """Where something was found, and by which rule; never what.

    Parameters
    ----------
    where : str
        Tag path, column, or byte offset.
    rule : str
        What was found: own_value, original_uid, original_date, birth_date, initials, unreadable, or a pattern's name.
    """

    where: str
    rule: str


class Others(Protocol):
    """What is known of other persons (:class:`cairn.verify.everybody.Everybody`)."""

    def in_text(self, text: str, with_names: bool) -> list[str]:
        """Return the rules by which a text tells of anybody."""

    def in_bytes(self, data: bytes, folded: bytes, with_names: bool, among_pixels: bool) -> list[str]:
        """Return the rules by which bytes tell of anybody."""


@dataclass(frozen=True, repr=False)
class Sought:
    """What is looked for in one file.

    Parameters
    ----------
    known : Known
        Of its own original.
    others : Others or None
        Of everybody.
    with_names : bool
        Whether everybody's single names count: where the file's own original is not known.
    """

    known: Known
    others: Others | None = None
    with_names: bool = False

    def among_terms(self) -> Sought:
        """Return what is looked for where the standard's terms stand: no words that these are made of."""
        return Sought(replace(self.known, words=_without_terms(self.known.words)), self.others)

    def rules_of(self, text: str) -> list[str]:
        """Return the rules by which a text tells of anybody."""
        rules = check_text(self.known, text)
        found = self.others.in_text(text, self.with_names) if self.others else []
        return rules + [rule for rule in found if rule not in rules]


def check_file(known: Known, made: bytes, others: Others | None = None, with_names: bool = False) -> list[Place]:
    """Return where a file that leaves still tells of the person.

    Parameters
    ----------
    known : Known
        Of the original.
    made : bytes
        The file, or its header.
    others : Others, optional
        What is known of everybody: looked for besides.
    with_names : bool
        Whether everybody's single names count too.

    Returns
    -------
    list of Place
        Empty when nothing was found. A file that cannot be read is a finding.
    """
    sought = Sought(known, others, with_names)
    found: dict[Place, None] = {}
    makers: list[str] = []
    try:
        for path, keyword, vr, texts in elements_of(made):
            makers += texts if keyword in _NO_NAMES else ()
            for place in _element(sought, path, keyword, vr, texts):
                found[place] = None
    except ValueError:
        found[Place("file", UNREADABLE)] = None
    for place in _bytes(sought, made, makers):
        if not any(other.rule == place.rule for other in found):  # an element says more than an offset
            found[place] = None
    return list(found)


def _element(sought: Sought, path: str, keyword: str, vr: str, texts: Sequence[str]) -> Iterator[Place]:
    if not texts:
        return
    if vr in ("DA", "DT"):
        if sought.known.dates.get(path) == "\\".join(texts):
            yield Place(path, DATE)
        return
    if vr == "UI":
        others = sought.others.in_text("\\".join(texts), False) if sought.others else []
        if UID in others or any(text in sought.known.uids for text in texts):
            yield Place(path, UID)
        return
    if vr not in _TEXT_VRS or keyword in _NO_NAMES:
        return
    if vr == "CS" or keyword in _CODES:
        sought = sought.among_terms()
    yield from (Place(path, rule) for rule in sought.rules_of("\\".join(texts)))


_NO_NAMES = frozenset({"CodingSchemeDesignator", "CodingSchemeVersion", "Manufacturer", "ManufacturerModelName"})
"""Makers are called like people: a Mr Philips must not lose every image that a Philips scanner took."""

_CODES = frozenset({"CodeValue", "CodeMeaning", "LongCodeValue", "MappingResource", "ContextIdentifier"})
_SHORTEST_TERM, _SHORTEST_JOINED = 5, 4


@lru_cache(maxsize=4096)
def _without_terms(words: frozenset[str]) -> frozenset[str]:
    """Return the words that codes are not made of: BRAIN is a surname and a body part.

    Only where the standard has terms (CS, code sequences); in free text such a word counts.
    """
    return frozenset(word for word in words if len(word) >= _SHORTEST_TERM and not _is_term(word))


def _is_term(word: str) -> bool:
    """Whether a word is one of the standard's, or two of them joined: HEADNECK."""
    joints = range(_SHORTEST_JOINED, len(word) - _SHORTEST_JOINED + 1)
    return word in terms() or any(word[:at] in terms() and word[at:] in terms() for at in joints)


def without_separators(text: str) -> str:
    """Return a text in which the digits of numbers stand together: 010170 1234 as 0101701234."""
    return _WITHIN_NUMBER.sub("", text)


def check_text(known: Known, text: str) -> list[str]:
    """Return the rules by which a text tells of the person, or of anybody."""
    text = html.unescape(text) if "&" in text else text
    rules = list(_patterns_of(text))
    matcher = _matcher(known.words)
    if matcher.found(fold(text)) or matcher.found(fold(without_separators(text))):
        rules.append(WORD)
    if known.initials and _initials_in(text) & known.initials:
        rules.append(INITIALS)
    if (known.birth_dates or known.event_dates) and sum(map(str.isdigit, text)) >= 3:
        said = _dates_of(text)
        rules += [BIRTH_DATE] * bool(said & known.birth_dates) + [DATE] * bool(said & known.event_dates)
    if any(uid.decode("ascii") in known.uids for uid in _UID.findall(text.encode("ascii", "replace"))):
        rules.append(UID)
    return rules


# Of the texts of an archive most are repeated in file after file.
_patterns_of = lru_cache(maxsize=1 << 15)(lambda text: tuple(patterns_in(text)))
_dates_of = lru_cache(maxsize=1 << 15)(dates_in)


@lru_cache(maxsize=1 << 15)
def _initials_in(text: str) -> frozenset[str]:
    """Return what may be initials: letters with stops, and three or four capitals that are no term."""
    dotted = {re.sub(r"[. ]", "", found) for found in _DOTTED.findall(text)}
    return frozenset(dotted | {found for found in _CAPITALS.findall(text) if found not in terms()})


def check_texts(columns: Mapping[str, Sequence[object]], known: Sequence[Known]) -> list[Place]:
    """Return where the cells of a table that leaves still tell of the person of their row, or of anybody.

    Parameters
    ----------
    columns : mapping of str to sequence
        Cells by column; what is no text is passed over, lists are looked into.
    known : sequence of Known
        One for each row.

    Returns
    -------
    list of Place
        ``column[row]``, rows counted from 0. Cells with the same text and person are searched once.
    """
    seen: dict[tuple[int, str], list[str]] = {}
    found = []
    for column, cells in columns.items():
        for row, (cell, person) in enumerate(zip(cells, known, strict=False)):
            text = "\\".join(map(str, cell)) if isinstance(cell, (list, tuple)) else cell
            if not isinstance(text, str) or not text:
                continue
            key = (id(person), text)  # every person in `known` outlives this call
            if key not in seen:
                seen[key] = check_text(person, text)
            found += [Place(f"{column}[{row}]", rule) for rule in seen[key]]
    return found


def _bytes(sought: Sought, made: bytes, makers: Sequence[str]) -> Iterator[Place]:
    """Search the bytes as they stand, whatever the elements say: behind the last one, in other encodings, deflated.

    What the elements of makers say is passed over here too, once for each of them.
    """
    pixels = min((at for mark in _PIXELS if (at := made.find(mark)) >= 0), default=len(made))
    # What codes and terms are made of was looked at element by element.
    header, among_terms = made[:pixels], sought.among_terms()
    if made[128:132] == b"DICM" and (preamble := made[:128].strip(b"\0")):
        yield from (Place("preamble", rule) for rule in sought.rules_of(preamble.decode("latin-1")))
    for maker in makers:
        told = maker.encode("latin-1", "replace")
        header = header.replace(told, b" " * len(told), 1)
    yield from plain(among_terms, header, "bytes of the header", _SHORTEST_AMONG_BYTES)
    # Among pixels words are there by chance, unless they are long.
    yield from plain(sought, made[pixels:], "bytes of the pixels", _SHORTEST_AMONG_BYTES, among_pixels=True)
    for text in _segments(made[pixels:]):
        yield from (Place("segment of a compressed frame", rule) for rule in sought.rules_of(text))
    yield from inflated(sought, header)


def inflated(sought: Sought, data: bytes) -> Iterator[Place]:
    """Search the zlib and gzip streams within bytes."""
    for count, found in enumerate(_ZLIB.finditer(data)):
        if count >= _STREAMS:
            break
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            text = inflater.decompress(data[found.start() :], _INFLATED)
        except zlib.error:
            continue
        yield from plain(sought, text, "compressed bytes")


def _segments(pixels: bytes) -> Iterator[str]:
    """Yield what comments and application segments of JPEG (T.81 B.2.4.5-6) and JPEG 2000 (T.800 A.9.2) say."""
    for count, found in enumerate(_SEGMENT.finditer(pixels)):
        if count >= _SEGMENTS:
            return
        data = pixels[found.end() + 2 : found.end() + int.from_bytes(found[1], "big")]
        text = "".join(chr(code) if 32 <= code < 127 else " " for code in data)
        if len(text.replace(" ", "")) >= max(3, len(text) * 3 // 4):
            yield text


def plain(sought: Sought, data: bytes, where: str, shortest: int = 3, among_pixels: bool = False) -> Iterator[Place]:
    """Search bytes for UIDs, and for words of at least `shortest` letters."""
    known = sought.known
    if known.uids and any(uid.decode("ascii") in known.uids for uid in _UID.findall(data)):
        yield Place(where, UID)
    matcher = _matcher(frozenset(word for word in known.words if len(word) >= shortest))
    for form in (data, data.replace(b"\0", b"")) if b"\0" in data else (data,):  # without zeros: UTF-16
        folded = form.translate(_FOLDED)
        if matcher.found_in_folded(folded, form):
            yield Place(where, WORD)
        if sought.others:
            rules = sought.others.in_bytes(form, folded, sought.with_names, among_pixels)
            yield from (Place(where, rule) for rule in rules)


class Matcher:
    """Looks for words in folded texts: short ones as words, those of six letters or digits and more anywhere.

    Parameters
    ----------
    words : iterable of str
        Folded words.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words = tuple(sorted(set(words), key=lambda word: (-len(word), word)))
        self._regex = re.compile("|".join(map(_pattern, self._words))) if self._words else None
        plain = [word.encode() for word in self._words if word.isascii()]
        self._plain = tuple(plain)
        self._bytes = re.compile(b"|".join(_pattern(word.decode()).encode() for word in plain)) if plain else None
        self._others = tuple(word.encode("utf-8") for word in self._words if not word.isascii())

    def found(self, folded: str) -> bool:
        """Whether a folded text holds one of the words."""
        if self._regex is None or not any(word in folded for word in self._words):
            return False
        return self._regex.search(folded) is not None

    def found_in_folded(self, folded: bytes, data: bytes) -> bool:
        """Whether bytes hold one of the words, in ASCII, Latin-1 with accents, or (other scripts) UTF-8."""
        if self._bytes is not None and any(word in folded for word in self._plain) and self._bytes.search(folded):
            return True
        return any(word in data for word in self._others)


def _pattern(word: str) -> str:
    escaped = re.escape(word)
    if word.isalpha():  # a name may end a sentence; a stop beside digits makes them another number
        return escaped if len(word) >= 6 else rf"(?<![A-Z0-9]){escaped}(?![A-Z0-9])"
    return escaped if len(word) >= 6 and not word.isdigit() else rf"(?<![A-Z0-9.]){escaped}(?![A-Z0-9.])"


def _folded_byte(code: int) -> int:
    text = fold(bytes([code]).decode("latin-1"))
    return ord(text) if len(text) == 1 and text.isascii() and text.isprintable() else 0x20 if code < 0x80 else code


_FOLDED = bytes(_folded_byte(code) for code in range(256))


@lru_cache(maxsize=4096)
def _matcher(words: frozenset[str]) -> Matcher:
    return Matcher(words)


def search_folder(folder: Path, values: Iterable[str]) -> list[str]:
    """Return the files under a folder whose content or name holds one of some values; for logs and what jobs leave.

    Parameters
    ----------
    folder : pathlib.Path
        Walked to its end.
    values : iterable of str
        Looked for as they are, in UTF-8 and UTF-16, whatever the case.
    """
    wanted = {value for value in values if value}
    forms = {form.upper() for value in wanted for form in (value.encode(), value.encode("utf-16-le"))}
    pattern = re.compile(b"|".join(map(re.escape, sorted(forms, key=len, reverse=True)))) if forms else None
    found = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder)).encode("utf-8", "surrogateescape")
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if pattern is not None and (pattern.search(name.upper()) or pattern.search(content.upper())):
            found.append(str(path.relative_to(folder)))
    return found
