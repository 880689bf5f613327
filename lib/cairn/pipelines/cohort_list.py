"""`cohort list`: what was frozen, and whether it still comes out the same."""

from __future__ import annotations

from collections.abc import Iterator

from pyspark.sql import Row

from cairn.cohort import disclosure
from cairn.errors import CairnError
from cairn.pipelines.cohort_count import number, shown_of
from cairn.pipelines.cohort_definition import table_lines
from cairn.pipelines.cohort_freeze import Frozen, frozen, frozen_versions, made_again
from cairn.spark.store import Store
from cairn.tables.cohort import COHORT


def frozen_rows(store: Store, name: str = "") -> list[Row]:
    """Return the rows of `cohort`, none before anything was frozen."""
    return frozen_versions(store, name) if store.exists(COHORT) else []


def frozen_told(done: Frozen) -> str:
    """Return what a freeze did, in words; small numbers are hidden."""
    what = "frozen" if done.is_new else "frozen before over the same tables: nothing changed"
    persons, members, controls = shown_counts(done)
    others = "" if done.controls is None else f", controls {number(controls)}"
    counts = f"persons {number(persons)}, members {number(members)}{others}"
    return f"{done.name}, list {done.number}: {what}. {counts}. List {done.list_hash}"


def shown_counts(done: Frozen) -> tuple[int | None, int | None, int | None]:
    """Return persons, members and controls of a list as they may be shown."""
    persons = disclosure.shown(done.persons.count, key=done.persons.key)
    key = None if persons is None else done.persons.key
    return persons, shown_of(done.members, key, "members"), shown_of(done.controls or 0, key, "controls")


def frozen_lines(rows: list[Row]) -> Iterator[str]:
    """Yield a line for each frozen list; small numbers are hidden."""
    heading = ["cohort", "frozen", "definition", "persons", "members", "controls", "list", "when"]
    yield from table_lines([heading, *([*_cells(row)] for row in rows)])


def _cells(row: Row) -> Iterator[str]:
    persons, members, controls = shown_counts(frozen(row))
    yield row["cohort"]
    yield str(row["cohort_version"])
    yield f"version {row['definition_version']}, {row['definition_hash'][:8]}"
    yield number(persons)
    yield number(members)
    yield "" if row["controls"] is None else number(controls)
    yield row["list_hash"][:8]
    yield f"{row['frozen']:%Y-%m-%d %H:%M}"


def refuse_lists_that_differ(store: Store, rows: list[Row]) -> None:
    """Make each frozen list again, from its own SQL on its own versions of the tables.

    Raises
    ------
    CairnError
        COHORT_DIFFERS for the first that comes out otherwise.
    """
    for row in rows:
        if made_again(store, row) != row["list_hash"]:
            raise CairnError("COHORT_DIFFERS", cohort=row["cohort"], number=row["cohort_version"])
