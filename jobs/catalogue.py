"""The MongoDB catalogue: push the tables' metadata into it, pull an existing one, report how the two differ."""

from __future__ import annotations

import argparse
import os
import sys

from cairn import cli
from cairn.errors import EXIT_DONE, CairnError


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("catalogue", __doc__)
    parser.add_argument("action", choices=tuple(_ACTIONS), help="; ".join(_HELP))
    parser.add_argument("--database", metavar="NAME", help="setting catalogue.database")
    parser.add_argument("--uri-file", metavar="FILE", help="setting catalogue.uri_file: holds the URI, mode 0600")
    parser.add_argument("--archive-root", metavar="URI", help="pull: setting catalogue.archive_root")
    parser.add_argument("--take-over", action="store_true", help="push: take the place of another warehouse")
    options = parser.parse_args(arguments)
    for name, action in (("take_over", "push"), ("archive_root", "pull")):
        if getattr(options, name) and options.action != action:
            why = f"{options.action} takes no --{name.replace('_', '-')}; {action} may"
            raise CairnError("BAD_ARGUMENTS", job="catalogue", why=why, nearest="")
    cli.report(options, _ACTIONS[options.action](options))
    return EXIT_DONE


_HELP = (
    "push: bring the catalogue up to date with the tables",
    "pull: make instance rows out of its documents",
    "diff: what is missing or different on either side",
)
_SETTINGS = ("database", "uri_file", "archive_root")


def _opened(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    given = [f"catalogue.{name}={getattr(options, name)}" for name in _SETTINGS if getattr(options, name)]
    options.set = [*options.set, *given]
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.job import opened

    return opened("catalogue", settings)


def _push(options: argparse.Namespace) -> dict[str, object]:
    with _opened(options) as job:
        from cairn.pipelines.catalogue_push import JOB, push

        run = job.run(JOB)
        done = push(job.store, run, options.take_over)
    print("\n".join(pushed.line() for pushed in done))
    return {"run": run.id, "tables": [vars(pushed) for pushed in done]}


def _pull(options: argparse.Namespace) -> dict[str, object]:
    with _opened(options) as job:
        from cairn.pipelines.catalogue_pull import JOB, pull, pulled_lines

        run = pull(job.store, job.run(JOB), job.folder(JOB), job.stream)
    print("\n".join(pulled_lines(run.counts)))
    return {"run": run.id, **run.counts}


def _diff(options: argparse.Namespace) -> dict[str, object]:
    with _opened(options) as job:
        from cairn.pipelines.catalogue_diff import diff

        found = diff(job.store)
    print("\n".join(found.lines()))
    return found.counts()


_ACTIONS = {"push": _push, "pull": _pull, "diff": _diff}

if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
