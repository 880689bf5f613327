"""What the walk over a file finds: the parts of the new file, in order, and why a file may be given up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cairn.deid.decisions import Step
from cairn.deid.encoding import Encoding
from cairn.dicom.kernel import Hole


class Doubtful(Exception):
    """The structure breaks; the place is an offset, never a value."""


class TooDeep(Doubtful):
    """Sequences nest deeper than the limit."""


class Withheld(Exception):
    """A rule keeps the whole file back.

    Parameters
    ----------
    code : str
        A key of :data:`cairn.errors.CONDITIONS`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Run(NamedTuple):
    """Bytes that stay as they are."""

    start: int
    end: int


class Pending(NamedTuple):
    """An element whose value is treated later."""

    start: int
    at: int
    length: int
    step: Step
    charset: bytes
    path: tuple[int, ...]
    encoding: Encoding


class Marker(NamedTuple):
    """Where elements that say how the file was de-identified belong."""

    tag: int


class PixelsHere(NamedTuple):
    """Where the pixel data element begins."""


class HoleHere(NamedTuple):
    """A long value that was left out of the bytes."""

    hole: Hole


@dataclass
class Sequence:
    """A sequence of which something changes."""

    start: int
    at: int
    undefined: bool
    step: Step
    path: tuple[int, ...]
    encoding: Encoding
    items: list[tuple[int, bool, list[Any]]] = field(default_factory=list)
    end: int = 0  # where its delimiter begins


@dataclass
class Plan:
    """What the walk found.

    Attributes
    ----------
    parts : list
        :class:`Run`, :class:`Pending`, :class:`Sequence`, :class:`Marker`, :class:`HoleHere` in the file's order.
    identity : list of Pending
        The values that identify the person.
    pixels_at : int
        Where the pixel data element begins; the end when there is none.
    findings : list of str
        Codes.
    """

    parts: list[Any] = field(default_factory=list)
    identity: list[Pending] = field(default_factory=list)
    pixels_at: int = -1
    findings: list[str] = field(default_factory=list)
