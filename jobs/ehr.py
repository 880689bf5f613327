"""Load deliveries of health records into typed tables: ehr --mapping M FILE…, or a folder with one folder a mapping."""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE

MAPPINGS = Path(__file__).resolve().parents[1] / "conf" / "ehr"


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("ehr", __doc__)
    parser.add_argument("source", nargs="+", metavar="SOURCE", help="files or folders of deliveries")
    parser.add_argument(
        "--mapping", metavar="M", help="name in conf/ehr, or a YAML file; without it each folder in SOURCE names one"
    )
    parser.add_argument(
        "--delivered-on", metavar="DATE", type=datetime.date.fromisoformat, help="else the date in a file's name"
    )
    parser.add_argument("--again", action="store_true", help="read files too that are as they were loaded last")
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.ehr_deliveries import load_deliveries, loads_in
    from cairn.pipelines.job import opened

    loads = _one(options) if options.mapping else loads_in(options.source, MAPPINGS, options.delivered_on)
    with opened("ehr", settings) as job:
        done = load_deliveries(job, loads, options.again)
    print("\n".join(done.lines()))
    cli.report(options, done.counts())
    return EXIT_DONE


def _one(options):  # type: ignore[no-untyped-def]
    """Return the files of the mapping that was named."""
    from cairn.ehr.mapping import load, named
    from cairn.pipelines.ehr_sources import sources_of

    is_file = options.mapping.endswith((".yaml", ".yml"))
    mapping = load(Path(options.mapping)) if is_file else named(options.mapping, MAPPINGS)
    return [sources_of(mapping, options.source, options.delivered_on)]


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
