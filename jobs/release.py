"""Make a project's staged extract visible, after signature, content, approval and opt-outs were checked again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE

CONF = Path(__file__).resolve().parents[1] / "conf"


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("release", __doc__)
    parser.add_argument("--project", metavar="P", required=True, help="YAML file, or a name in conf/projects")
    parser.add_argument("--extract", metavar="NAME", help="which one (the one that is staged)")
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.extract_request import project_named, requested
    from cairn.pipelines.job import opened
    from cairn.pipelines.pixels import device_rules
    from cairn.pipelines.release import release
    from cairn.pipelines.terms import site_terms

    project = project_named(options.project, CONF)
    with opened("release", settings) as job:
        request = requested(project, site_terms(settings), job, device_rules(settings.pixels))
        done = release(job.store, job.run("release"), request, options.extract)
    print(f"{done.project}, {done.extract}: released, {done.files:,} files, {done.size:,} bytes in {done.folder}")
    cli.report(options, vars(done))
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
