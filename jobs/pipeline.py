"""Run every stage that exists, in order: inventory, headers, pixels, series, and deidentify when --keys are given."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE

PROFILE = Path(__file__).resolve().parents[1] / "conf" / "deid" / "research.yaml"


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
    from cairn.pipelines.terms import site_terms

    terms = site_terms(settings, PROFILE) if settings.keys.directory else None
    with opened("pipeline", settings) as job:
        done = run_stages(job, options.archive, terms)
    print("\n".join(done.lines()))
    if terms is None:
        print("The de-identified zone was left alone: neither --keys nor the setting keys.directory names keys.")
    cli.report(options, done.counts())
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
