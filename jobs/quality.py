"""Check what is expected of the tables: keys, relations, ranges, codes, completeness, drift; pages of the results."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE, EXIT_GATE


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code: 3 when an expectation failed that keeps data from crossing."""
    parser = cli.job_parser("quality", __doc__)
    parser.add_argument("--table", nargs="+", metavar="T", default=[], help="tables, with or without their zone (all)")
    parser.add_argument("--zone", choices=("identifiable", "deidentified"), default="", help="one zone (both)")
    parser.add_argument("--docs", metavar="DIR", type=Path, help="write great-expectations' pages of the last results")
    parser.add_argument(
        "--accept", action="store_true", help="take the tables as they are for what later runs are compared with"
    )
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.job import opened
    from cairn.pipelines.quality_job import check_tables

    with opened("quality", settings) as job:
        run = job.run("quality")
        checked = check_tables(job.store, run, options.table, options.zone, options.accept, options.docs)
    print("\n".join(checked.lines()))
    if options.docs:
        print(f"Pages: {options.docs / 'index.html'}")
    cli.report(options, {"run": run.id, **checked.counts()})
    return EXIT_GATE if checked.closing else EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
