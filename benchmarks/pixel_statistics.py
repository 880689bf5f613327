"""Pixels to statistics in one process, beside pydicom + numpy in the same run: CPU seconds, ratios, memory.

Every file is read, hashed, its header read, its pixels decoded, hashed and measured, and the rows made. pydicom + numpy
do a part of it: read, SHA-256, pixel_array, minimum, maximum, mean, deviation, percentiles, histogram. Compressed files
also stand beside the bare decoder on the frame's bytes in memory. CPU seconds count the decoder's process.

    python benchmarks/pixel_statistics.py [--files N] [--stream-megabytes M]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame

from cairn.archive.entry import EntryAddress
from cairn.archive.reader import read_entries
from cairn.errors import EntryError
from cairn.pixels.reader import PixelReader
from cairn.pixels.rows import table_of

SIDE = 512
SYNTAXES = {
    "native": "1.2.840.10008.1.2.1",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg-2000": "1.2.840.10008.1.2.4.90",
}
BARE: dict[str, Callable[[bytes], np.ndarray]] = {
    "jpeg-ls": imagecodecs.jpegls_decode,
    "jpeg-2000": lambda data: imagecodecs.jpeg2k_decode(data, numthreads=1),
}


def slice_of(seed: int) -> np.ndarray:
    """Return an axial slice: air outside a circle of reconstruction, an ellipse of soft tissue, lungs, bone, noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    image = np.full((SIDE, SIDE), 24.0)
    image[(x / 210) ** 2 + (y / 150) ** 2 < 1] = 1064
    for centre in (-90, 90):
        image[((x - centre) / 65) ** 2 + (y / 95) ** 2 < 1] = 174
    image[(x / 22) ** 2 + ((y - 100) / 22) ** 2 < 1] = 1700
    image += rng.normal(0, 20, image.shape)
    image[x * x + y * y > 255**2] = 0
    return image.clip(0, 4095).astype(np.uint16)


def save(path: Path, kind: str, image: np.ndarray, number: int) -> None:
    """Write one slice in a transfer syntax."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = SYNTAXES[kind]
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number + 1}"
    dataset.Modality, dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "CT", "MONOCHROME2", 1
    dataset.Rows, dataset.Columns = image.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "-1024", "HU"
    if kind == "native":
        dataset.PixelData = image.tobytes()
    elif kind == "rle":
        dataset.compress(SYNTAXES[kind], image, generate_instance_uid=False)
    elif kind == "jpeg-ls":
        dataset.PixelData = encapsulate([imagecodecs.jpegls_encode(image)])
    else:
        code = imagecodecs.jpeg2k_encode(image, level=0, codecformat="J2K", reversible=True)
        dataset.PixelData = encapsulate([code])
    dataset.save_as(path, enforce_file_format=True)


def address(path: Path) -> EntryAddress:
    """Return a file's address."""
    stat = path.stat()
    return EntryAddress(
        path.as_uri(), None, "file", stat.st_size, stat.st_mtime_ns // 1000, None, None, None, "made", None
    )


def by_cairn(paths: list[Path], times: int) -> float:
    """Return the CPU seconds of all files, rows made into a table; the decoder's start is not counted."""
    addresses = [address(path) for path in paths]
    with PixelReader() as reader:
        run_cairn(reader, addresses[:1])
        start = child_cpu(reader)
        began = time.process_time()
        for _ in range(times):
            run_cairn(reader, addresses)
        return (time.process_time() - began + child_cpu(reader) - start) / times


def child_cpu(reader: PixelReader) -> float:
    """Return the CPU seconds so far of the decoder's process (Linux); 0 when there is none."""
    process = reader.decoder.process_id
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_cairn(reader: PixelReader, addresses: list[EntryAddress]) -> None:
    """Measure files and make their rows."""
    rows = []
    for entry, outcome in read_entries(addresses, reader, overlap=1, tries=1, timeout_seconds=60):
        if isinstance(outcome, EntryError):
            raise outcome
        for row in outcome.rows:
            row.update(uri=entry.uri, content_version="made", run="benchmark")
        rows += outcome.rows
    table_of(rows)


def by_pydicom(paths: list[Path]) -> float:
    """Return the CPU seconds of the peer."""
    began = time.process_time()
    for path in paths:
        hashlib.sha256(path.read_bytes()).hexdigest()
        pixels = pydicom.dcmread(path).pixel_array
        pixels.min(), pixels.max(), pixels.mean(), pixels.std()
        np.percentile(pixels, (1, 5, 25, 50, 75, 95, 99))
        np.bincount(pixels.reshape(-1), minlength=65536)
    return time.process_time() - began


def by_bare_decoder(paths: list[Path], kind: str) -> float:
    """Return the CPU seconds of the decoder alone."""
    frames = [get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1) for path in paths]
    began = time.process_time()
    for data in frames:
        BARE[kind](data)
    return time.process_time() - began


def compare(folder: Path, kind: str, count: int, times: int) -> None:
    """Measure one transfer syntax."""
    paths = []
    for number in range(count):
        paths.append(folder / f"{kind}-{number}.dcm")
        save(paths[-1], kind, slice_of(number), number)
    by_cairn(paths[:2], 1)
    cairn, peer = by_cairn(paths, times) / count, by_pydicom(paths) / count
    line = f"{kind:10} cairn {1e3 * cairn:7.2f} ms = {1 / cairn:5.0f} files per CPU second"
    line += f"; pydicom + numpy {1e3 * peer:7.2f} ms; ratio {peer / cairn:.2f}"
    if kind in BARE:
        bare = by_bare_decoder(paths, kind) / count
        line += f"; bare decode {1e3 * bare:.2f} ms, cairn / bare {cairn / bare:.2f}"
    print(line, flush=True)


def stream(folder: Path, megabytes: int) -> None:
    """Measure a large multi-frame object in a process of its own and print its peak memory."""
    path = folder / "large.dcm"
    image = slice_of(1)
    save(path, "native", image, 1)
    dataset = pydicom.dcmread(path)
    frames = megabytes * 1_000_000 // image.nbytes
    dataset.NumberOfFrames = frames
    dataset.PixelData = b""
    dataset.save_as(path)
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write((frames * image.nbytes).to_bytes(4, "little"))
        for number in range(frames):
            file.write(np.roll(image, number, axis=1).tobytes())
    code = "import sys; sys.path.insert(0, sys.argv[2]); import pixel_statistics as p; p.stream_one(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(path), str(Path(__file__).parent)], check=True)


def stream_one(path: str) -> None:
    """Measure one file; print seconds and memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.process_time()
    with PixelReader() as reader:
        ((_, outcome),) = read_entries([address(Path(path))], reader, overlap=1, tries=1, timeout_seconds=60)
    if isinstance(outcome, EntryError):
        raise outcome
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"streamed   {Path(path).stat().st_size / 1e6:.0f} MB, {outcome.rows[0]['frames_measured']} frames in "
        f"{time.process_time() - began:.1f} CPU s; peak memory {after:.0f} MiB, {before:.0f} of them before"
    )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200, help="native files; a tenth of it of the others")
    parser.add_argument("--stream-megabytes", type=int, default=0, help="also stream a multi-frame file of this size")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for kind in SYNTAXES:
            native = kind == "native"
            compare(Path(folder), kind, options.files if native else max(options.files // 10, 3), 5 if native else 2)
        if options.stream_megabytes:
            stream(Path(folder), options.stream_megabytes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
