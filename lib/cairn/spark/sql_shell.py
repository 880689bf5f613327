"""The analysts' SQL: statements read from a text, checked to be queries, and their answers as aligned columns.

Spark's own SQL shell needs Hive's catalog (a database of its own in the current folder); this one works on the
in-memory catalog in which :mod:`cairn.spark.session` has registered the zones. It refuses whatever would write; what
really protects the zones are the permissions of their storage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from cairn.errors import CairnError

COMMANDS = (
    "Show",
    "Describe",
    "Explain",
    "SetNamespace",
    "SetCommand",
    "SetCatalog",
    "ResetCommand",
    "CreateViewCommand",
)
"""Beginnings of the class names of commands that only read or only touch the session."""

WRITES = re.compile("Insert|Restore|Clone|Merge|Delete|Update|Create|Drop|Alter|Replace|Overwrite|Append|Load|Write")
"""Parts of the class names of plans that write without being commands (``InsertIntoDir``, Delta's ``RESTORE``)."""

PLANS = "org.apache.spark.sql.catalyst.plans.logical"


def statements(text: str) -> tuple[list[str], str]:
    """Split a text at its semicolons, outside quotes and comments.

    Parameters
    ----------
    text : str
        SQL.

    Returns
    -------
    (list of str, str)
        The finished statements, and what comes after the last semicolon.
    """
    found, start, place = [], 0, 0
    while place < len(text):
        place = _after_quoted(text, place)
        if place < len(text) and text[place] == ";":
            found.append(text[start:place].strip())
            start = place + 1
        place += 1
    return [one for one in found if one], text[start:].strip()


def _after_quoted(text: str, place: int) -> int:
    """Return the place behind a quoted text or comment that begins at `place`, or `place` itself."""
    if text.startswith("--", place):
        end = text.find("\n", place)
        return len(text) if end < 0 else end
    if text.startswith("/*", place):
        end = text.find("*/", place + 2)
        return len(text) if end < 0 else end + 1
    if text[place] not in "'\"`":
        return place
    end = place + 1
    while end < len(text) and text[end] != text[place]:
        end += 2 if text[end] == "\\" and text[place] != "`" else 1
    return end


def refuse_writes(spark: SparkSession, statement: str) -> None:
    """Raise SQL_WRITES when a statement is anything but a query or a harmless command.

    Parameters
    ----------
    spark : SparkSession
        Its parser decides.
    statement : str
        One statement.
    """
    plan = spark._jsparkSession.sessionState().sqlParser().parsePlan(statement)
    gateway = spark.sparkContext._gateway
    for node in _nodes(plan):
        kind = node.getClass().getSimpleName()
        is_command = any(_is(gateway, node, f"{PLANS}.{one}") for one in ("Command", "ParsedStatement"))
        if is_command or WRITES.search(kind):
            temporary = kind != "CreateViewCommand" or "LocalTempView" in node.viewType().toString()
            if not (kind.startswith(COMMANDS) and temporary):
                raise CairnError("SQL_WRITES", kind=kind)


def _nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for part in ("children", "innerChildren"):
        found = getattr(plan, part)()
        for place in range(found.size()):
            node = found.apply(place)
            if hasattr(node, "getClass") and "logical" in node.getClass().getName():
                yield from _nodes(node)


def _is(gateway: Any, node: Any, kind: str) -> bool:
    from py4j.java_gateway import is_instance_of

    return bool(is_instance_of(gateway, node, kind))


def run(spark: SparkSession, statement: str, limit: int, out: TextIO) -> int:
    """Run one statement and print its answer.

    Parameters
    ----------
    spark : SparkSession
        Session with the zones registered.
    statement : str
        One statement without semicolon.
    limit : int
        Most rows to print; the answer says when there are more.
    out : text stream
        Where to.

    Returns
    -------
    int
        Rows printed.

    Raises
    ------
    CairnError
        SQL_WRITES, or SQL_FAILED with the first line of what Spark says.
    """
    try:
        refuse_writes(spark, statement)
        return show(spark.sql(statement), limit, out)
    except PySparkException as fault:
        raise CairnError("SQL_FAILED", why=str(fault).split("\n", 1)[0].strip().rstrip(".")) from None


def show(frame: DataFrame, limit: int, out: TextIO) -> int:
    """Print a frame as aligned columns; returns the rows printed."""
    rows = frame.limit(limit + 1).collect()
    cut = len(rows) > limit
    for line in aligned(frame.columns, [tuple(row) for row in rows[:limit]]):
        print(line, file=out)
    print(f"({min(len(rows), limit):,} rows{', more not shown' if cut else ''})", file=out)
    return min(len(rows), limit)


def aligned(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return header, rule and rows with columns of one width; NULL is an empty field, numbers stand right."""
    cells = [["" if value is None else str(value).replace("\n", " ") for value in row] for row in rows]
    widths = [max([len(name), *(len(row[n]) for row in cells)]) for n, name in enumerate(columns)]
    right = [all(isinstance(row[n], int | float) or row[n] is None for row in rows) for n in range(len(columns))]

    def line(texts: Sequence[str]) -> str:
        placed = zip(texts, widths, right, strict=True)
        return "  ".join(
            text.rjust(width) if to_right else text.ljust(width) for text, width, to_right in placed
        ).rstrip()

    return [line(columns), line(["-" * width for width in widths]), *(line(row) for row in cells)]


def converse(spark: SparkSession, limit: int, out: TextIO, err: TextIO) -> int:
    """Read statements from the terminal until the end of input, ``quit`` or ``exit``; returns how many ran.

    No history is kept: statements may hold identifiers.
    """
    done, pending = 0, ""
    while True:
        try:
            line = input("     > " if pending else "cairn> ")
        except EOFError:
            return done
        if not pending and line.strip().rstrip(";").lower() in ("quit", "exit"):
            return done
        ready, pending = statements(f"{pending}\n{line}" if pending else line)
        for statement in ready:
            try:
                run(spark, statement, limit, out)
                done += 1
            except CairnError as fault:
                print(fault, file=err)
