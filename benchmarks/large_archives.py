"""Archives that are large in one way: a listing of millions of entries, one zip of gigabytes. Memory and time.

``--entries N``: N zip members (one zip of 10,000 small members under many names, as hard links) through `inventory`;
says seconds, entries a second and the peak memory of driver and workers. ``--zip-gigabytes G``: one zip of G GB, of
stored and deflated members of 8 MB each with made headers, through `inventory` and `headers`.

    ./spark-submit.sh --python   # prints the environment's Python
    PYTHONPATH=lib PYTHON benchmarks/large_archives.py [--entries N] [--zip-gigabytes G]
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from cairn.pipelines.headers import read_headers
from cairn.pipelines.inventory import take_inventory
from cairn.pipelines.job import Job, opened
from cairn.settings import load
from cairn.spark.accounting import cpu_seconds, peak_memory
from cairn.synthetic.mixes import synthesise_mix
from headers_job import with_jars

MEMBERS = 10_000
MEMBER_BYTES = 8 << 20


def many_entries(folder: Path, entries: int) -> Path:
    """Make one zip of small members and link it under as many names as give `entries` members."""
    archive = folder / "many"
    (archive / "0000").mkdir(parents=True)
    first = archive / "0000" / "000000.zip"
    with zipfile.ZipFile(first, "w") as out:
        for number in range(MEMBERS):
            out.writestr(f"{number // 100:04d}/IM{number:06d}.dcm", b"x" * 40)
    for number in range(1, entries // MEMBERS):
        place = archive / f"{number // 100:04d}" / f"{number:06d}.zip"
        place.parent.mkdir(exist_ok=True)
        os.link(first, place)
    return archive


def large_zip(folder: Path, gigabytes: float) -> Path:
    """Make one zip of members with real headers, every other one deflated, and noise for pixels."""
    synthesise_mix(folder / "mix", "benchmark", 50, 1, "small")
    headers = [path.read_bytes() for path in sorted((folder / "mix" / "archive").rglob("*")) if path.is_file()]
    noise = np.random.default_rng(1).integers(0, 1 << 12, MEMBER_BYTES // 2, np.uint16).tobytes()
    archive = folder / "large"
    archive.mkdir()
    with zipfile.ZipFile(archive / "large.zip", "w", compresslevel=1) as out:
        for number in range(int(gigabytes * 2**30 / MEMBER_BYTES)):
            how = zipfile.ZIP_STORED if number % 2 else zipfile.ZIP_DEFLATED
            out.writestr(f"IM{number:06d}.dcm", headers[number % len(headers)] + noise, how)
    return archive


def run(job: Job, archive: Path, read: bool) -> None:
    """List an archive, read its headers when asked to, and print what it took."""
    started, used = time.monotonic(), cpu_seconds(job.store.spark) or 0.0
    listed = take_inventory(job.store, job.run("inventory"), job.folder("inventory"), io.StringIO(), [str(archive)])
    seconds = time.monotonic() - started
    cpu = (cpu_seconds(job.store.spark) or 0.0) - used
    entries = listed.counts["present"]
    print(f"inventory: {entries:,} entries in {seconds:,.0f} s; {entries / cpu:,.0f} per CPU second")
    if read:
        started = time.monotonic()
        counts = read_headers(job.store, job.run("headers"), job.folder("headers"), io.StringIO()).counts
        print(f"headers: {counts['instance']:,} rows of {counts['entries']:,} in {time.monotonic() - started:,.0f} s")
    sizes = peak_memory(job.store.spark)
    print("peak memory: " + ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in sizes.items()))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=0)
    parser.add_argument("--zip-gigabytes", type=float, default=0.0)
    options = parser.parse_args()
    with_jars()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with opened("benchmark", load(None, os.environ, (), str(folder / "warehouse"))) as job:
            if options.zip_gigabytes:
                run(job, large_zip(folder, options.zip_gigabytes), True)
            if options.entries:
                run(job, many_entries(folder, options.entries), False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
