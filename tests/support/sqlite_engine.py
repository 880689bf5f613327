"""SQLite taught enough of Spark's functions to run a cohort's SQL: a second engine of the standard library.

What it cannot show is Spark itself: its types, its plan. It shows that the SQL means what the in-memory engine says.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from cairn.cohort.catalogue import sources
from cairn.cohort.checking import Checked
from cairn.cohort.sql import ANCESTORS, Compiled, Dialect, compiled


class SqliteDialect(Dialect):
    def literal(self, value: Any) -> str:
        return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else super().literal(value)

    def any_element(self, column: str, test: str) -> str:
        return f"EXISTS (SELECT 1 FROM (SELECT value AS x FROM json_each({column})) WHERE {test})"

    def semi(self, other: str, on: str, negated: bool) -> tuple[str, str]:
        return "", f"{'NOT ' if negated else ''}EXISTS (SELECT 1 FROM {other} s WHERE {on})"


def _stored(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date):
        return value.isoformat()
    return json.dumps(list(value)) if isinstance(value, (list, tuple)) else value


def _datediff(a: str | None, b: str | None) -> int | None:
    return None if a is None or b is None else (dt.date.fromisoformat(a) - dt.date.fromisoformat(b)).days


def connect(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> sqlite3.Connection:
    """Return a database with the tables, named as in the de-identified zone."""
    db = sqlite3.connect(":memory:")
    db.execute("PRAGMA case_sensitive_like = ON")
    db.execute("ATTACH ':memory:' AS deidentified")
    functions: list[tuple[str, int, Any]] = [
        ("to_date", 1, lambda v: None if v is None else str(v)[:10]),
        ("datediff", 2, _datediff),
        ("year", 1, lambda v: None if v is None else int(v[:4])),
        ("date_format", 2, lambda v, form: None if v is None else v[5:7] + v[8:10]),
        ("regexp_like", 2, lambda v, p: None if v is None else re.search(p, v) is not None),
        ("sha2", 2, lambda v, bits: hashlib.sha256(v.encode()).hexdigest()),
        ("conv", 3, lambda v, base, into: str(int(v, base))),
        ("concat", -1, lambda *parts: None if None in parts else "".join(parts)),
    ]
    for name, count, work in functions:
        db.create_function(name, count, work, deterministic=True)
    for name, source in sources().items():
        columns = [*source.columns, *({source.key} - set(source.columns))]
        listed = ", ".join(f"`{column}`" for column in columns)
        db.execute(f"CREATE TABLE {source.table} ({listed})")
        rows = [[_stored(row.get(column)) for column in columns] for row in tables.get(name, ())]
        db.executemany(f"INSERT INTO {source.table} VALUES ({', '.join('?' * len(columns))})", rows)
    db.execute(f"CREATE TABLE {ANCESTORS} (ancestor_concept_id, descendant_concept_id)")
    pairs = tables.get("omop_concept_ancestor", ())
    values = [(row["ancestor_concept_id"], row["descendant_concept_id"]) for row in pairs]
    db.executemany(f"INSERT INTO {ANCESTORS} VALUES (?, ?)", values)
    return db


def run(checked: Checked, db: sqlite3.Connection) -> tuple[list[dict[str, Any]], list[int]]:
    """Return members and attrition of a definition."""
    made: Compiled = compiled(checked, SqliteDialect())
    cursor = db.execute(made.members)
    names = [column[0] for column in cursor.description]
    members = [dict(zip(names, row, strict=True)) for row in cursor]
    attrition = [row[2] for row in sorted(db.execute(made.attrition))]
    return members, attrition


def run_stepwise(checked: Checked, db: sqlite3.Connection) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the same with a table and an index for each step: for data on which SQLite's own plan is slow."""
    attrition = []
    steps = compiled(checked, SqliteDialect()).steps
    for step in steps:
        db.execute(f"CREATE TEMP TABLE {step.name} AS {step.sql}")
        db.execute(f"CREATE INDEX temp.by_person_{step.name} ON {step.name} (person_id)")
        if step.kind != "set":
            attrition.append(db.execute(f"SELECT count(DISTINCT person_id) FROM {step.name}").fetchone()[0])
    cursor = db.execute("SELECT * FROM members")
    names = [column[0] for column in cursor.description]
    members = [dict(zip(names, row, strict=True)) for row in cursor]
    for step in steps:
        db.execute(f"DROP TABLE temp.{step.name}")
    return members, attrition


def comparable(members: Sequence[Mapping[str, Any]]) -> list[tuple[tuple[str, Any], ...]]:
    """Return members of either engine so that equal ones are equal."""
    rows = [{k: _stored(v) for k, v in member.items() if not k.startswith("_place")} for member in members]
    return sorted((tuple(sorted(row.items())) for row in rows), key=repr)
