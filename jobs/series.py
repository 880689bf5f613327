"""Describe series and studies: geometry, counts, disagreements; decide which entry of a repeated image is primary."""

from __future__ import annotations

import dataclasses
import os
import sys

from cairn import cli
from cairn.errors import EXIT_DONE


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    options = cli.job_parser("series", __doc__).parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.job import opened
    from cairn.pipelines.series import run_series

    with opened("series", settings) as job:
        run = job.run("series")
        done = run_series(job.store, run)
    outside = done.primary - done.in_series
    print(
        f"{done.series} series, {done.studies} studies from {done.primary} primary of {done.instances} instances "
        f"({outside} without a SeriesInstanceUID); is_primary or its finding changed in {done.primary_changes}"
    )
    cli.report(options, {"run": run.id, **dataclasses.asdict(done)})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
