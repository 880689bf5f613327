"""Serve one zone's tables and views to clients of JDBC and Spark Connect, until it is stopped."""

from __future__ import annotations

import os
import signal
import sys

from cairn import cli
from cairn.errors import EXIT_DONE


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("serve", __doc__)
    parser.add_argument("--zone", choices=("deidentified", "identifiable"), default="deidentified")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--jdbc", type=int, metavar="PORT", default=10000, help="port of JDBC; 0: none (10000)")
    parser.add_argument(
        "--connect", type=int, metavar="PORT", default=15002, help="port of Spark Connect; 0: none (15002)"
    )
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.job import opened
    from cairn.spark.serving import Served, Serving, with_servers
    from cairn.spark.session import register_views

    place = Served(options.host, options.jdbc, options.connect)
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # until they are waited for: the JVM must be told first
    settings = with_servers(settings, place, settings.scratch_root, os.environ)
    with opened("serve", settings, zones=(options.zone,)) as job:
        register_views(job.store.spark, settings, (options.zone,))
        serving = Serving(job.store.spark, place, job.folder("serve").path)
        print("\n".join(place.lines(options.zone)), flush=True)
        signal.sigwait(ends)
        serving.stop()
    cli.report(options, {"zone": options.zone})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
