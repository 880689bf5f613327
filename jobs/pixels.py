"""Decode and measure the pixels of every image that lacks it, into pixel_statistics and quarantine."""

from __future__ import annotations

import os
import sys

from cairn import cli
from cairn.errors import EXIT_DONE


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    options = cli.job_parser("pixels", __doc__).parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.job import opened
    from cairn.pipelines.pixels import read_pixels

    with opened("pixels", settings) as job:
        run = read_pixels(job.store, job.run("pixels"), job.folder("pixels"), job.stream)
    counts = run.counts
    print(
        f"{counts['found']:,} DICOM entries = {counts['unchanged']:,} unchanged + {counts.get('measured', 0):,} "
        f"measured + {counts.get('quarantine', 0):,} quarantined; {counts['gone']:,} gone"
    )
    cli.report(options, {"run": run.id, **counts})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
