"""Read and parse every header that is new or changed, into header_blob, instance and quarantine."""

from __future__ import annotations

import os
import sys

from cairn import cli
from cairn.errors import EXIT_DONE


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    options = cli.job_parser("headers", __doc__).parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.headers import read_headers
    from cairn.pipelines.job import opened

    with opened("headers", settings) as job:
        run = read_headers(job.store, job.run("headers"), job.folder("headers"), job.stream)
    counts = run.counts
    print(
        f"{counts['found']:,} entries found = {counts['unchanged']:,} unchanged + {counts.get('instance', 0):,} parsed "
        f"+ {counts.get('quarantine', 0):,} quarantined; {counts['gone']:,} gone"
    )
    cli.report(options, {"run": run.id, **counts})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
