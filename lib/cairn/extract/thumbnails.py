"""Pictures of what was blanked, before and after, for the data controller. They stay in the identifiable zone."""

from __future__ import annotations

import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.processing import convert_color_space

SIZE = 320
_RED = (0, 0, 255)
_GAP = 8
Region = tuple[int, int, int, int]


@dataclass(frozen=True)
class Thumbnail:
    """One picture.

    Parameters
    ----------
    title : str
        What it is of; an address, for this zone only.
    png : bytes
        Before and after, side by side, boxes outlined.
    """

    title: str
    png: bytes = field(repr=False)


def thumbnail(title: str, before: bytes, after: bytes, frame: int, boxes: Sequence[Region]) -> Thumbnail | None:
    """Return the picture of one frame, None where its pixels cannot be drawn.

    Parameters
    ----------
    title : str
        What it is of.
    before, after : bytes
        The original, and the file that leaves.
    frame : int
        DICOM's number, from 1.
    boxes : sequence of (int, int, int, int)
        x, y, width, height of what was blanked on that frame.
    """
    drawn = [_frame(data, frame) for data in (before, after)]
    if drawn[0] is None or drawn[1] is None or drawn[0].shape != drawn[1].shape:
        return None
    low, high = np.percentile(drawn[0], (0.5, 99.9))
    parts = []
    for pixels in drawn:
        assert pixels is not None
        grey = np.clip((pixels - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR) if grey.ndim == 2 else cv2.cvtColor(grey, cv2.COLOR_RGB2BGR)
        scale = SIZE / max(picture.shape[:2])
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for x, y, width, height in boxes:
            corners = [(round(a * scale), round(b * scale)) for a, b in ((x, y), (x + width, y + height))]
            cv2.rectangle(picture, corners[0], corners[1], _RED, 1)
        parts.append(picture)
    gap = np.full((parts[0].shape[0], _GAP, 3), 255, np.uint8)
    done, png = cv2.imencode(".png", np.hstack([parts[0], gap, parts[1]]))
    return Thumbnail(title, png.tobytes()) if done else None


def _frame(data: bytes, frame: int) -> NDArray[np.float64] | None:
    """Return one frame, rows by columns, or with three colours behind."""
    try:
        return _drawn(pydicom.dcmread(io.BytesIO(data), force=True), frame)
    except Exception:  # noqa: BLE001 - pydicom and its decoders raise nearly anything; a picture less is no loss
        return None


def _drawn(dataset: pydicom.Dataset, frame: int) -> NDArray[np.float64]:
    pixels, photometric = dataset.pixel_array, str(dataset.get("PhotometricInterpretation"))
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        pixels = pixels[min(frame, len(pixels)) - 1]
    if photometric.startswith("YBR_FULL"):  # of the others the decoders make RGB
        pixels = convert_color_space(pixels, photometric, "RGB")
    values = pixels.astype(np.float64)
    return values.max() - values if photometric == "MONOCHROME1" else values


def page(extract: str, thumbnails: Iterable[tuple[str, Thumbnail]], left_out: int) -> str:
    """Return the HTML page of some pictures.

    Parameters
    ----------
    extract : str
        Of which extract.
    thumbnails : iterable of (str, Thumbnail)
        File names beside the page, and what they show.
    left_out : int
        Redacted files that are not shown.
    """
    shown = "\n".join(
        f'<figure><img src="{html.escape(name)}" alt="before and after"><figcaption>{html.escape(one.title)}'
        "</figcaption></figure>"
        for name, one in thumbnails
    )
    more = f"<p>{left_out:,} more were blanked and are not shown.</p>" if left_out else ""
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{html.escape(extract)}: what was blanked</title>
<style>body {{ font: 14px sans-serif; margin: 2em }} figure {{ display: inline-block; margin: 0 1em 1em 0 }}
figcaption {{ max-width: 640px; overflow-wrap: anywhere; color: #444 }}</style>
<h1>{html.escape(extract)}: what was blanked</h1>
<p>Left the original, right what leaves. Boxes are outlined in red. This page shows identifiers.</p>
{more}
{shown}
</html>
"""
