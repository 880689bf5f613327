"""Run every stage in order: inventory, headers, pixels, series, ehr (with --ehr), deidentify (with --keys)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE

MAPPINGS = Path(__file__).resolve().parents[1] / "conf" / "ehr"


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("pipeline", __doc__)
    parser.add_argument(
        "--archive", nargs="+", required=True, metavar="URI", help="roots of the archive: folders or URIs"
    )
    parser.add_argument(
        "--ehr", nargs="+", default=[], metavar="FOLDER", help="health records: a folder for each mapping in conf/ehr"
    )
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.archive_to_tables import run_stages
    from cairn.pipelines.ehr_deliveries import loads_in
    from cairn.pipelines.job import opened
    from cairn.pipelines.terms import site_terms

    terms = site_terms(settings) if settings.keys.directory else None
    records = loads_in(options.ehr, MAPPINGS)
    with opened("pipeline", settings) as job:
        done = run_stages(job, options.archive, terms, records)
    print("\n".join(done.lines()))
    if terms is None:
        print("The de-identified zone was left alone: neither --keys nor the setting keys.directory names keys.")
    cli.report(options, done.counts())
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
