"""Cohorts of linked images and records: check, explain, count, freeze, compare, list and export a definition."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE, CairnError

CONF = Path(__file__).resolve().parents[1] / "conf"
FILES = ("csv", "attrition", "chart", "page")


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("cohort", __doc__)
    parser.add_argument("action", choices=tuple(_ACTIONS), help="; ".join(_HELP))
    parser.add_argument(
        "definition", nargs="?", metavar="DEFINITION", help="YAML file, or a name in conf/cohorts; a word (vocabulary)"
    )
    parser.add_argument("--parameter", metavar="NAME=VALUE", action="append", default=[], help="repeatable")
    parser.add_argument("--codelists", metavar="DIR", type=Path, default=CONF / "codelists", help="conf/codelists")
    parser.add_argument("--counts", action="store_true", help="explain, vocabulary: with counts, on the tables")
    parser.add_argument("--number", metavar="N", type=int, help="export, diff: which frozen list; else the last")
    parser.add_argument("--against", metavar="N", type=int, help="diff: the other frozen list; else the tables of now")
    parser.add_argument("--again", action="store_true", help="list: make every frozen list again and compare")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="export: the members, a row each")
    parser.add_argument("--attrition", metavar="FILE", type=Path, help="count, export: the steps' counts as CSV")
    parser.add_argument("--chart", metavar="FILE", type=Path, help="count, export: the steps as a flow chart, SVG")
    parser.add_argument("--page", metavar="FILE", type=Path, help="count, export: profile page, HTML")
    options = parser.parse_args(arguments)
    for name, actions in _TAKEN_BY.items():
        if getattr(options, name) and options.action not in actions:
            why = f"{options.action} takes no --{name}; {' and '.join(actions)} may"
            raise CairnError("BAD_ARGUMENTS", job="cohort", why=why, nearest="")
    told = _ACTIONS[options.action](options)
    cli.report(options, told)
    return EXIT_DONE


_HELP = (
    "check: whether a definition is right",
    "explain: its steps in words and SQL",
    "vocabulary: the imaging words",
    "count: feasibility",
    "freeze: keep its list for ever",
    "diff: what changed since a list was frozen",
    "list: definitions and frozen lists",
    "export: a frozen list to files",
)


_TAKEN_BY = {
    "counts": ("explain", "vocabulary"),
    "number": ("diff", "export"),
    "against": ("diff",),
    "again": ("list",),
    "csv": ("export",),
    "attrition": ("count", "export"),
    "chart": ("count", "export"),
    "page": ("count", "export"),
}


def _definition(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    from cairn.pipelines import cohort_definition as definitions

    if not options.definition:
        raise CairnError("BAD_ARGUMENTS", job="cohort", why=f"{options.action} needs a DEFINITION", nearest="")
    path = definitions.find(options.definition, CONF / "cohorts")
    lists = definitions.load_lists(options.codelists)
    return definitions.load(path, lists, definitions.given_parameters(options.parameter))


def _name(options: argparse.Namespace) -> str:
    """Return the name of a cohort: a frozen list outlives the file of its definition."""
    given = str(options.definition or "")
    is_file = given.endswith((".yaml", ".yml")) or "/" in given or (CONF / "cohorts" / f"{given}.yaml").exists()
    return given if given and not is_file else str(_definition(options).name)


def _files(options: argparse.Namespace) -> dict[str, Path]:
    return {kind: path for kind in FILES if (path := getattr(options, kind)) is not None}


def _opened(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.job import opened

    return opened("cohort", settings)


def _check(options: argparse.Namespace) -> dict[str, object]:
    from cairn.pipelines.cohort_definition import check_lines, summary

    definition = _definition(options)
    print("\n".join(check_lines(definition)))
    return summary(definition)


def _explain(options: argparse.Namespace) -> dict[str, object]:
    from cairn.pipelines.cohort_definition import explain_lines, summary

    definition = _definition(options)
    print("\n".join(explain_lines(definition)))
    return summary(definition) | (_count(options) if options.counts else {})


def _vocabulary(options: argparse.Namespace) -> dict[str, object]:
    from cairn.pipelines.cohort_definition import tables_lines, word_lines

    lines = list(word_lines(options.definition))
    if not options.counts:
        print("\n".join(lines if options.definition else [*lines, "", "Tables of sets:", *tables_lines()]))
        return {"lines": len(lines)}
    with _opened(options) as job:
        from cairn.pipelines.cohort_words import shown_words, word_count_lines, word_counts

        told = shown_words(word_counts(job.store, options.definition))
    print("\n".join(word_count_lines(told)))
    return {"words": told}


def _count(options: argparse.Namespace) -> dict[str, object]:
    definition = _definition(options)
    with _opened(options) as job:
        from cairn.pipelines.cohort_count import count_lines
        from cairn.pipelines.cohort_export import count

        told = count(job.store, definition, _files(options))
    print("\n".join(count_lines(told, definition)))
    return {"cohort": definition.name, "hash": definition.checked.hash, **vars(told)}


def _freeze(options: argparse.Namespace) -> dict[str, object]:
    definition = _definition(options)
    with _opened(options) as job:
        from cairn.pipelines.cohort_freeze import freeze
        from cairn.pipelines.cohort_list import frozen_told
        from cairn.pipelines.quality_gates import before

        before(job, "cohort")
        done = freeze(job.store, job.run("cohort"), definition)
    print(frozen_told(done))
    return {"cohort": done.name, "number": done.number, "list_hash": done.list_hash, "new": done.is_new}


def _diff(options: argparse.Namespace) -> dict[str, object]:
    definition = None if options.against else _definition(options)
    name = definition.name if definition else _name(options)
    with _opened(options) as job:
        from cairn.pipelines.cohort_diff import compare, difference_lines, frozen_side, present_side
        from cairn.pipelines.cohort_freeze import find_frozen

        old = frozen_side(find_frozen(job.store, name, options.number))
        if definition:
            new = present_side(job.store, definition)
        else:
            new = frozen_side(find_frozen(job.store, name, options.against))
        found = compare(job.store, old, new)
    print("\n".join(difference_lines(found, old, new)))
    return {"cohort": name, "from": old.label, "to": new.label, "reasons": found.reasons}


def _list(options: argparse.Namespace) -> dict[str, object]:
    from cairn.pipelines.cohort_definition import definition_lines, load_lists

    if not options.definition:
        print("\n".join([*definition_lines(CONF / "cohorts", load_lists(options.codelists)), ""]))
    name = _name(options) if options.definition else ""
    with _opened(options) as job:
        from cairn.pipelines.cohort_list import frozen_lines, frozen_rows, refuse_lists_that_differ

        rows = frozen_rows(job.store, name)
        if options.again:
            refuse_lists_that_differ(job.store, rows)
    print("\n".join(frozen_lines(rows)))
    if options.again:
        print(f"{len(rows)} lists made again: all the same.")
    return {"frozen": [[row["cohort"], row["cohort_version"], row["list_hash"]] for row in rows]}


def _export(options: argparse.Namespace) -> dict[str, object]:
    name, files = _name(options), _files(options)
    if not files:
        why = f"export needs one of {', '.join(f'--{kind}' for kind in FILES)}"
        raise CairnError("BAD_ARGUMENTS", job="cohort", why=why, nearest="")
    with _opened(options) as job:
        from cairn.pipelines.cohort_export import export
        from cairn.pipelines.cohort_freeze import find_frozen

        row = find_frozen(job.store, name, options.number)
        export(job.store, row, files)
    print(f"{row['cohort']}, frozen {row['cohort_version']}: " + ", ".join(str(path) for path in files.values()))
    return {"cohort": row["cohort"], "number": row["cohort_version"], "files": list(map(str, files.values()))}


_ACTIONS = {
    "check": _check,
    "explain": _explain,
    "vocabulary": _vocabulary,
    "count": _count,
    "freeze": _freeze,
    "diff": _diff,
    "list": _list,
    "export": _export,
}

if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
