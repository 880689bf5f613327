"""What `scrub` does to the pixels of one file: text is looked for, blanked, and looked for again.

It works on the file before its header is rewritten: the search takes reasons, windows and the patient's own values from
that header, and the rewriter hands pixel data on untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cairn.errors import EntryError
from cairn.pipelines.folder import Readable, whole
from cairn.pipelines.pixel_task import TEXT, Found, entry_worker, limits_of
from cairn.pixels.reader import PixelEntry
from cairn.pixels.redaction.boxes import Box, of_regions
from cairn.pixels.redaction.look_again import without_text
from cairn.pixels.redaction.redactor import Redacted, Redactor
from cairn.pixels.source import BytesEntry
from cairn.pixels.text.device_rules import DeviceRule
from cairn.pixels.text.rows import REGION
from cairn.settings import Pixels
from cairn.tables.burned_in_text import BURNED_IN_TEXT, TEXT_SEARCH

SUSPECTED, UNEXAMINED = "DEID_PIXEL_TEXT_SUSPECTED", "DEID_PIXELS_UNEXAMINED"


@dataclass(frozen=True)
class CleanPixels:
    """What became of the pixels of a file.

    Attributes
    ----------
    code : str
        Why the file must not leave; empty: it may.
    data : bytes or None
        The file with its text blanked; None: nothing was to be blanked.
    boxes, frames : int
        How many boxes were blanked, on how many frames.
    findings : tuple of str
        What is to be known of the redaction.
    """

    code: str = ""
    data: bytes | None = field(default=None, repr=False)
    boxes: int = 0
    frames: int = 0
    findings: tuple[str, ...] = ()


class ScrubPixels:
    """Removes text from the pixels of one file after the other.

    Parameters
    ----------
    look : callable
        Looks for text in an entry, as :class:`cairn.pipelines.pixel_task.EntryWorker` does.
    redactor : Redactor
        Blanks.
    """

    def __init__(self, look: Callable[[PixelEntry], Found], redactor: Redactor) -> None:
        self._look = look
        self._redactor = redactor

    def __call__(self, entry: PixelEntry) -> CleanPixels:
        """Return a file without the text in its pixels, or why it cannot leave."""
        try:
            rows = self._look(entry).rows
        except EntryError:
            return CleanPixels(UNEXAMINED)
        (searched,) = rows[TEXT_SEARCH.name]
        return self.judged(entry, searched, rows[BURNED_IN_TEXT.name])

    def judged(self, entry: Readable, searched: Mapping[str, Any], found: Iterable[Mapping[str, Any]]) -> CleanPixels:
        """Return a file without the text that a search found in its pixels, or why it cannot leave.

        A header that says that text is burnt in is believed although none was found; frames that nobody looked at
        (that do not decode, or lie between the sampled ones of a slide) keep the file back.

        Parameters
        ----------
        entry : Readable
            The file.
        searched : mapping
            Its row of `text_search`.
        found : iterable of mapping
            Its rows of `burned_in_text`.
        """
        if searched["pixels"] and searched["frames_looked"] < searched["frames"]:
            return CleanPixels(UNEXAMINED)
        boxes = [
            *(_box(row) for row in found),
            *of_regions(tuple(region[name] for name in REGION) for region in searched["device_regions"] or ()),
        ]
        says_so = "burned_in_annotation" in (searched["evidence"] or ())
        if not boxes:
            return CleanPixels(SUSPECTED if says_so else "")
        return self._cleaned(entry, boxes)

    def _cleaned(self, entry: Readable, boxes: list[Box]) -> CleanPixels:
        try:
            made = without_text(whole(entry), boxes, self._redactor, self._again)
        except EntryError as fault:
            return CleanPixels(fault.code)
        if made.boxes_applied == 0:
            return CleanPixels(SUSPECTED)  # a device rule names places that this image does not have
        return _clean(made)

    def _again(self, data: bytes) -> list[Box]:
        """Look at a redacted file.

        Raises
        ------
        EntryError
            DEID_PIXELS_UNEXAMINED: not every frame of it could be looked at.
        """
        rows = self._look(BytesEntry(data)).rows
        (searched,) = rows[TEXT_SEARCH.name]
        if searched["frames_looked"] < searched["frames"]:
            raise EntryError(UNEXAMINED)
        return [_box(row) for row in rows[BURNED_IN_TEXT.name]]


def _clean(made: Redacted) -> CleanPixels:
    codes = tuple(dict.fromkeys(finding.code for finding in made.findings))
    return CleanPixels("", made.data, made.boxes_applied, len(made.frames_changed), codes)


def _box(row: Mapping[str, Any]) -> Box:
    return Box(**{name: row[name] for name in (*REGION, "frame", "last_frame", "plane")})


@cache
def scrub_pixels(settings: Pixels, rules: tuple[DeviceRule, ...]) -> ScrubPixels:
    """Return this process's scrubber of pixels: made once, for it keeps models and decoders."""
    return ScrubPixels(entry_worker(settings, rules).reading(TEXT), Redactor(limits_of(settings)))
