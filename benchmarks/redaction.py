"""Redaction from file to file: what is left of planted text, and what else of the picture was changed.

Every image of the made text set goes through what `scrub` and `extract` do to pixels: searched, blanked, searched
again. pydicom decodes the original and the result. A planted line is gone when its file was withheld, or when at least
95 % of its ink has one and the same value, and so has what lies around it: nothing can be read from one value.

    PYTHONPATH=lib PYTHON benchmarks/redaction.py [--each N] [--seed N] [--group G …]
"""

from __future__ import annotations

import argparse
import io
import time
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
import pydicom

from cairn.pipelines.scrub_pixels import CleanPixels, scrub_pixels
from cairn.pixels.source import BytesEntry
from cairn.pixels.text.device_rules import load_device_rules
from cairn.settings import Pixels
from cairn.synthetic.text_set import GROUPS, Planted, TextImage, made_text_images

RULES = Path(__file__).parents[1] / "conf" / "device_rules.yaml"
GONE = 0.95
AROUND = 8


def planes(data: bytes) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return a file's frames, shape (frames, rows, columns, samples), and its overlays, as pydicom reads them."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    values = dataset.pixel_array
    if int(dataset.get("NumberOfFrames") or 1) == 1:
        values = values[None]
    if int(dataset.SamplesPerPixel) == 1:
        values = values[..., None]
    groups = [group for group in range(0x6000, 0x6020, 2) if (group, 0x3000) in dataset]
    overlays = [dataset.overlay_array(group) for group in groups]
    if not groups and (0x6000, 0x0010) in dataset:  # PS3.5 8.1.2, retired: in bits that the pixels do not use
        words = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
        overlays = [words >> int(dataset.BitsStored)]
    return values, overlays


def flat(values: np.ndarray, planted: Planted) -> bool:
    """Whether the ink of a line and what lies around it have one value in a plane, shape (rows, columns, samples)."""
    high, wide = planted.ink.shape
    part = values[planted.y : planted.y + high, planted.x : planted.x + wide]
    near = cv2.dilate(planted.ink.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    pixels = part[near].reshape(near.sum(), -1)
    kinds, counts = np.unique(pixels, axis=0, return_counts=True)
    mode = kinds[counts.argmax()]
    ink = part[planted.ink].reshape(planted.ink.sum(), -1)
    return bool((ink == mode).all(axis=1).mean() >= GONE and (pixels == mode).all(axis=1).mean() >= GONE)


class Score:
    """Counts by group."""

    def __init__(self) -> None:
        self.images: Counter[str] = Counter()
        self.withheld: Counter[str] = Counter()
        self.lines: Counter[str] = Counter()
        self.gone: Counter[str] = Counter()
        self.changed: defaultdict[str, float] = defaultdict(float)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.left: list[str] = []

    def add(self, image: TextImage, clean: CleanPixels, seconds: float) -> None:
        """Count one image."""
        group = image.group
        self.images[group] += 1
        self.seconds[group] += seconds
        self.withheld[group] += bool(clean.code)
        before, _ = planes(image.data)
        after, overlays = planes(clean.data or image.data)
        other = (before != after).any(axis=(0, 3))
        for planted in image.planted:
            high, wide = planted.ink.shape
            top, left = max(0, planted.y - AROUND), max(0, planted.x - AROUND)
            other[top : planted.y + high + AROUND, left : planted.x + wide + AROUND] = False
            if planted.identifying:
                self.lines[group] += 1
                plane = overlays[0][..., None] if planted.frame == 0 else after[planted.frame - 1]
                if clean.code or flat(plane, planted):
                    self.gone[group] += 1
                else:
                    self.left.append(f"{image.name} {planted.text!r} {planted.ink.shape} at {planted.x},{planted.y}")
        self.changed[group] += 0.0 if clean.code else float(other.mean())

    def print(self) -> None:
        """Print the table."""
        print(f"{'group':16}{'images':>8}{'withheld':>10}{'identifiers':>13}{'gone':>9}{'other area':>12}{'CPU s':>8}")
        for group, count in self.images.items():
            share = 100 * self.gone[group] / max(1, self.lines[group])
            print(f"{group:16}{count:8}{self.withheld[group]:10}{self.lines[group]:13}{share:8.2f}%"
                  f"{100 * self.changed[group] / count:11.2f}%{self.seconds[group] / count:8.2f}")  # fmt: skip
        gone, lines, images = self.gone.total(), self.lines.total(), self.images.total()
        print(f"identifiers gone: {gone:,} of {lines:,} = {100 * gone / max(1, lines):.2f} %")
        print(f"other area changed: {100 * sum(self.changed.values()) / images:.2f} % of {images:,} images")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=10, help="images of every group")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--group", nargs="*", choices=GROUPS)
    options = parser.parse_args()
    engine, score = scrub_pixels(Pixels(), load_device_rules(RULES)), Score()
    for image in made_text_images(options.seed, options.each, options.group or GROUPS):
        began = time.process_time()
        clean = engine(BytesEntry(image.data))
        score.add(image, clean, time.process_time() - began)
    score.print()
    for line in score.left:
        print("left:", line)


if __name__ == "__main__":
    main()
