"""The engines that detect and read text: PP-OCRv4 through rapidocr-onnxruntime, and tesseract where it is installed.

PP-OCRv4's detector (differentiable binarisation) outlines text of any direction; its recogniser reads an outline. The
models lie in the package's wheel: nothing is fetched. Every session has one thread: a Spark worker has one core.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from cairn.errors import CairnError

Picture = npt.NDArray[np.uint8]
"""An image as engines take it: (rows, columns, 3), 8 bits."""

PADDLE, TESSERACT = "ppocr-v4", "tesseract"
TILE, OVERLAP = 1216, 192
"""Larger pictures are searched in tiles of this side which share this much, pixels."""

SURE = 0.75
"""A reading with less confidence is tried upside down too."""


@dataclass(frozen=True)
class Reading:
    """What a crop says, how sure the engine is, 0 to 1, and which it is."""

    text: str
    confidence: float
    engine: str


class Engine(Protocol):
    """What detects and reads text."""

    name: str

    def outlines(self, picture: Picture, hints: Sequence[tuple[int, int, int, int]] = ()) -> list[Outline]:
        """Return where text is; `hints` are places where it may be."""

    def read(self, crops: Sequence[Picture]) -> list[Reading]:
        """Read crops that hold one line each."""


@dataclass(frozen=True)
class Outline:
    """Four corners of a text line, clockwise from the upper left, (x, y), pixels of the picture."""

    corners: npt.NDArray[np.float32]

    def box(self) -> tuple[int, int, int, int]:
        """Return x, y, width, height of the smallest upright rectangle around it."""
        low, high = np.floor(self.corners.min(0)).astype(int), np.ceil(self.corners.max(0)).astype(int)
        return int(low[0]), int(low[1]), int(high[0] - low[0] + 1), int(high[1] - low[1] + 1)


class PaddleEngine:
    """PP-OCRv4's detector and recogniser, one thread each.

    Parameters
    ----------
    second : Engine, optional
        Reads what the recogniser is not sure of, too.
    """

    name = PADDLE

    def __init__(self, second: Engine | None = None) -> None:
        from rapidocr_onnxruntime.main import DEFAULT_CFG_PATH, TextDetector, TextRecognizer
        from rapidocr_onnxruntime.utils import read_yaml, update_model_path

        config: dict[str, Any] = update_model_path(read_yaml(DEFAULT_CFG_PATH))
        alone = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
        self._second = second
        self._detector = TextDetector({**config["Det"], **alone})
        self._recogniser = TextRecognizer({**config["Rec"], **alone})

    def outlines(self, picture: Picture, hints: Sequence[tuple[int, int, int, int]] = ()) -> list[Outline]:
        """Return where text is.

        Parameters
        ----------
        picture : numpy.ndarray
            (rows, columns, 3).
        hints : sequence of (x, y, width, height)
            Of a picture larger than a tile: it is searched reduced to one tile, for text that is large beside it, and
            in full size in the tiles that hold a hint.
        """
        longest = max(picture.shape[:2])
        if longest <= TILE:
            return self._detected(picture, 0, 0, 1.0)
        share = TILE / longest
        whole = np.asarray(cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), np.uint8)
        found = self._detected(whole, 0, 0, share)
        for y in _starts(picture.shape[0]):
            for x in _starts(picture.shape[1]):
                if any(x - w < left < x + TILE and y - h < top < y + TILE for left, top, w, h in hints):
                    found += self._detected(picture[y : y + TILE, x : x + TILE], x, y, 1.0)
        return found

    def _detected(self, tile: Picture, x: int, y: int, share: float) -> list[Outline]:
        corners, _ = self._detector(_padded(tile))
        if corners is None or not len(corners):
            return []
        corner = np.array([x, y], np.float32)
        return [Outline(np.asarray(four, np.float32) / np.float32(share) + corner) for four in corners]

    def read(self, crops: Sequence[Picture]) -> list[Reading]:
        """Read crops that hold one line each, the right way up or upside down."""
        if not crops:
            return []
        readings = self._read(crops)
        doubtful = [i for i, reading in enumerate(readings) if reading.confidence < SURE]
        others = [self._read([np.ascontiguousarray(crops[i][::-1, ::-1]) for i in doubtful])] if doubtful else []
        if self._second is not None and doubtful:
            others.append(self._second.read([crops[i] for i in doubtful]))
        for more in others:
            for i, other in zip(doubtful, more, strict=True):
                if other.confidence > readings[i].confidence:
                    readings[i] = other
        return readings

    def _read(self, crops: Sequence[Picture]) -> list[Reading]:
        results, _ = self._recogniser(list(crops))
        return [Reading(str(result[0]), float(result[1]), self.name) for result in results]


def _starts(length: int) -> list[int]:
    """Return where tiles begin along one side."""
    if length <= TILE:
        return [0]
    return [*range(0, length - TILE, TILE - OVERLAP), length - TILE]


def _padded(tile: Picture) -> Picture:
    """Return the tile with both sides of at least 32 pixels: the detector's network halves five times."""
    below, right = max(0, 32 - tile.shape[0]), max(0, 32 - tile.shape[1])
    if not below and not right:
        return tile
    return np.asarray(cv2.copyMakeBorder(tile, 0, below, 0, right, cv2.BORDER_REPLICATE))


@cache
def tesseract_installed() -> bool:
    """Whether tesseract's program is on the path."""
    return shutil.which("tesseract") is not None


class TesseractEngine:
    """tesseract's own layout analysis and reader, by pytesseract; needs tesseract installed."""

    name = TESSERACT

    def outlines(self, picture: Picture, hints: Sequence[tuple[int, int, int, int]] = ()) -> list[Outline]:
        """Return where words are; `hints` change nothing."""
        made = []
        for (x, y, w, h), _ in self.words(picture):
            left, top, right, below = max(0, x - 3), max(0, y - 3), x + w + 2, y + h + 2
            made.append(Outline(np.array([[left, top], [right, top], [right, below], [left, below]], np.float32)))
        return made

    def words(self, picture: Picture) -> list[tuple[tuple[int, int, int, int], Reading]]:
        """Return boxes (x, y, width, height) and readings of the words of a picture (sparse text, psm 11)."""
        import pytesseract

        data = pytesseract.image_to_data(picture, config="--psm 11", output_type=pytesseract.Output.DICT)
        found = []
        for i, text in enumerate(data["text"]):
            confidence = float(data["conf"][i])
            if text.strip() and confidence >= 0:
                box = (data["left"][i], data["top"][i], data["width"][i], data["height"][i])
                found.append((box, Reading(text.strip(), confidence / 100, self.name)))
        return found

    def read(self, crops: Sequence[Picture]) -> list[Reading]:
        """Read crops that hold one line each (psm 7)."""
        import pytesseract

        readings = []
        for crop in crops:
            larger = cv2.resize(crop, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC) if crop.shape[0] < 40 else crop
            larger = cv2.copyMakeBorder(larger, 12, 12, 12, 12, cv2.BORDER_REPLICATE)  # tesseract wants room
            data = pytesseract.image_to_data(larger, config="--psm 7", output_type=pytesseract.Output.DICT)
            words = [(t, float(c)) for t, c in zip(data["text"], data["conf"], strict=True) if t.strip()]
            mean = sum(c for _, c in words) / len(words) / 100 if words else 0.0
            readings.append(Reading(" ".join(t for t, _ in words), max(0.0, mean), self.name))
        return readings


def check_engines(names: Sequence[str]) -> None:
    """Raise TESSERACT_MISSING when tesseract is wanted and not installed."""
    if TESSERACT in names and not tesseract_installed():
        raise CairnError("TESSERACT_MISSING")


def engine_of(names: Sequence[str]) -> Engine:
    """Return the engine that settings name: the first detects and reads; tesseract in second place reads again.

    Raises
    ------
    CairnError
        TESSERACT_MISSING.
    """
    check_engines(names)
    if names[0] == TESSERACT:
        return TesseractEngine()
    return PaddleEngine(TesseractEngine() if TESSERACT in names[1:] else None)


def crop_of(picture: Picture, outline: Outline) -> Picture:
    """Return the outlined line as a level picture, lying when it stands.

    Returns
    -------
    numpy.ndarray
        Shape (height, width, 3).
    """
    corners = outline.corners
    width = max(1, round(float(max(np.linalg.norm(corners[0] - corners[1]), np.linalg.norm(corners[2] - corners[3])))))
    height = max(1, round(float(max(np.linalg.norm(corners[0] - corners[3]), np.linalg.norm(corners[1] - corners[2])))))
    level = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    turn = cv2.getPerspectiveTransform(corners, level)
    crop = cv2.warpPerspective(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE, flags=cv2.INTER_CUBIC)
    return np.ascontiguousarray(np.rot90(crop)) if height >= 1.5 * width else np.asarray(crop)
