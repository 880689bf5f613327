"""A projection: which header paths feed which typed columns, compiled for the tokeniser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cairn.dicom.dictionary import hash_table, keywords
from cairn.tables.contract import Column


@dataclass(frozen=True)
class Projection:
    """Columns and the trie of their paths.

    Attributes
    ----------
    columns : tuple of Column
        The columns that come from the header.
    vrs : tuple of str
        VR of each column's element in the dictionary.
    path_first : numpy.ndarray of int64, shape (columns + 1,)
        Range of paths of each column.
    keys, nodes : numpy.ndarray
        Table from ``parent node << 32 | tag`` to node.
    node_path : numpy.ndarray of int64
        Place of each node in the match matrix, or -1.
    path_of_slot : numpy.ndarray of int64
        Row of the match matrix of each path, in the order of `path_first`.
    paths : int
        Rows of the match matrix.
    """

    columns: tuple[Column, ...]
    vrs: tuple[str, ...]
    path_first: np.ndarray
    keys: np.ndarray
    nodes: np.ndarray
    node_path: np.ndarray
    path_of_slot: np.ndarray
    paths: int


def tags_of(path: str) -> tuple[int, ...]:
    """Return the tags along a path of keywords joined by dots.

    Raises
    ------
    ValueError
        If a keyword is not in the dictionary.
    """
    tags = []
    for keyword in path.split("."):
        if keyword not in keywords():
            raise ValueError(f"no DICOM keyword {keyword!r} in path {path!r}")
        tags.append(keywords()[keyword][0])
    return tuple(tags)


def compile_projection(columns: Sequence[Column]) -> Projection:
    """Compile the columns that have paths; others are left to whoever writes the table.

    Parameters
    ----------
    columns : sequence of Column
        A contract's columns.
    """
    mine = tuple(column for column in columns if column.paths)
    node_of: dict[tuple[int, ...], int] = {(): 0}
    place: dict[int, int] = {}
    first, slots = [0], []
    for column in mine:
        for path in column.paths:
            tags = tags_of(path)
            for depth in range(1, len(tags) + 1):
                node_of.setdefault(tags[:depth], len(node_of))
            slots.append(place.setdefault(node_of[tags], len(place)))
        first.append(len(slots))
    keys = [node_of[tags[:-1]] << 32 | tags[-1] for tags in node_of if tags]
    table, nodes = hash_table(keys, [node for tags, node in node_of.items() if tags], np.int64)
    node_path = np.full(len(node_of), -1, np.int64)
    for node, row in place.items():
        node_path[node] = row
    vrs = tuple(keywords()[column.paths[0].rsplit(".", 1)[-1]][1] for column in mine)
    return Projection(
        mine, vrs, np.array(first, np.int64), table, nodes, node_path, np.array(slots, np.int64), len(place)
    )
