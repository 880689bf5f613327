"""Text in the pixels of one instance: header first, then a cheap look, then detection and reading.

The sampling rule: every frame is looked at by the triage. The first frame is searched when the header or the triage
asks for it; so are the middle and the last one when the header does. Any other frame is searched when the triage sees a
line where none was seen before, up to `searched_frames` frames; of what comes after, the new lines alone are read.
A box holds from its first frame to the last one in which the pixels under it stay the same, about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from cairn.pixels.description import PixelDescription
from cairn.pixels.frames import Frame
from cairn.pixels.text.boxes import Rectangle, TextBox, clipped, covered, middle_within
from cairn.pixels.text.category import OWN_VALUE, OwnValues, category, own_values
from cairn.pixels.text.device_rules import DeviceRule
from cairn.pixels.text.engines import Engine, PaddleEngine
from cairn.pixels.text.evidence import Evidence, EvidenceReader, Overlay
from cairn.pixels.text.search import read_lines, search
from cairn.pixels.text.triage import Line, Plane, is_text, lines

TEXT_VERSION = 2
"""Version of the search; a new one has every image searched again."""

SMALLEST = 24
"""Planes with a shorter side hold no text that anybody can read, pixels."""

LIKE = 0.9
"""Correlation from which the pixels under a box are the same in another frame."""


@dataclass(frozen=True)
class TextLimits:
    """Bounds on what one instance may cost.

    Parameters
    ----------
    searched_frames : int
        Frames that are searched whole.
    overlay_pixels : int
        Largest overlay plane.
    """

    searched_frames: int = 12
    overlay_pixels: int = 1 << 26


@dataclass
class TextResult:
    """What the search of one instance gave.

    Attributes
    ----------
    boxes : list of TextBox
        Ascending by frame, then as they were found.
    evidence : tuple of str
        Why it was searched: of the header (see :class:`~cairn.pixels.text.evidence.Evidence`), ``overlay``,
        ``unused_bits``, ``triage``; empty when nothing asked for it.
    rule : str or None
        Label of the device rule that holds.
    regions : tuple of (x, y, width, height)
        Where that rule says that text stands.
    frames_looked, frames_searched : int
        Frames that the triage saw, and that detection saw.
    planes_searched : int
        Overlay planes and planes of unused bits that detection saw.
    """

    boxes: list[TextBox] = field(default_factory=list)
    evidence: tuple[str, ...] = ()
    rule: str | None = None
    regions: tuple[Rectangle, ...] = ()
    frames_looked: int = 0
    frames_searched: int = 0
    planes_searched: int = 0

    @property
    def searched(self) -> bool:
        """Whether detection and reading looked at any frame or overlay."""
        return self.frames_searched + self.planes_searched > 0

    @property
    def own_values(self) -> int:
        """Return the number of boxes that hold a value of the patient's own header."""
        return sum(box.category == OWN_VALUE for box in self.boxes)


class TextFinder:
    """Looks for text in one instance after the other.

    Parameters
    ----------
    rules : sequence of DeviceRule
        Device rules.
    limits : TextLimits
        Bounds.
    engine : callable
        Makes the engine when the first image needs it: it loads models of 15 MB.
    """

    def __init__(
        self,
        rules: Sequence[DeviceRule] = (),
        limits: TextLimits | None = None,
        engine: Callable[[], Engine] = PaddleEngine,
    ) -> None:
        self._read_evidence = EvidenceReader(rules)
        self._limits = limits or TextLimits()
        self._make_engine = engine
        self._engine: Engine | None = None
        self._look: _Look | None = None

    @property
    def engine(self) -> Engine:
        """Return the engine, made when first asked for."""
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    def reset(self) -> None:
        """Forget an instance that was begun and not finished."""
        self._look = None

    @property
    def begun(self) -> PixelDescription | None:
        """Return the description of the instance that is being looked at; None: none is."""
        return self._look.described if self._look is not None else None

    def begin(self, described: PixelDescription, buf: np.ndarray, form: int) -> None:
        """Begin an instance; `buf` and `form` as for :class:`~cairn.pixels.text.header_values.HeaderValues`."""
        evidence = self._read_evidence(buf, form, described)
        self._look = _Look(self, described, evidence, self._limits)
        self._header = (buf, described.value_at)

    def frame(self, frame: Frame) -> None:
        """Look at one decoded frame; frames come ascending."""
        assert self._look is not None, "begin() comes first"
        self._look.frame(frame)

    def finish(self) -> TextResult:
        """Return what was found in the instance."""
        assert self._look is not None, "begin() comes first"
        look, self._look = self._look, None
        result = look.result()
        if result.boxes:
            buf, end = self._header
            own = own_values(buf[:end].tobytes())
            result.boxes = [_categorised(box, own) for box in result.boxes]
        return result


def _categorised(box: TextBox, own: OwnValues) -> TextBox:
    return replace(box, category=category(box.text, own))


@dataclass
class _Known:
    """A box with the pixels under it, to see in which frames it stands."""

    box: TextBox
    pixels: np.ndarray


class _Look:
    """The search of one instance."""

    def __init__(self, finder: TextFinder, described: PixelDescription, evidence: Evidence, limits: TextLimits) -> None:
        self._finder, self.described, self._evidence, self._limits = finder, described, evidence, limits
        self._reasons = dict.fromkeys(evidence.reasons)
        self._result = TextResult(rule=evidence.rule, regions=evidence.regions)
        self._known: list[_Known] = []
        self._ended: list[TextBox] = []
        self._seen: list[Rectangle] = []
        self._bits_done: set[int] = set()
        middle = (described.frames + 1) // 2
        self._asked = {1, middle, described.frames} if evidence.reasons else set()

    def frame(self, frame: Frame) -> None:
        """Look at one frame."""
        values = frame.values
        self._result.frames_looked += 1
        if min(values.shape[:2]) < SMALLEST:
            return
        if frame.containers is not None:
            self._unused_bits(frame.containers, frame.number)
        self._carry_on(values, frame.number)
        found = [line for line in lines(values) if is_text(line, self._evidence.suspect)]
        fresh = [line for line in found if not self._is_known(line)]
        if fresh:
            self._reasons["triage"] = None
        if not fresh and frame.number not in self._asked:
            return
        if self._result.frames_searched < self._limits.searched_frames:
            self._result.frames_searched += 1
            boxes = search(values, self._evidence.windows, self._finder.engine, frame.number)
        else:
            boxes = read_lines(values, fresh, self._finder.engine, frame.number)
        self._seen += [_rectangle(line) for line in found]
        self._keep(boxes, values)

    def _is_known(self, line: Line) -> bool:
        known = (*(known.box.rectangle for known in self._known), *self._seen)
        return covered(_rectangle(line), known) > 0.5

    def _keep(self, boxes: Sequence[TextBox], values: Plane) -> None:
        """Keep the boxes that are not known yet."""
        for box in boxes:
            if covered(box.rectangle, [known.box.rectangle for known in self._known]) < 0.7:
                self._known.append(_Known(box, _under(box, values)))

    def _carry_on(self, values: Plane, number: int) -> None:
        """Let each known box hold in this frame too, or end: where the image under it is another."""
        still = []
        for known in self._known:
            if _alike(known.pixels, _under(known.box, values)):
                still.append(_Known(replace(known.box, last_frame=number), known.pixels))
            else:
                self._ended.append(known.box)
        if len(still) < len(self._known):
            ended = [box.rectangle for box in self._ended]
            self._seen = [seen for seen in self._seen if covered(seen, ended) < 0.5]
        self._known = still

    def _unused_bits(self, containers: np.ndarray, number: int) -> None:
        """Look at every bit outside of the stored values as at an image: overlays once lay there (PS3.5 8.1.1)."""
        d = self.described
        plain = containers.view(f"<u{containers.itemsize}")
        planes: list[np.ndarray] = []
        for bit in range(8 * plain.itemsize):
            if d.high_bit - d.bits_stored < bit <= d.high_bit:
                continue
            plane = ((plain >> plain.dtype.type(bit)) & plain.dtype.type(1)).astype(np.uint8) * np.uint8(255)
            if plane.min() == plane.max() or any(np.array_equal(plane, other) for other in planes):
                continue  # an extended sign fills several bits alike
            planes.append(plane)
            self._plane(plane, f"bit {bit}", number, 0, 0, "unused_bits")

    def _plane(self, plane: np.ndarray, name: str, number: int, x: int, y: int, reason: str) -> None:
        """Search a plane of one bit: it is clean, so that the triage can be asked alone, and text needs no window."""
        if min(plane.shape) < SMALLEST or plane.size > self._limits.overlay_pixels or not lines(plane, least=2):
            return
        self._reasons[reason] = None
        self._result.planes_searched += 1
        for box in search(plane, (), self._finder.engine, number):
            moved = replace(box, x=box.x + x, y=box.y + y, plane=name)
            place = clipped(moved.rectangle, self.described.rows, self.described.columns)
            self._ended.append(replace(moved, x=place[0], y=place[1], width=place[2], height=place[3]))

    def _overlay(self, overlay: Overlay) -> None:
        self._plane(overlay.plane, f"overlay {overlay.group:04X}", 1, overlay.x, overlay.y, "overlay")

    def result(self) -> TextResult:
        """Return what was found."""
        for overlay in self._evidence.overlays:
            self._overlay(overlay)
        result = self._result
        result.evidence = tuple(self._reasons)
        boxes = [*self._ended, *(known.box for known in self._known)]
        if regions := self._evidence.ultrasound_regions:
            boxes = [replace(box, in_ultrasound_region=middle_within(box.rectangle, regions)) for box in boxes]
        result.boxes = sorted(boxes, key=lambda box: box.frame)
        return result


def _rectangle(line: Line) -> Rectangle:
    return line.x, line.y, line.width, line.height


def _under(box: TextBox, values: Plane) -> np.ndarray:
    cut = values[box.y : box.y + box.height, box.x : box.x + box.width]
    return np.asarray(cut.max(2) if cut.ndim == 3 else cut, np.float32)


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two cuts of one place show the same: text stays while what is around it moves."""
    if one.shape != other.shape or not one.size:
        return False
    if np.array_equal(one, other):
        return True
    return float(cv2.matchTemplate(one, other, cv2.TM_CCOEFF_NORMED)[0, 0]) >= LIKE
