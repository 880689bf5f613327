"""What was found as rows of ``burned_in_text`` and ``text_search``."""

from __future__ import annotations

from typing import Any

from cairn.pixels.description import PixelDescription
from cairn.pixels.text.finder import TEXT_VERSION, TextResult

Row = dict[str, Any]
REGION = ("x", "y", "width", "height")


def identity(described: PixelDescription | None) -> Row:
    """Return the columns that both tables have of an instance; None: it has no pixels."""
    return {
        "algorithm_version": TEXT_VERSION,
        "sop_instance_uid": described.sop_instance_uid if described else None,
        "series_instance_uid": described.series_instance_uid if described else None,
        "modality": described.modality if described else None,
    }


def search_row(described: PixelDescription | None, result: TextResult) -> Row:
    """Return the row of ``text_search`` without ``uri``, ``content_version`` and ``run``."""
    return {
        **identity(described),
        "pixels": described is not None,
        "searched": result.searched,
        "evidence": list(result.evidence),
        "device_rule": result.rule,
        "device_regions": [dict(zip(REGION, region, strict=True)) for region in result.regions],
        "frames": described.frames if described else None,
        "frames_looked": result.frames_looked,
        "frames_searched": result.frames_searched,
        "planes_searched": result.planes_searched,
        "boxes": len(result.boxes),
        "own_values": result.own_values,
    }


def box_rows(described: PixelDescription | None, result: TextResult) -> list[Row]:
    """Return the rows of ``burned_in_text`` without ``uri``, ``content_version`` and ``run``."""
    names = (
        "frame",
        "last_frame",
        *REGION,
        "text",
        "confidence",
        "engine",
        "category",
        "plane",
        "in_ultrasound_region",
    )
    return [
        {**identity(described), "box": number, **{name: getattr(box, name) for name in names}}
        for number, box in enumerate(result.boxes, start=1)
    ]
