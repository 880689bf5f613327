"""The walk over a file's bytes: what stays as it is becomes ranges, what must be treated becomes pending values.

The walk needs to know nothing about the person; it collects what identifies them, at every depth, so that the values
can be treated afterwards (:mod:`cairn.deid.rewrite`). Where the structure is in doubt it gives the file up.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from cairn.deid.decisions import MARKERS, SOP_INSTANCE, Kind, Mode, Node, Step
from cairn.deid.encoding import SHORT, UNDEFINED, Encoding
from cairn.deid.plan import Doubtful, HoleHere, Marker, Pending, PixelsHere, Plan, Run, Sequence, TooDeep, Withheld
from cairn.deid.rules import Action, RuleSet
from cairn.dicom.kernel import Hole
from cairn.dicom.tokenise import undefined_value_end

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
NUMERIC = re.compile(rb"[0-9+\-.,eE \\\0]*|[ \\\0]*[+-]?(?:NaN|nan|NAN|inf|INF)[ \\\0]*")
"""Decimal and integer strings as files have them, conforming or not (PS3.5 6.2): nothing that could be a word."""

_MARKER_TAGS = (SOP_INSTANCE, MARKERS[0], MARKERS[3])
_KEEP, _DROP, _VALUE, _SEQUENCE, _CREATOR, _PRIVATE, _CHARSET, _DELIMITER, _PIXELS, _NUMBER = map(int, Kind)

_LONGEST_SAFE = 1024
"""Safe private elements are a few numbers; a longer value is something else."""


class Nodes:
    """The decision nodes of one rule set, kept from file to file."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self._nodes: dict[tuple[bool, bool, Mode, bool], Node] = {}

    def node(self, encoding: Encoding, mode: Mode, strict: bool) -> Node:
        """Return the node for an encoding, a mode and whether kept texts are looked at."""
        key = (encoding.implicit, encoding.big, mode, strict)
        if key not in self._nodes:
            self._nodes[key] = Node(self.rules, encoding, mode, strict)
        return self._nodes[key]


class Walk:
    """The walk over one file.

    Parameters
    ----------
    data : bytes
        The file, or its header.
    nodes : Nodes
        Decisions.
    holes : dict of int to Hole
        Long values left out, by offset.
    strict : bool
        Whether kept texts become pending too.
    max_depth : int
        Deepest nesting of sequences.
    """

    def __init__(self, data: bytes, nodes: Nodes, holes: dict[int, Hole], strict: bool, max_depth: int) -> None:
        self._data = data
        self._nodes = nodes
        self._holes = holes
        self._strict = strict
        self._max_depth = max_depth
        self.plan = Plan()

    def run(self, start: int, encoding: Encoding) -> Plan:
        """Walk the data set that begins at `start` and return the plan.

        Raises
        ------
        Doubtful, Withheld
        """
        self.plan.pixels_at = len(self._data)
        node = self._nodes.node(encoding, Mode.NORMAL, self._strict)
        self._dataset(start, len(self._data), node, b"", (), self.plan.parts, False)
        return self.plan

    def _dataset(
        self, p: int, end: int, node: Node, charset: bytes, path: tuple[int, ...], parts: list[Any], delimited: bool
    ) -> int:
        """Walk elements up to `end`, or to the item's delimiter; return the place behind them."""
        data, memo, holes = self._data, node.memo, self._holes
        encoding, u32 = node.encoding, node.encoding.u32
        key_bytes, high = encoding.key_bytes, 6 if encoding.big else 7
        low = 13 - high
        creators: dict[int, tuple[str, int, int, list[Any]]] = {}
        markers = list(_MARKER_TAGS) if not path else []
        next_marker = markers[0] if markers else 1 << 32
        run = p
        while p < end:
            if p + 8 > end:
                raise Doubtful(f"element at {p} is longer than what is left")
            found = memo.get(data[p : p + key_bytes])
            kind, form, head, tag, step = found or node.decide(data[p : p + key_bytes])
            at = p + head
            if form == SHORT:
                length = data[p + low] | data[p + high] << 8
            elif form == 1:
                if at > end:
                    raise Doubtful(f"element at {p} is longer than what is left")
                length = u32.unpack_from(data, p + 8)[0]
            else:
                length = u32.unpack_from(data, p + 4)[0]
            while tag >= next_marker:
                if p > run:
                    parts.append(Run(run, p))
                run = p
                parts.append(Marker(markers.pop(0)))
                next_marker = markers[0] if markers else 1 << 32
            if holes and not path and at in holes:
                run = self._hole(p, at, run, kind, step, parts)
                p = at
                continue
            if kind == _NUMBER:
                kind = _KEEP if NUMERIC.fullmatch(data, at, at + length) else _DROP
            if kind <= _VALUE:
                stop = at + length
                if length == UNDEFINED and form != SHORT:
                    if step.rule.action == Action.DOCUMENT:
                        raise Withheld("DEID_DOCUMENT")
                    stop, kind = self._skip(at, length, form, end, encoding, step, len(path)), _DROP
                if stop > end:
                    raise Doubtful(f"element at {p} is longer than what is left")
                if kind == _KEEP:
                    p = stop
                    continue
                if p > run:
                    parts.append(Run(run, p))
                if kind == _VALUE:
                    self._pending(Pending(p, at, length, step, charset, path, encoding), parts)
                run = p = stop
                continue
            if kind == _SEQUENCE:
                stop = self._sequence(p, at, length, end, node, charset, path, step, run, parts)
                if stop < 0:
                    run = p = -stop
                else:
                    p = stop
                continue
            if kind == _PIXELS and not path:
                if p > run:
                    parts.append(Run(run, p))
                self._markers(markers, parts)
                self._behind_pixels(self._pixels(p, at, length, end, encoding, parts), end, encoding)
                return end
            if kind == _DELIMITER:
                if not delimited:
                    raise Doubtful(f"item delimiter at {p}")
                break
            if kind == _CHARSET and length != UNDEFINED and at + length <= end:
                charset = bytes(data[at : at + length])
                p = at + length
                continue
            stop = self._skip(at, length, form, end, encoding, step, len(path))
            if kind == _PIXELS:  # of an icon; it stays where the icon stays
                p = stop
                continue
            if p > run:
                parts.append(Run(run, p))
            if kind == _CREATOR:
                self._creator(creators, tag, p, at, length, parts)
            elif kind == _PRIVATE and length != UNDEFINED:
                self._private(creators, node, Pending(p, at, length, step, charset, path, encoding), parts)
            run = p = stop
        if p > run:
            parts.append(Run(run, p))
        self._markers(markers, parts)
        if delimited:
            if p + 8 > end:
                raise Doubtful(f"no item delimiter before {end}")
            return p + 8
        return p

    def _behind_pixels(self, p: int, end: int, encoding: Encoding) -> None:
        """Nothing behind the pixel data stays: signatures, padding and private elements by their rules, junk anyhow."""
        if (end - p >= 4 and encoding.u16.unpack_from(self._data, p)[0] < 0x7FE0) or 0 < end - p < 4:
            self.plan.findings.append("DEID_TRAILING_BYTES")

    @staticmethod
    def _markers(markers: list[int], parts: list[Any]) -> None:
        while markers:
            parts.append(Marker(markers.pop(0)))

    def _pending(self, pending: Pending, parts: list[Any]) -> None:
        parts.append(pending)
        if pending.step.identity:
            self.plan.identity.append(pending)

    def _hole(self, p: int, at: int, run: int, kind: int, step: Step, parts: list[Any]) -> int:
        """Treat a value that was left out: what is kept stays a hole, the rest goes. Return where the run begins."""
        if step.rule.action == Action.DOCUMENT:
            raise Withheld("DEID_DOCUMENT")
        if kind == _KEEP:
            parts += [Run(run, at), HoleHere(self._holes[at])]
        elif p > run:
            parts.append(Run(run, p))
        return at

    def _creator(
        self,
        creators: dict[int, tuple[str, int, int, list[Any]]],
        tag: int,
        p: int,
        at: int,
        length: int,
        parts: list[Any],
    ) -> None:
        """Remember a private creator, and leave room for it: it stays if an element of its block does."""
        if length == UNDEFINED:
            return
        name = self._data[at : at + length].decode("latin-1").strip(" \0")
        if not self._nodes.rules.has_safe(name):
            return  # nothing of its block stays
        room: list[Any] = []
        parts.append(room)
        creators[(tag >> 16) << 8 | tag & 0xFF] = (name, p, at + length, room)

    def _private(
        self,
        creators: dict[int, tuple[str, int, int, list[Any]]],
        node: Node,
        pending: Pending,
        parts: list[Any],
    ) -> None:
        tag = pending.step.tag
        block = creators.get((tag >> 16) << 8 | (tag & 0xFFFF) >> 8)
        if block is None:
            return
        name, start, end, room = block
        written = "" if node.encoding.implicit else self._data[pending.start + 4 : pending.start + 6].decode("latin-1")
        step = node.private_step(tag, written, name)
        if step is None or pending.length > _LONGEST_SAFE:
            return
        if step.vr in ("DS", "IS") and not NUMERIC.fullmatch(self._data, pending.at, pending.at + pending.length):
            return
        if not room:
            room.append(Run(start, end))
        if step.action == Action.KEEP and not node.strict:
            parts.append(Run(pending.start, pending.at + pending.length))
        else:
            parts.append(pending._replace(step=step))

    def _skip(self, at: int, length: int, form: int, end: int, encoding: Encoding, step: Step, depth: int) -> int:
        """Return the place behind a value that is not looked at."""
        if length != UNDEFINED or form == SHORT:
            if at + length > end:
                raise Doubtful(f"value at {at} is longer than what is left")
            return at + length
        if self._tag(at, encoding) in (_ITEM, _SEQUENCE_END) and step.tag >> 16 != 0x7FE0:
            sequence = Sequence(at, at, True, step, (step.tag,) * (depth + 1), encoding)
            return self._items(sequence, end, self._nodes.node(encoding, Mode.DUMMY, False), b"")
        return self._undefined_end(at, end, encoding) + 8

    def _undefined_end(self, at: int, end: int, encoding: Encoding) -> int:
        stop = int(undefined_value_end(np.frombuffer(self._data, np.uint8), at, end, encoding.big))
        if stop < 0:
            raise Doubtful(f"no delimiter behind {at}")
        return stop

    def _pixels(self, p: int, at: int, length: int, end: int, encoding: Encoding, parts: list[Any]) -> int:
        """Keep the pixel data as it is; where the file ends within it, its length is corrected."""
        self.plan.pixels_at = p
        parts.append(PixelsHere())
        if length == UNDEFINED:
            stop = int(undefined_value_end(np.frombuffer(self._data, np.uint8), at, end, encoding.big))
            if stop >= 0:
                parts.append(Run(p, stop + 8))
                return stop + 8
            self.plan.findings.append("DEID_PIXELS_TRUNCATED")
            parts += [Run(p, end), encoding.tag(_SEQUENCE_END) + bytes(4)]
            return end
        if at + length <= end:
            parts.append(Run(p, at + length))
            return at + length
        self.plan.findings.append("DEID_PIXELS_TRUNCATED")
        head = self._data[p:at]
        parts += [head[:-4] + encoding.u32.pack(end - at + (end - at) % 2), Run(at, end), bytes((end - at) % 2)]
        return end

    def _tag(self, p: int, encoding: Encoding) -> int:
        if p + 4 > len(self._data):
            raise Doubtful(f"nothing at {p}")
        u16 = encoding.u16
        return int(u16.unpack_from(self._data, p)[0] << 16 | u16.unpack_from(self._data, p + 2)[0])

    def _sequence(
        self, p: int, at: int, length: int, end: int, node: Node, charset: bytes, path: tuple[int, ...], step: Step,
        run: int, parts: list[Any],
    ) -> int:  # fmt: skip
        """Walk a sequence. Returns the place behind it; negative when it was made a part of its own."""
        undefined = length == UNDEFINED
        if not undefined and at + length > end:
            raise Doubtful(f"sequence at {p} is longer than what is left")
        made = Sequence(p, at, undefined, step, (*path, step.tag), node.encoding)
        inner = node if step.mode == node.mode else self._nodes.node(node.encoding, step.mode, self._strict)
        stop = self._items(made, end if undefined else at + length, inner, charset)
        if step.action == Action.KEEP and _is_unchanged(made):
            return stop
        if p > run:
            parts.append(Run(run, p))
        if step.action not in (Action.REMOVE,) or step.rule.source.startswith("PS3.15"):
            parts.append(made)
        return -stop

    def _items(self, made: Sequence, end: int, node: Node, charset: bytes) -> int:
        if len(made.path) > self._max_depth:
            raise TooDeep(f"sequence at {made.start}")
        data, p, encoding = self._data, made.at, made.encoding
        unpack_item = encoding.item.unpack_from
        while True:
            if p == end and not made.undefined:
                made.end = p
                return p
            if p + 8 > end:
                raise Doubtful(f"sequence without end before {end}")
            group, element, length = unpack_item(data, p)
            if group != 0xFFFE or element != 0xE000:
                if group == 0xFFFE and element == 0xE0DD:
                    made.end = p
                    return p + 8 if made.undefined else end
                raise Doubtful(f"no item at {p}")
            begin, open_ended = p + 8, length == UNDEFINED
            stop = end if open_ended else begin + length
            if stop > end:
                raise Doubtful(f"item at {p} is longer than what is left")
            inner = node
            if not encoding.implicit and stop - begin >= 6 and not _looks_explicit(data, begin):
                inner = self._nodes.node(Encoding(True, encoding.big), node.mode, node.strict)
            parts: list[Any] = []
            p = self._dataset(begin, stop, inner, charset, made.path, parts, open_ended)
            made.items.append((begin - 8, open_ended, parts))


def _is_unchanged(made: Sequence) -> bool:
    """Whether the items are runs that reach from each item's header to its end: nothing within was dropped."""
    size = 0
    for _, open_ended, parts in made.items:
        size += 16 if open_ended else 8
        if parts:
            first = parts[0]
            if len(parts) > 1 or type(first) is not Run:
                return False
            size += first.end - first.start
    return size == made.end - made.at


def _looks_explicit(data: bytes, p: int) -> bool:
    """Whether the two bytes after the tag at `p` are capitals, as pydicom and the header kernel ask."""
    return 0x40 < data[p + 4] < 0x5B and 0x40 < data[p + 5] < 0x5B
