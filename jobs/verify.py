"""Search for what identifies: the de-identified zone, or files against their originals (verify IN OUT)."""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections import Counter
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE, EXIT_GATE, CairnError
from cairn.settings import Settings

HERE = ""
"""What --withhold is without a folder: rows are deleted where they are."""


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code: 3 when something was found."""
    parser = cli.job_parser("verify", __doc__)
    parser.add_argument("originals", metavar="IN", nargs="?", help="folder of the originals; none: the tables")
    parser.add_argument("delivered", metavar="OUT", nargs="?", help="folder that leaves")
    parser.add_argument("--report", metavar="FILE", type=Path, help="CSV of every finding: where, and by which rule")
    parser.add_argument(
        "--matches", metavar="FILE", type=Path, help="with IN OUT: scrub's report, which tells what was made of what"
    )
    parser.add_argument(
        "--withhold",
        metavar="FOLDER",
        nargs="?",
        const=HERE,
        help="with IN OUT: move files with findings there; else delete the rows with findings from the zone",
    )
    parser.add_argument(
        "--processes", type=int, default=len(os.sched_getaffinity(0)), help="with IN OUT: worker processes (all cores)"
    )
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    if why := _unclear(options):
        raise CairnError("BAD_ARGUMENTS", job="verify", why=why, nearest="")
    return _tables(options, settings) if options.originals is None else _folder(options, settings)


def _unclear(options: argparse.Namespace) -> str:
    """Return what is wrong with the combination of options; empty when nothing is."""
    if options.originals is None:
        return "--matches is for folders: verify IN OUT" if options.matches else _no_folder(options.withhold)
    if options.delivered is None:
        return "two folders are needed, the originals' and the one that leaves: verify IN OUT"
    return "--withhold needs a folder: --withhold FOLDER" if options.withhold == HERE else ""


def _no_folder(withhold: str | None) -> str:
    return "--withhold takes a folder only with IN OUT; rows are deleted where they are" if withhold else ""


def _folder(options: argparse.Namespace, settings: Settings) -> int:
    from cairn.pipelines.verify_folder import FolderRequest, verify_folder

    withhold = Path(options.withhold) if options.withhold else None
    request = FolderRequest(options.originals, options.delivered, options.matches, options.report, withhold)
    counts, rules = verify_folder(request, settings, options.processes, sys.stderr, time.time)
    for (where, rule), count in rules.most_common(50):
        print(f"{where}: {rule} in {count:,} files")
    print(
        f"{counts['files']:,} files = {counts['clean']:,} clean + {counts['found']:,} with findings"
        f" ({counts['withheld']:,} withheld); {counts['originals']:,} originals read, "
        f"{counts['originals_not_read']:,} not; the original of {counts['without_original']:,} DICOM files is unknown, "
        "their dates were not judged"
    )
    cli.report(options, dict(counts))
    return EXIT_GATE if counts["found"] else EXIT_DONE


def _tables(options: argparse.Namespace, settings: Settings) -> int:
    from cairn.pipelines.job import opened
    from cairn.pipelines.terms import site_terms
    from cairn.pipelines.verify import verify

    terms = site_terms(settings)
    withhold = options.withhold is not None
    with opened("verify", settings) as job:
        leaks = verify(job.store, terms, withhold)
    if options.report:
        with options.report.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("table", "column", "rule", "key"))
            writer.writerows((leak.table, leak.column, leak.rule, leak.key) for leak in leaks)
    counts = Counter((leak.table, leak.column, leak.rule) for leak in leaks)
    for (table, column, rule), count in counts.most_common():
        print(f"{table}.{column}: {rule} in {count:,} rows")
    print("Nothing was found." if not leaks else f"{len(leaks):,} findings" + (", withheld" if withhold else ""))
    cli.report(options, {"findings": len(leaks)})
    return EXIT_GATE if leaks else EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
