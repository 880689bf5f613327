"""Burnt-in text, from file to box: what share of planted text is hidden, by group, and at what cost.

A line of the made text set is hidden when at least 95 % of its ink lies in boxes of its frame. Beside it, in the same
run: tesseract alone on the same frames, where it is installed. With a folder of real files: the share of CT and MR
slices that detection and reading see, and the share of the area of all images that boxes cover.

    python benchmarks/burned_in_text.py [--each N] [--seed N] [--group G …] [--fonts DIR] [--real DIR] [--tesseract]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from cairn.archive.entry import EntryAddress
from cairn.archive.reader import read_entries
from cairn.errors import EntryError
from cairn.pixels.description import PixelDescription
from cairn.pixels.frames import Frame
from cairn.pixels.reader import PixelReader
from cairn.pixels.text.boxes import TextBox
from cairn.pixels.text.device_rules import load_device_rules
from cairn.pixels.text.doors import pictures
from cairn.pixels.text.engines import TesseractEngine, tesseract_installed
from cairn.pixels.text.finder import TextFinder, TextResult
from cairn.synthetic.text_ink import PACKAGED
from cairn.synthetic.text_set import GROUPS, UPRIGHT, Planted, TextImage, made_text_images

RULES = Path(__file__).parents[1] / "conf" / "device_rules.yaml"
HIDDEN = 0.95


class InMemory:
    """An entry in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size: int | None = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`."""
        return self._data[offset : offset + length]


class Watching:
    """A finder that keeps the frames which it was shown."""

    def __init__(self, finder: TextFinder, keep: bool) -> None:
        self.finder, self.keep = finder, keep
        self.frames: list[Frame] = []
        self.described: PixelDescription | None = None

    def begin(self, described: PixelDescription, buf: np.ndarray, form: int) -> None:
        """Begin an instance."""
        self.described, self.frames = described, []
        self.finder.begin(described, buf, form)

    def frame(self, frame: Frame) -> None:
        """Show one frame."""
        if self.keep:
            self.frames.append(frame)
        self.finder.frame(frame)


def mask(boxes: Iterable[tuple[int, int, int, int]], shape: tuple[int, int]) -> np.ndarray:
    """Return which pixels lie in a box."""
    made = np.zeros(shape, bool)
    for x, y, width, height in boxes:
        made[max(0, y) : y + height, max(0, x) : x + width] = True
    return made


def hidden(planted: Planted, boxes: Iterable[tuple[int, int, int, int]], shape: tuple[int, int]) -> bool:
    """Whether the boxes cover the ink."""
    high, wide = planted.ink.shape
    under = mask(boxes, shape)[planted.y : planted.y + high, planted.x : planted.x + wide]
    return bool((under & planted.ink).sum() >= HIDDEN * planted.ink.sum())


def in_frame(boxes: Sequence[TextBox], planted: Planted) -> list[tuple[int, int, int, int]]:
    """Return the boxes that hold in the planted line's frame, or plane."""
    if planted.frame == 0:
        return [box.rectangle for box in boxes if box.plane != "pixels"]
    return [box.rectangle for box in boxes if box.frame <= planted.frame <= box.last_frame and box.plane == "pixels"]


class Score:
    """Counts by group."""

    def __init__(self) -> None:
        self.lines: Counter[str] = Counter()
        self.hidden: Counter[str] = Counter()
        self.images: Counter[str] = Counter()
        self.searched: Counter[str] = Counter()
        self.missed: list[str] = []
        self.seconds: Counter[str] = Counter()
        self.extra: defaultdict[str, float] = defaultdict(float)
        self.other: Counter[str] = Counter()

    def add(self, image: TextImage, result: TextResult, shape: tuple[int, int], seconds: float) -> None:
        """Count one image."""
        self.images[image.group] += 1
        self.searched[image.group] += result.searched
        self.seconds[image.group] += seconds
        left = mask([box.rectangle for box in result.boxes], shape)
        for planted in image.planted:
            self.lines[image.group] += 1
            found = hidden(planted, in_frame(result.boxes, planted), shape)
            self.hidden[image.group] += found
            if not found:
                self.missed.append(f"{image.name} {planted.text!r} {planted.ink.shape} at {planted.x},{planted.y}")
            high, wide = planted.ink.shape
            left[max(0, planted.y - 8) : planted.y + high + 8, max(0, planted.x - 8) : planted.x + wide + 8] = False
        self.extra[image.group] += float(left.mean())

    def share(self, groups: Iterable[str]) -> str:
        """Return hidden lines of lines, and the share."""
        found, lines = sum(self.hidden[g] for g in groups), sum(self.lines[g] for g in groups)
        return f"{found:,} of {lines:,} = {100 * found / max(1, lines):.2f} %"

    def print(self) -> None:
        """Print the table."""
        heads = ("searched", "lines", "hidden", "tesseract", "extra", "CPU s")
        print(f"{'group':16}{'images':>8}" + "".join(f"{head:>10}" for head in heads))
        for group, images in self.images.items():
            lines = max(1, self.lines[group])
            print(
                f"{group:16}{images:8}{self.searched[group]:10}{self.lines[group]:10}"
                f"{100 * self.hidden[group] / lines:9.1f}%{100 * self.other[group] / lines:9.1f}%"
                f"{100 * self.extra[group] / images:9.2f}%{self.seconds[group] / images:10.2f}"
            )
        print("upright, full contrast:", self.share(UPRIGHT))
        print("turned:", self.share(["turned"]), "| quarter contrast:", self.share(["quarter"]))
        with_text = [g for g in self.images if g != "none"]
        seen, all_images = sum(self.searched[g] for g in with_text), sum(self.images[g] for g in with_text)
        print(f"triage and header: {seen:,} of {all_images:,} images with text are searched")


def made_set(options: argparse.Namespace) -> None:
    """Measure on the made text set."""
    more = sorted(Path(options.fonts).rglob("*.ttf")) if options.fonts else []
    fonts = (*PACKAGED, *(str(path) for path in more))
    score, tesseract = Score(), TesseractEngine()
    watching = Watching(TextFinder(load_device_rules(RULES)), options.tesseract)
    with PixelReader(watcher=watching, statistics=False) as reader:
        for image in made_text_images(options.seed, options.each, options.group or GROUPS, fonts):
            began = time.process_time()
            reader(InMemory(image.data))
            result = watching.finder.finish()
            seconds = time.process_time() - began
            assert watching.described is not None
            shape = watching.described.rows, watching.described.columns
            score.add(image, result, shape, seconds)
            if options.tesseract:
                score.other[image.group] += by_tesseract(tesseract, image, watching.frames, shape)
    score.print()
    for line in score.missed[: options.misses]:
        print("missed:", line)


def by_tesseract(engine: TesseractEngine, image: TextImage, frames: Sequence[Frame], shape: tuple[int, int]) -> int:
    """Return how many planted lines tesseract alone hides on the full range of their frames."""
    count = 0
    for frame in frames:
        planted = [line for line in image.planted if line.frame == frame.number]
        if planted:
            words = engine.words(pictures(frame.values)[0])
            boxes = [(x - 2, y - 2, w + 4, h + 4) for (x, y, w, h), _ in words]
            count += sum(hidden(line, boxes, shape) for line in planted)
    return count


def real_files(folder: Path, verbose: bool) -> None:
    """Measure on real files: who reaches the reader, how much area boxes cover, at what cost."""
    reached: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    covered: list[float] = []
    plain: list[float] = []
    triage = 0.0
    watching = Watching(TextFinder(load_device_rules(RULES)), False)
    with PixelReader(watcher=watching, statistics=False) as reader:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            watching.described = None
            began = time.process_time()
            stat = path.stat()
            modified = stat.st_mtime_ns // 1000
            entry = EntryAddress(path.as_uri(), None, "file", stat.st_size, modified, None, None, None, "real", None)
            ((_, outcome),) = read_entries([entry], reader, overlap=1, tries=1, timeout_seconds=60)
            if isinstance(outcome, EntryError) or watching.described is None:
                continue
            result = watching.finder.finish()
            kind = watching.described.modality or "none"
            shape = watching.described.rows, watching.described.columns
            reached[kind][0] += 1
            reached[kind][1] += result.searched
            share = float(mask([box.rectangle for box in result.boxes], shape).mean())
            covered.append(share)
            if not any(box.category in ("own_value", "date") for box in result.boxes):
                plain.append(share)
            if not result.searched:
                triage += time.process_time() - began
            if verbose and (result.boxes or (result.searched and kind in ("CT", "MR"))):
                texts = [f"{box.text}|{box.category}" for box in result.boxes[:6]]
                print(f"  {kind} {shape} {path.name[-40:]} {100 * share:.2f} % {result.evidence} {texts}")
    for kind, (images, searched) in sorted(reached.items()):
        print(f"{kind}: {searched} of {images} searched")
    slices, asked = (sum(reached[kind][i] for kind in ("CT", "MR")) for i in (0, 1))
    print(f"CT and MR: {asked} of {slices} reach detection = {100 * asked / max(1, slices):.2f} %")
    print(f"area covered: {100 * np.mean(covered):.2f} % of all {len(covered)} images")
    print(f"  {100 * np.mean(plain):.2f} % of the {len(plain)} in which no identifying text was found")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=10, help="images of every group")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--group", nargs="*", choices=GROUPS)
    parser.add_argument("--fonts", help="folder of further outline fonts")
    parser.add_argument("--real", type=Path, help="folder of real files")
    parser.add_argument("--tesseract", action="store_true", help="tesseract alone beside it")
    parser.add_argument("--misses", type=int, default=20, help="missed lines to print")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if options.tesseract and not tesseract_installed():
        parser.error("tesseract is not installed")
    if options.each:
        made_set(options)
    if options.real:
        real_files(options.real, options.verbose)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
