"""Cohorts of linked images and records: check, explain, count, freeze, compare and export a definition."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE, CairnError

CONF = Path(__file__).resolve().parents[1] / "conf"
ACTIONS = ("check", "explain", "vocabulary", "count")


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("cohort", __doc__)
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument(
        "definition", nargs="?", metavar="DEFINITION", help="YAML file, or a name in conf/cohorts; a word (vocabulary)"
    )
    parser.add_argument(
        "--parameter", metavar="NAME=VALUE", action="append", default=[], help="a parameter's value; repeatable"
    )
    parser.add_argument(
        "--codelists", metavar="DIR", type=Path, default=CONF / "codelists", help="code lists (conf/codelists)"
    )
    options = parser.parse_args(arguments)
    return _ACTIONS[options.action](options)


def _definition(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    from cairn.pipelines import cohort_definition as definitions

    if not options.definition:
        raise CairnError("BAD_ARGUMENTS", job="cohort", why=f"{options.action} needs a DEFINITION", nearest="")
    path = definitions.find(options.definition, CONF / "cohorts")
    lists = definitions.load_lists(options.codelists)
    return path, definitions.load(path, lists, definitions.given_parameters(options.parameter))


def _check(options: argparse.Namespace) -> int:
    from cairn.pipelines.cohort_definition import check_lines, summary

    path, definition = _definition(options)
    print("\n".join(check_lines(path, definition)))
    cli.report(options, summary(definition))
    return EXIT_DONE


def _explain(options: argparse.Namespace) -> int:
    from cairn.pipelines.cohort_definition import explain_lines, summary

    _, definition = _definition(options)
    print("\n".join(explain_lines(definition)))
    cli.report(options, summary(definition))
    return EXIT_DONE


def _vocabulary(options: argparse.Namespace) -> int:
    from cairn.pipelines.cohort_definition import tables_lines, word_lines

    lines = list(word_lines(options.definition))
    print("\n".join(lines))
    if options.definition is None:
        print("\nTables that sets are made from:\n" + "\n".join(tables_lines()))
    cli.report(options, {"words": len(lines) if options.definition is None else 1})
    return EXIT_DONE


def _count(options: argparse.Namespace) -> int:
    _, definition = _definition(options)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.cohort_count import count, count_lines
    from cairn.pipelines.job import opened

    with opened("cohort", settings) as job:
        told = count(job.store, definition)
    print("\n".join(count_lines(told, definition)))
    cli.report(options, {"cohort": definition.name, "hash": definition.checked.hash, **vars(told)})
    return EXIT_DONE


_ACTIONS = {"check": _check, "explain": _explain, "vocabulary": _vocabulary, "count": _count}

if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
