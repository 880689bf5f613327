"""Report which images and records link to a person, and why the others do not: by source, modality and year."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("linkage", __doc__)
    parser.add_argument("--csv", metavar="FILE", type=Path, help="the whole report, with years")
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.job import opened
    from cairn.pipelines.linkage import LINKED, lines, linkage, write_csv

    with opened("linkage", settings) as job:
        report = linkage(job.store)
    print("\n".join(lines(report)))
    if options.csv:
        write_csv(report, options.csv)
    linked = sum(line.rows for line in report if line.outcome in LINKED)
    cli.report(options, {"rows": sum(line.rows for line in report), "linked": linked})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
