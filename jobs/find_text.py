"""Find text burnt into the images of a folder, without tables: find-text IN OUT.csv."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE

SPARK = False


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("find-text", __doc__)
    parser.add_argument("source", metavar="IN", help="folder with files and archives")
    parser.add_argument("output", metavar="OUT.csv", type=Path, help="one line for each line of text")
    parser.add_argument("--entries", metavar="FILE", type=Path, help="CSV: what became of every entry")
    parser.add_argument(
        "--processes", type=int, default=len(os.sched_getaffinity(0)), help="worker processes (all cores)"
    )
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.find_text import FindTextWork, find_text
    from cairn.pipelines.pixels import device_rules
    from cairn.pixels.text.engines import check_engines
    from cairn.pixels.warm import ensure_compiled

    check_engines(settings.pixels.text_engines)
    work = FindTextWork(settings.pixels, device_rules(settings.pixels))
    ensure_compiled(sys.stderr)
    counts = find_text(
        options.source, options.output, options.entries, work, settings, options.processes, sys.stderr, time.time
    )
    print(
        f"{counts['entries']:,} entries = {counts['with text']:,} with text + {counts['without text']:,} without + "
        f"{counts['without pixels']:,} without pixels + {counts['unreadable']:,} unreadable + "
        f"{counts['container']:,} archives opened; {counts['boxes']:,} lines of text; "
        f"{counts['searched']:,} images searched, the others showed nothing like text"
    )
    cli.report(options, {name.replace(" ", "_"): count for name, count in counts.items()})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
