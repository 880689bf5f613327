"""Explain what de-identification does to a tag, by which rule, and why: deid explain TAG."""

from __future__ import annotations

import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE

SPARK = False


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("deid", __doc__)
    parser.add_argument("action", choices=("explain",))
    parser.add_argument("tag", metavar="TAG", nargs="+", help="(0010,0010), 00100010 or PatientName")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="profile (conf/deid/research.yaml)")
    parser.add_argument("--creator", metavar="TEXT", help="private creator of the tag's block")
    options = parser.parse_args(arguments)
    from cairn.deid.profile import load_profile, parse_tag, profile_file
    from cairn.deid.rules import RuleSet, explain

    rules = RuleSet(load_profile(options.profile or profile_file()))
    for text in options.tag:
        print(explain(rules, parse_tag(text), options.creator))
    cli.report(options, {"profile": rules.profile.name, "rule_set": rules.digest, "tags": len(options.tag)})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
