"""`cohort count` and `export`: counts on the tables of now; a frozen list as CSV, attrition, flow chart, profile page.

The list has a row a member and stays in the zone. The other files hold counts, with small numbers hidden.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import DataFrame, Row

from cairn.cohort.checking import Checked
from cairn.errors import CairnError
from cairn.pipelines.cohort_chart import flow_chart
from cairn.pipelines.cohort_count import SMALL, Shown, counted, shown
from cairn.pipelines.cohort_definition import Definition, step_words
from cairn.pipelines.cohort_freeze import definition_of, members_of, parts_before, versions_of
from cairn.pipelines.cohort_page import page
from cairn.pipelines.cohort_profile import Distribution, profile
from cairn.pipelines.cohort_run import Resolved, carried_out
from cairn.spark.store import Store
from cairn.tables.cohort import COHORT_MEMBER

MEMBERS, ATTRITION, CHART, PAGE = "csv", "attrition", "chart", "page"


def require_folders(files: Mapping[str, Path]) -> None:
    """Refuse files in folders that are not there, before anything runs.

    Raises
    ------
    CairnError
        SOURCE_MISSING.
    """
    for path in files.values():
        if not path.absolute().parent.is_dir():
            raise CairnError("SOURCE_MISSING", path=path.parent)


def count(store: Store, definition: Definition, files: Mapping[str, Path] | None = None) -> Shown:
    """Return what may be shown of a definition's counts on the tables of now.

    Parameters
    ----------
    store : Store
        The tables.
    definition : Definition
        What to count.
    files : mapping of str to Path, optional
        What to write beside: attrition, chart, page.

    Raises
    ------
    CairnError
        TABLE_MISSING; SOURCE_MISSING for the folder of a file; BAD_ARGUMENTS when members are asked for.
    """
    files = files or {}
    if MEMBERS in files:
        raise CairnError("BAD_ARGUMENTS", job="cohort", why="a list is frozen before it is exported", nearest="")
    require_folders(files)
    with carried_out(store, definition.steps) as resolved:
        earlier = parts_before(store, definition.checked)
        told, distributions = described(resolved, definition.checked, PAGE in files, earlier)
    write_counts(definition, told, distributions, "Not frozen: counted on the tables of the day.", files)
    return told


def export(store: Store, row: Row, files: Mapping[str, Path]) -> dict[str, int]:
    """Write files about a frozen list.

    Parameters
    ----------
    store : Store
        The tables.
    row : Row
        The list's row of `cohort`.
    files : mapping of str to Path
        What to write, by kind: csv, attrition, chart, page.

    Returns
    -------
    dict of str to int
        Rows of the list that were written.
    """
    require_folders(files)
    rows = {"rows": write_members(store, row, files[MEMBERS])} if MEMBERS in files else {}
    if counts := {kind: path for kind, path in files.items() if kind != MEMBERS}:
        definition = definition_of(row)
        with carried_out(store, definition.steps, versions_of(row)) as resolved:
            earlier = parts_before(store, definition.checked, row["cohort_version"])
            told, distributions = described(resolved, definition.checked, PAGE in counts, earlier)
        origin = f"List {row['cohort_version']}, frozen {row['frozen']:%Y-%m-%d}."
        write_counts(definition, told, distributions, origin, counts)
    return rows


def write_members(store: Store, row: Row, path: Path) -> int:
    """Write the members of a frozen list as CSV, in the order of the members; return how many."""
    names = [column.name for column in COHORT_MEMBER.columns]
    members = members_of(store, row["cohort"], row["cohort_version"]).orderBy("member").select(*names)
    written = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for member in members.toLocalIterator():
            writer.writerow(member)
            written += 1
    return written


def described(
    resolved: Resolved, checked: Checked, with_profile: bool, earlier: DataFrame | None = None
) -> tuple[Shown, list[Distribution]]:
    """Return what may be shown of a cohort that is carried out, and its distributions when they are asked for."""
    told = shown(counted(resolved, checked, earlier), step_words(checked))
    return told, profile(resolved, checked) if with_profile else []


def write_counts(
    definition: Definition,
    told: Shown,
    distributions: list[Distribution],
    origin: str,
    files: Mapping[str, Path],
) -> None:
    """Write the files that hold counts: attrition, chart, page."""
    if ATTRITION in files:
        with files[ATTRITION].open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("step", "description", "persons"))
            writer.writerows((step, words, SMALL if n is None else n) for step, (words, n) in enumerate(told.steps))
    if CHART in files:
        files[CHART].write_text(flow_chart(definition.checked.cohort.title, told.steps), "utf-8")
    if PAGE in files:
        files[PAGE].write_text(page(definition, told, distributions, origin), "utf-8")
