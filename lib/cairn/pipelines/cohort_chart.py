"""The attrition of a cohort as a flow chart: a box a step, beside it who was left out. SVG, no Spark.

In the manner of CONSORT's flow diagram: downwards who stays, to the right who leaves.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from cairn.pipelines.cohort_count import SMALL, number

WIDTH, SIDE, GAP, LINE, PAD, MARGIN = 380, 250, 34, 17, 10, 16
LETTERS = 52
STYLE = (
    "text{font-family:system-ui,'Segoe UI',Helvetica,Arial,sans-serif;font-size:13px;fill:#1b1b1b}"
    ".title{font-size:15px;font-weight:600}.count{font-weight:600}"
    "rect{fill:#fff;stroke:#44546a;stroke-width:1.2}rect.out{fill:#f4f5f7;stroke:#9aa5b1}"
    "path{stroke:#44546a;stroke-width:1.2;fill:none}"
)


@dataclass(frozen=True)
class Box:
    """One step as it is drawn.

    Parameters
    ----------
    words : list of str
        Its lines.
    persons : str
        Persons that it leaves, as shown.
    out : str
        Persons that it leaves out, as shown; empty at the first step.
    """

    words: list[str]
    persons: str
    out: str

    @property
    def height(self) -> int:
        """Its height, pixels."""
        return (len(self.words) + 1) * LINE + 2 * PAD


def flow_chart(title: str, steps: Sequence[tuple[str, int | None]]) -> str:
    """Return the chart of steps in words with the persons that each leaves, None where hidden.

    Parameters
    ----------
    title : str
        Heading.
    steps : sequence of (str, int or None)
        Counts as they may be shown (:func:`cairn.cohort.disclosure.attrition`): nothing else is drawn.
    """
    boxes = [
        Box(textwrap.wrap(words, LETTERS) or [""], number(count), left_out(steps[place - 1][1], count) if place else "")
        for place, (words, count) in enumerate(steps)
    ]
    head = textwrap.wrap(title, LETTERS + 30)
    top = MARGIN + len(head) * 20 + 6
    height = top + sum(box.height + GAP for box in boxes) - GAP + MARGIN
    width = WIDTH + SIDE + 2 * MARGIN + GAP
    told = "; ".join(f"{words}: {number(count)}" for words, count in steps)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">',
        f"<title>{escape(title)}</title>",
        f"<desc>Persons after each step: {escape(told)}</desc>",
        f"<style>{STYLE}</style>",
        *_lines(head, MARGIN, MARGIN + 14, "title", 20),
        *_drawn(boxes, top),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def left_out(before: int | None, after: int | None) -> str:
    """Return how many leave at a step, from shown counts alone."""
    if before is None or after is None:
        return "not shown"
    return f"{before - after:,}" if before != after else f"none or {SMALL}"


def _drawn(boxes: Sequence[Box], top: int) -> Iterator[str]:
    middle = MARGIN + WIDTH // 2
    for place, box in enumerate(boxes):
        if place:
            head = f"M{middle - 4} {top - 6}L{middle} {top}L{middle + 4} {top - 6}"
            yield f'<path d="M{middle} {top - GAP}V{top}{head}"/>'
            yield from _out(box, top - GAP // 2, middle)
        yield f'<rect x="{MARGIN}" y="{top}" width="{WIDTH}" height="{box.height}" rx="3"/>'
        yield from _lines(box.words, MARGIN + PAD, top + PAD + 12, "", LINE)
        yield from _lines([f"n = {box.persons}"], MARGIN + PAD, top + PAD + 12 + len(box.words) * LINE, "count", LINE)
        top += box.height + GAP


def _out(box: Box, y: int, middle: int) -> Iterator[str]:
    left = MARGIN + WIDTH + GAP
    yield f'<path d="M{middle} {y}H{left}M{left - 6} {y - 4}L{left} {y}L{left - 6} {y + 4}"/>'
    yield f'<rect class="out" x="{left}" y="{y - 13}" width="{SIDE}" height="26" rx="3"/>'
    yield from _lines([f"left out: {box.out}"], left + PAD, y + 5, "", LINE)


def _lines(lines: Sequence[str], x: int, y: int, kind: str, step: int) -> Iterator[str]:
    marked = f' class="{kind}"' if kind else ""
    for place, line in enumerate(lines):
        yield f'<text x="{x}" y="{y + place * step}"{marked}>{escape(line)}</text>'
