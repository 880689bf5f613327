"""`cohort freeze`: a definition, the versions of the tables that it read and the list that came out, kept for ever.

Frozen again over the same versions nothing changes; over others, or by another definition, the list gets the next
number. The row of `cohort` is written last, so that a run that was killed leaves nothing that counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

import cairn
from cairn.cohort.checking import Checked
from cairn.cohort.codelists import CodeList
from cairn.cohort.reading import parse
from cairn.cohort.sql import UIDS, Step
from cairn.cohort.vocabulary import vocabulary_hash
from cairn.errors import CairnError
from cairn.pipelines.cohort_controls import matched, with_images
from cairn.pipelines.cohort_definition import Definition, step_words
from cairn.pipelines.cohort_run import ZONE, Persons, Resolved, carried_out, current_versions, kept
from cairn.pipelines.cohort_split import balanced, given_before
from cairn.spark.delta_log import Token
from cairn.spark.ledger import Run, recorded
from cairn.spark.liveness import StageLock
from cairn.spark.storage import Folder
from cairn.spark.store import Store, spark_schema
from cairn.tables.cohort import ATTRITION, COHORT, COHORT_MEMBER

VERSION_KEY = ("cohort", "cohort_version")
CASE, CONTROL = "case", "control"


@dataclass(frozen=True)
class Frozen:
    """One frozen list.

    Parameters
    ----------
    name : str
        The cohort.
    number : int
        Its `cohort_version`.
    list_hash : str
        Hash of its members.
    persons : Persons
        Who the cases are.
    members : int
        Rows of the cases.
    controls : int or None
        Matched controls.
    is_new : bool
        Whether this run made it; False when it was there already.
    """

    name: str
    number: int
    list_hash: str
    persons: Persons
    members: int
    controls: int | None
    is_new: bool


def freeze(store: Store, run: Run, definition: Definition) -> Frozen:
    """Freeze a definition over the tables as they are now.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        Id and clock; gets counts and versions.
    definition : Definition
        What to freeze.

    Raises
    ------
    CairnError
        TABLE_MISSING, STAGE_BUSY.
    """
    scratch = store.settings.scratch
    locks = Folder(store.settings.zone_root(ZONE)).child("_locks")
    lock = StageLock(locks, run.job, run.id, run.clock, scratch.heartbeat_seconds, scratch.dead_after_seconds)
    versions = current_versions(store, definition.tables)
    with lock, recorded(store, run):
        store.ensure(COHORT, COHORT_MEMBER, ATTRITION)
        for name, version in versions.items():
            run.reads(f"{ZONE}.{name}", version)
        done = _known(store, definition, versions) or _make(store, run, definition, versions)
        for contract in (COHORT, COHORT_MEMBER, ATTRITION):
            run.writes(contract.full_name, store.version(contract))
        run.count({"persons": done.persons.count, "members": done.members, "new": int(done.is_new)})
    return done


def freeze_hash(definition: Definition, versions: Mapping[str, int]) -> str:
    """Return SHA-256 of all that decides a list: meaning, SQL, table versions."""
    steps = [[step.name, step.sql] for step in definition.steps]
    text = json.dumps([definition.checked.hash, steps, sorted(versions.items())])
    return hashlib.sha256(text.encode()).hexdigest()


def _known(store: Store, definition: Definition, versions: Mapping[str, int]) -> Frozen | None:
    own = store.read(COHORT).where(F.col("cohort") == definition.name)
    row = own.where(F.col("freeze_hash") == freeze_hash(definition, versions)).orderBy("cohort_version").first()
    return None if row is None else frozen(row)


def frozen(row: Row) -> Frozen:
    """Return what a row of `cohort` says."""
    counts = Persons.of(row), row["members"], row["controls"]
    return Frozen(row["cohort"], row["cohort_version"], row["list_hash"], *counts, False)


def _make(store: Store, run: Run, definition: Definition, versions: Mapping[str, int]) -> Frozen:
    forget_unfinished(store, definition.name)
    last = store.read(COHORT).where(F.col("cohort") == definition.name).agg(F.max("cohort_version")).collect()[0][0]
    number = (last or 0) + 1
    modified = int(run.clock() * 1000)
    with carried_out(store, definition.steps, versions) as resolved:
        attrition, names = resolved.attrition(), resolved.counted
        earlier = parts_before(store, definition.checked, number)
        rows = kept(member_rows(resolved, definition.checked, number, earlier))  # looked at twice: the matching is dear
        store.append(COHORT_MEMBER, rows, Token(f"cairn/cohort/{run.id}/member", 1))
        rows.unpersist()
    token = Token(f"cairn/cohort/{run.id}/attrition", 1)
    store.append_rows(ATTRITION, _attrition_rows(definition, number, names, attrition), token, modified)
    written = members_of(store, definition.name, number)
    row = _cohort_row(definition, number, versions, written)
    row |= {"persons": attrition[-1].count, "persons_key": attrition[-1].key}
    row |= {"frozen": run.moment(), "run": run.id}
    store.append_rows(COHORT, [row], Token(f"cairn/cohort/{run.id}", 1), modified)
    counts = attrition[-1], row["members"], row["controls"]
    return Frozen(definition.name, number, row["list_hash"], *counts, True)


def forget_unfinished(store: Store, name: str) -> None:
    """Delete rows of versions that no row of `cohort` finished."""
    finished = store.read(COHORT).select(*VERSION_KEY)
    members, steps = (store.read(contract).select(*VERSION_KEY) for contract in (COHORT_MEMBER, ATTRITION))
    own = members.union(steps).where(F.col("cohort") == name).distinct()
    left = own.join(finished, list(VERSION_KEY), "left_anti").collect()  # one or none
    if left:
        gone = store.spark.createDataFrame(left)
        for contract in (COHORT_MEMBER, ATTRITION):
            store.delete_keys(contract, gone, VERSION_KEY)


def parts_before(store: Store, checked: Checked, number: int | None = None) -> DataFrame | None:
    """Return the parts that earlier lists of a cohort gave, of those with an equal split; None where none matter."""
    cohort = checked.cohort
    if not cohort.balanced_by or not store.exists(COHORT):
        return None
    lists = [row for row in frozen_versions(store, cohort.name) if number is None or row["cohort_version"] < number]
    equal = [row for row in lists if _split_of(definition_of(row)) == (dict(cohort.split), cohort.balanced_by)]
    return given_before(store, equal)


def _split_of(definition: Definition) -> tuple[dict[str, int], tuple[str, ...]]:
    cohort = definition.checked.cohort
    return dict(cohort.split), cohort.balanced_by


def member_rows(resolved: Resolved, checked: Checked, number: int, earlier: DataFrame | None = None) -> DataFrame:
    """Return the rows of `cohort_member` of a cohort that is carried out: cases, then matched controls.

    Parameters
    ----------
    resolved : Resolved
        The steps as frames.
    checked : Checked
        The definition.
    number : int
        Of the list.
    earlier : DataFrame, optional
        Parts that earlier lists gave (:func:`parts_before`).
    """
    return balanced(_unsplit_rows(resolved, checked, number), resolved, checked, earlier)


def _unsplit_rows(resolved: Resolved, checked: Checked, number: int) -> DataFrame:
    members = resolved.members
    uids = [uid for uid in UIDS if uid in members.columns]
    cases = members.withColumns(
        {
            "member": F.col(uids[-1] if uids else "person_id"),
            "role": F.lit(CASE),
            "case_id": F.lit(None).cast("string"),
        }
    )
    rows = _complete(cases, checked.cohort.name, number)
    pairs = matched(resolved, checked)
    if pairs is None:
        return rows
    controls = with_images(resolved, checked, pairs).withColumn("role", F.lit(CONTROL))
    return rows.unionByName(_complete(controls, checked.cohort.name, number))


def _complete(rows: DataFrame, name: str, number: int) -> DataFrame:
    """Return rows with every column of `cohort_member`; those that a definition does not fill are NULL."""
    types = {field.name: field.dataType for field in spark_schema(COHORT_MEMBER)}
    known: dict[str, Column] = {name: F.col(name) for name in rows.columns}
    known |= {"cohort": F.lit(name), "cohort_version": F.lit(number)}
    return rows.select(*(known.get(n, F.lit(None)).cast(kind).alias(n) for n, kind in types.items()))


def members_of(store: Store, name: str, number: int) -> DataFrame:
    """Return the members of a frozen list."""
    return store.read(COHORT_MEMBER).where((F.col("cohort") == name) & (F.col("cohort_version") == number))


def list_hash(members: DataFrame) -> str:
    """Return SHA-256 of a list's rows, whatever their order.

    In two levels, so that the driver sees 4,096 hashes at most: rows by the first letters of their hash, then those.
    """
    columns = [c.name for c in COHORT_MEMBER.columns if c.name not in VERSION_KEY]
    rows = members.select(F.sha2(F.to_json(F.struct(*columns)), 256).alias("row"))
    groups = rows.groupBy(F.substring("row", 1, 3).alias("group"))
    hashed = groups.agg(F.sha2(F.array_join(F.sort_array(F.collect_list("row")), ""), 256).alias("hash"))
    text = "".join(found["hash"] for found in sorted(hashed.collect(), key=lambda found: found["group"]))
    return hashlib.sha256(text.encode()).hexdigest()


def _attrition_rows(
    definition: Definition, number: int, names: tuple[str, ...], attrition: list[Persons]
) -> list[dict[str, object]]:
    words = step_words(definition.checked)
    return [
        {
            "cohort": definition.name,
            "cohort_version": number,
            "step": step,
            "name": name,
            "description": said,
            "persons": persons.count,
            "persons_key": persons.key,
        }
        for step, (name, said, persons) in enumerate(zip(names, words, attrition, strict=True))
    ]


def _cohort_row(definition: Definition, number: int, versions: Mapping[str, int], members: DataFrame) -> dict[str, Any]:
    cohort, checked = definition.checked.cohort, definition.checked
    case = F.col("role") == CASE
    counts = members.agg(
        F.count_if(case).alias("members"),
        F.countDistinct(F.when(~case, F.col("person_id"))).alias("controls"),
    ).collect()[0]
    return {
        "cohort": cohort.name,
        "cohort_version": number,
        "title": cohort.title,
        "definition_version": cohort.version,
        "definition": definition.text,
        "definition_hash": checked.hash,
        "parameters": definition.parameters,
        "codelists": [_codes(codes) for codes in checked.codelists.values()],
        "vocabulary_hash": vocabulary_hash(),
        "steps": [{"name": step.name, "kind": step.kind, "sql": step.sql} for step in definition.steps],
        "table_versions": {f"{ZONE}.{name}": version for name, version in versions.items()},
        "freeze_hash": freeze_hash(definition, versions),
        "list_hash": list_hash(members),
        "members": counts["members"],
        "controls": None if cohort.controls is None else counts["controls"],
        "code_version": cairn.__version__,
    }


def _codes(codes: CodeList) -> dict[str, object]:
    lists = {name: list(getattr(codes, name)) for name in ("exact", "prefixes", "ancestors")}
    return {"name": codes.name, "version": codes.version, "hash": codes.hash, **lists}


def frozen_versions(store: Store, name: str = "") -> list[Row]:
    """Return the rows of `cohort`, all or of one name, by name and number.

    Raises
    ------
    CairnError
        TABLE_MISSING before anything was frozen.
    """
    if not store.exists(COHORT):
        raise CairnError("TABLE_MISSING", table=COHORT.full_name, job="cohort freeze")
    rows = store.read(COHORT)
    return (rows.where(F.col("cohort") == name) if name else rows).orderBy(*VERSION_KEY).collect()


def find_frozen(store: Store, name: str, number: int | None = None) -> Row:
    """Return the row of a frozen list: of a number, or the last one.

    Raises
    ------
    CairnError
        TABLE_MISSING, COHORT_NOT_FROZEN.
    """
    rows = frozen_versions(store, name)
    found = [row for row in rows if number in (None, row["cohort_version"])]
    if not found:
        known = ", ".join(str(row["cohort_version"]) for row in rows) or "none"
        raise CairnError("COHORT_NOT_FROZEN", cohort=name, number=number or "at all", known=known)
    return found[-1]


def definition_of(row: Row) -> Definition:
    """Return the definition of a frozen list as it was: its text, its codes, its SQL."""
    lists = {
        codes["name"]: CodeList(
            codes["name"], codes["version"], "", *(tuple(codes[n]) for n in ("exact", "prefixes", "ancestors"))
        )
        for codes in row["codelists"]
    }
    place = f"{row['cohort']}, frozen {row['cohort_version']}"
    checked = parse(row["definition"], lists, place, row["parameters"])
    steps = tuple(Step(step["name"], step["kind"], step["sql"]) for step in row["steps"])
    return Definition(place, row["definition"], row["parameters"], checked, steps)


def versions_of(row: Row) -> dict[str, int]:
    """Return the versions of the tables that a frozen list read, by their names within the zone."""
    return {name.partition(".")[2]: version for name, version in row["table_versions"].items()}


def made_again(store: Store, row: Row) -> str:
    """Return the hash of a frozen list made anew: its own SQL on its own versions of the tables."""
    definition = definition_of(row)
    with carried_out(store, definition.steps, versions_of(row)) as resolved:
        number = row["cohort_version"]
        earlier = parts_before(store, definition.checked, number)
        return list_hash(member_rows(resolved, definition.checked, number, earlier))
