"""Ask the tables in SQL: interactively, or with -e QUERY or -f FILE. Reads only."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE, CairnError


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("sql", __doc__)
    given = parser.add_mutually_exclusive_group()
    given.add_argument("-e", metavar="QUERY", dest="query", help="run these statements, separated by semicolons")
    given.add_argument("-f", metavar="FILE", dest="file", type=Path, help="run the statements of a file")
    parser.add_argument("--rows", type=int, default=1000, help="most rows to print of one answer (1000)")
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    text = options.query if options.file is None else _read(options.file)
    from cairn.pipelines.job import opened
    from cairn.spark import session, sql_shell

    rows = 0
    with opened("sql", settings) as job:
        session.register_views(job.store.spark, settings)
        if text is None:
            done = sql_shell.converse(job.store.spark, options.rows, sys.stdout, sys.stderr)
        else:
            ready, rest = sql_shell.statements(text)
            asked = [*ready, rest] if rest else ready
            done = len(asked)
            for statement in asked:
                rows += sql_shell.run(job.store.spark, statement, options.rows, sys.stdout)
    cli.report(options, {"statements": done, "rows": rows})
    return EXIT_DONE


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        raise CairnError("SOURCE_MISSING", path=file) from None


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
