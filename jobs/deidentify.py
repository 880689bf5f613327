"""Bring the de-identified zone up to date: every table to its twin, under the profile, the keys and the opt-outs."""

from __future__ import annotations

import os
import sys

from cairn import cli
from cairn.errors import EXIT_DONE


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("deidentify", __doc__)
    parser.add_argument(
        "--profile", metavar="FILE", help="profile (setting deid.profile, else conf/deid/research.yaml)"
    )
    parser.add_argument(
        "--opt-outs", metavar="FILE", help="CHIs of who has opted out, one a line (setting deid.opt_outs)"
    )
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.deidentify import deidentify
    from cairn.pipelines.job import opened
    from cairn.pipelines.quality_gates import before
    from cairn.pipelines.terms import site_terms

    terms = site_terms(settings, options.profile, options.opt_outs)
    with opened("deidentify", settings) as job:
        before(job, "deidentify")
        run = job.run("deidentify")
        done = deidentify(job.store, run, job.folder("deidentify"), job.stream, terms)
    print("\n".join(done.lines()))
    cli.report(options, {"run": run.id, **vars(done)})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
