"""Redact, look again, and redact what only then came to light: an image leaves without text, or not at all.

A search reads the strongest lines best; when they are gone, weaker ones beside them are found. So it is looked again a
few times. Each round begins with the original file, so that no image is encoded twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from cairn.errors import EntryError
from cairn.pixels.redaction.boxes import EVERY_FRAME, Box
from cairn.pixels.redaction.redactor import Redacted, Redactor
from cairn.pixels.text.boxes import PIXELS

ROUNDS = 3
Look = Callable[[bytes], Sequence[Box]]
"""Searches a file for text; see :class:`cairn.pixels.text.finder.TextFinder`."""


def without_text(data: bytes, boxes: Sequence[Box], redactor: Redactor, look: Look, rounds: int = ROUNDS) -> Redacted:
    """Return a file without its text.

    Parameters
    ----------
    data : bytes
        The file.
    boxes : sequence of Box
        Where its text is.
    redactor : Redactor
        Blanks.
    look : callable
        Searches what came of it.
    rounds : int
        How often it is looked again.

    Returns
    -------
    Redacted
        Its Burned In Annotation is NO, unless nothing was blanked.

    Raises
    ------
    EntryError
        REDACTION_SURVIVOR: the last look still found text. And what :class:`Redactor` and `look` raise.
    """
    wanted = list(boxes)
    for _ in range(rounds):
        made = redactor(data, wanted)
        if made.boxes_applied == 0:
            return made
        left = [box for box in look(made.data) if not blanked(box, wanted)]
        if not left:
            return redactor.marked(made)
        wanted += left
    raise EntryError("REDACTION_SURVIVOR")


def blanked(box: Box, others: Iterable[Box]) -> bool:
    """Whether every pixel of a box was blanked, so that nothing can be written there whatever a search makes of it."""
    left = np.ones((max(0, box.height), max(0, box.width)), bool)
    for other in others:
        if not _holds(other, box):
            continue
        if other.plane != PIXELS and (other.width <= 0 or other.height <= 0):
            return True  # the whole plane
        x, y = other.x - box.x, other.y - box.y
        left[max(0, y) : max(0, y + other.height), max(0, x) : max(0, x + other.width)] = False
    return not left.any() and left.size > 0


def _holds(other: Box, box: Box) -> bool:
    """Whether another box is of the same plane and holds in all frames of this one."""
    if other.plane != box.plane:
        return False
    if other.frame == EVERY_FRAME or box.plane.startswith("overlay"):
        return True
    return other.frame <= box.frame and (box.last_frame or box.frame) <= (other.last_frame or other.frame)
