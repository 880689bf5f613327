"""Puts files into the archive with fixed modification times and says what was put where."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

from cairn.synthetic.truth import QUARANTINED, Entry


def readable(raw: bytes) -> str:
    """Return a path as text; bytes that are no UTF-8 are percent-encoded."""
    text = raw.decode("utf-8", "surrogateescape")
    return "".join(f"%{ord(c) - 0xDC00:02X}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)


class Shelf:
    """One batch of files below the archive's root.

    Parameters
    ----------
    root : pathlib.Path
        The archive's root.
    moment : datetime.datetime
        Modification time of the files, taken as UTC.
    """

    def __init__(self, root: Path, moment: dt.datetime) -> None:
        self.root, self.moment = os.fsencode(root), moment.replace(microsecond=0)
        self._seconds = int(self.moment.replace(tzinfo=dt.UTC).timestamp())

    def file(self, name: str | bytes, data: bytes, **truth: Any) -> Entry:
        """Write one file and return its truth; `name` is relative to the root."""
        raw = os.fsencode(name)
        place = os.path.join(self.root, raw)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as out:
            out.write(data)
        os.utime(place, (self._seconds, self._seconds))
        return Entry(**{"kind": "file", **truth, "path": readable(raw), "raw_path": raw, "size": len(data)})

    def member(self, name: str | bytes, **truth: Any) -> Entry:
        """Return the truth about a member of a container: ``container!/member``."""
        raw = os.fsencode(name)
        return Entry(**{"kind": "member", **truth, "path": readable(raw), "raw_path": raw})

    def link(self, name: str | bytes, target: str, code: str, label: str) -> Entry:
        """Make a symbolic link that leads nowhere good and return its truth."""
        raw = os.fsencode(name)
        place = os.path.join(self.root, raw)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.symlink(os.fsencode(target), place)
        os.utime(place, (self._seconds, self._seconds), follow_symlinks=False)
        return Entry(readable(raw), raw, "file", QUARANTINED, 0, code=code, label=label)
