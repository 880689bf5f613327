"""Imaging words: what they mean, in terms of columns, from one data file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

from cairn.cohort import expression as ex
from cairn.cohort.faults import Wrong

LEVEL = "series"


@dataclass(frozen=True)
class Word:
    """One word.

    Parameters
    ----------
    name : str
        As definitions say it.
    means : str
        A sentence.
    values : tuple of (str, Expression)
        What it can be, best first; a yes-or-no word has the one value ``yes``.
    flag : bool
        Whether it is yes or no.
    """

    name: str
    means: str
    values: tuple[tuple[str, ex.Expression], ...]
    flag: bool

    def is_value(self, value: str) -> ex.Expression:
        """Return the condition that the word has a value: that one's is true, and no earlier one's.

        Raises
        ------
        Wrong
            With the nearest value.
        """
        names = [name for name, _ in self.values]
        if value not in names:
            raise Wrong(f"{self.name} is never {value!r}; it is one of {', '.join(names)}", value, names)
        place = names.index(value)
        earlier = tuple(ex.Not(ex.Known(condition)) for _, condition in self.values[:place])
        return ex.All((ex.Known(self.values[place][1]), *earlier))

    def known(self) -> ex.Expression:
        """Return the condition that it has any value."""
        return ex.Any(tuple(ex.Known(condition) for _, condition in self.values))


def _text() -> str:
    return resources.files("cairn.cohort").joinpath("data", "vocabulary.yaml").read_text("utf-8")


@cache
def words() -> dict[str, Word]:
    """Return every word by name, in the file's order."""
    made = {}
    for name, entry in yaml.safe_load(_text()).items():
        flag = "when" in entry
        given = {"yes": entry["when"]} if flag else entry["values"]
        values = tuple((str(value), ex.parse(condition)) for value, condition in given.items())
        made[name] = Word(name, entry["means"], values, flag)
    return made


@cache
def vocabulary_hash() -> str:
    """Return SHA-256 of the definitions."""
    return hashlib.sha256(repr(list(words().values())).encode()).hexdigest()


def expanded(test: ex.Expression) -> ex.Expression | None:
    """Return what a test of a word means in terms of columns, None when it is no test of a word.

    Raises
    ------
    Wrong
        If the word cannot be tested so.
    """
    if isinstance(test, (ex.Not, ex.Known, ex.All, ex.Any)) or test.column not in words():
        return None
    word = words()[test.column]
    if isinstance(test, ex.IsNull) and not word.flag:
        return ex.Not(word.known())
    if isinstance(test, ex.Flag) and word.flag:
        return ex.Known(word.values[0][1])
    if word.flag:
        if isinstance(test, ex.Compare) and test.operator in ("=", "!=") and isinstance(test.value, bool):
            yes = ex.Known(word.values[0][1])
            return yes if test.value == (test.operator == "=") else ex.Not(yes)
        raise Wrong(f"{word.name} is yes or no: say {word.name} or not {word.name}")
    if isinstance(test, ex.Compare) and test.operator in ("=", "!="):
        made = word.is_value(str(test.value))
        return made if test.operator == "=" else ex.All((ex.Not(made), word.known()))
    if isinstance(test, ex.In):
        return ex.Any(tuple(word.is_value(str(value)) for value in test.values))
    raise Wrong(f"{word.name} can be compared by = and in only: {', '.join(name for name, _ in word.values)}")
