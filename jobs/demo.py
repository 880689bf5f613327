"""Make up an archive, turn it into tables, and show what is in them: the first thing to try."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE

EXTRAS = ("demo",)  # a stand-in for MongoDB's server
CONF = Path(__file__).resolve().parents[1] / "conf"


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("demo", __doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1.0 (default): about 2,000 entries")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same archive (default 1)")
    options = parser.parse_args(arguments)
    home = Path(os.environ.get("CAIRN_HOME") or Path(__file__).resolve().parents[1] / ".cairn") / "demo"
    options.warehouse = options.warehouse or str(home / "warehouse")
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.demo import run_demo

    done = run_demo(settings, home, options.scale, options.seed, CONF)
    cli.report(options, done.counts())
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
