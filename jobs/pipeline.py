"""Run every stage that exists, in order: inventory, headers, pixels, series."""

from __future__ import annotations

import os
import sys

from cairn import cli
from cairn.errors import EXIT_DONE


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("pipeline", __doc__)
    parser.add_argument(
        "--archive", nargs="+", required=True, metavar="URI", help="roots of the archive: folders or URIs"
    )
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.archive_to_tables import run_stages
    from cairn.pipelines.job import opened

    with opened("pipeline", settings) as job:
        done = run_stages(job, options.archive)
    print("\n".join(done.lines()))
    cli.report(options, done.counts())
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
