"""Values of a header's top level by tag, from an entry's own bytes, without making element objects."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import numpy as np

from cairn.dicom import tokenise as tk
from cairn.dicom.dictionary import dictionary
from cairn.dicom.fallback import canonical
from cairn.pixels import kernels

UNDEFINED = 0xFFFFFFFF
_DEPTH = 200


class HeaderValues:
    """The values of some tags of one header.

    Parameters
    ----------
    buf : numpy.ndarray of uint8
        The entry's first bytes, the whole header among them.
    form : int
        :data:`~cairn.dicom.tokenise.AS_STORED`, or ``INFLATED`` for a deflated entry with its dataset inflated.
    tags : iterable of int
        Which; others are as if the header had none.
    """

    def __init__(self, buf: np.ndarray, form: int, tags: Iterable[int]) -> None:
        self._wanted = np.array(sorted(set(tags)), np.int64)
        self._slot = {int(tag): slot for slot, tag in enumerate(self._wanted)}
        status = self._walk(buf, form)
        if status == kernels.BROKEN:
            made = canonical(buf.tobytes(), _DEPTH)
            if made is not None:
                self._walk(np.frombuffer(made.data, np.uint8), tk.CANONICAL)

    def _walk(self, buf: np.ndarray, form: int) -> int:
        tables = dictionary()
        self._at, self._length = np.empty(self._wanted.size, np.int64), np.empty(self._wanted.size, np.int64)
        status, _, _, big, _, _ = kernels.find_elements(
            buf, form, self._wanted, tk.UIDS, tables.vr_of_bytes, tables.vr_is_long, self._at, self._length
        )
        self._buf, self._order = buf, ">" if big else "<"
        return int(status)

    def has(self, tag: int) -> bool:
        """Whether the header has the element, with a value or without."""
        slot = self._slot.get(tag)
        return slot is not None and bool(self._at[slot] >= 0)

    def raw(self, tag: int) -> bytes:
        """Return the value's bytes, empty when there are none."""
        slot = self._slot.get(tag)
        if slot is None or self._at[slot] < 0 or self._length[slot] == UNDEFINED:
            return b""
        return bytes(self._buf[self._at[slot] : self._at[slot] + self._length[slot]].tobytes())

    def text(self, tag: int) -> str:
        """Return the value as text; characters beyond ASCII stand for their bytes."""
        return self.raw(tag).decode("latin-1").strip(" \0")

    def short(self, tag: int) -> int | None:
        """Return a value of VR US."""
        raw = self.raw(tag)
        return int(struct.unpack_from(self._order + "H", raw)[0]) if len(raw) >= 2 else None

    def shorts(self, tag: int) -> tuple[int, ...]:
        """Return the values of VR SS."""
        raw = self.raw(tag)
        return struct.unpack(f"{self._order}{len(raw) // 2}h", raw[: len(raw) & ~1])

    def decimals(self, tag: int) -> list[float]:
        """Return the values of VR DS that are numbers."""
        found = []
        for part in self.text(tag).split("\\"):
            try:
                found.append(float(part))
            except ValueError:
                continue
        return found


def said(values: HeaderValues, names: Mapping[str, int]) -> dict[str, str | None]:
    """Return texts by keyword; None where the header has no such element."""
    return {name: values.text(tag) if values.has(tag) else None for name, tag in names.items()}
