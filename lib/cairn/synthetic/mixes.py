"""Plain folders of files for the benchmark: nothing odd about their names, everything typical about their headers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cairn
from cairn.errors import CairnError
from cairn.synthetic import cross_sectional, documents, enhanced, projection
from cairn.synthetic.bench import MOMENT
from cairn.synthetic.cross_sectional import Plan
from cairn.synthetic.draws import Draws
from cairn.synthetic.encoding import EXPLICIT, IMPLICIT, JPEG_2000, RLE, Syntax
from cairn.synthetic.modules import SeriesContext, Study
from cairn.synthetic.people import person
from cairn.synthetic.phantoms import FULL, SMALL
from cairn.synthetic.reference import Model, draw_model
from cairn.synthetic.series import Built, Instance, write
from cairn.synthetic.shelf import Shelf
from cairn.synthetic.truth import PARSED, QUARANTINED, Entry, TruthWriter, instance_truth

_PHILIPS = Model("MR", "Philips Medical Systems", "Achieva", 1, 1.0)
_SERIES_LENGTH = 100

SHARES: dict[str, dict[str, float]] = {
    "benchmark": {"ct": 0.5, "implicit": 0.15, "rle": 0.1, "j2k": 0.1, "small": 0.1, "enhanced": 0.02, "bad": 0.03},
    "ct": {"ct": 1.0},
    "enhanced": {"enhanced": 1.0},
}
"""Share of each kind of file in a mix: the 5,000 mixed files of the benchmark, and mixes of one kind."""

_BAD = (b"", b"no image here\n", b"%PDF-1.4\n%%EOF\n")


def _context(seed: int, number: int, model: Model, count: int, pixel_size: int) -> SeriesContext:
    who = person(seed, number % 500)
    study = Study(seed, number, who, MOMENT, model.modality, "CT CHEST ABDO PELVIS", pixel_size)
    return SeriesContext(study, 1, model, model.modality, "AXIAL 1.25", "CHEST", count)


def _slices(syntax: Syntax) -> Callable[[int, int, int, int], Iterator[Instance]]:
    def make(seed: int, number: int, count: int, pixel_size: int) -> Iterator[Instance]:
        draws = Draws(seed, "mix model", number)
        context = _context(seed, number, draw_model(draws, "CT"), count, pixel_size)
        return write(cross_sectional.ct(context, Plan(contrast=draws.chance(0.5))), syntax)

    return make


def _small(seed: int, number: int, count: int, pixel_size: int) -> Iterator[Instance]:
    """Yield small objects: a report about a radiograph, and the radiograph, turn by turn."""
    context = _context(seed, number, Model("CR", "CARESTREAM HEALTH", "DRX-1", 1, 1.0), count, SMALL)
    films: Built = projection.radiograph(context)
    about = SeriesContext(context.study, 2, context.model, "SR", "Report", "", 1)
    yield from write(documents.report(about, films))
    for instance in write(films):
        if instance.number < count:
            yield instance


def _enhanced(seed: int, number: int, count: int, pixel_size: int) -> Iterator[Instance]:
    """Yield enhanced MR instances of 60 frames, each in a series of its own."""
    for step in range(count):
        context = _context(seed, number + step, _PHILIPS, enhanced.FRAMES, pixel_size)
        yield from write(enhanced.enhanced(context, Plan("SAGITTAL")))


_MAKERS: dict[str, Callable[[int, int, int, int], Iterator[Instance]]] = {
    "ct": _slices(EXPLICIT),
    "implicit": _slices(IMPLICIT),
    "rle": _slices(RLE),
    "j2k": _slices(JPEG_2000),
    "small": _small,
    "enhanced": _enhanced,
}


def _instances(kind: str, seed: int, wanted: int, pixel_size: int) -> Iterator[tuple[int, Instance]]:
    """Yield so many instances of a kind with the number of their person."""
    base = list(SHARES["benchmark"]).index(kind) * 10_000_000
    for start in range(0, wanted, _SERIES_LENGTH):
        count = min(_SERIES_LENGTH, wanted - start)
        for step, instance in enumerate(_MAKERS[kind](seed, base + start, count, pixel_size)):
            yield (base + start + (step if kind == "enhanced" else 0)) % 500, instance


def _bad(shelf: Shelf, wanted: int) -> Iterator[Entry]:
    """Write files that are no DICOM: zero bytes, text, PDF."""
    for number in range(wanted):
        data = _BAD[number % len(_BAD)]
        code = "NOT_DICOM" if data else "EMPTY_FILE"
        yield shelf.file(f"bad/{number // 100:04d}/{number:06d}.dcm", data, outcome=QUARANTINED, code=code, label="bad")


def synthesise_mix(out: Path, mix: str, files: int, seed: int = 1, pixels: str = "full") -> dict[str, Any]:
    """Make a benchmark corpus in ``OUT/archive`` and the truth about it in ``OUT/truth``.

    Parameters
    ----------
    out : pathlib.Path
        Where; must not hold an archive yet.
    mix : str
        A key of :data:`SHARES`.
    files : int
        How many files in all.
    seed : int
        Equal seeds give equal bytes.
    pixels : str
        ``full``: CT slices of 512 x 512, 526 KB of pixels each, as in reality; ``small``: 64 x 64, the same headers.
        Enhanced instances have 64 x 64 pixels either way.

    Returns
    -------
    dict
        Files by kind, bytes in all, and the truth's summary.

    Raises
    ------
    CairnError
        ``OUTPUT_NOT_EMPTY`` when there is an archive already.
    """
    root = out / "archive"
    if root.exists() and any(root.iterdir()):
        raise CairnError("OUTPUT_NOT_EMPTY", path=root)
    shelf, truth = Shelf(root, MOMENT), TruthWriter(out / "truth")
    shares = SHARES[mix]
    counts = {kind: round(files * share) for kind, share in shares.items()}
    counts[next(iter(shares))] += files - sum(counts.values())
    size = 0
    for kind, wanted in counts.items():
        pixel_size = FULL if pixels == "full" and kind != "enhanced" else SMALL
        entries = []
        if kind == "bad":
            entries = list(_bad(shelf, wanted))
        else:
            for number, (index, instance) in enumerate(_instances(kind, seed, wanted, pixel_size)):
                name = f"{kind}/{number // 100:04d}/{number:06d}.dcm"
                facts = instance_truth(instance, person(seed, index)) | {"outcome": PARSED}
                entries.append(shelf.file(name, instance.data, **facts))
        size += sum(entry.size for entry in entries)
        truth.add(entries, [])
    made_by = {"version": cairn.__version__, "seed": seed, "mix": mix, "pixels": pixels, "kinds": counts, "bytes": size}
    return truth.close((person(seed, index) for index in range(500)), made_by)
