"""Rewriting files beside dicom-anonymizer and dicognito in the same run: files per CPU second, ratios, files out.

Every way reads each file, de-identifies it and writes the new one. The two others are taken where they are installed
(``pip install dicom-anonymizer dicognito``); they keep and remove other things, so compare the cost, not the content.

    python benchmarks/deid_rewrite.py [--mix benchmark|enhanced] [--files N] [--corpus DIR] [--repeat N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pydicom

from cairn.deid.keys import MasterKey
from cairn.deid.profile import load_profile
from cairn.deid.pseudonyms import Pseudonyms
from cairn.deid.rewrite import Kept, Rewriter
from cairn.deid.rules import RuleSet
from cairn.synthetic.mixes import SHARES, synthesise_mix

PROFILE = Path(__file__).resolve().parents[1] / "conf" / "deid" / "research.yaml"
Way = Callable[[Path, Path], bool]


def made_rewriter() -> Rewriter:
    """Return Cairn's rewriter with the default profile and a key of the benchmark's own."""
    key = MasterKey("site", bytes((7 * i * i + 31 * i + 3) % 251 for i in range(32)))
    return Rewriter(RuleSet(load_profile(PROFILE)), Pseudonyms([key]))


def by_cairn() -> Way:
    """Return Cairn's rewriter, writing piece by piece."""
    rewriter = made_rewriter()

    def way(source: Path, target: Path) -> bool:
        made = rewriter(source.read_bytes())
        if isinstance(made, Kept):
            with open(target, "wb", buffering=0) as out:
                made.write_to(out.fileno())
        return isinstance(made, Kept)

    return way


def by_dicom_anonymizer() -> Way | None:
    """Return dicom-anonymizer's file function, or None without it."""
    try:
        from dicomanonymizer.simpledicomanonymizer import anonymize_dicom_file
    except ImportError:
        return None

    def way(source: Path, target: Path) -> bool:
        anonymize_dicom_file(str(source), str(target))
        return target.exists()

    return way


def by_dicognito() -> Way | None:
    """Return dicognito's anonymizer between pydicom's reading and writing, or None without it."""
    try:
        from dicognito.anonymizer import Anonymizer
    except ImportError:
        return None
    anonymizer = Anonymizer(seed="benchmark")

    def way(source: Path, target: Path) -> bool:
        ds = pydicom.dcmread(source, force=True)
        anonymizer.anonymize(ds)
        ds.save_as(target)
        return True

    return way


def measure(way: Way, files: list[Path], target: Path) -> tuple[float, int]:
    """Return CPU seconds and files that came out."""
    out = 0
    began = time.process_time()
    for path in files:
        try:
            out += way(path, target)
        except Exception:  # noqa: BLE001 - what the others cannot do counts as not out
            pass
    return time.process_time() - began, out


def in_memory(files: list[Path]) -> float:
    """Return CPU seconds of the rewriting alone, from bytes to the parts of the new file."""
    rewriter, seconds = made_rewriter(), 0.0
    for path in files:
        data = path.read_bytes()
        began = time.process_time()
        rewriter(data)
        seconds += time.process_time() - began
    return seconds


def main() -> None:
    """Run the benchmark and print one line for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mix", choices=sorted(SHARES), default="benchmark")
    parser.add_argument("--files", type=int, default=600)
    parser.add_argument("--corpus", type=Path, help="a folder of files instead of a made-up mix")
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        corpus = options.corpus or Path(folder) / "corpus"
        if options.corpus is None:
            synthesise_mix(corpus, options.mix, options.files, seed=1)
        archive = corpus / "archive" if options.corpus is None else corpus
        files = sorted(path for path in archive.rglob("*") if path.is_file())
        target = Path(folder) / "out.dcm"
        size = sum(path.stat().st_size for path in files) / 1e6
        print(f"{len(files)} files, {size:.0f} MB")
        ways = {"cairn": by_cairn(), "dicom-anonymizer": by_dicom_anonymizer(), "dicognito": by_dicognito()}
        alone = min(in_memory(files) for _ in range(options.repeat))
        print(f"{'cairn, in memory':>18}: {len(files) / alone:7.0f} files per CPU second, without reading and writing")
        first = None
        for name, way in ways.items():
            if way is None:
                print(f"{name:>18}: not installed")
                continue
            way_files = files if name == "cairn" else files[: max(len(files) // 4, 50)]
            measure(way, way_files[:20], target)
            seconds, out = min(measure(way, way_files, target) for _ in range(options.repeat))
            rate = len(way_files) / seconds
            first = first or rate
            print(
                f"{name:>18}: {rate:7.0f} files per CPU second, {out} of {len(way_files)} out, ratio {first / rate:.1f}"
            )


if __name__ == "__main__":
    main()
