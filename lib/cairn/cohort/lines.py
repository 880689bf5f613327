"""YAML with the line of every part, names used once, and parameters filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from cairn.cohort.faults import Wrong, located
from cairn.errors import CairnError


class Document:
    """A YAML file as plain values, and the line of each place such as ``persons[1].within``.

    Parameters
    ----------
    text : str
        The file's text.
    path : str
        For messages.
    """

    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self._lines: dict[str, int] = {"": 1}
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"line {mark.line + 1}: " if mark else ""
            why = f"{place}{getattr(error, 'problem', None) or 'it is no YAML'}"
            raise CairnError("COHORT_UNREADABLE", path=path, why=why) from error
        if not isinstance(node, yaml.MappingNode):
            raise CairnError("COHORT_UNREADABLE", path=path, why="it is no mapping of names to values")
        self.value: dict[str, Any] = self._plain(node, "")

    def line(self, place: str) -> int:
        """Return the line of a place, or of the nearest place around it."""
        while place not in self._lines:
            place = re.sub(r"(\.[^.\[]*|\[[^\]]*\]|^[^.\[]+)$", "", place)
        return self._lines[place]

    def wrong(self, wrong: Wrong, place: str) -> CairnError:
        """Return the error that the user sees."""
        return located(wrong, self.path, self.line(place), place or "the definition")

    def _plain(self, node: yaml.Node, place: str) -> Any:
        self._lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(part, f"{place}[{number}]") for number, part in enumerate(node.value, 1)]
        if isinstance(node, yaml.MappingNode):
            made: dict[str, Any] = {}
            for key, value in node.value:
                name = str(key.value)
                inner = f"{place}.{name}" if place else name
                self._lines.setdefault(inner, key.start_mark.line + 1)
                if name in made:
                    self._lines[inner] = key.start_mark.line + 1
                    raise self.wrong(Wrong(f"{name!r} is said twice"), inner)
                made[name] = self._plain(value, inner)
                self._lines[inner] = key.start_mark.line + 1
            return made
        loader = yaml.SafeLoader("")
        value = loader.construct_object(node, deep=True)
        return value


def filled(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a value in which ``${name}`` is replaced in every text.

    Raises
    ------
    Wrong
        For a parameter that is not declared.
    """
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: str(_parameter(found[1], parameters)), value)
    if isinstance(value, list):
        return [filled(part, parameters) for part in value]
    if isinstance(value, dict):
        return {name: filled(part, parameters) for name, part in value.items()}
    return value


def _parameter(name: str, parameters: Mapping[str, Any]) -> Any:
    if name not in parameters:
        raise Wrong(f"there is no parameter {name!r}", name, parameters)
    return parameters[name]
