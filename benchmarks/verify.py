"""The verifier over rewritten files: files per CPU second, and files with findings though nothing was planted.

python benchmarks/verify.py [--mix benchmark|enhanced] [--files N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from cairn.deid.rewrite import Kept
from cairn.synthetic.mixes import SHARES, synthesise_mix
from cairn.verify.known import known_of
from cairn.verify.search import check_file
from deid_rewrite import made_rewriter


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mix", choices=sorted(SHARES), default="benchmark")
    parser.add_argument("--files", type=int, default=300)
    arguments = parser.parse_args()
    engine = made_rewriter()
    with tempfile.TemporaryDirectory() as folder:
        synthesise_mix(Path(folder), arguments.mix, arguments.files, pixels="small")
        originals = [path.read_bytes() for path in sorted(Path(folder, "archive").rglob("*")) if path.is_file()]
    made = [(data, out.tobytes()) for data in originals if isinstance(out := engine(data), Kept)]
    before = time.process_time()
    known = [known_of(data) for data, _ in made]
    between = time.process_time()
    found = [check_file(one, out) for one, (_, out) in zip(known, made, strict=True)]
    after = time.process_time()
    rules = Counter((place.rule, place.where) for places in found for place in places)
    print(f"{len(originals)} files, {len(made)} rewritten, {sum(map(bool, found))} with findings")
    print(f"reading what is known: {len(made) / (between - before):.0f} files per CPU second")
    print(f"searching: {len(made) / (after - between):.0f} files per CPU second")
    print(f"both: {len(made) / (after - before):.0f} files per CPU second")
    for (rule, where), count in rules.most_common(10):
        print(f"  {count:5d} {rule} {where}")


if __name__ == "__main__":
    main()
