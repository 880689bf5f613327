"""`verify IN OUT`: does any file of a folder that leaves tell of a person of the folder of originals?

Nothing is trusted that the maker of the files says but which original each was made of, and that only narrows what
is looked for: everybody's UIDs, numbers and whole names are looked for in every file. Without such a list a file is
recognised by its pixel data; what is recognised by nothing is searched for everybody's names too, but its dates cannot
be judged.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from cairn.archive.address import local_path, local_uri, unquote
from cairn.archive.entry import Entry, EntryAddress, address_of
from cairn.archive.reader import read_entries
from cairn.errors import CairnError, EntryError
from cairn.pipelines.folder import in_processes, in_processes_each, listed, whole
from cairn.settings import Settings
from cairn.spark.progress import Progress
from cairn.verify.delivered import check_delivered, check_name, is_dicom
from cairn.verify.everybody import Everybody, Gathering, Original, original_of, pixels_of
from cairn.verify.known import Known
from cairn.verify.search import Place

REPORT = ("file", "place", "rule")
CLEAN, FOUND = "clean", "found"


@dataclass(frozen=True)
class Reading:
    """How entries are read.

    Parameters
    ----------
    tries : int
        How often.
    timeout_seconds : float
        Longest wait for one read.
    """

    tries: int
    timeout_seconds: float

    def each(self, entries: Sequence[EntryAddress]) -> Iterator[tuple[EntryAddress, bytes | EntryError]]:
        """Yield entries with their bytes, one at a time."""
        return read_entries(entries, whole, overlap=1, tries=self.tries, timeout_seconds=self.timeout_seconds)


@dataclass(frozen=True)
class OriginalsWork:
    """Reads originals: what all of them tell together, and how each is recognised."""

    reading: Reading

    def __call__(self, entries: Sequence[EntryAddress]) -> list[OriginalsRead]:
        """Read some originals."""
        done = OriginalsRead()
        for entry, data in self.reading.each(entries):
            original = None if isinstance(data, EntryError) or not is_dicom(data) else _original(data)
            if original is None:
                done.unread.append(entry.uri)
                continue
            done.gathering.add(original.known)
            done.recognised.append((entry.uri, original.person, original.pixels))
        return [done]


@dataclass(repr=False)
class OriginalsRead:
    """What some originals told.

    Parameters
    ----------
    gathering : Gathering
        Everybody's values.
    recognised : list of (str, int, int or None)
        Address, hash of the person, hash of the pixel data.
    unread : list of str
        Addresses of what is no DICOM, or could not be read.
    """

    gathering: Gathering = field(default_factory=Gathering)
    recognised: list[tuple[str, int, int | None]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


@dataclass(frozen=True, repr=False)
class DeliveredWork:
    """Searches files that leave.

    Parameters
    ----------
    reading : Reading
        How.
    everybody : Everybody
        What must not be found.
    names : dict of str to str
        Path under the folder, by address.
    originals : dict of str to EntryAddress
        The original of each file of which it is known, by the file's address.
    by_pixels : dict of int to EntryAddress
        Originals by the hash of their pixel data, where only one person's have it.
    """

    reading: Reading
    everybody: Everybody
    names: dict[str, str]
    originals: dict[str, EntryAddress]
    by_pixels: dict[int, EntryAddress]

    def __call__(self, entries: Sequence[EntryAddress]) -> list[Delivered]:
        """Search some files."""
        return [self._one(entry, data) for entry, data in self.reading.each(entries)]

    def _one(self, entry: EntryAddress, data: bytes | EntryError) -> Delivered:
        name = self.names[entry.uri]
        if isinstance(data, EntryError):
            return Delivered(entry.uri, FOUND, [Place("file", data.code)])
        source = self.originals.get(entry.uri)
        if source is None and self.by_pixels and is_dicom(data):
            source = self.by_pixels.get(pixels_of(data) or 0)
        known = self._known(source) if source else None
        places = check_delivered(name, data, known, self.everybody)
        return Delivered(entry.uri, FOUND if places else CLEAN, places, known is not None, is_dicom(data))

    def _known(self, source: EntryAddress) -> Known | None:
        """Read the original again: what all originals tell is more than a process should hold."""
        ((_, data),) = self.reading.each([source])
        original = None if isinstance(data, EntryError) else _original(data)
        return original.known if original else None


@dataclass(frozen=True)
class Delivered:
    """What was found in one file that leaves.

    Parameters
    ----------
    uri : str
        Its address.
    outcome : str
        clean or found; what cannot be read is a finding.
    places : list of Place
        Where, and by which rule.
    matched : bool
        Whether its own original was known.
    dicom : bool
        Whether it is DICOM.
    """

    uri: str
    outcome: str
    places: list[Place]
    matched: bool = False
    dicom: bool = False


def _original(data: bytes) -> Original | None:
    try:
        return original_of(data)
    except ValueError:
        return None


@dataclass(frozen=True)
class FolderRequest:
    """What is verified against what.

    Parameters
    ----------
    originals, delivered : str
        Folders, or URIs.
    matches : pathlib.Path or None
        CSV with the columns ``entry`` (address or path of an original) and ``output`` (path under `delivered`).
    report : pathlib.Path or None
        Where findings are written: CSV with :data:`REPORT`.
    withhold : pathlib.Path or None
        Where files with findings are moved.
    """

    originals: str
    delivered: str
    matches: Path | None = None
    report: Path | None = None
    withhold: Path | None = None


def verify_folder(
    request: FolderRequest, settings: Settings, processes: int, stream: TextIO, clock: Callable[[], float]
) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Search every file of a folder for what originals tell.

    Parameters
    ----------
    request : FolderRequest
        What against what.
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
    (Counter, Counter)
        Files by outcome, with what is to be known of them; findings by place and rule.

    Raises
    ------
    CairnError
        SOURCE_MISSING, OUTPUT_INSIDE, MATCHES_UNREADABLE, NO_ORIGINALS.
    """
    for path in (request.report, request.withhold):
        if path and Path(request.delivered).resolve() in (path.resolve(), *path.resolve().parents):
            raise CairnError("OUTPUT_INSIDE", path=path)
    outputs = read_matches(request.matches) if request.matches else {}
    delivered = sorted(listed(request.delivered, settings), key=lambda entry: entry.uri)
    originals = list(listed(request.originals, settings))
    reading = Reading(settings.headers.tries, settings.headers.timeout_seconds)
    steps = _Steps(reading, settings, processes, stream, clock)
    everybody, by_pixels, counts = steps.read(originals, request.originals)
    names = _names(delivered, request.delivered)
    root = local_path(delivered[0].root) if delivered else None
    by_name = _by_name(originals, outputs)
    found = steps.search(delivered, names, everybody, by_name, by_pixels)
    rules = _told(found, names, request, root or request.delivered, counts)
    return counts, rules


@dataclass(frozen=True)
class _Steps:
    reading: Reading
    settings: Settings
    processes: int
    stream: TextIO
    clock: Callable[[], float]

    def _progress(self, what: str, entries: Sequence[Entry]) -> Progress:
        every = self.settings.stage.progress_seconds
        return Progress(f"verify, {what}", len(entries), self.stream, self.clock, every)

    def read(self, originals: Sequence[Entry], folder: str) -> tuple[Everybody, dict[int, EntryAddress], Counter[str]]:
        """Read the originals; return everybody's values, who is recognised by pixels, and counts."""
        progress, all_read, done = self._progress("originals", originals), OriginalsRead(), 0
        addresses = {entry.uri: entry for entry in originals}
        pixels: dict[int, tuple[str, int]] = {}
        shared: set[int] = set()
        for some in in_processes(originals, OriginalsWork(self.reading), self.processes):
            all_read.gathering.merge(some.gathering)
            all_read.unread += some.unread
            done += len(some.recognised) + len(some.unread)
            for uri, person, digest in some.recognised:
                if digest is not None and pixels.setdefault(digest, (uri, person))[1] != person:
                    shared.add(digest)  # equal images of two persons tell nothing of whose it is
            progress.at(done)
        faulty = sum(entry.kind != "container" and bool(entry.code) for entry in originals)
        counts = Counter(originals=done - len(all_read.unread), originals_not_read=len(all_read.unread) + faulty)
        if not counts["originals"]:
            raise CairnError("NO_ORIGINALS", path=folder)
        alone = {digest: address_of(addresses[uri]) for digest, (uri, _) in pixels.items() if digest not in shared}
        return all_read.gathering.everybody(), alone, counts

    def search(
        self, delivered: Sequence[Entry], names: dict[str, str], everybody: Everybody,
        by_name: dict[str, EntryAddress], by_pixels: dict[int, EntryAddress],
    ) -> Iterator[Delivered]:  # fmt: skip
        """Yield what is found in each file that leaves; an entry that cannot be opened is a finding."""
        progress = self._progress("what leaves", delivered)

        def work_of(some: Sequence[EntryAddress]) -> DeliveredWork:
            uris = [entry.uri for entry in some]
            originals = {uri: by_name[names[uri]] for uri in uris if names[uri] in by_name}
            others = {} if len(originals) == len(uris) else by_pixels
            return DeliveredWork(self.reading, everybody, {uri: names[uri] for uri in uris}, originals, others)

        opened = [entry for entry in delivered if entry.code or entry.kind == "container"]
        for entry in opened:
            places = check_name(names[entry.uri], everybody)
            if entry.code and entry.code != "EMPTY_FILE":
                places.append(Place("file", entry.code))
            yield Delivered(entry.uri, FOUND if places else CLEAN, places)
        for done, result in enumerate(in_processes_each(delivered, work_of, self.processes), start=len(opened) + 1):
            progress.at(done)
            yield result


def read_matches(path: Path) -> dict[str, str]:
    """Return the original of each output, by the output's path; of scrub's report, or any CSV with its two columns.

    Raises
    ------
    CairnError
        MATCHES_UNREADABLE.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.DictReader(file)
            missing = {"entry", "output"} - set(rows.fieldnames or ())
            if missing:
                raise CairnError("MATCHES_UNREADABLE", path=path, why=f"no column {', '.join(sorted(missing))}")
            return {row["output"]: row["entry"] for row in rows if row["output"]}
    except OSError as fault:
        raise CairnError("MATCHES_UNREADABLE", path=path, why=fault.strerror) from None
    except csv.Error:
        raise CairnError("MATCHES_UNREADABLE", path=path, why="it is no CSV") from None


def _by_name(originals: Sequence[Entry], outputs: dict[str, str]) -> dict[str, EntryAddress]:
    """Return the originals' addresses by their outputs' paths; they are named by URI or by path."""
    if not outputs:
        return {}
    known = {entry.uri: entry for entry in originals}
    found = {
        output: known.get(entry) or known.get(local_uri(os.path.abspath(entry))) for output, entry in outputs.items()
    }
    return {os.path.normpath(output): address_of(entry) for output, entry in found.items() if entry}


def _names(entries: Sequence[Entry], folder: str) -> dict[str, str]:
    """Return the path of each entry under its folder, as people write it."""
    return {
        entry.uri: os.fsdecode(unquote(entry.uri.removeprefix(entry.root))).lstrip("/") or Path(folder).name
        for entry in entries
    }


def _told(
    found: Iterator[Delivered], names: dict[str, str], request: FolderRequest, root: str, counts: Counter[str]
) -> Counter[tuple[str, str]]:
    """Count, write the report, move what is withheld."""
    numbers = {uri: number for number, uri in enumerate(names, start=1)}
    rules: Counter[tuple[str, str]] = Counter()
    rows = []
    for one in found:
        counts.update({"files": 1, one.outcome: 1, "without_original": one.dicom and not one.matched})
        told = any(place.where == "name" for place in one.places)
        name = f"(file {numbers[one.uri]} of the folder, by name)" if told else names[one.uri]
        rows += [(name, place.where, place.rule) for place in one.places]
        rules.update((place.where, place.rule) for place in one.places)
        if one.places and request.withhold:
            counts["withheld"] += _withheld(one.uri, root, request.withhold)
    if request.report:
        with request.report.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(REPORT)
            writer.writerows(sorted(rows))
    return rules


def _withheld(uri: str, root: str, withhold: Path) -> bool:
    """Move a file, or the archive that an entry is in, out of the folder; False when it is gone already."""
    path = local_path(uri.partition("!/")[0])
    if path is None or not os.path.lexists(path):
        return False
    target = withhold / os.path.relpath(path, root)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, target)
    return True
