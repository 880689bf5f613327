"""One entry in, its rows of ``pixel_statistics`` out: what the pixel stage calls for every archive entry.

reader = PixelReader(PixelLimits())
for entry, outcome in read_entries(addresses, reader, overlap=1, tries=3, timeout_seconds=60):
    ...   # outcome is a PixelResult, or an EntryError with the code for `quarantine`
reader.close()
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from cairn.dicom import tokenise as tk
from cairn.dicom.reading import Readable
from cairn.errors import EntryError, Finding
from cairn.pixels.description import DeflatedDataset, PixelDescription, describe
from cairn.pixels.frames import Frame, FrameReader
from cairn.pixels.instance_measures import InstanceMeasures
from cairn.pixels.isolation import IsolatedDecoder
from cairn.pixels.measures import measure
from cairn.pixels.rows import ALGORITHM_VERSION, Row, describe_row, measured_row
from cairn.pixels.source import EntryBytes, PlainBytes

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""VL Whole Slide Microscopy Image Storage."""


class PixelEntry(Readable, Protocol):
    """An entry, open for reading; see :class:`cairn.archive.reader.EntryHandle`."""

    size: int | None


@dataclass(frozen=True)
class PixelLimits:
    """Bounds on what one entry may cost.

    Parameters
    ----------
    whole_limit_bytes : int
        Entries up to this size are held in memory whole; larger ones are streamed.
    frame_limit_bytes : int
        Largest decoded frame.
    inflated_limit_bytes : int
        Most bytes of a deflated dataset.
    decode_timeout_seconds : float
        How long one compressed frame may take.
    decoder_memory_bytes : int
        Most memory of the decoder's process.
    slide_frames : int
        Whole-slide images with more frames are sampled: every k-th frame from the first, k the smallest step that
        leaves at most this many.
    """

    whole_limit_bytes: int = 64 << 20
    frame_limit_bytes: int = 1 << 30
    inflated_limit_bytes: int = 1 << 30
    decode_timeout_seconds: float = 60.0
    decoder_memory_bytes: int = 4 << 30
    slide_frames: int = 64


@dataclass
class PixelResult:
    """What one entry gave.

    Attributes
    ----------
    rows : list of dict
        Rows of ``pixel_statistics`` without ``uri``, ``content_version`` and ``run``: frame 0 first. An entry without
        pixels gives one row with `pixels` False.
    findings : list of Finding
        What was odd; also in the row of frame 0.
    """

    rows: list[Row]
    findings: list[Finding] = field(default_factory=list)


class Watcher(Protocol):
    """Is shown every decoded frame: for whatever else wants the pixels, such as the text finder."""

    def begin(self, described: PixelDescription, buf: np.ndarray, form: int) -> None:
        """Is told of an instance: its description, its first bytes and their form (:mod:`cairn.dicom.tokenise`)."""

    def frame(self, frame: Frame) -> None:
        """Is shown one frame."""


class PixelReader:
    """Reads, decodes and measures entries, one after the other.

    Parameters
    ----------
    limits : PixelLimits
        Bounds.
    watcher : Watcher, optional
        Is shown every decoded frame.
    statistics : bool
        Whether frames are measured; without, the result has no rows.
    """

    def __init__(
        self, limits: PixelLimits | None = None, watcher: Watcher | None = None, statistics: bool = True
    ) -> None:
        self.limits = limits or PixelLimits()
        self.decoder = IsolatedDecoder(
            self.limits.decode_timeout_seconds, self.limits.decoder_memory_bytes, self.limits.frame_limit_bytes
        )
        self._watcher = watcher
        self._statistics = statistics

    def __call__(self, entry: PixelEntry) -> PixelResult:
        """Measure one entry.

        Raises
        ------
        EntryError
            When there is nothing to measure and should be: NOT_DICOM, HEADER_CORRUPT, PIXELS_EMPTY,
            PIXELS_UNDESCRIBED, FRAME_UNDECODABLE, FRAME_TOO_LARGE, TRANSFER_SYNTAX_UNSUPPORTED, DECODER_CRASHED,
            DECODER_TIMEOUT, DEFLATE_CORRUPT, EMPTY_FILE.
        OSError
            A fault of storage.
        """
        source = EntryBytes(entry, entry.size, self.limits.whole_limit_bytes)
        described, plain = self._describe(source)
        if described is not None and self._watcher is not None:
            self._watcher.begin(described, (plain or source).head, tk.INFLATED if plain else tk.AS_STORED)
        if not self._statistics:
            return self._shown(source, plain, described)
        if described is None:
            row: Row = {"frame": 0, "algorithm_version": ALGORITHM_VERSION, "pixels": False, "findings": []}
            row["file_sha256"], _ = source.finish()
            return PixelResult([row])
        reader = FrameReader(plain or source, described, self.decoder, self.limits.frame_limit_bytes)
        result = self._measure(reader, described)
        result.rows[0]["file_sha256"], _ = source.finish()
        return result

    def _shown(self, source: EntryBytes, plain: PlainBytes | None, described: PixelDescription | None) -> PixelResult:
        """Show the frames to the watcher, and measure nothing."""
        if described is not None:
            reader = FrameReader(plain or source, described, self.decoder, self.limits.frame_limit_bytes)
            for _ in self._watched(reader, self._step(reader, described)):
                pass
        return PixelResult([])

    def _describe(self, source: EntryBytes) -> tuple[PixelDescription | None, PlainBytes | None]:
        try:
            return describe(source.head), None
        except DeflatedDataset as dataset:
            plain = PlainBytes(self._inflated(source, dataset.place))
            return describe(plain.head, tk.INFLATED), plain

    def _inflated(self, source: EntryBytes, place: int) -> np.ndarray:
        """Return the entry with its dataset inflated (PS3.5 A.5); what a cut stream gives when it is cut."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        parts, at, total = [source.head[:place].tobytes()], place, 0
        try:
            while (raw := source.read(at, 1 << 20)).size and not inflater.eof:
                part = inflater.decompress(raw.tobytes(), self.limits.inflated_limit_bytes + 1 - total)
                at, total = at + raw.size, total + len(part)
                if total > self.limits.inflated_limit_bytes:
                    raise EntryError("FRAME_TOO_LARGE")
                parts.append(part)
        except zlib.error:
            if total == 0:
                raise EntryError("DEFLATE_CORRUPT") from None
        return np.frombuffer(b"".join(parts), np.uint8)

    def _measure(self, reader: FrameReader, described: PixelDescription) -> PixelResult:
        step = self._step(reader, described)
        common = {**describe_row(described), "algorithm_version": ALGORITHM_VERSION}
        digest = hashlib.sha256()
        instance = InstanceMeasures(described)
        rows: list[Row] = []
        shape: tuple[int, ...] = (0, 0)
        for frame in self._watched(reader, step):
            digest.update(memoryview(frame.values.reshape(-1).view(np.uint8)))  # type: ignore[arg-type]
            measures = measure(frame.values, described, described.rescale_of(frame.number - 1))
            shape = frame.values.shape
            if described.frames > 1:
                rows.append(measured_row(common, frame.number, shape, measures))
            instance.add(frame.number, measures)
        whole = instance.result()
        assert whole is not None  # frames() raises when there is none
        if not whole.finite:
            reader.findings.add("PIXELS_NOT_FINITE")
        findings = [Finding(code, "(7FE0,0010)") for code in sorted(reader.findings)]
        first = measured_row(common, 0, shape, whole)
        first["frames_measured"] = len(rows) or 1
        first["pixel_sha256"] = digest.hexdigest() if step == 1 else None
        first["findings"] = [{"code": finding.code, "place": finding.place} for finding in findings]
        return PixelResult([first, *rows], findings)

    def _step(self, reader: FrameReader, described: PixelDescription) -> int:
        """Return k when every k-th frame is taken."""
        if described.sop_class_uid != WHOLE_SLIDE or described.frames <= self.limits.slide_frames:
            return 1
        reader.findings.add("FRAMES_SAMPLED")
        return -(-described.frames // self.limits.slide_frames)

    def _watched(self, reader: FrameReader, step: int) -> Iterator[Frame]:
        for frame in reader.frames(step):
            if self._watcher is not None:
                self._watcher.frame(frame)
            yield frame

    def close(self) -> None:
        """End the decoder's process."""
        self.decoder.close()

    def __enter__(self) -> PixelReader:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()
