"""De-identify a folder of files into another, without tables: scrub IN OUT --report FILE --keys DIR."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE

SPARK = False


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("scrub", __doc__)
    parser.add_argument("source", metavar="IN", help="folder with files and archives")
    parser.add_argument("output", metavar="OUT", type=Path, help="folder for <patient>/<study>/<series>/<instance>.dcm")
    parser.add_argument("--report", metavar="FILE", type=Path, required=True, help="CSV: what became of every entry")
    parser.add_argument(
        "--profile", metavar="FILE", help="profile (setting deid.profile, else conf/deid/research.yaml)"
    )
    parser.add_argument("--opt-outs", metavar="FILE", help="CHIs of who has opted out, one a line")
    parser.add_argument(
        "--pass-pixels", action="store_true", help="let images pass whose text could not be removed or seen, marked"
    )
    parser.add_argument(
        "--processes", type=int, default=len(os.sched_getaffinity(0)), help="worker processes (all cores)"
    )
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.pixels import device_rules
    from cairn.pipelines.scrub import ScrubWork, scrub
    from cairn.pipelines.terms import site_terms
    from cairn.pixels.text.engines import check_engines
    from cairn.pixels.warm import ensure_compiled

    terms = site_terms(settings, options.profile, options.opt_outs)
    limits = settings.headers
    check_engines(settings.pixels.text_engines)
    ensure_compiled(sys.stderr)
    rules = device_rules(settings.pixels)
    work = ScrubWork(
        terms, options.output, settings.pixels, rules, options.pass_pixels, limits.tries, limits.timeout_seconds
    )
    counts = scrub(options.source, work, options.report, settings, options.processes, sys.stderr, time.time)
    why = ", ".join(
        f"{name.removeprefix('code ')} {n:,}" for name, n in counts.most_common() if name.startswith("code ")
    )
    print(
        f"{counts['entries']:,} entries = {counts['written']:,} written + {counts['same']:,} there already "
        f"+ {counts['withheld']:,} withheld + {counts['container']:,} archives opened" + (f" ({why})" if why else "")
    )
    cli.report(options, dict(counts))
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
