"""List what an archive holds, members of zip and tar included, without unpacking: new, changed, gone."""

from __future__ import annotations

import os
import sys

from cairn import cli
from cairn.errors import EXIT_DONE


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("inventory", __doc__)
    parser.add_argument("roots", nargs="+", metavar="URI", help="folders, files or URIs")
    parser.add_argument("--archive-depth", type=int, help="how deep archives within archives are opened")
    options = parser.parse_args(arguments)
    if options.archive_depth is not None:
        options.set = [*options.set, f"inventory.archive_depth={options.archive_depth}"]
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.inventory import take_inventory
    from cairn.pipelines.job import opened

    with opened("inventory", settings) as job:
        run = take_inventory(job.store, job.run("inventory"), job.folder("inventory"), job.stream, options.roots)
    counts = run.counts
    print(
        f"{counts['files']:,} files, {counts['containers']:,} archives with {counts['members']:,} members; "
        f"{counts['new']:,} new, {counts['changed']:,} changed, {counts['unchanged']:,} unchanged, "
        f"{counts['gone']:,} gone, {counts['faulty']:,} with a fault"
    )
    cli.report(options, {"run": run.id, **counts})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
