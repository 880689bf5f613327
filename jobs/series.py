"""Describe series and studies: geometry, counts, disagreements; decide which entry of a repeated image is primary."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys

from cairn.errors import EXIT_DONE, CairnError
from cairn.pipelines.job import opened
from cairn.pipelines.series import run_series
from cairn.settings import load


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="series", description=__doc__)
    parser.add_argument("--warehouse", metavar="DIR", help="where the tables lie")
    parser.add_argument("--settings", metavar="FILE", help="settings file")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting")
    parser.add_argument("--json", action="store_true", help="the counts as JSON on the last line of standard output")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = load(options.settings, os.environ, options.set, options.warehouse)
        with opened("series", settings) as job:
            done = run_series(job.store, job.run("series"))
    except CairnError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    outside = done.primary - done.in_series
    print(
        f"{done.series} series, {done.studies} studies from {done.primary} primary of {done.instances} instances "
        f"({outside} without a SeriesInstanceUID); is_primary or its finding changed in {done.primary_changes}"
    )
    if options.json:
        print(json.dumps(dataclasses.asdict(done), sort_keys=True))
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
