"""Take persons out of a project: they are in no later extract, and what the project must delete is listed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE

CONF = Path(__file__).resolve().parents[1] / "conf"


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("withdraw", __doc__)
    parser.add_argument("--project", metavar="P", required=True, help="YAML file, or a name in conf/projects")
    parser.add_argument(
        "--persons", metavar="FILE", type=Path, required=True, help="CHIs, one a line; or issuer, tab, local number"
    )
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.extract_request import project_named, requested
    from cairn.pipelines.job import opened
    from cairn.pipelines.release import read_persons, withdraw
    from cairn.pipelines.terms import site_terms

    project = project_named(options.project, CONF)
    persons = read_persons(options.persons)
    with opened("withdraw", settings) as job:
        request = requested(project, site_terms(settings), job)
        done = withdraw(job.store, job.run("withdraw"), request, persons)
    print(f"{done.persons:,} persons withdrawn; {done.to_delete:,} released files to delete, listed in {done.notice}")
    cli.report(options, vars(done))
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
