"""Make instance and what follows from it anew out of the kept headers: plan, run, swap, rollback, status, discard."""

from __future__ import annotations

import argparse
import os
import sys

from cairn import cli
from cairn.errors import EXIT_DONE

_HELP = (
    "plan: core hours and bytes, measured on a sample",
    "run: build beside the live tables (all rows), or change some rows in place",
    "swap: gates, then exchange the tables",
    "rollback: the rows of before the last swap",
    "status: what is open and what was done",
    "discard: give up what is open",
)


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("reprocess", __doc__)
    parser.add_argument("action", choices=tuple(_ACTIONS), help="; ".join(_HELP))
    parser.add_argument(
        "--other-parser", action="store_true", help="plan, run: only rows that another version of the parser made"
    )
    parser.add_argument(
        "--modality", metavar="MODALITY", action="append", default=[], help="plan, run: only this one; repeatable"
    )
    parser.add_argument("--quarantine", action="store_true", help="plan, run: only what was given up and is kept")
    parser.add_argument("--only-identifiable", action="store_true", help="leave the de-identified zone alone")
    parser.add_argument("--anew", action="store_true", help="run: give up what is open and begin anew")
    parser.add_argument("--swap", action="store_true", help="run: swap when it is built")
    parser.add_argument("--profile", metavar="FILE", help="as for deidentify")
    parser.add_argument("--opt-outs", metavar="FILE", help="as for deidentify")
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.job import opened

    with opened("reprocess", settings) as job:
        told = _ACTIONS[options.action](job, options)
    cli.report(options, told)
    return EXIT_DONE


def _request(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    from cairn.pipelines.reprocess import Request
    from cairn.pipelines.reprocess_selected import Selection

    chosen = Selection(options.other_parser, tuple(options.modality), options.quarantine)
    return Request(chosen, options.profile, options.opt_outs, options.only_identifiable, options.anew)


def _plan(job, options: argparse.Namespace) -> dict[str, object]:  # type: ignore[no-untyped-def]
    from cairn.pipelines.reprocess_plan import estimate

    found = estimate(job, _request(options))
    print("\n".join(found.lines()))
    return found.counts()


def _run(job, options: argparse.Namespace) -> dict[str, object]:  # type: ignore[no-untyped-def]
    from cairn.pipelines.reprocess import run_reprocess

    request = _request(options)
    counts = run_reprocess(job, request)
    print(", ".join(f"{name} {count:,}" for name, count in counts.items()))
    if request.selection:
        return counts
    if options.swap:
        return counts | _swap(job, options)
    print("built beside the live tables; reprocess swap has them take their place")
    return counts


def _swap(job, options: argparse.Namespace) -> dict[str, object]:  # type: ignore[no-untyped-def]
    from cairn.pipelines.reprocess import swap_in

    return _exchanged(swap_in(job, _request(options)))


def _rollback(job, options: argparse.Namespace) -> dict[str, object]:  # type: ignore[no-untyped-def]
    from cairn.pipelines.reprocess import roll_back

    return _exchanged(roll_back(job))


def _exchanged(exchange) -> dict[str, object]:  # type: ignore[no-untyped-def]
    changed = ", ".join(f"{name} {count:,}" for name, count in exchange.changed.items() if count) or "none"
    print(f"{exchange.kind} of {exchange.id} done; rows that differ: {changed}")
    return {"kind": exchange.kind, "changed": exchange.changed, "versions": exchange.manifest()}


def _status(job, options: argparse.Namespace) -> dict[str, object]:  # type: ignore[no-untyped-def]
    from cairn.pipelines.reprocess import status

    lines = status(job.store)
    print("\n".join(lines))
    return {"lines": lines}


def _discard(job, options: argparse.Namespace) -> dict[str, object]:  # type: ignore[no-untyped-def]
    from cairn.pipelines.reprocess import discard

    name = discard(job)
    print(f"{name} was given up")
    return {"discarded": name}


_ACTIONS = {
    "plan": _plan,
    "run": _run,
    "swap": _swap,
    "rollback": _rollback,
    "status": _status,
    "discard": _discard,
}

if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
