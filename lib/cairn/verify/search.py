"""Searching what leaves for what is known: files by bytes and elements, tables by cells, logs by lines."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from cairn.verify.known import Known, elements_of, fold
from cairn.verify.patterns import patterns_in

WORD, UID, DATE, BIRTH_DATE, UNREADABLE = "own_value", "original_uid", "original_date", "birth_date", "unreadable"
_UID = re.compile(rb"(?<![\d.])\d+(?:\.\d+){2,}")
_WITHIN_NUMBER = re.compile(r"(?<=\d)[ ./-]{1,3}(?=\d)")
_TEXT_VRS = frozenset({"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR", "UN", "OB"})
_PIXELS = (b"\xe0\x7f\x10\x00", b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00")
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
_SHORTEST_AMONG_BYTES = 6
_STREAMS, _INFLATED = 64, 1 << 22


@dataclass(frozen=True)
class Place:
    """Where something was found, and by which rule; never what.

    Parameters
    ----------
    where : str
        Tag path, column, or byte offset.
    rule : str
        What was found: own_value, original_uid, original_date, birth_date, unreadable, or a pattern's name.
    """

    where: str
    rule: str


def check_file(known: Known, made: bytes) -> list[Place]:
    """Return where a file that leaves still tells of the person.

    Parameters
    ----------
    known : Known
        Of the original.
    made : bytes
        The file, or its header.

    Returns
    -------
    list of Place
        Empty when nothing was found. A file that cannot be read is a finding.
    """
    found: dict[Place, None] = {}
    try:
        for path, keyword, vr, texts in elements_of(made):
            for place in _element(known, path, keyword, vr, texts):
                found[place] = None
    except ValueError:
        found[Place("file", UNREADABLE)] = None
    for place in _bytes(known, made):
        if not any(other.rule == place.rule for other in found):  # an element says more than an offset
            found[place] = None
    return list(found)


def _element(known: Known, path: str, keyword: str, vr: str, texts: Sequence[str]) -> Iterator[Place]:
    if not texts:
        return
    if vr in ("DA", "DT"):
        if known.dates.get(path) == "\\".join(texts):
            yield Place(path, DATE)
        return
    if vr == "UI":
        if any(text in known.uids for text in texts):
            yield Place(path, UID)
        return
    if vr not in _TEXT_VRS or keyword in _NO_NAMES:
        return
    if vr == "CS" or keyword in _CODES:
        known = replace(known, words=_without_terms(known.words))
    yield from (Place(path, rule) for rule in check_text(known, "\\".join(texts)))


_NO_NAMES = frozenset({"CodingSchemeDesignator", "CodingSchemeVersion", "Manufacturer", "ManufacturerModelName"})
"""Makers are called like people: a Mr Philips must not lose every image that a Philips scanner took."""

_CODES = frozenset({"CodeValue", "CodeMeaning", "LongCodeValue", "MappingResource", "ContextIdentifier"})
_SHORTEST_TERM = 5


@lru_cache(maxsize=4096)
def _without_terms(words: frozenset[str]) -> frozenset[str]:
    """Return the words that codes are not made of: BRAIN is a surname and a body part.

    Only where the standard has terms (CS, code sequences); in free text such a word counts.
    """
    return frozenset(word for word in words if len(word) >= _SHORTEST_TERM and word not in terms())


@lru_cache(maxsize=1)
def terms() -> frozenset[str]:
    """Return the words of the standard's own vocabulary: meanings of its codes (PS3.16, as pydicom ships them)."""
    from pydicom.sr._concepts_dict import concepts

    words: set[str] = set()
    for scheme in concepts.values():
        for name in scheme:
            words |= {part.upper() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    return frozenset(words)


def check_text(known: Known, text: str) -> list[str]:
    """Return the rules by which a text tells of the person, or of anybody."""
    rules = list(patterns_in(text))
    matcher = _matcher(known.words)
    if matcher.found(fold(text)) or matcher.found(fold(_WITHIN_NUMBER.sub("", text))):
        rules.append(WORD)
    digits = re.sub(r"\D", "", text)
    if len(digits) >= 5 and any(_says_date(text, date) for date in known.birth_dates):
        rules.append(BIRTH_DATE)
    if any(uid.decode("ascii") in known.uids for uid in _UID.findall(text.encode("ascii", "replace"))):
        rules.append(UID)
    return rules


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


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def _says_date(text: str, date: str) -> bool:
    forms = _date_forms(date)
    return forms is not None and forms.search(text) is not None


@lru_cache(maxsize=4096)
def _date_forms(date: str) -> re.Pattern[str] | None:
    """Return a date as people write it: 1901-01-03, 3.1.1901, 1/3/1901, 3rd January 1901, Jan 3, 1901."""
    year, month, day = date[:4], date[4:6], date[6:]
    if not 1 <= int(month) <= 12:
        return None
    m, d = (f"0?{int(part)}" if int(part) < 10 else part for part in (month, day))
    name = rf"{_MONTHS[int(month) - 1]}[A-Z]*\.?"
    gap, th = r"[\s,./-]*", r"(?:ST|ND|RD|TH)?"
    forms = (
        rf"{year}\D?{month}\D?{day}", rf"{day}{month}{year}", rf"{month}{day}{year}",
        rf"{d}[\s./-]+{m}[\s./-]+{year}", rf"{m}[\s./-]+{d}[\s./-]+{year}", rf"{year}[\s./-]+{m}[\s./-]+{d}",
        rf"{d}{th}{gap}{name}{gap}{year}", rf"{name}{gap}{d}{th}{gap}{year}",
    )  # fmt: skip
    return re.compile(rf"(?<![\d.])(?:{'|'.join(forms)})(?!\d)", re.IGNORECASE)


def _bytes(known: Known, made: bytes) -> Iterator[Place]:
    """Search the bytes as they stand, whatever the elements say: behind the last one, in other encodings, deflated."""
    pixels = min((at for mark in _PIXELS if (at := made.find(mark)) >= 0), default=len(made))
    # What codes and terms are made of was looked at element by element.
    searched = replace(known, words=_without_terms(known.words))
    yield from _plain(searched, made[:pixels], "bytes of the header", _SHORTEST_AMONG_BYTES)
    # Among pixels words are there by chance, unless they are long.
    yield from _plain(known, made[max(pixels, len(made) - 65_536) :], "last bytes", _SHORTEST_AMONG_BYTES)
    for count, found in enumerate(_ZLIB.finditer(made[:pixels])):
        if count >= _STREAMS:
            break
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            text = inflater.decompress(made[found.start() :], _INFLATED)
        except zlib.error:
            continue
        yield from _plain(known, text, "compressed bytes")


def _plain(known: Known, data: bytes, where: str, shortest: int = 3) -> Iterator[Place]:
    if any(uid.decode("ascii") in known.uids for uid in _UID.findall(data)):
        yield Place(where, UID)
    words = frozenset(word for word in known.words if len(word) >= shortest)
    matcher = _matcher(words)
    if any(matcher.found_in_bytes(form) for form in (data, data.replace(b"\0", b""))):
        yield Place(where, WORD)


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

    def found_in_bytes(self, data: bytes) -> bool:
        """Whether bytes hold one of the words, in ASCII, Latin-1 with accents, or (other scripts) UTF-8."""
        folded = data.translate(_FOLDED)
        if self._bytes is not None and any(word in folded for word in self._plain) and self._bytes.search(folded):
            return True
        return any(word in data for word in self._others)


def _pattern(word: str) -> str:
    escaped = re.escape(word)
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
