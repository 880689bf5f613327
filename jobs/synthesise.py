"""Make a made-up archive, with the truth about it beside it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE
from cairn.synthetic.archive import PIXEL_SIZES, synthesise
from cairn.synthetic.mixes import SHARES, synthesise_mix

SPARK = False


def _parser() -> argparse.ArgumentParser:
    parser = cli.JobParser("synthesise", __doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="new folder; gets OUT/archive and OUT/truth")
    parser.add_argument("--scale", type=float, default=1.0, help="1.0 (default) makes about 2,000 entries")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same bytes (default 1)")
    parser.add_argument("--pixels", choices=sorted(PIXEL_SIZES), help="small: 64 x 64; full: 512 x 512 and long series")
    parser.add_argument("--processes", type=int, help="how many write at once (default: 1, all cores from scale 5)")
    parser.add_argument(
        "--long-values",
        action=argparse.BooleanOptionalAction,
        help="a file with a value over 16 MiB (default: from scale 1)",
    )
    parser.add_argument("--mix", choices=sorted(SHARES), help="a benchmark corpus instead of an archive")
    parser.add_argument("--files", type=int, default=5000, help="files of the mix (default 5000)")
    parser.add_argument("--json", action="store_true", help="the counts as JSON on the last line of standard output")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    options = _parser().parse_args(arguments)
    if options.mix:
        summary = synthesise_mix(options.out, options.mix, options.files, options.seed, options.pixels or "full")
    else:
        processes = options.processes or (1 if options.scale < 5 else os.cpu_count() or 1)
        summary = synthesise(
            options.out,
            options.scale,
            options.seed,
            options.pixels or "small",
            processes,
            options.long_values,
            progress=sys.stderr,
        )
    counts = ", ".join(f"{count} {outcome}" for outcome, count in summary["outcomes"].items())
    print(f"{summary['entries']} entries in {options.out}/archive ({counts}); the truth is in {options.out}/truth")
    cli.report(options, summary)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
