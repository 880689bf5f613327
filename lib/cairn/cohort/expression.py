"""Conditions on one row, such as ``modality = CT and slice_thickness < 1.5 and not localizer``.

Grammar, loosest first: ``or``, ``and``, ``not``, then one of

- ``column = value`` (also ``!= < <= > >=``), ``column between a and b``,
- ``column in (a, b)``, ``column in codes.name``, ``column like 'A%'``, ``column matches 'regular expression'``,
- ``column is null``, ``column is not null``, a column that is yes or no by itself,

each with ``not`` before ``in``, ``between``, ``like``, ``matches`` where it reads better. What stands right of an
operator is a value: a number, a date (2020-03-01), a word, or a text in quotes. A list holds a value if any of its
elements does. NULL is as in SQL: neither true nor false.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from cairn.cohort.faults import Wrong

Value = str | int | float | bool | dt.date


@dataclass(frozen=True)
class Compare:
    """A column against one value; `operator` is one of = != < <= > >= like matches."""

    column: str
    operator: str
    value: Value


@dataclass(frozen=True)
class Between:
    """A column from one value to another, both included."""

    column: str
    low: Value
    high: Value


@dataclass(frozen=True)
class In:
    """A column among values."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class InCodes:
    """A column among the codes of a list."""

    column: str
    codes: str


@dataclass(frozen=True)
class IsNull:
    """Whether a column is NULL."""

    column: str


@dataclass(frozen=True)
class Flag:
    """A column that is yes or no."""

    column: str


@dataclass(frozen=True)
class Not:
    """The contrary; NULL stays NULL."""

    of: Expression


@dataclass(frozen=True)
class Known:
    """True where the inner one is true, else false: NULL is false."""

    of: Expression


@dataclass(frozen=True)
class All:
    """All of them."""

    of: tuple[Expression, ...]


@dataclass(frozen=True)
class Any:
    """At least one of them."""

    of: tuple[Expression, ...]


Expression = Compare | Between | In | InCodes | IsNull | Flag | Not | Known | All | Any
NOTHING = All(())

_TOKEN = re.compile(
    r"\s*(?:(?P<date>\d{4}-\d{2}-\d{2})(?![\w.])|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])"
    r"|(?P<quoted>'(?:[^']|'')*'|\"[^\"]*\")|(?P<word>[\w][\w.\-*/]*)|(?P<sign><=|>=|!=|<>|[=<>(),\[\]]))"
)
_COMPARISONS = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_RESERVED = {"and", "or", "not", "in", "between", "like", "matches", "is", "null"}


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._next = 0

    @staticmethod
    def _split(text: str) -> list[tuple[str, str, int]]:
        tokens, at = [], 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise Wrong(f"character {at + 1} of the condition is not understood: {text[at:].strip()[:1]!r}")
            tokens.append((found.lastgroup, found[found.lastgroup], found.start(found.lastgroup) + 1))
            at = found.end()
        return tokens

    def _peek(self, ahead: int = 0) -> tuple[str, str]:
        place = self._next + ahead
        return self._tokens[place][:2] if place < len(self._tokens) else ("end", "")

    def _is(self, word: str, ahead: int = 0) -> bool:
        kind, text = self._peek(ahead)
        return kind in ("word", "sign") and text.lower() == word

    def _take(self, word: str) -> bool:
        found = self._is(word)
        self._next += found
        return found

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise self._unexpected(f"{word!r}")

    def _unexpected(self, wanted: str) -> Wrong:
        if self._next >= len(self._tokens):
            return Wrong(f"the condition ends where {wanted} should come")
        _, text, at = self._tokens[self._next]
        return Wrong(f"at character {at} of the condition stands {text!r} where {wanted} should")

    def whole(self) -> Expression:
        if not self._tokens:
            raise Wrong("the condition is empty")
        made = self._any()
        if self._next < len(self._tokens):
            raise self._unexpected("and, or, or the end")
        return made

    def _any(self) -> Expression:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _all(self) -> Expression:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Expression:
        if self._take("not"):
            return Not(self._one())
        if self._take("("):
            inner = self._any()
            self._need(")")
            return inner
        return self._test(self._column())

    def _column(self) -> str:
        kind, text = self._peek()
        if kind != "word" or text.lower() in _RESERVED:
            raise self._unexpected("a column")
        self._next += 1
        return text

    def _test(self, column: str) -> Expression:
        if self._take("is"):
            negated = self._take("not")
            self._need("null")
            return Not(IsNull(column)) if negated else IsNull(column)
        negated = self._is("not") and any(self._is(word, 1) for word in ("in", "between", "like", "matches"))
        self._next += negated
        made = self._positive(column)
        return Not(made) if negated else made

    def _positive(self, column: str) -> Expression:
        if self._take("in"):
            return self._in(column)
        if self._take("between"):
            low = self._value()
            self._need("and")
            return Between(column, low, self._value())
        for word in ("like", "matches"):
            if self._take(word):
                return Compare(column, word, str(self._value()))
        kind, text = self._peek()
        if kind == "sign" and text in _COMPARISONS:
            self._next += 1
            return Compare(column, _COMPARISONS[text], self._value())
        return Flag(column)

    def _in(self, column: str) -> Expression:
        kind, text = self._peek()
        if kind == "word" and text.startswith("codes."):
            self._next += 1
            return InCodes(column, text.removeprefix("codes."))
        closing = "]" if self._take("[") else ")"
        if closing == ")":
            self._need("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._need(closing)
        return In(column, tuple(values))

    def _value(self) -> Value:
        kind, text = self._peek()
        if kind in ("end", "sign") or (kind == "word" and text.lower() in _RESERVED):
            raise self._unexpected("a value")
        self._next += 1
        if kind == "date":
            try:
                return dt.date.fromisoformat(text)
            except ValueError as error:
                raise Wrong(f"{text} is no day of the calendar") from error
        if kind == "number":
            return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
        if kind == "quoted":
            return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
        return text.lower() == "true" if text.lower() in ("true", "false") else text


def parse(text: str) -> Expression:
    """Return the condition that a text states.

    Raises
    ------
    Wrong
        With the character at which it stops making sense.
    """
    return _Parser(text).whole()


def columns(expression: Expression) -> list[str]:
    """Return the columns and words that a condition names, each once, in order."""
    if isinstance(expression, (Not, Known)):
        return columns(expression.of)
    if isinstance(expression, (All, Any)):
        return list(dict.fromkeys(name for part in expression.of for name in columns(part)))
    return [expression.column]
