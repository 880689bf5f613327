"""Headers to Arrow in one process, beside pydicom in the same run: CPU seconds, ratios, memory.

Reads each file's header with Cairn's reader and parses it with the kernel (typed columns, VARIANT, findings), then does
with pydicom what gives the same content: reads the header and walks it to a JSON dictionary. No Spark, no writing.

    python benchmarks/header_kernel.py [--mix benchmark|enhanced] [--files N] [--corpus DIR]
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom

from cairn.archive.entry import EntryAddress
from cairn.archive.reader import read_entries
from cairn.dicom.kernel import HeaderKernel
from cairn.dicom.reading import HeaderReader
from cairn.dicom.warm import warm
from cairn.errors import EntryError
from cairn.synthetic.mixes import SHARES, synthesise_mix
from cairn.tables.instance import INSTANCE

KERNEL_ROWS = 1024


def entries(corpus: Path) -> list[EntryAddress]:
    """Return the addresses of a corpus's files."""
    out = []
    for folder, _, names in os.walk(corpus):
        for name in sorted(names):
            path = Path(folder) / name
            stat = path.stat()
            out.append(
                EntryAddress(
                    uri=path.as_uri(),
                    container=None,
                    kind="file",
                    size=stat.st_size,
                    modified=stat.st_mtime_ns // 1000,
                    compression=None,
                    data_offset=None,
                    compressed_size=None,
                    content_version="",
                    checksum=None,
                )
            )
    return out


def chunks(addresses: list[EntryAddress]) -> Iterator[list[EntryAddress]]:
    """Cut addresses into the kernel's batches."""
    for first in range(0, len(addresses), KERNEL_ROWS):
        yield addresses[first : first + KERNEL_ROWS]


def by_cairn(addresses: list[EntryAddress]) -> tuple[float, float, int]:
    """Return CPU seconds of reading and of parsing, and the headers parsed."""
    reader, kernel = HeaderReader(), HeaderKernel(INSTANCE.columns)
    reading = parsing = 0.0
    parsed = 0
    for some in chunks(addresses):
        began = time.process_time()
        found = [out for _, out in read_entries(some, reader, overlap=1, tries=1, timeout_seconds=60)]
        headers = [header for header in found if not isinstance(header, EntryError)]
        read = time.process_time()
        batch = kernel.parse([header.data for header in headers], [header.holes for header in headers])
        reading += read - began
        parsing += time.process_time() - read
        parsed += batch.table.num_rows
    return reading, parsing, parsed


def by_pydicom(addresses: list[EntryAddress]) -> tuple[float, float, int]:
    """Return CPU seconds of reading and of walking to JSON, and the headers read."""
    reading = walking = 0.0
    parsed = 0
    warnings.simplefilter("ignore")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for address in addresses:
        began = time.process_time()
        try:
            dataset = pydicom.dcmread(address.uri.removeprefix("file://"), stop_before_pixels=True)
            read = time.process_time()
            dataset.to_json_dict(suppress_invalid_tags=True)
        except Exception:  # noqa: BLE001 - whatever pydicom raises on a bad file: the peer loses it
            continue
        reading += read - began
        walking += time.process_time() - read
        parsed += 1
    return reading, walking, parsed


def report(name: str, first: float, second: float, parsed: int, of: int) -> float:
    """Print one line; return the CPU seconds per file."""
    each = (first + second) / max(of, 1)
    print(
        f"{name:8} {of:6d} files, {parsed:6d} parsed: reading {1e6 * first / of:8.1f} us, "
        f"parsing {1e6 * second / of:8.1f} us a file; {1 / each:8.0f} files per CPU second"
    )
    return each


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mix", choices=sorted(SHARES), default="benchmark")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--sample", type=int, default=300, help="files that pydicom reads")
    parser.add_argument("--corpus", type=Path, help="an existing folder of files instead of a made-up one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = options.corpus
        if corpus is None:
            synthesise_mix(Path(folder) / "mix", options.mix, options.files, 1, "small")
            corpus = Path(folder) / "mix" / "archive"
        addresses = entries(corpus)
        print(f"kernel compiled or loaded in {warm():.1f} s (not counted)")
        by_cairn(addresses)
        cairn = report("cairn", *by_cairn(addresses), len(addresses))
        sample = addresses[:: max(1, len(addresses) // options.sample)]
        peer = report("pydicom", *by_pydicom(sample), len(sample))
        print(f"ratio: {peer / cairn:.0f} times fewer CPU seconds than pydicom")
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
