"""Make a project's extract: its cohort's images and tables under its own keys, verified, listed and signed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE

CONF = Path(__file__).resolve().parents[1] / "conf"


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("extract", __doc__)
    parser.add_argument("--project", metavar="P", required=True, help="YAML file, or a name in conf/projects")
    parser.add_argument("--dry-run", action="store_true", help="say what would leave and what would not, write nothing")
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.extract import extract
    from cairn.pipelines.extract_request import project_named, requested
    from cairn.pipelines.job import opened
    from cairn.pipelines.pixels import device_rules
    from cairn.pipelines.quality_gates import before
    from cairn.pipelines.terms import site_terms

    project = project_named(options.project, CONF)
    rules = device_rules(settings.pixels)
    with opened("extract", settings) as job:
        before(job, "extract")
        run = job.run("extract")
        request = requested(project, site_terms(settings), job, rules)
        made = extract(job.store, run, job.folder("extract"), job.stream, request, options.dry_run)
    print("\n".join(made.lines()))
    cli.report(options, {"run": run.id, **vars(made)})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
