"""What one task of `extract` does: entries in, files in the staging folder and rows of `extract_item` out.

Each entry is read once, whole; its header is rewritten under the project's keys by the engine of `deidentify`, text
that the pixel stage found is blanked and looked for again, and the independent verifier compares what was made with
the original before a byte of it is written. A file gets its name when it is whole. No Spark in here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from cairn.archive.entry import EntryAddress
from cairn.archive.reader import read_entries
from cairn.deid.emit import Buffer
from cairn.deid.rewrite import Kept, Refused, Rewriter
from cairn.errors import CairnError, EntryError
from cairn.extract.isidentifiable import Failure, Rules
from cairn.extract.layout import image_path
from cairn.pipelines.deidentify_task import Terms, verified
from cairn.pipelines.entry_rows import addresses
from cairn.pipelines.folder import whole
from cairn.pipelines.scrub_pixels import UNEXAMINED, CleanPixels, ScrubPixels, scrub_pixels
from cairn.pixels.source import BytesEntry
from cairn.pixels.text.device_rules import DeviceRule
from cairn.settings import Headers, Pixels
from cairn.spark.storage import Folder, disk_faults
from cairn.tables.extract import EXTRACT_ITEM
from cairn.verify.known import elements_of

STAGE = "extract"
DELIVERED, WITHHELD, UNREADABLE = "delivered", "withheld", "unreadable"
SEARCHED, FOUND, PERSON = "searched", "found", "person"
"""Columns of the plan beside those of `archive_entry`: rows of the pixel stage's tables, and whose entry it is."""

NO_RULES = Rules()
MOST_PLACES = 12
Row = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """A file that may leave.

    Parameters
    ----------
    kept : Kept
        The file.
    boxes, frames : int
        What was blanked.
    findings : tuple of str
        What is to be known of it.
    """

    kept: Kept = field(repr=False)
    boxes: int
    frames: int
    findings: tuple[str, ...]


@dataclass(frozen=True)
class Stays:
    """Why an entry does not leave.

    Parameters
    ----------
    code : str
        The condition.
    places : str
        Where the verifier found what.
    """

    code: str
    places: str = ""


class Engine:
    """Makes what leaves of an entry's bytes; no file is written here.

    Parameters
    ----------
    rewriter : Rewriter
        Under the project's keys.
    pixels : ScrubPixels
        Blanks text and looks again.
    review : Rules
        The project's rules, in IsIdentifiable's form, for what stays in headers.
    """

    def __init__(self, rewriter: Rewriter, pixels: ScrubPixels, review: Rules = NO_RULES) -> None:
        self._rewriter = rewriter
        self._pixels = pixels
        self._review = review

    def __call__(self, data: bytes, person: str, searched: Row | None, found: Sequence[Row]) -> Made | Stays:
        """Return the file that leaves, or why none does.

        Parameters
        ----------
        data : bytes
            The original.
        person : str
            Whose it is, as `crossing` has it.
        searched : dict or None
            Its row of `text_search`; None: nobody looked for text in it.
        found : sequence of dict
            Its rows of `burned_in_text`.
        """
        if searched is None:
            return Stays(UNEXAMINED)
        try:
            clean = self._pixels.judged(BytesEntry(data), searched, found)
        except EntryError as fault:
            clean = CleanPixels(fault.code)
        if clean.code:
            return Stays(clean.code)
        made = self._rewriter(clean.data or data, person, clean_pixels=clean.data is not None)
        if isinstance(made, Refused):
            return Stays(made.code)
        out = made.tobytes()
        code, places = verified(data, (), out, ())
        if code:
            return Stays(code, places)
        if self._review != NO_RULES and (reported := reported_in(out, self._review)):
            return Stays("EXTRACT_REVIEW_RULE", reported)
        return Made(made, clean.boxes, clean.frames, (*made.findings, *clean.findings))


def reported_in(made: bytes, review: Rules) -> str:
    """Return where rules report something in a file's header, and what they call it; empty: nowhere."""
    found = []
    for path, keyword, vr, texts in elements_of(made):
        if vr != "UI":
            failures = (review.looked_at(Failure("", "", keyword or path, text)) for text in texts)
            found += [f"{part.classification} at {path}" for failure in failures if failure for part in failure.parts]
    return "; ".join(dict.fromkeys(found[:MOST_PLACES]))


@dataclass(frozen=True)
class ExtractWork:
    """The stage's work, as the stage runner sends it to the workers.

    Parameters
    ----------
    project, extract : str
        Whose, and which.
    terms : Terms
        The project's terms.
    version : str
        ``terms.version()``, as the driver found it.
    staging : str
        Folder that the files go to.
    pixels : Pixels
        How pixels are decoded and searched.
    rules : tuple of DeviceRule
        Device rules for burnt-in text.
    review : Rules
        The project's rules for what stays in headers.
    reading : Headers
        How often and how long entries are read.
    run : str
        Run that writes the rows.
    """

    project: str
    extract: str
    terms: Terms
    version: str
    staging: str
    pixels: Pixels
    rules: tuple[DeviceRule, ...]
    review: Rules
    reading: Headers
    run: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.Table]]:
        """Make and write files; yield what became of each entry.

        Raises
        ------
        CairnError
            WORKER_DIFFERS, NO_DISK.
        """
        if self.terms.version() != self.version:
            raise CairnError("WORKER_DIFFERS", stage=STAGE)
        engine = Engine(self.terms.rewriter(), scrub_pixels(self.pixels, self.rules), self.review)
        folder = Folder(self.staging)
        for batch in batches:
            rows = [self._row(entry, outcome, engine, folder, told) for entry, outcome, told in self._read(batch)]
            yield EXTRACT_ITEM.name, pa.Table.from_pylist(rows, schema=EXTRACT_ITEM.arrow_schema)

    def _read(self, batch: pa.RecordBatch) -> Iterator[tuple[EntryAddress, bytes | EntryError, Row]]:
        told = batch.select([PERSON, SEARCHED, FOUND]).to_pylist()
        (entries,) = addresses([batch])
        read = read_entries(
            entries, whole, overlap=1, tries=self.reading.tries, timeout_seconds=self.reading.timeout_seconds
        )
        for (entry, data), row in zip(read, told, strict=True):
            yield entry, data, row

    def _row(
        self, entry: EntryAddress, data: bytes | EntryError, engine: Engine, folder: Folder, told: Row
    ) -> Row:  # fmt: skip
        row: Row = dict.fromkeys(EXTRACT_ITEM.arrow_schema.names)
        row |= {"project": self.project, "extract": self.extract, "uri": entry.uri, "run": self.run}
        row |= {"content_version": entry.content_version, "boxes": 0, "frames": 0}
        if isinstance(data, EntryError):
            return row | {"outcome": UNREADABLE, "code": data.code}
        made = engine(data, told[PERSON], told[SEARCHED], told[FOUND] or ())
        if isinstance(made, Stays):
            return row | {"outcome": WITHHELD, "code": made.code, "places": made.places or None}
        kept = made.kept
        write(folder, image_path(kept.person_id, kept.study_instance_uid, kept.series_instance_uid,
                                 kept.sop_instance_uid), kept)  # fmt: skip
        digest, size = _digest(kept.parts)
        row |= {"outcome": DELIVERED, "sha256": digest, "size": size, "boxes": made.boxes, "frames": made.frames}
        return row | {"findings": list(made.findings)}


def _digest(parts: Iterable[Buffer]) -> tuple[str, int]:
    found, size = hashlib.sha256(), 0
    for part in parts:
        found.update(part)
        size += len(part)
    return found.hexdigest(), size


def write(folder: Folder, name: str, kept: Kept) -> None:
    """Write a file under a folder; it has its name when it is whole.

    A task that is tried again writes the same bytes under the same name. Files are not forced to the disk one by one:
    before a release every one is read again and compared with the manifest.

    Raises
    ------
    CairnError
        NO_DISK.
    """
    path = folder.file(name)
    partial = f"{path}.{os.getpid()}.partial"
    with disk_faults(folder.uri):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            try:
                kept.write_to(handle)
            finally:
                os.close(handle)
            os.replace(partial, path)
        except BaseException:
            os.unlink(partial)
            raise
