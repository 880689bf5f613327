"""Search the de-identified zone for anything that identifies: ends with 3 when something was found."""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE, EXIT_GATE

PROFILE = Path(__file__).resolve().parents[1] / "conf" / "deid" / "research.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("verify", __doc__)
    parser.add_argument("--report", metavar="FILE", type=Path, help="CSV: table, column, rule, key of every finding")
    parser.add_argument("--withhold", action="store_true", help="delete the rows with findings from the zone")
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.job import opened
    from cairn.pipelines.terms import site_terms
    from cairn.pipelines.verify import verify

    terms = site_terms(settings, PROFILE)
    with opened("verify", settings) as job:
        leaks = verify(job.store, terms, options.withhold)
    if options.report:
        with options.report.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("table", "column", "rule", "key"))
            writer.writerows((leak.table, leak.column, leak.rule, leak.key) for leak in leaks)
    counts = Counter((leak.table, leak.column, leak.rule) for leak in leaks)
    for (table, column, rule), count in counts.most_common():
        print(f"{table}.{column}: {rule} in {count:,} rows")
    print(
        "Nothing was found." if not leaks else f"{len(leaks):,} findings" + (", withheld" if options.withhold else "")
    )
    cli.report(options, {"findings": len(leaks)})
    return EXIT_GATE if leaks else EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
