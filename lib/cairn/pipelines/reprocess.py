"""`reprocess`: `instance` and all that follows from it, made anew from the kept headers without touching the archive.

Everything is built beside the live tables and exchanged with them when the gates pass; a selection is changed in
place. What is open is noted in ``_reprocess/open.json`` of the identifiable zone, so that the next call goes on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace

from pyspark.sql import functions as F

from cairn.errors import CairnError
from cairn.pipelines.deidentify import ZONE, deidentify
from cairn.pipelines.deidentify_task import STAGE as DEIDENTIFY
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.header_rows import parser_version
from cairn.pipelines.header_task import STAGE
from cairn.pipelines.job import Job
from cairn.pipelines.quality import JOB as QUALITY_JOB
from cairn.pipelines.quality import RESULTS
from cairn.pipelines.reprocess_build import (
    BEYOND,
    FOLLOWING,
    INCREMENTAL,
    Building,
    build,
    going_on,
    is_caught_up,
    parse,
    swapped,
)
from cairn.pipelines.reprocess_gates import Gate, pass_gates
from cairn.pipelines.reprocess_selected import ENTRY, Selection, forget_refusals, merge_selected
from cairn.pipelines.series import run_series
from cairn.pipelines.terms import site_terms
from cairn.spark import swap
from cairn.spark.beside import BesideStore
from cairn.spark.ledger import Run, recorded, versions_read
from cairn.spark.locks import stage_lock
from cairn.spark.store import Store
from cairn.spark.swap import Exchange
from cairn.tables.crossing import CROSSING
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.registry import contract as contract_of

JOB = "reprocess"
OPEN = "open.json"
WRITERS = (STAGE, "series", DEIDENTIFY, ZONE)
"""Locks of all that writes the tables which are exchanged."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Parameters
    ----------
    selection : Selection
        Which rows; an empty one means all, built beside.
    profile, opt_outs : str or None
        As for `deidentify`.
    only_identifiable : bool
        Leave the de-identified zone to the next run of `deidentify`.
    anew : bool
        Give up what is open and begin anew.
    """

    selection: Selection = field(default_factory=Selection)
    profile: str | None = None
    opt_outs: str | None = None
    only_identifiable: bool = False
    anew: bool = False


@dataclass(frozen=True)
class Opened:
    """A reprocess that is under way, as its file tells.

    Parameters
    ----------
    id : str
        Name of the set of tables.
    parser : str
        Version of the parser.
    twins : bool
        Whether the de-identified tables are made too.
    selection : Selection
        Which rows.
    built : bool
        Whether it has been built to the end once.
    """

    id: str
    parser: str
    twins: bool
    selection: Selection
    built: bool = False


def opened_set(store: Store) -> Opened | None:
    """Return what is open, or None."""
    try:
        told = json.loads(swap.folder(store).read(OPEN))
    except FileNotFoundError:
        return None
    chosen = told.pop("selection")
    return Opened(**told, selection=Selection(**{**chosen, "modalities": tuple(chosen["modalities"])}))


def _note(store: Store, opened: Opened) -> Opened:
    swap.folder(store).make().write(OPEN, json.dumps(asdict(opened)).encode())
    return opened


def _beside(store: Store, opened: Opened) -> BesideStore:
    if opened.selection:
        return BesideStore(store, opened.id, (INSTANCE, QUARANTINE))
    made = (*FOLLOWING, QUARANTINE, *(BEYOND if opened.twins else ()))
    return BesideStore(store, opened.id, (*made, *RESULTS.values()))


def terms_of(store: Store, request: Request) -> Terms | None:
    """Return the terms of the de-identified zone where there is one, or None when it is left alone.

    Raises
    ------
    CairnError
        KEYS_UNSET and the like: tables beyond that nobody follows up would tell of other instances than the zone's.
    """
    if request.only_identifiable or not store.exists(CROSSING):
        return None
    return site_terms(store.settings, request.profile, request.opt_outs)


def run_reprocess(job: Job, request: Request) -> dict[str, object]:
    """Build the tables beside, or go on with it; with a selection change its rows in place.

    Returns
    -------
    dict
        Counts: of a selection as :func:`merge_selected`; else rows of every table beside.

    Raises
    ------
    CairnError
        STAGE_BUSY; REPROCESS_OPEN, REPROCESS_OTHER_CODE; as the stages.
    """
    store, run = job.store, job.run(JOB)
    with swap.lock(store, run), recorded(store, run):
        _finish_left_over(store, run)
        if request.anew:
            _discard(store)
        terms = terms_of(store, request)
        opened = opened_set(store) or _begin(store, run, request, terms)
        _refuse_another(store, opened, request)
        if opened.selection:
            return _run_selected(job, run, opened, terms)
        building = Building(_beside(store, opened), job)
        build(building, terms if opened.twins else None)
        _note(store, replace(opened, built=True))
        return {table.full_name: building.beside.read(table).count() for table in swapped(building.beside)}


def _begin(store: Store, run: Run, request: Request, terms: Terms | None) -> Opened:
    store.read(HEADER_BLOB)
    store.ensure(INSTANCE, QUARANTINE)  # a table of an earlier release lacks the parser's version
    _discard(store)
    return _note(store, Opened(run.id, parser_version(), terms is not None, request.selection))


def _refuse_another(store: Store, opened: Opened, request: Request) -> None:
    if opened.selection != request.selection:
        raise CairnError("REPROCESS_OPEN", told=f"{opened.id}, {opened.selection.told()}")
    beside = _beside(store, opened)
    every = (*FOLLOWING, QUARANTINE, *BEYOND)
    same = all(beside.follows(table) for table in every if table.full_name in beside.made)
    if opened.parser != parser_version() or not same:
        raise CairnError("REPROCESS_OTHER_CODE")


def _run_selected(job: Job, run: Run, opened: Opened, terms: Terms | None) -> dict[str, object]:
    store, beside = job.store, _beside(job.store, opened)
    chosen = opened.selection.chosen(store)
    parse(Building(beside, job), lambda rows: rows.join(chosen, ENTRY, "left_semi"))
    with ExitStack() as locks:
        _hold(locks, store, run)
        counts: dict[str, object] = dict(merge_selected(beside))
        if opened.selection.quarantine and terms is not None:
            counts["decided_anew"] = forget_refusals(store)
    run_series(store, job.run("series"))
    if terms is not None:
        deidentify(store, job.run(DEIDENTIFY), job.folder(DEIDENTIFY), job.stream, terms)
    run.count({name: count for name, count in counts.items() if isinstance(count, int)})
    _discard(store)
    return counts


def swap_in(job: Job, request: Request, gates: Sequence[Gate] = ()) -> Exchange:
    """Catch up with what changed since the build, pass the gates, and exchange the tables.

    Parameters
    ----------
    job : Job
        The job.
    request : Request
        Profile and opt-outs.
    gates : sequence of callable
        Gates of the site, beside those of :mod:`cairn.pipelines.reprocess_gates`.

    Raises
    ------
    CairnError
        REPROCESS_NONE; REPROCESS_CLOSED; STAGE_BUSY while a stage writes one of the tables.
    """
    store, run = job.store, job.run(JOB)
    with swap.lock(store, run), recorded(store, run):
        if (done := _finish_left_over(store, run)) is not None:
            return done
        opened = opened_set(store)
        if opened is None or opened.selection or not opened.built:
            raise CairnError("REPROCESS_NONE", action="swap", nearest="Build it by reprocess run first.")
        _refuse_another(store, opened, replace(request, selection=Selection()))
        terms = terms_of(store, request) if opened.twins else None
        building = Building(_beside(store, opened), job)
        build(building, terms)
        pass_gates(building.beside, building.run(QUALITY_JOB), terms, gates)
        with ExitStack() as locks:
            _hold(locks, store, run)
            if not is_caught_up(building):  # while the gates were at work
                build(building, terms)
                pass_gates(building.beside, building.run(QUALITY_JOB), terms, gates)
            exchange = swap.carry_out(store, _exchange(building, opened, run), run)
        run.count(exchange.changed)
        swap.folder(store).remove(OPEN)
    return exchange


def _exchange(building: Building, opened: Opened, run: Run) -> Exchange:
    live, beside = building.live, building.beside
    tables = swapped(beside)
    live.ensure(*tables)
    jobs = INCREMENTAL if opened.twins else INCREMENTAL[:1]
    return Exchange(
        id=opened.id,
        kind=swap.SWAP,
        moment=int(run.clock() * 1000),
        before={table.full_name: live.version(table) or 0 for table in tables},
        source={table.full_name: beside.version(table) or 0 for table in tables},
        stages=[STAGE, DEIDENTIFY] if opened.twins else [STAGE],
        ledger={job: versions for job, versions in going_on(beside).items() if job in jobs},
        earlier={job: versions for job in jobs if (versions := versions_read(live, job))},
    )


def roll_back(job: Job) -> Exchange:
    """Have the tables consist of the rows that they had before the last swap.

    Raises
    ------
    CairnError
        REPROCESS_NONE without a swap; ROLLBACK_GONE when its files were vacuumed; STAGE_BUSY.
    """
    store, run = job.store, job.run(JOB)
    with swap.lock(store, run), recorded(store, run):
        _finish_left_over(store, run)
        last = swap.last(store)
        if last is None or last.kind != swap.SWAP:
            raise CairnError("REPROCESS_NONE", action="roll back", nearest="The last swap was rolled back already.")
        with ExitStack() as locks:
            _hold(locks, store, run)
            before = {name: store.version(contract_of(name)) or 0 for name in last.before}
            back = Exchange(
                id=last.id,
                kind=swap.ROLLBACK,
                moment=int(run.clock() * 1000),
                before=before,
                source=last.before | {QUARANTINE.full_name: last.quarantine[0]},
                stages=last.stages,
                ledger=last.earlier,
            )
            done = swap.carry_out(store, back, run)
        run.count(done.changed)
    return done


def discard(job: Job) -> str:
    """Give up what is open; returns its name.

    Raises
    ------
    CairnError
        REPROCESS_NONE.
    """
    store, run = job.store, job.run(JOB)
    with swap.lock(store, run):
        _finish_left_over(store, run)
        names = swap.folder(store).names(folders=True)
        if opened_set(store) is None and not names:
            raise CairnError("REPROCESS_NONE", action="discard", nearest="")
        _discard(store)
    return ", ".join(names)


def _discard(store: Store) -> None:
    """Remove every set: the open one, and what a process left that died at its very end."""
    for name in swap.folder(store).names(folders=True):
        BesideStore(store, name, ()).remove()
    swap.folder(store).remove(OPEN)


def _finish_left_over(store: Store, run: Run) -> Exchange | None:
    """Carry a swap that was cut short to its end; the caller holds the lock."""
    left = swap.journal(store)
    if left is None:
        opened = opened_set(store)
        last = swap.last(store)
        if opened and last and opened.id == last.id:  # it came to its end elsewhere
            swap.folder(store).remove(OPEN)
        return None
    done = swap.carry_out(store, left, run)
    if left.kind == swap.SWAP:
        swap.folder(store).remove(OPEN)
    return done


def _hold(locks: ExitStack, store: Store, run: Run) -> None:
    for name in WRITERS:
        locks.enter_context(stage_lock(store.settings, name, run))


def status(store: Store) -> list[str]:
    """Return in words what is open, what is under way and what was done last."""
    opened, under_way, last = opened_set(store), swap.journal(store), swap.last(store)
    lines = []
    if under_way:
        lines.append(f"{under_way.kind} of {under_way.id} was begun and not finished; the next job finishes it")
    elif opened:  # while it is swapped its files are on their way
        lines.append(_open_told(store, opened))
    if last:
        done = "swapped in" if last.kind == swap.SWAP else "rolled back"
        lines.append(f"{last.id} was {done}; rows that changed: {_changes_told(last)}")
        lines.append("versions that belong together: " + _versions_told(last.manifest()))
    return lines or ["no reprocess was ever made here"]


def _open_told(store: Store, opened: Opened) -> str:
    beside = _beside(store, opened)
    done = 0
    for table in (INSTANCE, QUARANTINE):
        if beside.exists(table):
            rows = beside.read(table)
            done += rows.where(F.col("stage") == STAGE).count() if table is QUARANTINE else rows.count()
    state = "built, ready to be swapped in" if opened.built else "being built"
    total = store.read(HEADER_BLOB).count()
    return f"{opened.id} is open ({opened.selection.told()}): {state}, {done:,} of {total:,} headers parsed"


def _changes_told(exchange: Exchange) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in exchange.changed.items() if count) or "none"


def _versions_told(versions: dict[str, int]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
