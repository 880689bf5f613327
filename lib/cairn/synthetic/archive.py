"""Makes a whole archive: plans studies, writes them in parallel, adds every pitfall, and tells the truth."""

from __future__ import annotations

import datetime as dt
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import cairn
from cairn.errors import CairnError
from cairn.synthetic import pitfalls
from cairn.synthetic.containers import Member, pack_tar, pack_zip
from cairn.synthetic.draws import Draws
from cairn.synthetic.images import Image
from cairn.synthetic.modules import Study
from cairn.synthetic.people import person
from cairn.synthetic.phantoms import FULL, SMALL
from cairn.synthetic.recipes import CATALOGUE, examine, main_modality
from cairn.synthetic.records import image, write_records
from cairn.synthetic.reference import Model, draw_model, draw_study_description, models
from cairn.synthetic.series import Instance, write
from cairn.synthetic.shelf import Shelf
from cairn.synthetic.truth import CONTAINER, Entry, TruthWriter, instance_truth, series_row

STUDIES_AT_SCALE_1 = 60
_ROW_GROUP = 20_000
LAYOUTS = ("plain", "zip_stored", "zip", "tar", "tar.gz", "nested")
_LAYOUT_WEIGHTS = (55, 67, 82, 90, 96, 100)
PIXEL_SIZES = {"small": SMALL, "full": FULL}


@dataclass(frozen=True)
class Plan:
    """One study to make; all else follows from seed and index."""

    seed: int
    index: int
    recipe: str
    every: bool
    layout: str
    pixel_size: int


def _person_of(index: int) -> int:
    """Return whose the study is: every third person has two, in a row."""
    return index // 4 * 3 + min(index % 4, 2)


def plan(seed: int, index: int, pixel_size: int) -> Plan:
    """Return the plan of one study: first the catalogue, then as the weights have it."""
    draws = Draws(seed, "plan", index)
    layout = draws.weighted(LAYOUTS, _LAYOUT_WEIGHTS)
    if index < len(CATALOGUE):
        return Plan(seed, index, CATALOGUE[index], True, LAYOUTS[index % len(LAYOUTS)], pixel_size)
    return Plan(seed, index, draw_model(draws).modality, False, layout, pixel_size)


def make_study(plan: Plan) -> tuple[Study, Model]:
    """Return the study of a plan and its main device."""
    draws = Draws(plan.seed, "study", plan.index)
    modality = main_modality(plan.recipe)
    who = person(plan.seed, _person_of(plan.index))
    start = dt.datetime(2010, 1, 1) + dt.timedelta(
        days=draws.integer(0, 14 * 365), seconds=draws.integer(8 * 3600, 19 * 3600)
    )
    if who.death_date and start.date() > who.death_date:
        start = dt.datetime.combine(who.death_date - dt.timedelta(days=draws.integer(0, 365)), start.time())
    study = Study(plan.seed, plan.index, who, start, modality, draw_study_description(draws, modality), plan.pixel_size)
    return study, draw_model(Draws(plan.seed, "model", plan.index), modality if models(modality) else "CT")


_NAMES = (
    "IMG{number:04d}.dcm",
    "IM{number:05d}",
    "{uid}",
    "image {number}.dcm",
    "I{number:07d}.DCM",
    "{modality}.{uid}.dcm",
)
_FOLDERS = ("S{series:02d}", "series {series}", "{series:08X}", "DICOM/S{series}", ".cache/{series}", "Sèrie {series}")


def _member_name(study: Study, series: int, instance: Instance) -> str:
    """Return a file name in the style of the study's source."""
    draws = study.draws("style")
    folder, name = draws.choice(_FOLDERS), draws.choice(_NAMES)
    facts = {
        "number": instance.number,
        "uid": instance.sop_instance_uid,
        "modality": instance.modality,
        "series": series,
    }
    return f"{folder}/{name}".format(**facts)


def write_study(plan: Plan, root: Path) -> tuple[list[Entry], list[dict[str, Any]]]:
    """Write one study below `root` and return the truth about it."""
    study, model = make_study(plan)
    shelf = Shelf(root, study.start)
    base = f"studies/{study.start:%Y}/{study.start:%m}/{plan.index:08d}"
    members: list[tuple[Member, dict[str, Any]]] = []
    series = []
    for built, syntax in examine(plan.recipe, study, model, plan.every):
        series.append(series_row(built))
        for instance in write(built, syntax):
            name = _member_name(study, built.context.number, instance)
            members.append(((name, instance.data), instance_truth(instance, study.person)))
    if plan.layout == "plain":
        return [shelf.file(f"{base}/{name}", data, **truth) for (name, data), truth in members], series
    return _pack(shelf, base, plan.layout, members), series


def _pack(shelf: Shelf, base: str, layout: str, members: list[tuple[Member, dict[str, Any]]]) -> list[Entry]:
    """Write a study's members in a container, or in one within another."""
    files = [member for member, _ in members]
    entries = []
    if layout in ("zip", "zip_stored"):
        outer, data = f"{base}.zip", pack_zip(files, shelf.moment, layout == "zip")
        inner = outer
    elif layout in ("tar", "tar.gz"):
        outer, data = f"{base}.{layout}", pack_tar(files, shelf.moment, layout == "tar.gz")
        inner = outer
    else:
        outer, inner = f"{base}.tar", f"{base}.tar!/study.zip"
        nested = pack_zip(files, shelf.moment)
        data = pack_tar([("study.zip", nested)], shelf.moment)
        entries.append(shelf.member(inner, kind="container", outcome=CONTAINER, size=len(nested)))
    entries.append(shelf.file(outer, data, kind="container", outcome=CONTAINER))
    return entries + [shelf.member(f"{inner}!/{name}", **truth) for (name, _), truth in members]


class _Task:
    """Writes the study of a plan; an object, so that it can be sent to other processes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, plan: Plan) -> tuple[list[Entry], list[dict[str, Any]]]:
        return write_study(plan, self.root)


def _results(plans: Iterator[Plan], root: Path, processes: int) -> Iterator[tuple[list[Entry], list[dict[str, Any]]]]:
    """Yield what was written, in the plans' order, whatever the number of processes."""
    if processes == 1:
        yield from map(_Task(root), plans)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(_Task(root), plans, chunksize=16)


def _checked(out: Path) -> Path:
    """Return the archive's root; an archive is never made over another one."""
    root = out / "archive"
    if root.exists() and any(root.iterdir()):
        raise CairnError("OUTPUT_NOT_EMPTY", path=root)
    root.mkdir(parents=True, exist_ok=True)
    return root


def synthesise(
    out: Path,
    scale: float = 1.0,
    seed: int = 1,
    pixels: str = "small",
    processes: int = 1,
    long_values: bool | None = None,
    progress: TextIO | None = None,
) -> dict[str, Any]:
    """Make an archive in ``OUT/archive``, health records in ``OUT/ehr``, and the truth about both in ``OUT/truth``.

    Parameters
    ----------
    out : pathlib.Path
        Where; must not hold an archive yet.
    scale : float
        1.0 makes about 2,000 entries. The catalogue of all kinds of study and every pitfall are there at any scale.
    seed : int
        Equal seeds, scales and versions give equal bytes.
    pixels : str
        ``small`` (64 x 64) or ``full`` (512 x 512, and series as long as in reality).
    processes : int
        How many write at once; changes nothing in the result.
    long_values : bool, optional
        Whether to write the file with a value over 16 MiB; by default from scale 1.0 on.
    progress : file, optional
        Where to write a line now and then.

    Returns
    -------
    dict
        Counts by outcome, code, modality and pitfall, as in ``OUT/truth/summary.json``.

    Raises
    ------
    CairnError
        ``OUTPUT_NOT_EMPTY`` when there is an archive already.
    """
    root = _checked(out)
    studies = len(CATALOGUE) + round(STUDIES_AT_SCALE_1 * scale)
    truth = TruthWriter(out / "truth")
    batch: tuple[list[Entry], list[dict[str, Any]]] = ([], [])
    images: list[Image] = []
    plans = (plan(seed, index, PIXEL_SIZES[pixels]) for index in range(studies))
    for done, (entries, series) in enumerate(_results(plans, root, processes), 1):
        batch[0].extend(entries)
        batch[1].extend(series)
        images.extend(image(row) for row in series)
        if len(batch[0]) >= _ROW_GROUP:
            truth.add(*batch)
            batch = ([], [])
        if progress is not None and (done % 500 == 0 or done == studies):
            print(f"synthesise: {done} of {studies} studies", file=progress, flush=True)
    truth.add(*batch)
    odd = pitfalls.write_all(root, seed, PIXEL_SIZES["small"], scale >= 1.0 if long_values is None else long_values)
    truth.add(*odd)
    everybody = [person(seed, index) for index in range(max(_person_of(studies - 1), pitfalls.LAST_PERSON) + 1)]
    summary = truth.close(everybody, {"version": cairn.__version__, "seed": seed, "scale": scale, "pixels": pixels})
    return {**summary, "records": write_records(out, seed, everybody, images)}
