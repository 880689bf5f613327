"""`scrub`: a folder of files de-identified into another, without tables: the engine of `deidentify`, in processes.

Every input is in the report, with what became of it. A file is in place whole or not at all: it is written under
another name and then linked to its own. Text found in pixels is blanked, and so is what device rules name; then it is
looked again (:mod:`cairn.pipelines.scrub_pixels`). An image in which text survives that, or is only suspected, or into
which nobody could look, is withheld unless the caller lets it pass.
"""

from __future__ import annotations

import csv
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from cairn.archive.entry import Entry, EntryAddress
from cairn.archive.reader import read_entries
from cairn.deid.rewrite import Kept, Refused, Rewriter
from cairn.errors import CairnError, EntryError
from cairn.pipelines.deidentify_task import Terms, verified
from cairn.pipelines.folder import in_processes, listed, whole
from cairn.pipelines.pixel_task import guarded
from cairn.pipelines.scrub_pixels import CleanPixels, scrub_pixels
from cairn.pixels.reader import PixelEntry
from cairn.pixels.source import BytesEntry
from cairn.pixels.text.device_rules import DeviceRule
from cairn.settings import Pixels, Settings
from cairn.spark.progress import Progress

WRITTEN, SAME, WITHHELD = "written", "same", "withheld"
REPORT = ("entry", "outcome", "code", "output", "places", "findings", "boxes", "frames")


@dataclass(frozen=True)
class Outcome:
    """What became of one entry.

    Parameters
    ----------
    entry : str
        Its address: a real path, for the identifiable side only.
    outcome : str
        written, same (an equal file was there already) or withheld.
    code : str
        Why it was withheld.
    output : str
        Where it is, under the output folder.
    places : str
        Where the verifier found what.
    findings : str
        What is to be known of a written file.
    boxes, frames : int
        How many boxes were blanked, on how many of its frames.
    """

    entry: str
    outcome: str
    code: str = ""
    output: str = ""
    places: str = ""
    findings: str = ""
    boxes: int = 0
    frames: int = 0


@dataclass(frozen=True)
class ScrubWork:
    """What every worker process gets.

    Parameters
    ----------
    terms : Terms
        Rules, keys, opt-outs.
    output : pathlib.Path
        Where files go.
    pixels : Pixels
        How pixels are decoded and searched for text.
    rules : tuple of DeviceRule
        Device rules for burnt-in text.
    pass_pixels : bool
        Whether images with text, suspected or found, pass, marked in the report.
    tries : int
        How often an entry is read.
    timeout_seconds : float
        Longest wait for one read.
    """

    terms: Terms
    output: Path
    pixels: Pixels
    rules: tuple[DeviceRule, ...]
    pass_pixels: bool
    tries: int
    timeout_seconds: float

    def __call__(self, entries: Sequence[EntryAddress]) -> list[Outcome]:
        """De-identify some entries and return what became of each."""
        rewriter = _rewriter(self.terms)
        read = read_entries(entries, whole, overlap=1, tries=self.tries, timeout_seconds=self.timeout_seconds)
        pixels = guarded(scrub_pixels(self.pixels, self.rules))
        return [
            Outcome(entry.uri, WITHHELD, data.code)
            if isinstance(data, EntryError)
            else self._one(entry.uri, data, rewriter, pixels)
            for entry, data in read
        ]

    def _one(self, entry: str, data: bytes, rewriter: Rewriter, pixels: Callable[[PixelEntry], CleanPixels]) -> Outcome:
        made = rewriter(data)
        if isinstance(made, Refused):
            return Outcome(entry, WITHHELD, made.code)
        if made.person in self.terms.opt_outs:
            return Outcome(entry, WITHHELD, "OPTED_OUT")
        try:
            clean = pixels(BytesEntry(data))
        except EntryError as fault:
            clean = CleanPixels(fault.code)
        if clean.code and not self.pass_pixels:
            return Outcome(entry, WITHHELD, clean.code)
        marks = [clean.code] if clean.code else list(clean.findings)
        if clean.data is not None:
            made = rewriter(clean.data, clean_pixels=True)
            if isinstance(made, Refused):
                return Outcome(entry, WITHHELD, made.code)
        findings = [*made.findings, *marks]
        code, places = verified(data, (), made.tobytes(), ())
        if code:
            return Outcome(entry, WITHHELD, code, places=places)
        name = Path(made.person_id, made.study_instance_uid or "none", made.series_instance_uid or "none")
        written = self._written(entry, made, name / f"{made.sop_instance_uid}.dcm", findings)
        return replace(written, boxes=clean.boxes, frames=clean.frames)

    def _written(self, entry: str, made: Kept, name: Path, findings: Sequence[str]) -> Outcome:
        target = self.output / name
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=self.output, prefix=".partial-")
        try:
            try:
                made.write_to(handle)
            finally:
                os.close(handle)
            if not _linked(partial, target):
                data = made.tobytes()
                if target.read_bytes() == data:
                    return Outcome(entry, SAME, output=str(name), findings=" ".join(findings))
                # Another file of the same SOPInstanceUID: nothing is lost, and the report tells of it.
                name = name.with_name(f"{name.stem}-{hashlib.sha256(data).hexdigest()[:12]}.dcm")
                findings = [*findings, "DUPLICATE_SOP_INSTANCE_UID_DIFFERS"]
                if not _linked(partial, self.output / name):
                    return Outcome(entry, SAME, output=str(name), findings=" ".join(findings))
        finally:
            os.unlink(partial)
        return Outcome(entry, WRITTEN, output=str(name), findings=" ".join(findings))


def _linked(partial: str, target: Path) -> bool:
    """Give a written file its name; False when something has that name already, which stays as it is."""
    try:
        os.link(partial, target)  # a rename would replace it
    except FileExistsError:
        return False
    return True


_REWRITERS: dict[Terms, Rewriter] = {}


def _rewriter(terms: Terms) -> Rewriter:
    """Return this process's engine: made once, it remembers persons and texts."""
    found = _REWRITERS.get(terms)
    if found is None:
        found = _REWRITERS[terms] = terms.rewriter()
    return found


def scrub(
    source: str, work: ScrubWork, report: Path, settings: Settings, processes: int, stream: TextIO,
    clock: Callable[[], float],
) -> Counter[str]:  # fmt: skip
    """De-identify a folder into another.

    Parameters
    ----------
    source : str
        Folder, or URI, with files and archives.
    work : ScrubWork
        Terms and output folder.
    report : pathlib.Path
        CSV, one line an entry; it holds original paths, so it must not lie in the output folder.
    settings : Settings
        Limits of listing and reading.
    processes : int
        Worker processes.
    stream : text stream
        For progress lines.
    clock : callable
        Seconds since the epoch.

    Returns
    -------
    Counter
        Entries by outcome, and withheld ones by code.

    Raises
    ------
    CairnError
        REPORT_INSIDE, SOURCE_MISSING, NO_DISK; what was written stays, and the report up to then.
    """
    if work.output.resolve() in (report.resolve(), *report.resolve().parents):
        raise CairnError("REPORT_INSIDE", path=report)
    work.output.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    entries = list(listed(source, settings))
    progress = Progress("scrub", len(entries), stream, clock, settings.stage.progress_seconds)
    with report.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(REPORT)
        for done in _outcomes(entries, work, processes):
            counts.update([done.outcome, *([f"code {done.code}"] if done.code else [])])
            writer.writerow([getattr(done, name) for name in REPORT])
            progress.at(counts[WRITTEN] + counts[SAME] + counts[WITHHELD] + counts["container"])
    counts["entries"] = len(entries)
    return counts


def _outcomes(entries: Sequence[Entry], work: ScrubWork, processes: int) -> Iterator[Outcome]:
    for entry in entries:
        if entry.code:
            yield Outcome(entry.uri, WITHHELD, entry.code)
        elif entry.kind == "container":
            yield Outcome(entry.uri, "container")
    yield from in_processes(entries, work, processes)
