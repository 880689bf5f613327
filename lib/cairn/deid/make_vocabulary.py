"""Makes ``data/vocabulary.txt``, the words that free text may keep, and ``data/names.txt``; run by hand.

``python -m cairn.deid.make_vocabulary DESCRIPTIONS.csv …`` takes CSV files with a column ``text`` of series or study
descriptions as hospitals write them, and adds the words of the standard's own vocabulary (codes of PS3.16 as pydicom,
MIT, ships them) and those typed by hand (``data/clinical_words.txt``). Words that people are called are left out
unless the hand-typed list has them: names by Faker (MIT) and by the made-up people.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable
from importlib import import_module, resources
from pathlib import Path

from pydicom._dicom_dict import DicomDictionary
from pydicom.sr._concepts_dict import concepts

from cairn.deid.free_text import fold, packaged_words

DATA = Path(__file__).parent / "data"
_WORD = re.compile(r"[^\W_]+")
_SHORTEST_OF_DESCRIPTIONS = 2


def standard_words() -> frozenset[str]:
    """Return the words of the standard: meanings of codes, names of attributes."""
    words: set[str] = set()
    for scheme in concepts.values():
        for name in scheme:
            words |= {part.upper() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    for entry in DicomDictionary.values():
        words |= {part.upper() for part in re.findall(r"[A-Za-z]+", entry[2])}
    return frozenset(word for word in words if len(word) > 1)


def typed_words() -> frozenset[str]:
    """Return the words of ``clinical_words.txt``."""
    lines = (DATA / "clinical_words.txt").read_text("utf-8").splitlines()
    return frozenset(fold(part) for line in lines if not line.startswith("#") for part in _WORD.findall(line))


def described_words(texts: Iterable[str]) -> frozenset[str]:
    """Return the words of descriptions: letters only, numbers and compounds are a rule's matter."""
    words = {fold(part) for text in texts for part in re.findall(r"[^\W\d_]+", text)}
    return frozenset(word for word in words if len(word) >= _SHORTEST_OF_DESCRIPTIONS and word.isascii())


def names() -> frozenset[str]:
    """Return what people are called, as far as there are lists of it here."""
    people = json.loads((resources.files("cairn.synthetic") / "data" / "people.json").read_text("utf-8"))
    found = {
        fold(part) for key in ("surnames", "male", "female") for name in people[key] for part in _WORD.findall(name)
    }
    for locale in ("en_GB", "en_US", "en_IE", "de_DE", "pl_PL", "it_IT", "es_ES", "fr_FR"):
        try:
            provider = import_module(f"faker.providers.person.{locale}").Provider
        except ImportError:
            continue
        for kind in ("first_names", "first_names_male", "first_names_female", "last_names"):
            found |= {fold(part) for name in getattr(provider, kind, ()) for part in _WORD.findall(str(name))}
    return frozenset(found)


PLACES = frozenset(
    ("ABERDEEN", "AIRDRIE", "ALLOA", "ARBROATH", "ARRAN", "AYR", "BANFF", "BUTE", "CLYDE", "COWAL", "CUMBERNAULD",
     "DUMFRIES", "DUNDEE", "DUNFERMLINE", "EDINBURGH", "ELGIN", "FALKIRK", "FIFE", "FORTH", "GALLOWAY", "GIRVAN",
     "GLASGOW", "GLENROTHES", "GREENOCK", "HAMILTON", "HARRIS", "HAWICK", "INVERNESS", "IRVINE", "ISLAY", "JURA",
     "KELSO", "KILMARNOCK", "KIRKCALDY", "LANARK", "LARGS", "LEITH", "LERWICK", "LEWIS", "LIVINGSTON", "LOTHIAN",
     "MELROSE", "MORAY", "MOTHERWELL", "MULL", "NAIRN", "OBAN", "ORKNEY", "PAISLEY", "PEEBLES", "PERTH", "PETERHEAD",
     "RAIGMORE", "SCOTLAND", "SHETLAND", "SKYE", "STIRLING", "STORNOWAY", "STRANRAER", "TAYSIDE", "THURSO", "TROON",
     "UIST", "WICK", "LONDON", "ENGLAND", "WALES", "IRELAND", "BELFAST", "MANCHESTER", "LIVERPOOL", "LEEDS",
     "NEWCASTLE", "CARLISLE")
)  # fmt: skip
"""Places of the country that also stand in codes or descriptions."""


def places() -> frozenset[str]:
    """Return :data:`PLACES` and the words of ``scottish_places.txt``, of which many look like compounds of words."""
    return PLACES | packaged_words("scottish_places.txt")


def vocabulary(texts: Iterable[str]) -> frozenset[str]:
    """Return the vocabulary that some descriptions, the standard and the hand-typed list give together."""
    return typed_words() | ((standard_words() | described_words(texts)) - names() - places())


def descriptions(files: Iterable[Path]) -> list[str]:
    """Return the texts of CSV files with a column ``text``."""
    found = []
    for file in files:
        with file.open(encoding="utf-8", newline="") as stream:
            found += [row["text"] for row in csv.DictReader(stream)]
    return found


def main(arguments: list[str]) -> None:
    """Write the files."""
    words = vocabulary(descriptions(map(Path, arguments)))
    called = frozenset(name for name in (names() | places()) - words if len(name) > 2)
    _write(DATA / "vocabulary.txt", words)
    _write(DATA / "names.txt", called)
    print(f"{len(words)} words, {len(called)} names")


def _write(file: Path, words: frozenset[str]) -> None:
    by_letter: dict[str, list[str]] = {}
    for word in sorted(words):
        by_letter.setdefault(word[0], []).append(word)
    lines = ["# Made by cairn.deid.make_vocabulary; do not edit. A line per first letter."]
    lines += [" ".join(group) for _, group in sorted(by_letter.items())]
    file.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
