"""`release` and `withdraw`: a staged extract becomes visible, whole and at once; a person leaves a project.

A release reads every file again and compares it with the signed manifest, and moves the folder by one rename. What was
staged before somebody opted out or was withdrawn is refused.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyarrow import dataset
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.deid.identity import chi_of
from cairn.errors import CairnError, nearest
from cairn.extract import manifest
from cairn.extract.layout import IMAGES, STAGING, TABLES, UNDELIVERED, VOLUMES
from cairn.extract.project import Project, refuse_expired
from cairn.pipelines.cohort_freeze import find_frozen
from cairn.pipelines.deidentify_records import owners, with_register
from cairn.pipelines.extract_request import RELEASED, STAGED, Request, name_of, report_folder, signing_key, staging_of
from cairn.spark.ledger import Run
from cairn.spark.store import Store, spark_schema
from cairn.tables.extract import EXTRACT, WITHDRAWAL

MOST_TOLD = 10


@dataclass(frozen=True)
class Released:
    """A release.

    Attributes
    ----------
    project, extract, folder : str
        Whose, its name, where it lies.
    files, size : int
        How many, and their bytes.
    """

    project: str
    extract: str
    folder: str
    files: int
    size: int


def release(store: Store, run: Run, request: Request, name: str | None = None) -> Released:
    """Make a staged extract visible to its project.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        Id and clock.
    request : Request
        Whose, under which terms, on which day.
    name : str, optional
        Which extract; the staged one unless given.

    Raises
    ------
    CairnError
        PROJECT_EXPIRED, EXTRACT_MISSING, EXTRACT_STALE, SIGNATURE_WRONG, MANIFEST_…, EXTRACT_DIFFERS, EXTRACT_EXISTS.
        Nothing is visible then that was not before.
    """
    project = request.project
    refuse_expired(project, request.today)
    staging = Path(staging_of(store, project.id).path)
    row = _staged(store, project, name)
    name = str(row["extract"])
    target = staging.parent / name
    if not target.exists():
        _check(store, request, row, staging / name)
        os.rename(staging / name, target)  # on one file system: at every moment it is there whole, or not at all
    document = _checked_manifest(request, row, target)
    shutil.rmtree(staging / f"{name}{UNDELIVERED}", ignore_errors=True)
    known = row.asDict() | {"state": RELEASED, "released": run.moment(), "run": run.id}
    store.upsert(EXTRACT, store.spark.createDataFrame([known], spark_schema(EXTRACT)), unique=True)
    return Released(project.id, name, str(target), document["files"]["count"], document["files"]["bytes"])


def _staged(store: Store, project: Project, name: str | None) -> Any:
    """Return the row of the extract to be released: the one of that name, else the one staged last."""
    own = store.read(EXTRACT).where(F.col("project") == project.id) if store.exists(EXTRACT) else None
    rows = [] if own is None else own.where(F.col("state") == STAGED).orderBy(F.desc("staged")).collect()
    folder = Path(staging_of(store, project.id).path)
    rows = [row for row in rows if (folder / row["extract"]).exists() or (folder.parent / row["extract"]).exists()]
    found = [row for row in rows if name in (None, row["extract"])]
    if not found:
        near = nearest(name or "", [row["extract"] for row in rows])
        raise CairnError("EXTRACT_MISSING", extract=name or "(any)", project=project.id, state=STAGED, nearest=near)
    return found[0]


def _check(store: Store, request: Request, row: Any, folder: Path) -> None:
    current = replace(request, site=with_register(store, request.site))
    cohort = find_frozen(store, row["cohort"], row["cohort_version"])
    if name_of(store, current, cohort) != row["extract"]:
        raise CairnError("EXTRACT_STALE", extract=row["extract"])
    _checked_manifest(request, row, folder)
    key = manifest.signing_public(signing_key(request.site))
    found = list(manifest.differences(folder, key))
    if found:
        told = ", ".join(f"{one.what} {one.path}" for one in found[:MOST_TOLD])
        raise CairnError("EXTRACT_DIFFERS", count=len(found), extract=row["extract"], told=told)


def _checked_manifest(request: Request, row: Any, folder: Path) -> dict[str, Any]:
    """Return the manifest if it is signed, of this extract, and the one that the run verified."""
    document = manifest.signed_manifest(folder, manifest.signing_public(signing_key(request.site)))
    digest = hashlib.sha256((folder / manifest.MANIFEST).read_bytes()).hexdigest()
    if digest != row["manifest_sha256"] or document["verification"]["findings"] != 0:
        raise CairnError("EXTRACT_EXISTS" if folder.parent.name != STAGING else "SIGNATURE_WRONG",
                         extract=row["extract"], path=folder)  # fmt: skip
    return document


@dataclass(frozen=True)
class Withdrawn:
    """What withdrawing persons did.

    Attributes
    ----------
    persons : int
        Persons that the project no longer gets; those already withdrawn are counted too.
    to_delete : int
        Files in released extracts that the project must delete.
    notice : str
        CSV for the project: extract, path.
    """

    persons: int
    to_delete: int
    notice: str


def withdraw(store: Store, run: Run, request: Request, persons: Sequence[str]) -> Withdrawn:
    """Take persons out of every later extract of a project, and list what it must delete.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        Id and clock.
    request : Request
        Whose, under which terms.
    persons : sequence of str
        CHIs, in any spelling that is one; or, of those without, issuer, NUL, number as in `crossing`.

    Raises
    ------
    CairnError
        PPZ_NOT_LOCAL, and as :func:`cairn.deid.keys.read_key`.
    """
    project = request.project
    folder = staging_of(store, project.id)
    store.ensure(WITHDRAWAL)
    now = sorted({chi_of(person) or person for person in persons})
    rows = [{"project": project.id, "person": one, "withdrawn": run.moment(), "run": run.id} for one in now]
    store.upsert(
        WITHDRAWAL, store.spark.createDataFrame(rows, spark_schema(WITHDRAWAL)), unique=True,
        ignore=("withdrawn", "run"),
    )  # fmt: skip
    known = request.own.pseudonyms()
    names = sorted({known.person(one) for one in _numbers(store, now)})
    root = Path(folder.path).parent
    held = [(extract, *_held(extract, names)) for extract in sorted(root.iterdir() if root.exists() else ())
            if extract.is_dir() and extract.name != STAGING]  # fmt: skip
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("extract", "what", "where"))
    for extract, files, persons_rows in held:
        writer.writerows((extract.name, "file", path) for path in files)
        writer.writerows((extract.name, "rows with person_id", f"{table}: {name}") for table, name in persons_rows)
    notice = report_folder(store, project.id, "_withdrawals").make()
    notice.write(f"{run.id}.csv", text.getvalue().encode("utf-8"))
    return Withdrawn(len(now), sum(len(files) for _, files, _ in held), notice.file(f"{run.id}.csv"))


def _held(extract: Path, names: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the files of persons in a released extract, and in which tables there are rows of whom."""
    files = [
        str(path.relative_to(extract))
        for kind in (IMAGES, VOLUMES)
        for name in names
        for path in sorted((extract / kind / name).rglob("*"))
        if path.is_file()
    ]
    held = []
    for table in sorted(path for path in (extract / TABLES).glob("*") if path.is_dir()):
        data = dataset.dataset(sorted(map(str, table.glob("*.parquet"))), format="parquet")
        if "person_id" in data.schema.names:
            found = data.to_table(columns=["person_id"], filter=dataset.field("person_id").isin(names))
            held += [(table.name, name) for name in sorted(set(found["person_id"].to_pylist()))]
    return files, held


def _numbers(store: Store, persons: Sequence[str]) -> set[str]:
    """Return persons with whom their numbers lead to now."""
    known: DataFrame | None = owners(store)
    if known is None:
        return set(persons)
    rows = known.where(F.col("number_key").isin(list(persons))).select("owner").collect()
    return set(persons) | {row["owner"] for row in rows}


def read_persons(path: Path) -> list[str]:
    """Return the persons in a file, one a line: CHIs, or issuer, tab, local number.

    Raises
    ------
    CairnError
        OPT_OUTS_UNREADABLE, OPT_OUTS_INVALID.
    """
    try:
        lines = [line.strip("\r\n ") for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        raise CairnError("OPT_OUTS_UNREADABLE", path=path) from None
    wrong = [number for number, line in enumerate(lines, 1) if line and "\t" not in line and chi_of(line) is None]
    if wrong:
        told = ", ".join(map(str, wrong[:MOST_TOLD]))
        raise CairnError("OPT_OUTS_INVALID", path=path, count=len(wrong), lines=told)
    return ["\0".join(part.strip().upper() for part in line.split("\t", 1)) for line in lines if line]
