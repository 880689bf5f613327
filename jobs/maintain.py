"""Keep the tables in order: join small files, drop earlier versions, erase who opted out from history, tell of skew."""

from __future__ import annotations

import os
import sys

from cairn import cli
from cairn.errors import EXIT_DONE


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("maintain", __doc__)
    parser.add_argument("--table", metavar="ZONE.TABLE", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--zone", choices=("identifiable", "deidentified"), help="only the tables of this zone")
    parser.add_argument("--report", action="store_true", help="say how the tables lie in files, change nothing")
    parser.add_argument(
        "--opt-outs", metavar="FILE", help="CHIs of who has opted out, one a line (setting deid.opt_outs)"
    )
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.job import opened
    from cairn.pipelines.maintain import existing, maintain, reported
    from cairn.pipelines.terms import site_terms

    erases = settings.keys.directory and not options.report and options.zone != "identifiable" and not options.table
    terms = site_terms(settings, None, options.opt_outs) if erases else None
    with opened("maintain", settings) as job:
        tables = existing(job.store, options.table, options.zone or "")
        if options.report:
            done = reported(job.store, tables)
        else:
            done = maintain(job.store, job.run("maintain"), job.stream, tables, terms)
    print("\n".join(done.lines()))
    if not options.report and terms is None:
        print("history of who opted out: left as it is (it needs the keys, and the whole zone)")
    cli.report(options, done.counts())
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
